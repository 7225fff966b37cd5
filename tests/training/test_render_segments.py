"""Rendered digits of displays tell the truth: what is lit is the digit's segments and no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from meerkat_training import dataset
from meerkat_training.segment_faces import (
    ALL,
    DIGITS,
    TAILS,
    End,
    SegmentFace,
    draw_cell,
    glyph_cell,
    random_face,
)
from meerkat_training.segment_negatives import LETTERS, negative_segment
from meerkat_training.segment_rows import paint_row, places_of, random_row
from meerkat_training.segment_score import difference, nearest, readable_crops
from meerkat_training.segments import (
    BLANK,
    DisplayStyle,
    cell,
    photograph_segment,
    random_display,
)

TALL = 60
_MIDDLES = {
    "a": (0.5, 0),
    "b": (1, 0.25),
    "c": (1, 0.75),
    "d": (0.5, 1),
    "e": (0, 0.75),
    "f": (0, 0.25),
    "g": (0.5, 0.5),
}
"""Of each segment, by the digit's width and height between the middle lines."""


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def lit(face: SegmentFace, canvas: np.ndarray) -> dict[str, float]:
    """How far each segment's middle is lit, 0 to 1."""
    found = {}
    for name, (across, down) in _MIDDLES.items():
        x = face.upright / 2 + across * (face.width - face.upright)
        y = face.across / 2 + down * (1 - face.across)
        x += face.slant * (0.5 - y) - face.width / 2
        row, column = round((y - 0.5) * TALL + TALL - 0.5), round(x * TALL + TALL - 0.5)
        found[name] = float(canvas[row, column]) / 255
    return found


def display(**changes: object) -> DisplayStyle:
    style = DisplayStyle(SegmentFace(), (0.6, 0.65, 0.55), (0.1, 0.1, 0.1))
    return replace(style, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("end", ["mitred", "pointed", "square", "round"])
@pytest.mark.parametrize("slant", [0.0, 0.2])
def test_a_digit_lights_its_segments_and_no_others(end: End, slant: float) -> None:
    face = SegmentFace(end=end, slant=slant, cut=0.5)
    for digit, pattern in enumerate(DIGITS):
        found = lit(face, draw_cell(face, dict.fromkeys(pattern, 1.0), TALL))
        assert {name for name, level in found.items() if level > 0.9} == set(pattern), digit
        assert all(level < 0.1 for name, level in found.items() if name not in pattern), digit


def test_no_two_digits_are_alike_in_any_style() -> None:
    assert len({frozenset(pattern) for pattern in (*DIGITS, *TAILS.values())}) == 13


@pytest.mark.parametrize("seed", range(6))
def test_segments_stay_within_the_digits_box(seed: int) -> None:
    face = replace(random_face(generator(seed)), font=None, slant=0.0)
    canvas = draw_cell(face, dict.fromkeys(ALL, 1.0), TALL)
    rows, columns = np.flatnonzero(canvas.max(1) > 40), np.flatnonzero(canvas.max(0) > 40)
    assert rows[0] >= TALL / 2 - 1
    assert rows[-1] <= 1.5 * TALL + 1
    # Rounded ends and gaps leave a little free.
    assert -5 <= columns[-1] - columns[0] + 1 - face.width * TALL <= 4


def test_unlit_segments_are_faint_and_lit_ones_are_not() -> None:
    style = display(ghost=0.2, fade=0.3)
    found = lit(style.face, cell(style, 4, TALL, generator()))
    assert min(found[name] for name in "bcfg") >= 0.69
    assert 0.1 < min(found[name] for name in "ade") <= max(found[name] for name in "ade") <= 0.21


def test_an_empty_place_shows_its_segments_traces_alone() -> None:
    assert cell(display(), BLANK, TALL, generator()).max() == 0
    traces = lit(SegmentFace(), cell(display(ghost=0.2), BLANK, TALL, generator()))
    assert all(0.1 < level < 0.21 for level in traces.values())


def test_a_fonts_digits_are_parts_of_its_8() -> None:
    faces = (random_face(generator(seed)) for seed in range(80))
    with_font = next((face for face in faces if face.font is not None), None)
    if with_font is None:
        pytest.skip("no font of segments is installed: fonts-dseg on Debian")
    eight = glyph_cell(with_font, 8, 0.0, TALL)
    for digit in range(10):
        one = glyph_cell(with_font, digit, 0.0, TALL)
        assert one.max() > 200
        assert (one.astype(int) - eight > 120).mean() < 0.002, digit


def test_the_same_draws_whatever_is_shown() -> None:
    """Else two pictures of one display would differ in more than the digit."""
    for seed in range(12):
        style = random_display(generator(seed))
        states = []
        for digit in (1, 8):
            rng = generator(seed + 100)
            photograph_segment(style, digit, rng)
            states.append(rng.bit_generator.state)
        assert states[0] == states[1]


def test_negatives_are_no_digits() -> None:
    meant = {frozenset(pattern) for pattern in (*DIGITS, *TAILS.values())}
    assert not meant & {frozenset(letter) for letter in LETTERS}
    crops = [negative_segment(generator(seed)) for seed in range(40)]
    assert {crop.shape for crop in crops} == {(32, 20, 3)}


def test_a_set_has_all_digits_empty_places_and_negatives() -> None:
    crops, shown = dataset.segments(250, seed=5)
    assert crops.shape == (250, 32, 20, 3)
    assert 0.06 < np.isnan(shown).mean() < 0.24
    assert 0.02 < (shown == BLANK).mean() < 0.14
    assert set(shown[shown < BLANK]) == set(range(10))


def test_sets_are_the_same_on_one_process_and_on_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "BLOCK", 20)
    alone, shown = dataset.segments(33, seed=5, workers=1)
    shared, same = dataset.segments(33, seed=5, workers=2)
    np.testing.assert_array_equal(alone, shared)
    np.testing.assert_array_equal(shown, same)


def test_the_nearest_digits() -> None:
    face = SegmentFace()
    assert nearest(face, 8) == [0, 6, 9]
    assert nearest(face, 1) == [7]
    assert nearest(replace(face, tails=frozenset({9})), 4) == [9]


def test_an_even_change_of_light_is_no_difference() -> None:
    one = generator().integers(40, 200, (32, 20, 3)).astype(np.uint8)
    assert difference(one, one) == 0
    assert difference(one, one + np.uint8(30)) == 0
    other = one.copy()
    other[10:13, 5:8] += np.uint8(40)
    assert difference(one, other) > 30


def test_most_renders_tell_their_digit() -> None:
    crops, shown, readable = readable_crops(60, 3)
    assert crops.shape == (60, 32, 20, 3)
    assert 0 <= shown.min() <= shown.max() <= 9
    assert 0.7 < readable.mean() < 1


def test_places_leave_out_leading_zeros_up_to_the_point() -> None:
    assert places_of(1234, 6, 2, zeros=False) == [BLANK, BLANK, 1, 2, 3, 4]
    assert places_of(7, 5, 2, zeros=False) == [BLANK, BLANK, 0, 0, 7]
    assert places_of(7, 5, 2, zeros=True) == [0, 0, 0, 0, 7]


def test_a_row_shows_its_digits_in_their_boxes() -> None:
    style = display()
    picture, boxes = paint_row(style, [1, BLANK, 8], 0, TALL, generator())
    dark = [
        float((picture[round(y) : round(y + h), round(x) : round(x + w)].mean(axis=2) < 0.3).mean())
        for x, y, w, h in boxes
    ]
    assert dark[1] == 0
    assert 0 < dark[0] < dark[2]


def test_a_rows_layout_and_reading_belong_together() -> None:
    for seed in range(20):
        picture, layout, reading = random_row(generator(seed))
        height, width = picture.shape[:2]
        assert layout.display == "segments"
        assert reading < layout.span
        assert all(x >= 0 and x + w <= width and y >= 0 and y + h <= height for x, y, w, h in layout.digits)
