"""How well dlib-resnet tells the faces apart that two libraries ship: what docs/how-to/faces.md states.

    python benchmarks/faces.py [--figure PNG] [--detector NAME] [--models FOLDER] [--enlarged 1 1.5 2 3]

Two portraits and a hundred small strangers (tests/faces_support/sample_faces.py says which), each in the 16
variations of `meerkat faces evaluate`. Three questions:

- *as a hub asks*: only faces that are fit are enrolled and named. The portraits are enrolled; the strangers
  come as they are, 25x25 pixels, and enlarged as a digital zoom does it, whereby some become fit. Those are
  enrolled too, each as a person of its own. The threshold is taken from this.
- *without the gate*: the strangers as they are, as if every one of them were fit: each enrolled by its crop,
  known by its variations, and a stranger to the others. What a face of that size is worth.
- *pairs*: the distances between all 100 crops.

Takes eight minutes of one core.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from faces_support.sample_faces import (
    FACES,
    USUAL_BOX,
    People,
    crops,
    plain,
    portraits,
    strangers,
    with_margin,
    without_gate,
)
from meerkat_inference.detector import Detector
from meerkat_inference.faces.embedder import Embedder
from meerkat_inference.faces.evaluate import describe_people
from meerkat_inference.faces.figure import draw_beside
from meerkat_inference.faces.loading import load_embedder
from meerkat_inference.faces.measuring import Probe, Report, measure
from meerkat_inference.faces.pictures import faces_in
from meerkat_inference.faces.telling import in_words
from meerkat_inference.loading import load_detector
from support.shared import FOLDER

DETECTORS = ("yunet", "slim-face")
AT = (0.30, 0.35, 0.38, 0.41, 0.45, 0.50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--figure", type=Path, metavar="PNG")
    parser.add_argument("--detector", default="yunet", choices=DETECTORS)
    parser.add_argument("--models", type=Path, default=FOLDER / "models", metavar="FOLDER")
    parser.add_argument("--enlarged", type=float, nargs="+", default=[1, 1.5, 2, 3], metavar="TIMES")
    given = parser.parse_args()
    embedder = load_embedder("dlib-resnet", folders=[given.models])
    finders = {name: load_detector(name, folders=[given.models]) for name in DETECTORS}
    finder = finders[given.detector]

    print_found(finders)
    known = described(portraits(), embedder, finder)
    print_portraits(known, embedder)
    sets = {times: small_faces(times, embedder, finder) for times in given.enlarged}
    gated = print_gated(known, sets, embedder)
    ungated = print_ungated(sets[min(sets)], embedder)
    print_pairs(known, embedder, finder)
    if given.figure is not None:
        panels = [("faces that are fit to be named", gated), ("25 pixels, named all the same", ungated)]
        draw_beside(panels, given.figure, threshold=embedder.embedding.threshold)


def described(people: People, embedder: Embedder, finder: Detector) -> list[Probe]:
    return describe_people(people, embedder, finder, vary=True, tell=lambda _: None, advance=lambda: None)


def small_faces(times: float, embedder: Embedder, finder: Detector) -> list[Probe]:
    """A crop and its enlargements are one picture, so that none is known by another."""
    with tempfile.TemporaryDirectory() as folder:
        probes = described(strangers(Path(folder), times), embedder, finder)
    return [replace(probe, picture="crop") for probe in probes]


def print_found(finders: dict[str, Detector]) -> None:
    print("Crops in which a face is found, with a margin (without)")
    for name, finder in finders.items():
        seen = [(bool(faces_in(with_margin(c), finder)), bool(faces_in(c, finder))) for c in crops()]
        face, background = np.sum(seen[:FACES], axis=0), np.sum(seen[FACES:], axis=0)
        print(f"  {name:10} faces {face[0]} ({face[1]}), background {background[0]} ({background[1]})")


def print_portraits(probes: list[Probe], embedder: Embedder) -> None:
    print("\nTwo portraits: distance to the same, to the other person; quality")
    homes = {probe.person: probe.embedding for probe in plain(probes)}
    for probe in probes:
        other = next(person for person in homes if person != probe.person)
        own, far = (_between(probe.embedding, homes[person]) for person in (probe.person, other))
        print(f"  {probe.person:8} {probe.variation or 'plain':28} {own:.3f}  {far:.3f}  {probe.quality:.2f}")
    print(
        in_words(measure(probes, margin=embedder.embedding.margin), embedder.info.name, _threshold(embedder))
    )


def print_gated(known: list[Probe], sets: dict[float, list[Probe]], embedder: Embedder) -> Report:
    margin, threshold = embedder.embedding.margin, _threshold(embedder)
    print("\nAs a hub asks: the portraits, and strangers enlarged so many times")
    print(
        f"  {'times':>5}  {'found':>5}  {'fit':>4}  {'probes':>6}  {'fit':>4}  {'named':>5}  {'nearest':>7}"
    )
    for times, probes in sets.items():
        report = measure(known + probes, margin=margin)
        found = plain(probes)
        named = report.accepted(threshold)
        print(
            f"  {times:5g}  {len(found):5}  {sum(p.usable for p in found):4}  {len(probes):6}  "
            f"{sum(p.usable for p in probes):4}  {named:5}  {report.nearest_stranger:7.3f}"
        )
    every = [*known, *(probe for probes in sets.values() for probe in probes)]
    report = measure([probe for probe in every if probe.usable], margin=margin)
    print(in_words(report, f"{embedder.info.name}, fit faces of all sizes", threshold))
    people = {probe.person for probe in known}
    kept = [t for t in report.trials if t.known and t.probe.person in people]
    _print_at(report, [(at, sum(t.right and t.named(at, margin) for t in kept), len(kept)) for at in AT])
    return report


def print_ungated(probes: list[Probe], embedder: Embedder) -> Report:
    print("\nWithout the gate: the strangers as they are, 16 variations but those of size")
    asked = [probe for probe in without_gate(probes) if not probe.variation.startswith("size")]
    report = measure(asked, margin=embedder.embedding.margin)
    print(in_words(report, f"{embedder.info.name}, no gate", _threshold(embedder)))
    _print_at(report, [])
    return report


def _print_at(report: Report, portraits_kept: Sequence[tuple[float, int, int]]) -> None:
    kept = {at: f", portraits {count} of {of}" for at, count, of in portraits_kept}
    for at in AT:
        print(
            f"  at {at:.2f}: known and right {report.identified(at):.1%}, wrong {report.misnamed(at)}, "
            f"strangers named {report.accepted(at)} of {report.count(known=False)}{kept.get(at, '')}"
        )


def print_pairs(known: list[Probe], embedder: Embedder, finder: Detector) -> None:
    """Where no face is found, it is taken to be where the others' are: the crops are centred."""
    vectors = []
    for crop in crops()[:FACES]:
        picture = with_margin(crop)
        found = faces_in(picture, finder)
        vectors.append(embedder.describe(picture, found[0].box if found else USUAL_BOX).embedding)
    every = np.array(vectors)
    apart = np.linalg.norm(every[:, None] - every[None], axis=2)[np.triu_indices(FACES, 1)]
    homes = np.array([probe.embedding for probe in plain(known)])
    to_portraits = np.linalg.norm(every[:, None] - homes[None], axis=2)
    print(f"\nPairs of the {FACES} crops, without the gate: {len(apart)}")
    percent = (0, 0.1, 1, 5, 50)
    print(
        "  "
        + ", ".join(f"{p:g} %: {d:.3f}" for p, d in zip(percent, np.percentile(apart, percent), strict=True))
    )
    print("  " + ", ".join(f"within {at:.2f}: {int((apart <= at).sum())}" for at in (*AT, 0.6)))
    print(f"  the nearest to a portrait: {to_portraits.min():.3f}, median {np.median(to_portraits):.3f}")


def _between(one: NDArray[np.float32] | None, other: NDArray[np.float32] | None) -> float:
    return float("nan") if one is None or other is None else float(np.linalg.norm(one - other))


def _threshold(embedder: Embedder) -> float:
    return embedder.embedding.threshold


if __name__ == "__main__":
    main()
