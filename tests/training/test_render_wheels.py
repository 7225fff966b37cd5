"""Rendered wheels tell the truth: what the label says stands in the middle of the window."""

from dataclasses import fields, replace

import numpy as np
import pytest

from meerkat_training.arrays import Floats
from meerkat_training.crops import (
    BY_HAND,
    HEIGHT,
    WIDTH,
    cut,
    look,
    paint_plate,
    photograph_wheel,
    random_view,
    shows,
    wheel_crop,
    wheel_shot,
)
from meerkat_training.fonts import Font, drawn_font, random_font, system_font
from meerkat_training.negatives import negative_wheel
from meerkat_training.strokes import draw_digit, random_design
from meerkat_training.wheels import (
    WheelStyle,
    digit_mask,
    fraction_style,
    paint_window,
    random_position,
    random_style,
    telling_position,
)


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def plain(font: Font | None = None) -> WheelStyle:
    """Black on white, unshaded, unbent: the picture is the mask."""
    face = system_font(generator(3)) if font is None else font
    return WheelStyle(face, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), shade=0.0, squeeze=0.0, lip=0.0)


def ink(style: WheelStyle, position: float, width: int = 60, height: int = 96) -> Floats:
    painted = paint_window(style, position, width, height, generator())
    return 1.0 - painted.mean(axis=2)


def middle_row(mask: Floats) -> float:
    """Row of the ink's middle, as a share of the height from the window's centre."""
    rows = np.flatnonzero(mask.max(axis=1) > 0.5)
    return float((rows[0] + rows[-1] + 1) / 2 / mask.shape[0] - 0.5)


@pytest.mark.parametrize("digit", range(10))
def test_a_whole_position_shows_its_digit_and_no_other(digit: int) -> None:
    style = plain()
    seen = ink(style, float(digit))
    scores = []
    for candidate in range(10):
        template = ink(style, float(candidate))
        scores.append(float(np.corrcoef(seen.ravel(), template.ravel())[0, 1]))
    assert int(np.argmax(scores)) == digit
    # And it is the font's own glyph, upright, about the middle of the window.
    glyph, _ = style.font.mask(digit, 96)
    rows, columns = np.flatnonzero(glyph.max(axis=1) > 127), np.flatnonzero(glyph.max(axis=0) > 127)
    own_shape = (rows[-1] - rows[0] + 1) / (columns[-1] - columns[0] + 1)
    drawn_rows = np.flatnonzero(seen.max(axis=1) > 0.5)
    drawn_columns = np.flatnonzero(seen.max(axis=0) > 0.5)
    shape = (drawn_rows[-1] - drawn_rows[0] + 1) / (drawn_columns[-1] - drawn_columns[0] + 1)
    assert shape == pytest.approx(own_shape, rel=0.12)
    assert abs(middle_row(seen)) < 0.02


@pytest.mark.parametrize("turn", [-0.3, -0.1, 0.1, 0.3])
def test_a_wheel_turns_upwards_by_its_pitch(turn: float) -> None:
    """At 8.1 the eight stands a tenth of the pitch above the middle, at 7.9 below."""
    style = replace(plain(), digit_share=0.4, pitch=1.75)
    # The middle four fifths, where the neighbours do not show for a small turn.
    above = -middle_row(ink(style, 8 + turn)[8:-8]) * 80 / 96 if abs(turn) < 0.2 else None
    value = digit_mask(style, 8 + turn, 60, 96)[1]
    row_of_eight = float(np.interp(8.0, value, np.arange(96) + 0.5)) / 96 - 0.5
    assert -row_of_eight == pytest.approx(turn * 0.7, abs=0.01)
    if above is not None:
        assert above == pytest.approx(turn * 0.7, abs=0.02)


def test_half_way_the_next_digit_is_half_in_from_below() -> None:
    style = replace(plain(), digit_share=0.6, pitch=1.2)
    half, three, four = ink(style, 3.5), ink(style, 3.0), ink(style, 4.0)
    shift = round(0.5 * 0.72 * 96)
    assert np.abs(half[: 96 - shift - 2] - three[shift:-2]).max() > 0  # Not a copy: the four is there too.
    assert np.corrcoef(half[:40].ravel(), three[shift : shift + 40].ravel())[0, 1] > 0.9
    assert np.corrcoef(half[-40:].ravel(), four[96 - 40 - shift : 96 - shift].ravel())[0, 1] > 0.9


def test_nine_is_followed_by_zero() -> None:
    style = plain()
    np.testing.assert_allclose(ink(style, 9.99999), ink(style, 0.0), atol=0.02)
    np.testing.assert_allclose(ink(style, 10.0), ink(style, 0.0), atol=1e-5)


@pytest.mark.parametrize("size", [(10, 16), (20, 32), (60, 96), (240, 384)])
def test_a_window_looks_alike_at_every_size(size: tuple[int, int]) -> None:
    import cv2

    style = replace(random_style(generator(4)), texture=0.0, wear=0.0)
    reference = cv2.resize(
        paint_window(style, 4.3, 240, 384, generator()), (10, 16), interpolation=cv2.INTER_AREA
    )
    here = cv2.resize(paint_window(style, 4.3, *size, generator()), (10, 16), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(here.ravel(), reference.ravel())[0, 1] > 0.93


EXTREMES: dict[str, tuple[float, ...]] = {
    "digit_share": (0.3, 0.95),
    "pitch": (1.1, 1.75),
    "stretch": (0.6, 1.5),
    "slant": (-0.27, 0.27),
    "squeeze": (0.0, 1.5),
    "shade": (0.0, 1.0),
    "gloss": (-0.9, 0.9),
    "gloss_at": (-0.5, 0.5),
    "offset": (-0.3, 0.3),
    "ticks": (0, 12),
    "tick_sides": (1, 3),
    "tick_width": (0.0, 0.3),
    "tick_duty": (0.05, 0.95),
    "tick_phase": (0.0, 1.0),
    "bar": (0.0, 0.4),
    "bar_width": (0.05, 1.0),
    "bar_at": (0.0, 1.0),
    "bar_side": (-0.5, 0.5),
    "lip": (0.0, 1.0),
    "lip_depth": (0.01, 0.5),
    "wear": (0.0, 1.0),
    "texture": (0.0, 1.0),
    "drum_left": (0.0, 0.4),
    "drum_right": (0.0, 0.4),
    "relief": (0.0, 1.0),
    "pip": (0.0, 0.3),
    "pip_at": (-0.5, 0.5),
    "pip_phase": (-0.5, 0.5),
}


def test_every_number_of_a_style_has_its_extremes_tested() -> None:
    numbers = {field.name for field in fields(WheelStyle) if field.type in {"float", "int"}}
    assert numbers == set(EXTREMES)


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_paint_a_sound_picture(name: str) -> None:
    base = replace(plain(), ticks=4, bar=0.1, gloss=0.1, pip=0.1)
    for value in EXTREMES[name]:
        for position in (0.0, 4.5, 9.99):
            picture = paint_window(replace(base, **{name: value}), position, 20, 32, generator())
            assert picture.shape == (32, 20, 3)
            assert np.isfinite(picture).all()
            assert picture.min() >= 0
            assert picture.max() <= 1


def test_crops_differ_by_their_digit_alone() -> None:
    style = plain(drawn_font(generator(2)))
    three = photograph_wheel(style, 3.0, generator(5), strength=0.0)
    four = photograph_wheel(style, 4.0, generator(5), strength=0.0)
    again = photograph_wheel(style, 3.0, generator(5), strength=0.0)
    assert three.shape == (HEIGHT, WIDTH, 3)
    assert three.dtype == np.uint8
    np.testing.assert_array_equal(three, again)
    assert np.abs(three.astype(int) - four).max() > 100


def test_the_box_shows_the_window_that_it_was_laid_on() -> None:
    """Through plate, view and cut the digit stays within a tenth of the box's height of its middle."""
    style = replace(plain(), frame=(1.0, 1.0, 1.0), pitch=1.75, digit_share=0.45)
    rng = generator(11)
    rows = []
    for _ in range(60):
        scene, _ = paint_plate(replace(style), 8.0, (40, 64), rng)
        seen = look(scene, random_view(rng, (40, 64), (60, 96), BY_HAND, 2.0))
        crop = cut((seen * 255).clip(0, 255).astype(np.uint8), (40, 64), (WIDTH, HEIGHT))
        core = 255 - crop[6:-6, 5:-5].mean(axis=2)
        rows.append(float((core.sum(axis=1) * np.arange(20)).sum() / max(core.sum(), 1)) - 9.5)
    assert abs(float(np.median(rows))) < 1.0
    assert float(np.percentile(np.abs(rows), 90)) < 4.0


def test_half_of_the_positions_stand() -> None:
    rng = generator()
    positions = np.array([random_position(rng) for _ in range(4000)])
    steady = np.abs(positions - np.round(positions)) <= 0.15
    assert 0.6 < steady.mean() < 0.7  # The uniform half holds 30 % of standing ones, too.
    assert positions.min() >= 0
    assert positions.max() < 10
    assert np.bincount(np.round(positions).astype(int) % 10, minlength=10).min() > 300


def test_tall_digits_far_apart_are_often_half_way() -> None:
    rng = generator(3)
    cut_off = replace(plain(), pitch=1.6, digit_share=0.7)
    near = replace(plain(), pitch=1.2, digit_share=0.7)
    half_way = [
        np.mean([0.3 <= telling_position(style, rng) % 1 <= 0.7 for _ in range(1000)])
        for style in (cut_off, near)
    ]
    assert half_way[0] > 0.45
    assert half_way[1] < 0.27
    styles = [random_style(rng) for _ in range(300)]
    assert np.mean([style.pitch >= 1.4 and style.digit_share >= 0.58 for style in styles]) > 0.25


def test_a_crop_without_its_strokes_is_told_from_one_with_them() -> None:
    strokes = ink(plain(), 4.0, WIDTH, HEIGHT).astype(np.float32)
    noise = generator().normal(0, 6, (HEIGHT, WIDTH, 3))
    for level, depth, expected in ((250, 0, False), (120, 40, True), (120, -20, True), (10, 2, False)):
        crop = np.clip(level + noise - depth * strokes[..., None], 0, 255).astype(np.uint8)
        assert shows(crop, strokes) is expected, (level, depth)


def test_few_pictures_lose_their_digit() -> None:
    rng = generator(14)
    kept = [wheel_shot(random_style(rng), random_position(rng), rng)[1] for _ in range(300)]
    assert 0.93 < np.mean(kept) < 1.0
    faint = replace(plain(), ink=(0.995, 0.995, 0.995))
    assert not wheel_shot(faint, 8.0, generator(2), strength=0.0)[1]
    assert wheel_shot(plain(), 8.0, generator(2), strength=0.0)[1]


def test_wheels_of_one_counter_share_their_font() -> None:
    style = random_style(generator(9))
    decimals = fraction_style(style, generator(1))
    assert decimals.font is style.font
    assert (decimals.paper, decimals.ink) != (style.paper, style.ink)
    assert decimals.pitch == style.pitch


def test_drawn_fonts_tell_their_digits_apart() -> None:
    rng = generator(6)
    for _ in range(40):
        design = random_design(rng)
        masks = [draw_digit(digit, design, 64, 96).astype(float).ravel() for digit in range(10)]
        likeness = np.corrcoef(masks) - np.eye(10)
        assert likeness.max() < 0.985, design
        assert min(mask.mean() for mask in masks) > 4, design


def test_a_third_of_drawn_fonts_is_squared() -> None:
    """Their sevens mostly end in an upright leg, and no eight is wider above than below."""
    rng = generator(12)
    squared = [design for design in (random_design(rng) for _ in range(400)) if design.seven >= 5]
    assert 0.2 < len(squared) / 400 < 0.4
    for design in squared[:30]:
        seven, eight = draw_digit(7, design, 64, 96), draw_digit(8, design, 64, 96)
        columns = [np.flatnonzero(seven[row] > 127) for row in (54, 74)]
        assert columns[0].mean() == pytest.approx(columns[1].mean(), abs=1.0), design
        above, below = (np.ptp(np.flatnonzero(half.max(axis=0))) for half in (eight[:36], eight[56:]))
        assert above <= below + 1, design
        straight, slanting = seven[74], seven[20]
        assert straight.max() == slanting.max() == 255, design


def test_a_font_serves_small_and_large_digits() -> None:
    rng = generator(8)
    for font in (drawn_font(rng), random_font(rng, 0.0), system_font(rng).with_weight(3)):
        for height in (6.0, 20.0, 200.0):
            mask, tall = font.mask(8, height)
            assert tall <= 1.5 * height or tall == 8
            assert mask.dtype == np.uint8
            assert mask.mean() > 5


def test_random_crops_show_something() -> None:
    rng = generator(21)
    crops = np.array([wheel_crop(rng) for _ in range(120)])
    assert crops.shape == (120, HEIGHT, WIDTH, 3)
    contrast = crops[:, 8:24, 4:16].astype(float).std(axis=(1, 2)).max(axis=1)
    assert (contrast > 3).mean() > 0.97
    assert np.median(contrast) > 15


def test_negatives_have_the_network_s_size() -> None:
    rng = generator(31)
    crops = [negative_wheel(rng) for _ in range(120)]
    assert {crop.shape for crop in crops} == {(HEIGHT, WIDTH, 3)}
    assert {crop.dtype for crop in crops} == {np.dtype(np.uint8)}
    levels = np.array([crop.mean() for crop in crops])
    assert levels.min() < 30
    assert levels.max() > 225
