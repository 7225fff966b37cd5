"""Boxes are cut where the layout says, turned, shifted and shrunk without aliasing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from meerkat_contract.errors import UsageError
from meerkat_contract.meter_layout import MeterLayout
from meerkat_inference.meter.align import plain
from meerkat_inference.meter.boxes import NEEDLE_SIZE, WHEEL_SIZE, View, check_inside, cut


def scene(width: int = 320, height: int = 240) -> np.ndarray:
    """(height, width, 3) BGR: blue grows to the right, green downwards, smooth enough to be interpolated."""
    across = np.tile(np.linspace(0, 250, width, dtype=np.float32), (height, 1))
    down = np.tile(np.linspace(0, 250, height, dtype=np.float32)[:, None], (1, width))
    return np.stack((across, down, np.full_like(down, 40)), axis=2).round().astype(np.uint8)


def layout(**more: object) -> MeterLayout:
    return MeterLayout.model_validate({"digits": [[100, 60, 40, 64]], **more})


def straight(box: tuple[float, ...], size: tuple[int, int], picture: np.ndarray) -> np.ndarray:
    x, y, w, h = (round(side) for side in box)
    return cv2.cvtColor(
        cv2.resize(picture[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB
    )


@pytest.mark.parametrize("size", [WHEEL_SIZE, NEEDLE_SIZE])
@pytest.mark.parametrize("box", [(100, 60, 40, 64), (0, 0, 320, 240), (10, 20, 96, 96), (5, 5, 20, 32)])
def test_an_upright_box_is_what_slicing_gives(box: tuple[float, ...], size: tuple[int, int]) -> None:
    picture = scene()
    crop = cut(picture, box, plain(layout(), 320, 240), size)
    assert crop.shape == (size[1], size[0], 3)
    assert crop.dtype == np.uint8
    wanted = straight(box, size, picture)
    inner = np.abs(crop.astype(int) - wanted)[1:-1, 1:-1]
    assert inner.max() <= 2


@pytest.mark.parametrize("degrees", [-30, -2.5, 4, 90, 180])
def test_a_turned_box_is_what_turning_the_whole_picture_gives(degrees: float) -> None:
    picture = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8), (0, 0), 4)
    # rotation_deg is positive clockwise as seen, where OpenCV's angle is counter-clockwise.
    turned = cv2.warpAffine(picture, cv2.getRotationMatrix2D((160, 120), -degrees, 1), (320, 240))
    box = (130, 90, 40, 64)
    crop = cut(picture, box, plain(layout(rotation_deg=degrees), 320, 240), WHEEL_SIZE)
    wanted = straight(box, WHEEL_SIZE, turned).astype(int)
    upright = straight(box, WHEEL_SIZE, picture).astype(int)
    assert np.abs(crop - wanted).mean() < 3
    assert np.abs(crop - wanted).mean() < np.abs(crop - upright).mean() / 3


def test_a_positive_rotation_turns_the_picture_clockwise() -> None:
    picture = np.zeros((200, 200, 3), np.uint8)
    picture[20:40, 90:110] = 255  # at 12 o'clock
    at_three = layout(rotation_deg=90, digits=[[160, 90, 20, 20]])
    assert cut(picture, at_three.digits[0], plain(at_three, 200, 200), (8, 8)).mean() > 250
    at_nine = layout(rotation_deg=-90, digits=[[20, 90, 20, 20]])
    assert cut(picture, at_nine.digits[0], plain(at_nine, 200, 200), (8, 8)).mean() > 250


def test_a_view_moves_and_enlarges_by_shares_of_the_box() -> None:
    picture, matrix = scene(), plain(layout(), 320, 240)
    box = (100, 60, 40, 64)
    right = cut(picture, box, matrix, WHEEL_SIZE, view=View(dx=0.5))
    assert np.abs(right.astype(int) - cut(picture, (120, 60, 40, 64), matrix, WHEEL_SIZE)).max() <= 1
    down = cut(picture, box, matrix, WHEEL_SIZE, view=View(dy=-0.25))
    assert np.abs(down.astype(int) - cut(picture, (100, 44, 40, 64), matrix, WHEEL_SIZE)).max() <= 1
    large = cut(picture, box, matrix, WHEEL_SIZE, view=View(scale=1.5))
    assert np.abs(large.astype(int) - cut(picture, (90, 44, 60, 96), matrix, WHEEL_SIZE)).max() <= 1


def test_a_mirrored_dial_is_flipped_left_and_right() -> None:
    picture, matrix = scene(), plain(layout(), 320, 240)
    box = (100, 60, 60, 60)
    plainly = cut(picture, box, matrix, NEEDLE_SIZE)
    mirrored = cut(picture, box, matrix, NEEDLE_SIZE, mirrored=True)
    assert np.abs(mirrored.astype(int) - plainly[:, ::-1]).max() <= 1


def test_fine_stripes_become_grey_and_do_not_alias() -> None:
    picture = np.zeros((960, 960, 3), np.uint8)
    picture[:, ::2] = 255
    crop = cut(picture, (0, 0, 960, 960), plain(layout(), 960, 960), NEEDLE_SIZE)
    assert np.abs(crop[2:-2, 2:-2].astype(int) - 127).max() <= 3


def test_a_picture_of_the_same_shape_in_another_size_is_scaled() -> None:
    picture = cv2.resize(scene(), (640, 480), interpolation=cv2.INTER_LINEAR)
    made_for = layout(width=320, height=240)
    crop = cut(picture, (100, 60, 40, 64), plain(made_for, 640, 480), WHEEL_SIZE)
    assert np.abs(crop.astype(int) - straight((100, 60, 40, 64), WHEEL_SIZE, scene())).max() <= 3


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((0, 0, 320, 240), True),
        ((-8, 0, 40, 64), True),  # its rim alone
        ((-30, 0, 40, 64), False),
        ((400, 60, 40, 64), False),
        ((100, 230, 40, 64), False),
    ],
)
def test_a_box_outside_the_picture_is_named(box: tuple[float, ...], inside: bool) -> None:
    given = layout(digits=[[100, 60, 40, 64], list(box)] if box[2] < 300 else [list(box)])
    if inside:
        check_inside(given, plain(given, 320, 240), 320, 240)
        return
    with pytest.raises(UsageError, match=r"digits\[1\].*outside the picture of 320x240") as caught:
        check_inside(given, plain(given, 320, 240), 320, 240)
    assert "meter draw" in caught.value.remedy


def test_a_box_of_another_counter_is_named_with_it() -> None:
    given = layout(counters={"night": {"pointers": [[900, 60, 40, 40]]}})
    with pytest.raises(UsageError, match=r"counters\.night\.pointers\[0\]"):
        check_inside(given, plain(given, 320, 240), 320, 240)
