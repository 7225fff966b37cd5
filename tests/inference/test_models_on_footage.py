"""The models of the catalogue on real footage and on the rendered porch, within tolerances."""

from __future__ import annotations

import numpy as np
import pytest

from footage.labels import FootageLabels, labels
from meerkat_contract.errors import ModelError
from meerkat_inference import catalogue, families, store
from meerkat_inference.catalogue import Entry
from meerkat_inference.detector import FALLBACK, Detector, Found
from meerkat_inference.loading import load_detector
from support.shared import shared

OBJECT_MODELS = [entry.name for entry in catalogue.entries() if entry.task == "detect_objects"]


@pytest.fixture(scope="module")
def footage() -> tuple[FootageLabels, list[tuple[float, np.ndarray]]]:
    """Every two seconds a frame of the footage with people who cross, and its labels."""
    av = pytest.importorskip("av")
    path = shared("media/one-by-one-person-detection.mp4")
    with av.open(str(path)) as container:
        frames = [
            (float(frame.time), frame.to_ndarray(format="bgr24"))
            for number, frame in enumerate(container.decode(video=0))
            if number % 20 == 0
        ]
    return labels(path), frames


def detector(entry: Entry) -> Detector:
    folder = shared(f"models/{entry.model.name}").parent
    try:
        return families.build(entry, store.find(entry, folders=[folder]))
    except ModelError as error:
        if "no installed engine" in str(error):
            pytest.skip(str(error))
        raise


def recall_and_false(
    looking: Detector, footage: tuple[FootageLabels, list[tuple[float, np.ndarray]]]
) -> tuple[float, int]:
    """The share of frames with a person that score 0.5, and the empty frames that do."""
    truth, frames = footage
    inside = [picture for at, picture in frames if any(a + 1 <= at <= b - 1 for a, b in truth.crossings)]
    empty = [picture for at, picture in frames if truth.is_empty(at)]

    def hits(pictures: list[np.ndarray]) -> int:
        return sum(
            any(found.label == "person" and found.score >= 0.5 for found in looking.detect(picture))
            for picture in pictures
        )

    return hits(inside) / len(inside), hits(empty)


@pytest.mark.shared
@pytest.mark.parametrize("name", OBJECT_MODELS)
def test_a_model_finds_people_and_leaves_the_empty_room_alone(
    name: str, footage: tuple[FootageLabels, list[tuple[float, np.ndarray]]]
) -> None:
    looking = detector(catalogue.get(name))
    recall, false = recall_and_false(looking, footage)
    assert recall >= 0.95
    assert false == 0
    assert looking.info.name == name
    assert not looking.info.fallback
    looking.close()


@pytest.mark.shared
def test_the_fallback_finds_people_too(
    footage: tuple[FootageLabels, list[tuple[float, np.ndarray]]],
) -> None:
    looking = load_detector(FALLBACK)
    recall, false = recall_and_false(looking, footage)
    assert recall >= 0.6
    assert false == 0
    assert looking.info.fallback


@pytest.mark.shared
def test_the_box_is_around_the_person(
    footage: tuple[FootageLabels, list[tuple[float, np.ndarray]]],
) -> None:
    """At 30 s a man in black stands before the table, in the middle of the picture."""
    picture = next(picture for at, picture in footage[1] if at == 30.0)
    for name in OBJECT_MODELS:
        best = max(
            (f for f in detector(catalogue.get(name)).detect(picture) if f.label == "person"),
            key=lambda found: found.score,
        )
        x, y, width, height = best.box
        assert 0.4 < x < 0.6, name
        assert 0.4 < x + width / 2 < 0.65, name
        assert y < 0.2, name
        assert 0.75 < height <= 1, name


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [e.name for e in catalogue.entries() if e.task == "detect_faces" and "cpu" in e.devices],
)
def test_a_face_model_answers_with_faces_only(
    name: str, footage: tuple[FootageLabels, list[tuple[float, np.ndarray]]]
) -> None:
    looking = detector(catalogue.get(name))
    founds = [found for _, picture in footage[1][:20] for found in looking.detect(picture)]
    assert {found.label for found in founds} <= {"face"}
    assert all(
        found.score < 0.5 for at, p in footage[1] if footage[0].is_empty(at) for found in looking.detect(p)
    )


def test_the_fallback_finds_the_rendered_person_by_day_and_in_the_dark() -> None:
    porch = pytest.importorskip("meerkat_devices.scenes.porch").Porch()
    looking = load_detector(FALLBACK)
    seen: dict[bool, list[bool]] = {True: [], False: []}
    for at in np.arange(0, porch.period, 1.0):
        people = [a for a in porch.truth(float(at)) if a.label == "person" and a.visible > 0.9]
        if not people:
            continue
        picture = porch.render(float(at))
        grey = bool(np.ptp(picture.astype(int), axis=2).max() < 12)
        seen[grey].append(
            any(_overlap(f, people[0].box) > 0.3 and f.score >= 0.5 for f in looking.detect(picture))
        )
    for dark, hits in seen.items():
        assert hits, f"nobody walks {'in the dark' if dark else 'by day'}"
        assert sum(hits) / len(hits) >= 0.6, dark


def _overlap(found: Found, corners: tuple[float, float, float, float]) -> float:
    x, y, w, h = found.box
    width = min(x + w, corners[2]) - max(x, corners[0])
    height = min(y + h, corners[3]) - max(y, corners[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = w * h + (corners[2] - corners[0]) * (corners[3] - corners[1])
    return width * height / (both - width * height)
