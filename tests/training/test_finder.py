"""What the finder is taught is what its maps are read back as."""

from __future__ import annotations

from math import radians

import numpy as np
import pytest

from meerkat_inference.meter.propose.finder import SIDE, Channel, dials, wheels
from meerkat_training.finder import Boxes, targets
from meerkat_training.finder_data import boxes_of, render, view

WHEELS = np.array([[60 + 31 * i, 100 + 4 * i, 25, 40, float(i > 3), 0.13] for i in range(6)], np.float32)
DIALS = np.array([[80, 220, 70, 0], [190, 235, 76, 1]], np.float32)
LIKELIHOODS = (Channel.WHEEL, Channel.WHEEL_AFTER, Channel.DIAL, Channel.DIAL_MIRRORED)


def perfect(boxes: Boxes, side: int = SIDE) -> np.ndarray:
    """The maps that a network would give that has learnt it all."""
    seen, _ = targets(boxes, side)
    for channel in LIKELIHOODS:
        share = np.clip(seen[..., channel], 1e-4, 1 - 1e-4)
        seen[..., channel] = np.log(share / (1 - share))
    return seen


def test_boxes_are_read_back_from_their_own_maps():
    seen = perfect(Boxes(WHEELS, DIALS))
    found = sorted(wheels(seen, 0.6))
    assert len(found) == 6
    for spot, (x, y, width, height, after, tilt) in zip(found, WHEELS, strict=True):
        assert (spot.x, spot.y) == pytest.approx((x, y), abs=0.01)
        assert (spot.width, spot.height) == pytest.approx((width, height), rel=0.001)
        assert spot.score > 0.99
        assert round(spot.told) == after
        assert spot.tilt == pytest.approx(tilt, abs=0.001)
    found = sorted(dials(seen, 0.6))
    assert [(spot.x, spot.y, spot.width, round(spot.told)) for spot in found] == [
        (pytest.approx(x, abs=0.01), pytest.approx(y, abs=0.01), pytest.approx(size, rel=0.001), mirrored)
        for x, y, size, mirrored in DIALS
    ]


@pytest.mark.parametrize("x", [84.0, 86.0, 88.0, 91.9])
def test_a_small_box_has_a_cell_wherever_it_lies(x):
    small = np.array([[x, x + 1.3, 7, 11, 0, 0]], np.float32)
    (spot,) = wheels(perfect(Boxes(small, np.zeros((0, 4), np.float32))), 0.9)
    assert (spot.x, spot.y, spot.height) == pytest.approx((x, x + 1.3, 11), abs=0.05)


def test_of_a_face_that_is_not_upright_nothing_is_to_be_found():
    wanted, weight = targets(Boxes(WHEELS, DIALS, upright=False), SIDE)
    assert not wanted[..., [Channel.WHEEL, Channel.DIAL]].any()
    assert weight[100 // 8, 60 // 8, Channel.WHEEL] == 1
    assert weight[220 // 8, 80 // 8, Channel.DIAL] == 0, "a dial is round: it may look upright"


def test_views_turn_and_scale_the_boxes_with_the_picture():
    meter = next(render(1, 3, 0))
    rng = np.random.default_rng(0)
    for _ in range(6):
        picture, boxes = view(meter, SIDE, rng)
        assert picture.shape == (SIDE, SIDE, 3)
        assert len(boxes.wheels) == len(meter.wheels)
        along = boxes.wheels[-1, :2] - boxes.wheels[0, :2]
        turn = np.degrees(np.arctan2(along[1], along[0]))
        tilt = np.degrees(boxes.wheels[0, 5])
        assert abs((turn - tilt + 180) % 360 - 180) < 5, "the row runs as its tilt says"
        if boxes.upright:
            assert abs(tilt) <= 30


def test_a_layout_becomes_boxes_in_the_picture_as_it_is():
    from meerkat_contract.meter_layout import MeterLayout

    layout = MeterLayout(
        rotation_deg=-90,
        digits=((140, 60, 20, 32), (165, 60, 20, 32)),
        integer_digits=1,
        width=400,
        height=200,
    )
    boxes = boxes_of(layout)
    # It was turned counter-clockwise: going back, what is left of the middle comes above it.
    assert boxes.wheels[:, :2] == pytest.approx(np.array([[224, 50], [224, 75]]), abs=0.5)
    assert boxes.wheels[:, 5] == pytest.approx(radians(90))
    assert list(boxes.wheels[:, 4]) == [0, 1]
