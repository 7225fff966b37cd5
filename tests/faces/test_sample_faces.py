"""Real people's faces, as libraries ship them: the known keep their names, no stranger is given one.

`python benchmarks/faces.py` measures the same at length; the bounds are its figures with some room.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest

from faces_support.sample_faces import (
    FACES,
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
from meerkat_inference.faces.loading import load_embedder
from meerkat_inference.faces.measuring import SAFETY, Probe, measure
from meerkat_inference.faces.pictures import faces_in
from meerkat_inference.loading import load_detector
from support.shared import shared

pytestmark = pytest.mark.shared


class Tools(NamedTuple):
    embedder: Embedder
    finder: Detector

    def describe(self, people: People, *, vary: bool) -> list[Probe]:
        return describe_people(
            people, self.embedder, self.finder, vary=vary, tell=lambda _: None, advance=lambda: None
        )

    @property
    def threshold(self) -> float:
        return self.embedder.embedding.threshold

    @property
    def margin(self) -> float:
        return self.embedder.embedding.margin


@pytest.fixture(scope="module")
def tools() -> Iterator[Tools]:
    pytest.importorskip("dlib", reason="needs the extra faces")
    folder = shared("models/yunet_n_320_320.onnx").parent
    made = Tools(load_embedder("dlib-resnet"), load_detector("yunet", folders=[folder]))
    yield made
    made.embedder.close()
    made.finder.close()


@pytest.fixture(scope="module")
def known(tools: Tools) -> list[Probe]:
    """Two people, one picture each, in 16 variations."""
    return tools.describe(portraits(), vary=True)


@pytest.fixture(scope="module")
def tiny(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> list[Probe]:
    """The strangers as they are."""
    return tools.describe(strangers(tmp_path_factory.mktemp("tiny")), vary=False)


@pytest.fixture(scope="module")
def enlarged(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> list[Probe]:
    """The strangers as a digital zoom shows them, wide enough for the gate and no sharper; those who are
    fit even so in the 16 variations too."""
    people = strangers(tmp_path_factory.mktemp("enlarged"), 1.5)
    probes = tools.describe(people, vary=False)
    fit = {probe.person for probe in probes if probe.usable}
    others = [probe for probe in probes if probe.person not in fit]
    return others + tools.describe([person for person in people if person[0] in fit], vary=True)


def test_the_known_keep_their_names_and_neither_is_taken_for_the_other(
    tools: Tools, known: list[Probe]
) -> None:
    report = measure(known, margin=tools.margin)
    assert (report.people, report.probes) == (2, 34)
    assert report.unusable <= 7
    assert report.identified(tools.threshold, usable=True) >= 0.9
    assert report.identified(tools.threshold, of="light", usable=True) == 1
    assert report.misnamed(tools.threshold) == 0
    assert report.accepted(tools.threshold) == 0
    assert report.nearest_stranger > 0.58


def test_a_face_is_found_in_small_crops_and_none_in_background(tools: Tools) -> None:
    found = [bool(faces_in(with_margin(crop), tools.finder)) for crop in crops()]
    assert sum(found[:FACES]) >= 92
    assert sum(found[FACES:]) <= 1


def test_faces_of_twenty_pixels_are_never_fit_to_be_named(
    tools: Tools, known: list[Probe], tiny: list[Probe]
) -> None:
    assert len(tiny) >= 92
    assert not [probe for probe in tiny if probe.usable]
    report = measure(known + tiny, margin=tools.margin)
    assert report.people == 2, "none of them can be enrolled either"
    assert report.accepted(tools.threshold) == 0


def test_even_without_the_gate_no_small_stranger_is_near_a_portrait(
    tools: Tools, known: list[Probe], tiny: list[Probe], enlarged: list[Probe]
) -> None:
    homes = np.array([probe.embedding for probe in plain(known)])
    seen = np.array([probe.embedding for probe in plain([*tiny, *enlarged])])
    apart = np.linalg.norm(seen[:, None] - homes[None], axis=2)
    assert apart.min() > 0.52 > tools.threshold


def test_no_stranger_who_is_fit_to_be_named_is_given_a_name(
    tools: Tools, known: list[Probe], enlarged: list[Probe]
) -> None:
    """Those who are fit are enrolled as well, each as somebody, and are strangers to each other."""
    report = measure([probe for probe in known + enlarged if probe.usable], margin=tools.margin)
    assert report.people >= 6
    assert report.count(known=False) >= 50
    assert report.misnamed(tools.threshold) == 0
    assert report.accepted(tools.threshold) == 0
    assert report.accepted(0.55) > 0, "there are some who are alike"


def test_the_catalogues_threshold_is_within_what_the_measurement_proposes(
    tools: Tools, known: list[Probe], enlarged: list[Probe]
) -> None:
    report = measure([probe for probe in known + enlarged if probe.usable], margin=tools.margin)
    assert tools.threshold <= report.proposed <= SAFETY * report.nearest_stranger


def test_without_the_gate_small_strangers_would_be_confused_at_their_authors_threshold(
    tools: Tools, tiny: list[Probe]
) -> None:
    """Which is what the gate is for: at our own threshold hardly any are, at dlib's 0.6 many."""
    report = measure(without_gate(tiny), margin=tools.margin)
    assert report.accepted(tools.threshold) <= 1
    assert report.accepted(0.6) >= 10
