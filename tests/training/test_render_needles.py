"""Rendered dials tell the truth: the tip points where the label says."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from meerkat_training.arrays import Floats
from meerkat_training.crops import DIAL, STRAIGHT, look, needle_crop, photograph_dial, random_view
from meerkat_training.dials import DialStyle, random_style
from meerkat_training.fonts import system_font
from meerkat_training.needle_shapes import SHAPES, placed, random_pointer
from meerkat_training.needles import paint_dial
from meerkat_training.negatives import negative_needle


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def plain() -> DialStyle:
    """A thin red wedge on white and nothing else."""
    pointer = np.array([(0.9, 0.0), (0.0, 0.06), (0.0, -0.06)], np.float32)
    return DialStyle(
        system_font(generator(3)), pointer, needle=(1.0, 0.0, 0.0), hub=0.05, hub_colour=(1.0, 0.0, 0.0),
        face=(1.0, 1.0, 1.0), ticks=0, numerals=0.0,
    )  # fmt: skip


def tip_position(picture: Floats, hub: tuple[float, float]) -> float:
    """Tenths of a turn clockwise from twelve, of the red point farthest from the hub."""
    red = (picture[..., 0] - picture[..., 1]) > 0.4
    rows, columns = np.nonzero(red)
    x, y = columns + 0.5 - hub[0], rows + 0.5 - hub[1]
    far = np.hypot(x, y) > 0.8 * np.hypot(x, y).max()
    return math.atan2(float(x[far].mean()), float(-y[far].mean())) / (2 * math.pi) * 10 % 10


@pytest.mark.parametrize("position", [0.0, 1.0, 2.5, 3.3, 5.0, 6.7, 7.5, 9.9])
def test_the_tip_points_to_the_position(position: float) -> None:
    picture = paint_dial(plain(), position, 200, generator())
    seen = tip_position(picture, (100, 100))
    assert abs((seen - position + 5) % 10 - 5) < 0.05


@pytest.mark.parametrize("position", [0.4, 4.4, 8.8])
def test_the_tip_is_seen_from_a_hub_off_the_middle(position: float) -> None:
    style = replace(plain(), centre=(0.05, -0.04), parallax=(0.05, 0.05))
    hub = (200 * 0.55 + 0.05 * 90, 200 * 0.46 + 0.05 * 90)
    seen = tip_position(paint_dial(style, position, 200, generator()), hub)
    assert abs((seen - position + 5) % 10 - 5) < 0.06


def test_every_pointer_ends_in_its_tip() -> None:
    rng = generator(4)
    for maker in SHAPES:
        for _ in range(20):
            outline = np.array(maker(0.8, 0.12, 0.3, rng), np.float32)
            assert outline[:, 0].max() == pytest.approx(0.8)
            assert outline[:, 0].min() > -0.8
            foremost = outline[outline[:, 0] > 0.79]
            assert abs(float(foremost[:, 1].mean())) < 1e-4
    for _ in range(50):
        outline, length = random_pointer(rng)
        assert outline[:, 0].max() == pytest.approx(length)


def test_placing_turns_clockwise_from_twelve() -> None:
    tip = np.array([[1.0, 0.0]], np.float32)
    for quarter, expected in enumerate([(50, 40), (60, 50), (50, 60), (40, 50)]):
        np.testing.assert_allclose(placed(tip, quarter * math.pi / 2, (50, 50), 10)[0], expected, atol=1e-4)


def test_numerals_stand_clockwise_and_may_be_mirrored() -> None:
    style = replace(plain(), numerals=0.75, numeral_height=0.3, needle=(1.0, 1.0, 1.0), hub_colour=(1, 1, 1))
    picture = 1 - paint_dial(style, None, 240, generator()).mean(axis=2)
    for digit in range(10):
        angle = digit / 10 * 2 * math.pi
        x, y = 120 + 0.75 * 108 * math.sin(angle), 120 - 0.75 * 108 * math.cos(angle)
        assert picture[int(y) - 16 : int(y) + 16, int(x) - 16 : int(x) + 16].max() > 0.8, digit
    # The three's open side looks left, the mirrored one's right.
    mirrored = 1 - paint_dial(replace(style, mirrored=True), None, 240, generator()).mean(axis=2)
    x, y = 120 + 0.75 * 108 * math.sin(0.6 * math.pi), 120 - 0.75 * 108 * math.cos(0.6 * math.pi)
    patch = slice(round(y) - 18, round(y) + 18), slice(round(x) - 18, round(x) + 18)
    straight, turned = picture[patch], mirrored[patch][:, ::-1]
    assert np.corrcoef(straight.ravel(), turned.ravel())[0, 1] > 0.9
    assert np.corrcoef(straight.ravel(), mirrored[patch].ravel())[0, 1] < 0.8


EXTREMES: dict[str, tuple[float, ...]] = {
    "length": (0.3, 1.1),
    "ridge": (-1.0, 1.0),
    "hub": (0.0, 0.6),
    "pin": (0.0, 0.4),
    "ring": (0.0, 0.3),
    "ring_at": (0.5, 1.5),
    "ticks": (0, 100),
    "tick_length": (0.0, 0.5),
    "numerals": (0.0, 1.5),
    "numeral_height": (0.05, 0.5),
    "every": (1, 5),
    "radius": (0.3, 1.5),
    "shadow": (0.0, 1.0),
    "double_print": (0.0, 1.0),
    "plate": (0.0, 1.0),
    "hub_rim": (0.0, 0.3),
    "outline": (0.0, 0.2),
    "shine": (0.0, 1.0),
    "bowl": (-1.0, 1.0),
    "clutter": (0, 12),
}


def test_every_number_of_a_style_has_its_extremes_tested() -> None:
    numbers = {field.name for field in fields(DialStyle) if field.type in {"float", "int"}}
    assert numbers == set(EXTREMES)


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_paint_a_sound_picture(name: str) -> None:
    base = replace(plain(), ticks=20, numerals=0.8, shadow=0.3, plate=0.2, double_print=0.2, clutter=3)
    for value in EXTREMES[name]:
        for size in (24, 80):
            picture = paint_dial(replace(base, **{name: value}), 9.99, size, generator())
            assert picture.shape == (size, size, 3)
            assert np.isfinite(picture).all()
            assert picture.min() >= 0
            assert picture.max() <= 1.1


def test_a_crop_shows_its_needle() -> None:
    style = plain()
    with_needle = photograph_dial(style, 2.5, generator(2), strength=0.0)
    without = photograph_dial(style, None, generator(2), strength=0.0)
    assert with_needle.shape == (DIAL, DIAL, 3)
    changed = np.abs(with_needle.astype(int) - without).max(axis=2) > 60
    rows, columns = np.nonzero(changed)
    assert columns.max() > DIAL * 0.68
    assert rows.max() - rows.min() < DIAL * 0.3


def test_some_boxes_are_laid_on_the_ring() -> None:
    rng = generator(19)
    styles = [random_style(rng) for _ in range(300)]
    tight = [style for style in styles if style.ring and 0.93 <= style.radius * style.ring_at <= 1.04]
    assert len(tight) > 45
    assert {style.numerals > 1 for style in tight} == {True, False}


def test_pointers_differ_from_their_faces() -> None:
    rng = generator(13)
    for _ in range(300):
        style = random_style(rng)
        assert max(abs(a - b) for a, b in zip(style.needle, style.face, strict=True)) > 0.3


def test_random_crops_show_something() -> None:
    rng = generator(21)
    crops = np.array([needle_crop(rng) for _ in range(80)])
    assert crops.shape == (80, DIAL, DIAL, 3)
    contrast = crops[:, 12:36, 12:36].astype(float).std(axis=(1, 2)).max(axis=1)
    assert (contrast > 3).mean() > 0.97


def test_negatives_have_the_network_s_size() -> None:
    rng = generator(31)
    crops = [negative_needle(rng) for _ in range(80)]
    assert {crop.shape for crop in crops} == {(DIAL, DIAL, 3)}
    assert {crop.dtype for crop in crops} == {np.dtype(np.uint8)}


def test_the_camera_hardly_bends_a_dial() -> None:
    """Turned, sheared and seen from aside a tip stays within 0.2 of its position, mostly within 0.1."""
    rng = generator(17)
    errors = []
    for index in range(60):
        position = index / 6
        scene = paint_dial(plain(), position, 150, rng, 0.8)
        view = random_view(rng, (120, 120), (150, 150), STRAIGHT, 5.0)
        hub = view @ np.array([75.0, 75.0, 1.0])
        seen = tip_position(look(scene, view), (hub[0] / hub[2], hub[1] / hub[2]))
        errors.append(abs((seen - position + 5) % 10 - 5))
    assert max(errors) < 0.2
    assert float(np.percentile(errors, 80)) < 0.1
