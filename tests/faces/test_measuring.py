"""Measuring identification: against the gallery that the hub uses, and on answers known beforehand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from faces_support.pictures import painted
from meerkat_contract.errors import StorageError, UsageError
from meerkat_hub.core.workflows.gallery import Gallery, Meaning, Sample
from meerkat_inference.faces.figure import draw
from meerkat_inference.faces.measuring import SAFETY, Probe, Report, measure
from meerkat_inference.faces.telling import as_object, in_words
from meerkat_inference.faces.variations import kind, variations

MARGIN = 0.05


def probe(person: str, picture: str, *numbers: float, variation: str = "", quality: float = 1.0) -> Probe:
    vector = np.array([*numbers, *[0.0] * (4 - len(numbers))], np.float32)
    return Probe(person, picture, variation, vector, quality)


def crowd(people: int = 6, pictures: int = 3, varied: int = 4, spread: float = 0.12) -> list[Probe]:
    """People somewhere, their pictures around them, variations around those; some too poor to use."""
    random = np.random.default_rng(3)
    probes = []
    for person in range(people):
        home = random.normal(0, 0.3, 8)
        for picture in range(pictures):
            shot = home + random.normal(0, spread, 8)
            for variation in ["", *(f"blur: {n}" for n in range(varied))]:
                numbers = shot + (random.normal(0, spread / 2, 8) if variation else 0)
                quality = 0.1 if variation and random.random() < 0.15 else 0.9
                embedding = numbers.astype(np.float32)
                probes.append(Probe(f"p{person}", f"{picture}.jpg", variation, embedding, quality))
    return probes


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.45, 0.7, 1.5])
def test_the_rates_are_those_of_the_hubs_own_gallery(threshold: float) -> None:
    probes = crowd()
    report = measure(probes, margin=MARGIN)
    identified = misnamed = accepted = 0
    for asked in probes:
        assert asked.embedding is not None
        for as_stranger in (False, True):
            samples = [
                Sample(p.picture, p.person, "m", tuple(map(float, p.embedding)))
                for p in probes
                if p.embedding is not None
                and not p.variation
                and (p.person, p.picture) != (asked.person, asked.picture)
                and not (as_stranger and p.person == asked.person)
            ]
            gallery = Gallery(samples, {"m": Meaning(threshold, MARGIN)})
            who = gallery.who(tuple(map(float, asked.embedding)), "m", asked.quality).person
            if as_stranger:
                accepted += who is not None
            else:
                identified += who == asked.person
                misnamed += who not in (None, asked.person)
    assert report.identified(threshold) == identified / len(probes)
    assert report.misnamed(threshold) == misnamed
    assert report.accepted(threshold) == accepted
    assert identified > 0 or threshold == 0.1


def test_the_curve_is_the_rates_at_each_threshold() -> None:
    report = measure(crowd(), margin=MARGIN)
    curve = report.curve
    assert (np.diff(curve.identified) >= 0).all()
    assert (np.diff(curve.accepted) >= 0).all()
    unknown, known = report.count(known=False), report.count(known=True)
    for at in range(0, len(curve.thresholds), 40):
        threshold = float(curve.thresholds[at])
        assert curve.identified[at] == pytest.approx(report.identified(threshold))
        assert curve.misnamed[at] == pytest.approx(report.misnamed(threshold) / known)
        assert curve.accepted[at] == pytest.approx(report.accepted(threshold) / unknown)


def test_at_the_proposed_threshold_no_stranger_has_a_name_and_there_is_room() -> None:
    report = measure(crowd(), margin=MARGIN)
    assert report.accepted(report.proposed) == 0
    assert report.accepted(report.nearest_stranger) > 0
    assert report.proposed <= SAFETY * report.nearest_stranger
    assert report.proposed > SAFETY * report.nearest_stranger - 0.011


def test_equal_error_is_where_as_many_are_missed_as_accepted() -> None:
    """Distances to the others: 0.3 and 0.6 apart; to strangers 0.5 and up."""
    report = measure(crowd(spread=0.18), margin=0)
    threshold, rate = report.equal_error
    missed = 1 - report.identified(threshold)
    accepted = report.accepted(threshold) / report.count(known=False)
    assert missed == pytest.approx(accepted, abs=0.06)
    assert rate == pytest.approx((missed + accepted) / 2)


def test_an_answer_known_beforehand() -> None:
    probes = [
        probe("ada", "1", 0.0),
        probe("ada", "2", 0.2),
        probe("bob", "1", 1.0),
        probe("bob", "2", 1.3),
    ]
    report = measure(probes, margin=MARGIN)
    assert (report.people, report.pictures, report.probes) == (2, 4, 4)
    assert report.identified(0.25) == 0.5
    assert report.identified(0.301) == 1
    assert report.nearest_stranger == pytest.approx(0.8)
    assert report.proposed == 0.72
    assert report.accepted(0.79) == 0
    assert report.accepted(0.81) == 2
    assert report.bound == 1.0


def test_a_probe_is_not_compared_with_its_own_picture() -> None:
    probes = [
        probe("ada", "1", 0.0),
        probe("ada", "1", 0.01, variation="blur: slight"),
        probe("ada", "2", 0.3),
        probe("bob", "1", 2.0),
    ]
    report = measure(probes, margin=MARGIN)
    assert report.identified(0.2) == 0
    assert report.identified(0.31) == 1
    assert report.same_picture == 0
    assert report.count(known=True) == 3, "bob, with one picture, is a stranger only"


def test_a_person_with_one_picture_is_known_by_its_variations_and_that_is_said() -> None:
    probes = [
        probe("ada", "1", 0.0),
        probe("ada", "1", 0.1, variation="pose: turned"),
        probe("bob", "1", 2.0),
    ]
    report = measure(probes, margin=MARGIN)
    assert report.same_picture == 1
    assert report.count(known=True) == 1
    assert report.identified(0.2, of="pose") == 1
    assert math.isnan(report.identified(0.2, of="light"))
    assert "of the enrolled picture itself" in in_words(report, "m", 0.5)


def test_faces_that_cannot_be_made_out_count_as_missed_and_are_never_named() -> None:
    probes = [
        probe("ada", "1", 0.0),
        probe("ada", "2", 0.1),
        probe("ada", "2", 0.1, variation="blur: strong", quality=0.1),
        Probe("ada", "2", "size: tiny", None, 0.0),
        probe("bob", "1", 0.05, variation="blur: strong", quality=0.1),
        probe("bob", "1", 1.0),
    ]
    report = measure(probes, margin=MARGIN)
    assert report.unusable == 3
    assert report.identified(0.5) == 2 / 5
    assert report.identified(0.5, usable=True) == 1
    assert report.accepted(0.5) == 0


def test_one_person_is_no_crowd() -> None:
    with pytest.raises(UsageError, match="fewer than two people"):
        measure([probe("ada", "1", 0), probe("ada", "2", 0)], margin=MARGIN)


# --- told and drawn -------------------------------------------------------------------------------


@pytest.fixture
def report() -> Report:
    return measure(crowd(), margin=MARGIN)


def test_the_words_say_what_the_figures_are_worth(report: Report) -> None:
    text = in_words(report, "dlib-resnet", 0.9)
    assert "6 people, 18 pictures, 90 probes" in text
    assert f"Proposed threshold: {report.proposed:.2f}" in text
    assert "still allows that 50% of all strangers would be" in text
    assert "At the catalogue's 0.90 a stranger gets a name: lower it" in text
    assert "a stranger gets a name" not in in_words(report, "dlib-resnet", report.proposed)


def test_the_object_holds_the_curve(report: Report) -> None:
    told = as_object(report, 0.4)
    assert told["catalogue"]["identified"] == report.identified(0.4)
    assert told["proposed"]["accepted"] == 0
    assert len(told["curve"]) == len(report.curve.thresholds)
    assert told["identified_by_kind"].keys() == {"plain", "blur"}


def test_the_curve_is_drawn(report: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra experiments")
    draw(report, tmp_path / "curve.png", title="t", threshold=0.5)
    data = (tmp_path / "curve.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 20_000
    with pytest.raises(StorageError, match="cannot be written"):
        draw(report, tmp_path / "nowhere" / "curve.png", title="t", threshold=0.5)


# --- variations -----------------------------------------------------------------------------------


def test_variations_cover_pose_light_blur_and_size_and_repeat() -> None:
    picture = painted(2, side=300)
    box = (0.3, 0.3, 0.4, 0.4)
    made = dict(variations(picture, box))
    assert {kind(name) for name in made} == {"pose", "light", "blur", "size"}
    again = dict(variations(picture, box))
    for name, varied in made.items():
        assert varied.dtype == np.uint8
        assert varied.ndim == 3
        assert (varied == again[name]).all(), name
    assert made["size: 28 pixels"].shape[0] == pytest.approx(28 * 2.6, abs=1)
    assert made["light: half"].mean() == pytest.approx(picture.mean() / 2, rel=0.2)
    detail = {name: float(np.abs(np.diff(v.astype(int), axis=1)).mean()) for name, v in made.items()}
    assert detail["blur: strong"] < detail["blur: slight"] < detail["pose: turned 10°"]
