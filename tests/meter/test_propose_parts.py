"""Rows out of spots, the decimal point, and the order of dials: what stands between network and layout."""

from __future__ import annotations

from itertools import pairwise
from math import cos, degrees, radians, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat_inference.meter.propose.counting import colour_change, decimal_point, dial_order
from meerkat_inference.meter.propose.finder import CELLS, Channel, Spot, dials, wheels
from meerkat_inference.meter.propose.rows import ASPECT, best_row, best_rows, regular


def window(x: float, y: float, *, height: float = 40.0, score: float = 0.9, tilt: float = 0.0) -> Spot:
    return Spot(x, y, ASPECT * height, height, score, 0.1, tilt)


def row(count: int, *, tilt: float = 0.0, pitch: float = 30.0, wobble: float = 0.0) -> list[Spot]:
    rng = np.random.default_rng(count)
    c, s = cos(tilt), sin(tilt)
    spots = []
    for number in range(count):
        off = rng.normal(0, wobble, 2) if wobble else (0.0, 0.0)
        spots.append(window(100 + number * pitch * c + off[0], 200 + number * pitch * s + off[1], tilt=tilt))
    return spots


@given(count=st.integers(2, 9), angle=st.floats(-180, 180), wobble=st.sampled_from([0.0, 1.0]))
@settings(max_examples=60, deadline=None)
def test_a_row_is_found_at_any_angle_in_its_order(count, angle, wobble):
    spots = row(count, tilt=radians(angle), wobble=wobble)
    found = best_row(spots[::-1])
    assert found is not None
    assert list(found.spots) == spots
    off = (degrees(found.tilt) - angle + 180) % 360 - 180
    assert abs(off) < (6 if wobble else 0.1)


def test_letters_beside_below_and_far_off_do_not_belong_to_it():
    spots = row(6)
    strangers = [
        window(100, 260, score=0.95),  # a line of print below
        window(130, 260, score=0.95),
        window(100 + 30 * 9, 200),  # too far along
        window(340, 200, height=16),  # as high as letters
    ]
    found = best_row([*strangers, *spots])
    assert found is not None
    assert list(found.spots) == spots


def test_a_second_row_is_what_the_first_one_leaves():
    spots, print_below = row(6), [window(100 + 30 * n, 320, score=0.5) for n in range(4)]
    first, second = best_rows([*print_below, *spots], 2)
    assert list(first.spots) == spots
    assert list(second.spots) == print_below
    assert len(best_rows(spots, 3)) == 1
    assert best_rows([], 2) == []


def test_two_boxes_on_one_window_are_one():
    spots = row(5)
    twice = spots[2]._replace(x=spots[2].x + 4, score=0.5)
    found = best_row([*spots, twice])
    assert found is not None
    assert list(found.spots) == spots


def test_one_window_is_no_row():
    assert best_row([window(10, 10)]) is None
    assert best_row([]) is None


def test_a_gap_in_the_row_is_a_window_that_was_not_seen():
    spots = row(6)
    found = best_row([*spots[:3], *spots[4:]])
    assert found is not None
    filled = regular(found)
    assert filled.gaps == (3,)
    assert [spot.x for spot in filled.spots] == pytest.approx([spot.x for spot in spots], abs=0.5)
    assert filled.spots[3].score == 0


def test_a_window_that_is_a_little_off_is_moved_towards_its_neighbours_line():
    spots = row(7)
    spots[3] = spots[3]._replace(y=spots[3].y + 6, height=52)
    found = best_row(spots)
    assert found is not None
    even = regular(found)
    assert abs(even.spots[3].y - 200) < 4
    assert even.spots[3].height == pytest.approx(40, abs=3)
    assert even.spots[3].width == pytest.approx(ASPECT * even.spots[3].height)


def test_in_perspective_windows_may_grow_along_the_row():
    spots = [window(100 + 30 * n + 1.2 * n * n, 200, height=40 * 1.04**n) for n in range(7)]
    found = best_row(spots)
    assert found is not None
    even = regular(found)
    assert [spot.x for spot in even.spots] == pytest.approx([spot.x for spot in spots], abs=1)
    assert [spot.height for spot in even.spots] == pytest.approx([spot.height for spot in spots], rel=0.02)


@pytest.mark.parametrize(
    ("after", "dials", "whole", "clear"),
    [
        ([0.05] * 5 + [0.95] * 3, 0, 5, True),
        ([0.05] * 5 + [0.95] * 3, 1, 5, True),
        ([0.1, 0.2, 0.1, 0.3, 0.1, 0.9, 0.7, 0.9], 0, 5, True),
        ([0.02] * 5, 4, 5, True),
        ([0.5] * 5, 4, 5, False),
        ([0.5] * 8, 0, 5, False),
        ([0.05] * 4 + [0.5] + [0.95], 0, 5, False),
    ],
)
def test_the_decimal_point_is_where_the_colour_changes(after, dials, whole, clear):
    point = decimal_point(after, dials)
    assert point.clear is clear
    if clear or whole == len(after):
        assert point.whole == whole
    assert 0 <= point.whole <= len(after)


def needles(reading: float, factors: list[float]) -> np.ndarray:
    """(n, 101): each dial's distribution at a reading."""
    told = np.full((len(factors), 101), 1e-4, np.float32)
    for number, factor in enumerate(factors):
        told[number, round(reading / factor % 10 * 10) % 100] = 1
    return told


FACTORS = [0.1, 0.01, 0.001, 0.0001]


def dial(x: float, y: float) -> Spot:
    return Spot(x, y, 40, 40, 0.95, 0.02, 0)


def on_an_arc(turns: list[float]) -> list[Spot]:
    return [dial(200 + 90 * cos(radians(turn)), 200 + 90 * sin(radians(turn))) for turn in turns]


def test_needles_tell_which_dial_comes_first_whatever_the_order():
    places = on_an_arc([20, 65, 110, 155])
    for reading in (0.3852, 0.9174, 0.6481):
        told = needles(reading, FACTORS)
        order = dial_order(places, 0.0, told, None)
        assert order.numbers == (0, 1, 2, 3)
        backwards = dial_order(places[::-1], 0.0, told[::-1], None)
        assert backwards.numbers == (3, 2, 1, 0)
        assert order.clear


def test_needles_overrule_what_is_usual():
    places = on_an_arc([155, 110, 65, 20])  # most significant at the left, counter-clockwise round the face
    assert dial_order(places, 0.0, needles(0.3852, FACTORS), None).numbers == (0, 1, 2, 3)
    assert dial_order(places, 0.0, None, None).numbers == (3, 2, 1, 0)


def test_the_order_turns_with_the_meter():
    upright = on_an_arc([20, 65, 110, 155])
    turn = radians(170)
    turned = [
        dial(cos(turn) * spot.x - sin(turn) * spot.y, sin(turn) * spot.x + cos(turn) * spot.y)
        for spot in upright
    ]
    assert dial_order(turned, turn, None, None).numbers == (0, 1, 2, 3)


def test_dials_side_by_side_go_from_left_to_right_when_nothing_else_is_known():
    places = [dial(100 + 60 * n, 300) for n in (2, 0, 1)]
    order = dial_order(places, 0.0, None, None)
    assert order.numbers == (1, 2, 0)
    assert not order.clear


def test_one_dial_has_its_order():
    assert dial_order([dial(0, 0)], 0.0, None, None) == ((0,), True)
    assert dial_order([], 0.0, None, None) == ((), True)


def test_the_last_wheel_helps_with_two_dials():
    places = on_an_arc([40, 110])
    told = needles(0.55, [0.1, 0.01])  # 5.5 and 5.0: each may be first
    first = dial_order(places, 0.0, told, 3.55)
    assert first.numbers == (0, 1)
    assert all(a != b for a, b in pairwise(first.numbers))


def test_an_empty_map_has_no_boxes():
    seen = np.zeros((CELLS, CELLS, len(Channel)), np.float32)
    seen[..., [Channel.WHEEL, Channel.DIAL]] = -6
    assert wheels(seen) == []
    assert dials(seen) == []


def window_crops(colours: list[tuple[tuple[int, int, int], tuple[int, int, int]]]) -> np.ndarray:
    """(n, 40, 25, 3): a bar of ink on a ground for each window, the light falling off to the right."""
    crops = np.zeros((len(colours), 40, 25, 3), np.uint8)
    for number, (ground, ink) in enumerate(colours):
        crops[number] = ground
        crops[number, 10:30, 10:15] = ink
        crops[number] = (crops[number] * (1 - 0.06 * number)).astype(np.uint8)
    return crops


BLACK, WHITE, RED = (25, 25, 25), (230, 230, 230), (190, 40, 30)


@pytest.mark.parametrize(
    ("before", "later"),
    [((WHITE, BLACK), (WHITE, RED)), ((BLACK, WHITE), (RED, WHITE)), ((WHITE, BLACK), (RED, WHITE))],
)
def test_a_change_of_colour_is_the_decimal_point(before, later):
    colours = colour_change(window_crops([before] * 5 + [later] * 3))
    assert int(colours.argmax()) == 5
    point = decimal_point([0.5] * 8, 0, colours)
    assert point == (5, True)


def test_in_fading_light_without_a_change_nothing_is_claimed():
    colours = colour_change(window_crops([(WHITE, BLACK)] * 8))
    assert int(colours.argmax()) == 8
    assert not decimal_point([0.5] * 8, 0, colours).clear
