"""A proposal checked by the networks: needles that turn along, rows the right way up, windows counted."""

from __future__ import annotations

from math import atan2, cos, pi, sin

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from meerkat_inference.meter.propose.alike import looks, of_one_counter
from meerkat_inference.meter.propose.certain import certainty
from meerkat_inference.meter.propose.comb import recount
from meerkat_inference.meter.propose.dials import agreement, believed
from meerkat_inference.meter.propose.finder import Spot
from meerkat_inference.meter.propose.rows import ASPECT, Row
from meerkat_inference.meter.propose.upright import flipped

Picture = NDArray[np.uint8]


class ByDarkness:
    """Reads a needle as where its crop is darkest, and a wheel as there when its middle is dark."""

    def wheels(self, crops: Picture) -> NDArray[np.float32]:
        told = np.zeros((len(crops), 101), np.float32)
        there = 1 - crops[:, 12:20, 8:12].mean((1, 2, 3)) / 255
        told[:, 100] = 1 - there
        told[:, 30] = there
        return told

    def needles(self, crops: Picture) -> NDArray[np.float32]:
        told = np.zeros((len(crops), 101), np.float32)
        line = np.arange(48) - 23.5
        across, down = np.meshgrid(line, line)
        for number, crop in enumerate(crops):
            dark = 255.0 - crop.mean(-1)
            turn = atan2((dark * across).sum(), -(dark * down).sum()) / (2 * pi)
            told[number, round(100 * turn) % 100] = 1
        return told


class Stubborn(ByDarkness):
    """Reads every needle as pointing up: what a letter may be taken for."""

    def needles(self, crops: Picture) -> NDArray[np.float32]:
        told = np.zeros((len(crops), 101), np.float32)
        told[:, 3] = 1
        return told


def pointed(turn: float) -> Picture:
    """A dial of 80 pixels about (100, 100), its needle at a share of a turn clockwise from above."""
    picture = np.full((200, 200, 3), 255, np.uint8)
    tip = 100 + 30 * sin(2 * pi * turn), 100 - 30 * cos(2 * pi * turn)
    cv2.line(picture, (100, 100), (round(tip[0]), round(tip[1])), (0, 0, 0), 5, cv2.LINE_AA)
    return picture


DIAL = Spot(100, 100, 80, 80, 0.6, 0.1, 0)


@pytest.mark.parametrize("turn", [0.0, 0.21, 0.5, 0.93])
@pytest.mark.parametrize("tilt", [0.0, 0.4, -2.0])
def test_a_needle_turns_with_its_picture(turn, tilt):
    (agrees,) = agreement(pointed(turn), [DIAL], tilt, ByDarkness())
    assert agrees > 0.95


def test_what_stays_when_the_picture_turns_is_no_needle():
    (agrees,) = agreement(pointed(0.21), [DIAL], 0.0, Stubborn())
    assert agrees < 0.15


def test_the_needle_weighs_more_than_the_look_of_a_dial():
    assert believed(0.85, 0.02) < 0.5
    assert believed(0.7, 0.97) > 0.5
    assert believed(0.05, 0.97) < 0.5
    assert believed(0.9, 0.97) > believed(0.9, 0.5) > believed(0.5, 0.5)
    assert 0 < believed(0.0, 0.0) < believed(1.0, 1.0) < 1


def test_certainty_is_what_lies_together_round_the_turn():
    flat = np.full((1, 100), 0.01)
    split = np.zeros((1, 100))
    split[0, [99, 0, 1]] = 0.3, 0.4, 0.3
    apart = np.zeros((1, 100))
    apart[0, [10, 60]] = 0.5
    told = certainty(np.concatenate([flat, split, apart]))
    assert told == pytest.approx([0.05, 1.0, 0.5])


def window(number: float, score: float = 0.9) -> Spot:
    return Spot(100 + 30 * number, 100, ASPECT * 40, 40, score, 0.1, 0)


def windows_at(*numbers: float) -> Picture:
    picture = np.full((200, 500, 3), 255, np.uint8)
    for number in numbers:
        x = round(100 + 30 * number)
        picture[80:120, x - 7 : x + 7] = 0
    return picture


def test_a_window_that_was_missed_between_two_is_counted():
    row = Row(tuple(window(number) for number in (0, 1, 3, 4, 5)), 0.0)
    counted = recount(windows_at(0, 1, 2, 3, 4, 5), row, ByDarkness())
    assert [spot.x for spot in counted.spots] == pytest.approx([100, 130, 160, 190, 220, 250], abs=2)
    assert counted.gaps == (2,)


def test_what_reads_like_a_digit_beyond_the_end_is_not():
    row = Row(tuple(window(number) for number in range(5)), 0.0)
    counted = recount(windows_at(0, 1, 2, 3, 4, 5), row, ByDarkness())
    assert len(counted.spots) == 5
    assert counted.gaps == ()


def test_a_box_between_two_windows_is_none():
    row = Row(tuple(window(number) for number in (0, 1, 2, 2.5, 3, 4)), 0.0)
    counted = recount(windows_at(0, 1, 2, 3, 4), row, ByDarkness())
    assert [spot.x for spot in counted.spots] == pytest.approx([100, 130, 160, 190, 220], abs=2)


def test_a_row_on_its_head_has_its_windows_in_the_other_order():
    row = Row(tuple(window(number) for number in range(4)), 0.0)
    other = flipped(row)
    assert [spot.x for spot in other.spots] == [190, 160, 130, 100]
    assert abs(other.tilt) == pytest.approx(pi)
    assert [spot.x for spot in flipped(other).spots] == [spot.x for spot in row.spots]
    assert flipped(other).tilt == pytest.approx(row.tilt)


def face(*dials: tuple[float, float, tuple[int, int, int]]) -> tuple[Picture, list[Spot]]:
    """Dials with a coloured ground, each at x, with its likelihood."""
    picture = np.full((200, 600, 3), 200, np.uint8)
    spots = []
    for number, (x, score, colour) in enumerate(dials):
        cv2.circle(picture, (round(x), 100), 38, colour, -1)
        tip = round(x + 25 * cos(number)), round(100 + 25 * sin(number))
        cv2.line(picture, (round(x), 100), tip, (0, 0, 200), 6)
        spots.append(Spot(x, 100, 80, 80, score, 0.1, 0))
    return picture, spots


PALE, BLUE = (240, 240, 240), (140, 60, 20)


def kept(picture: Picture, spots: list[Spot]) -> list[float]:
    return [spot.x for spot in of_one_counter(spots, looks(picture, spots))]


def test_what_looks_unlike_the_other_dials_is_none_however_sure():
    found = kept(*face((60, 0.9, PALE), (180, 0.8, PALE), (300, 0.7, PALE), (420, 0.99, BLUE)))
    assert found == [60, 180, 300]


def test_a_faint_dial_is_believed_beside_sure_ones_that_it_is_like():
    assert kept(*face((60, 0.9, PALE), (180, 0.3, PALE))) == [60, 180]
    assert kept(*face((60, 0.9, PALE), (180, 0.3, BLUE))) == [60]
    assert kept(*face((60, 0.3, PALE), (180, 0.3, PALE))) == []


def test_two_sure_dials_of_two_colours_are_both_believed():
    assert sorted(kept(*face((60, 0.97, PALE), (180, 0.99, BLUE)))) == [60, 180]


def test_what_is_of_another_size_is_not_of_the_counter():
    picture, spots = face((60, 0.9, PALE), (180, 0.99, PALE), (300, 0.97, PALE))
    spots[0] = spots[0]._replace(width=50, height=50)
    assert kept(picture, spots) == [180, 300]


def test_a_lone_dial_must_be_surer_than_one_of_several():
    assert kept(*face((60, 0.65, PALE), (180, 0.65, PALE))) == [60, 180]
    assert kept(*face((60, 0.65, PALE))) == []
    assert kept(*face((60, 0.8, PALE))) == [60]
