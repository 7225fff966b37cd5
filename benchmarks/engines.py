"""Every model of the catalogue that is on this machine, and the fallback: what it costs, what it finds.

    python benchmarks/engines.py [--json] [--media FOLDER] [--models FOLDER] [NAME...]

CPU is that of one thread per picture, letterboxing and reading of boxes included, decoding and drawing
of the pictures excluded. A picture counts as found when an object of the right label scores at least
0.5 (in the porch also overlaps it, IoU 0.3); as false when something that would make an event (person,
vehicle, animal) scores 0.5 and nothing of that name is there, or one person is taken for two.

- *footage*: one-by-one-person-detection.mp4, two pictures a second; people at least a second within the
  picture; empty stretches as labelled by eye in tests/footage.
- *day*, *dark*: the rendered porch, two pictures a second, people of whom at least half is visible.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from footage.labels import labels
from meerkat_contract.errors import ModelError
from meerkat_contract.vocabulary import WATCHED
from meerkat_devices.scenes.porch import Porch
from meerkat_inference import catalogue
from meerkat_inference.detector import FALLBACK, Detector, Found
from meerkat_inference.loading import load_detector
from support.shared import FOLDER

VIDEO = "one-by-one-person-detection.mp4"
PER_SECOND = 2
Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Picture:
    group: str
    pixels: NDArray[np.uint8]
    objects: tuple[tuple[str, Corners | None], ...]
    """Label and corners of what must be found; None where only the label is known."""


@dataclass
class Row:
    name: str
    engine: str
    milliseconds: float = 0.0
    found: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Group → found and there."""
    false: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Group → pictures with something false, and all pictures."""
    names: dict[str, int] = field(default_factory=dict)
    """What the false ones were called, and in how many pictures."""


def footage(media: Path) -> Iterator[Picture]:
    path = media / VIDEO
    truth = labels(path)
    step = round(truth.frames_per_second / PER_SECOND)
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            at = float(frame.time or 0)
            inside = any(start + 1 <= at <= end - 1 for start, end in truth.crossings)
            if number % step == 0 and (inside or truth.is_empty(at)):
                objects = (("person", None),) if inside else ()
                yield Picture("footage", frame.to_ndarray(format="bgr24"), objects)


def porch() -> Iterator[Picture]:
    scene = Porch()
    for at in np.arange(0, scene.period, 1 / PER_SECOND):
        pixels = scene.render(float(at))
        actors = scene.truth(float(at))
        grey = int(np.ptp(pixels[::8, ::8].astype(int), axis=2).max()) < 12
        if all(actor.visible >= 0.5 for actor in actors):
            objects = tuple((actor.label, actor.box) for actor in actors)
            yield Picture("dark" if grey else "day", pixels, objects)


def overlap(found: Found, box: Corners) -> float:
    """Intersection over union of x, y, width, height with left, top, right, bottom."""
    x, y, w, h = found.box
    width = max(0.0, min(x + w, box[2]) - max(x, box[0]))
    height = max(0.0, min(y + h, box[3]) - max(y, box[1]))
    shared = width * height
    return shared / (w * h + (box[2] - box[0]) * (box[3] - box[1]) - shared)


def measure(detector: Detector, pictures: list[Picture]) -> Row:
    row = Row(detector.info.name, detector.info.engine)
    detector.detect(pictures[0].pixels)  # the first run allocates
    spent = 0.0
    for picture in pictures:
        start = time.process_time()
        founds = detector.detect(picture.pixels)
        spent += time.process_time() - start
        good = [found for found in founds if found.score >= 0.5]
        for label, box in picture.objects:
            hit = any(f.label == label and (box is None or overlap(f, box) > 0.3) for f in good)
            _count(row.found, f"{picture.group} {label}", hit)
        there = {label for label, _ in picture.objects}
        wrong = {found.label for found in good if found.label in WATCHED - there}
        if sum(found.label == "person" for found in good) > 1:
            wrong.add("person twice" if "person" in there else "person")
        _count(row.false, picture.group, bool(wrong))
        for label in wrong:
            row.names[label] = row.names.get(label, 0) + 1
    row.milliseconds = spent / len(pictures) * 1000
    return row


def _count(counts: dict[str, tuple[int, int]], key: str, hit: bool) -> None:
    hits, total = counts.get(key, (0, 0))
    counts[key] = (hits + hit, total + 1)


def detectors(names: list[str], models: Path) -> Iterator[Callable[[], Detector]]:
    for entry in catalogue.ranked("detect_objects"):
        if names and entry.name not in names:
            continue
        for engine in entry.engines:
            yield lambda name=entry.name, engine=engine: load_detector(name, folders=[models], engine=engine)  # type: ignore[misc]
    if not names or FALLBACK in names:
        yield lambda: load_detector(FALLBACK)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="models of the catalogue; all when none is named")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--media", type=Path, default=FOLDER / "media")
    parser.add_argument("--models", type=Path, default=FOLDER / "models")
    options = parser.parse_args()
    pictures = [*(footage(options.media) if (options.media / VIDEO).exists() else ()), *porch()]
    columns = list(dict.fromkeys(f"{p.group} {label}" for p in pictures for label, _ in p.objects))
    groups = list(dict.fromkeys(p.group for p in pictures))
    if not options.json:
        heads = [
            "model",
            "engine",
            "ms CPU",
            *columns,
            *(f"{group} false" for group in groups),
            "false names",
        ]
        print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for opening in detectors(options.names, options.models):
        try:
            detector = opening()
        except ModelError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        row = measure(detector, pictures)
        detector.close()
        if options.json:
            print(json.dumps(asdict(row)), flush=True)
            continue
        cells = [row.name, row.engine, f"{row.milliseconds:.1f}"]
        cells += ["{}/{}".format(*row.found.get(column, (0, 0))) for column in columns]
        cells += ["{}/{}".format(*row.false.get(group, (0, 0))) for group in groups]
        cells += [", ".join(f"{label} {count}" for label, count in sorted(row.names.items())) or "–"]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
