"""From a picture to a verdict, with wheels that are colours: everything but the networks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from meerkat_contract.errors import MediaError, UsageError
from meerkat_contract.meter_layout import MeterLayout
from meerkat_contract.meter_messages import Alignment
from meerkat_inference.meter.align import features, plain
from meerkat_inference.meter.reader import read, read_crop
from meter_support.painted import ColourNetworks, paint, row


@pytest.fixture
def networks() -> ColourNetworks:
    return ColourNetworks()


def test_a_row_of_wheels_is_a_number(networks: ColourNetworks) -> None:
    layout = row(5)
    seen = read(paint(layout, [0, 1, 2, 3, 4.2]), layout, networks)
    (counter,) = seen.counters
    assert (counter.verdict, counter.value, counter.reason) == ("accepted", 1234, "")
    assert [wheel.digit for wheel in counter.wheels] == [0, 1, 2, 3, 4]
    assert counter.wheels[4].position == pytest.approx(4.2, abs=0.06)
    assert (counter.step, counter.span, counter.unit, counter.counter) == (1, 100_000, "m³", None)
    assert counter.confidence > 0.9
    assert seen.alignment is None


def test_wheels_and_needles_are_one_number(networks: ColourNetworks) -> None:
    layout = row(4, 2)
    (counter,) = read(paint(layout, [0, 1, 2, 3], [4.5, 5.1]), layout, networks).counters
    assert counter.verdict == "accepted"
    assert counter.value == pytest.approx(123.45)
    assert [needle.digit for needle in counter.needles] == [4, 5]


def test_needles_alone_are_a_number(networks: ColourNetworks) -> None:
    layout = row(0, 3)
    (counter,) = read(paint(layout, [], [7.66, 6.6, 6.1]), layout, networks).counters
    assert (counter.verdict, counter.value) == ("accepted", 766)


@pytest.mark.parametrize("degrees", [-12.0, 3.5, 180.0])
def test_a_turned_picture(networks: ColourNetworks, degrees: float) -> None:
    layout = row(5, rotation_deg=degrees)
    (counter,) = read(paint(layout, [0, 1, 2, 3, 4.2]), layout, networks).counters
    assert counter.value == 1234


def test_a_jpeg_is_read_as_it_comes(networks: ColourNetworks) -> None:
    layout = row(5)
    picture = paint(layout, [5, 5, 5, 5, 5.0])
    data = cv2.imencode(".png", picture)[1].tobytes()
    assert read(data, layout, networks).counters[0].value == 55555


def test_several_counters_on_one_face(networks: ColourNetworks) -> None:
    night = {"digits": [[60 + 50 * i, 300, 40, 64] for i in range(3)], "integer_digits": 3, "unit": "kWh"}
    layout = row(3, counters={"night": night})
    both = paint(
        row(3).model_copy(update={"digits": (*layout.digits, *layout.counters["night"].digits)}),
        [1, 2, 3, 4, 5, 6],
    )
    day, other = read(both, layout, networks).counters
    assert (day.counter, day.value) == (None, 123)
    assert (other.counter, other.value, other.unit) == ("night", 456, "kWh")


def test_sure_boxes_are_looked_at_once_and_doubtful_ones_again() -> None:
    layout = row(5)
    sure, doubtful = ColourNetworks(), ColourNetworks()
    read(paint(layout, [1, 2, 3, 4, 5]), layout, sure)
    assert sure.calls == [("wheels", 5)]
    read(paint(layout, [1, 2, 3, 4, 5], blues=[250, 250, 200, 250, 250]), layout, doubtful)
    assert [kind for kind, _ in doubtful.calls] == ["wheels", "wheels"]
    assert doubtful.calls[1][1] == 6


@pytest.mark.parametrize(("grey", "reason"), [(0, "too dark"), (255, "burnt out"), (128, "no contrast")])
def test_a_frame_with_nothing_in_it_is_unreadable_and_says_why(
    networks: ColourNetworks, grey: int, reason: str
) -> None:
    rng = np.random.default_rng(2)
    frame = np.clip(grey + rng.normal(0, 1.0, (480, 640, 3)), 0, 255).astype(np.uint8)
    (counter,) = read(frame, row(5, 1), networks).counters
    assert counter.verdict == "unreadable"
    assert counter.reason.startswith(reason)
    assert counter.value is None
    assert counter.candidates == ()
    assert all(wheel.digit is None for wheel in counter.wheels)


def test_a_blank_frame_is_refused_whatever_the_networks_say() -> None:
    class Dreaming(ColourNetworks):
        def _one(self, crop: np.ndarray) -> np.ndarray:
            certain = np.zeros(101, np.float32)
            certain[30] = 1
            return certain

    (counter,) = read(np.full((480, 640, 3), 2, np.uint8), row(5), Dreaming()).counters
    assert counter.verdict == "unreadable"


def test_one_covered_wheel_makes_it_unreadable_and_is_named(networks: ColourNetworks) -> None:
    layout = row(5)
    picture = paint(layout, [1, 2, 3, 4, 5])
    x, y, w, h = (int(side) for side in layout.digits[2])
    picture[y : y + h, x : x + w] = (np.indices((h, w)).sum(0) % 2 * 120)[..., None]
    (counter,) = read(picture, layout, networks).counters
    assert counter.verdict == "unreadable"
    assert counter.reason.startswith("wheel 3 cannot be seen")
    assert counter.wheels[2].position is None


def test_wheels_that_stand_half_way_all_over_are_no_reading(networks: ColourNetworks) -> None:
    """Boxes that were shifted by half a digit."""
    layout = row(5)
    for shown in ([1.5, 7.5, 3.5, 9.5, 5.5], [1.5, 1.5, 1.5, 1.5, 1.5], [0.45, 0.55, 2.5, 8.5, 0.5]):
        (counter,) = read(paint(layout, shown), layout, networks).counters
        assert counter.verdict in ("unreadable", "held"), shown


def test_what_the_picture_leaves_open_is_held_with_its_candidates() -> None:
    class Torn(ColourNetworks):
        """Cannot tell a 2 from a 7."""

        def _one(self, crop: np.ndarray) -> np.ndarray:
            found = super()._one(crop)
            return (found + np.append(np.roll(found[:100], 50), 0)) / 2 if found[20] > 0.1 else found

    layout = row(5)
    (counter,) = read(paint(layout, [0, 1, 2, 3, 4]), layout, Torn()).counters
    assert counter.verdict == "held"
    assert {one.value for one in counter.candidates[:2]} == {1234, 1734}
    assert counter.value in {1234, 1734}
    assert "1234" in counter.reason
    assert "1734" in counter.reason


def test_a_layout_for_another_picture(networks: ColourNetworks) -> None:
    with pytest.raises(UsageError, match=r"digits\[4\].*outside the picture of 240x180"):
        read(np.zeros((180, 240, 3), np.uint8), row(5), networks)
    with pytest.raises(MediaError, match="640x480"):
        read(np.zeros((300, 300, 3), np.uint8), row(5, width=640, height=480), networks)
    assert networks.calls == []


def test_one_pixel_is_outside_the_layout(networks: ColourNetworks) -> None:
    with pytest.raises(UsageError, match="outside the picture of 1x1"):
        read(np.zeros((1, 1, 3), np.uint8), row(5), networks)


def test_no_picture(networks: ColourNetworks) -> None:
    with pytest.raises(MediaError):
        read(b"hello", row(5), networks)


def test_the_picture_is_laid_on_its_reference(networks: ColourNetworks) -> None:
    layout = row(5).model_copy(update={"landmarks": b"made elsewhere"})
    moved = np.roll(paint(row(5), [0, 1, 2, 3, 4]), (7, -11), axis=(0, 1))

    def aligner(picture: np.ndarray, given: MeterLayout) -> tuple[Alignment, np.ndarray]:
        assert given is layout
        matrix = plain(given, 640, 480)
        matrix[:, 2] += (-11, 7)
        return Alignment(score=0.9, dx=-11, dy=7, rotation_deg=0), matrix

    seen = read(moved, layout, networks, aligner=aligner)
    assert seen.counters[0].value == 1234
    assert seen.alignment is not None
    assert seen.alignment.dx == -11


def test_a_picture_that_does_not_match_its_reference_is_not_read(networks: ColourNetworks) -> None:
    layout = row(5).model_copy(update={"landmarks": b"made elsewhere"})

    def aligner(picture: np.ndarray, given: MeterLayout) -> tuple[Alignment, np.ndarray]:
        return Alignment(score=0.2, dx=0, dy=0, rotation_deg=0), plain(given, 640, 480)

    seen = read(paint(row(5), [0, 1, 2, 3, 4]), layout, networks, aligner=aligner)
    assert seen.counters[0].verdict == "unreadable"
    assert "does not match the reference" in seen.counters[0].reason
    assert networks.calls == []


def test_with_real_landmarks_a_knocked_camera_is_found(networks: ColourNetworks) -> None:
    layout = row(5)
    rng = np.random.default_rng(5)
    face = cv2.resize(rng.integers(0, 255, (60, 80, 3), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    painted = paint(layout, [0, 1, 2, 3, 4])
    for x, y, w, h in layout.digits:
        place = np.s_[int(y) : int(y + h), int(x) : int(x + w)]
        face[place] = painted[place]
    moved = cv2.getRotationMatrix2D((300, 200), 3, 1.02)
    moved[:, 2] += (9, -6)
    knocked = cv2.warpAffine(face, moved, (640, 480))
    known = layout.model_copy(update={"landmarks": features(face, layout)})
    seen = read(knocked, known, networks)
    assert seen.alignment is not None
    assert seen.alignment.score >= 0.5
    assert seen.counters[0].value == 1234


@pytest.mark.parametrize("needle", [False, True])
def test_a_crop_alone(networks: ColourNetworks, needle: bool) -> None:
    crop = np.full((96, 60, 3), (250, 255, 80), np.uint8)
    one = read_crop(crop, networks, needle=needle)
    assert one.position == pytest.approx(4.0, abs=0.05)
    assert one.digit == 4
    assert networks.calls[0] == ("needles" if needle else "wheels", 1)
