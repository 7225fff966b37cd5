"""Displays of segments: places to a number, what is believed, and the command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from meerkat_contract.errors import ModelError, UsageError
from meerkat_contract.meter_layout import CounterLayout, MeterLayout
from meerkat_inference.meter.command import meter
from meerkat_inference.meter.layout_file import load_layout, save_layout
from meerkat_inference.meter.reader import read
from meerkat_inference.meter.segments import EMPTY, NO_DIGIT, decode, judge
from meter_support.painted import ColourNetworks

PAPER = (150, 160, 140)


def sure(what: int, mass: float = 0.999) -> np.ndarray:
    """(12,): a place that shows this."""
    shown = np.full(12, (1 - mass) / 11, np.float32)
    shown[what] = mass
    return shown


def torn(one: int, other: int, share: float = 0.5) -> np.ndarray:
    shown = np.zeros(12, np.float32)
    shown[one], shown[other] = share, 1 - share
    return shown


def counter(places: int, whole: int | None = None) -> CounterLayout:
    boxes = tuple((100.0 * i, 50.0, 60.0, 100.0) for i in range(places))
    return CounterLayout(
        digits=boxes, integer_digits=places if whole is None else whole, display="segments", unit="kWh"
    )


class PaintedSegments(ColourNetworks):
    """A place of the colour (20 k, 255, _) shows k; the paper shows nothing; anything else is no digit."""

    def segments(self, crops: np.ndarray) -> np.ndarray:
        assert crops.dtype == np.uint8
        assert crops.shape[1:] == (32, 20, 3)
        self.calls.append(("segments", len(crops)))
        return np.stack([self._place(crop) for crop in crops])

    def _place(self, crop: np.ndarray) -> np.ndarray:
        red, green, _ = np.median(crop[8:24, 5:15].reshape(-1, 3), axis=0)
        if green > 250:
            return sure(round(float(red) / 20))
        return sure(EMPTY if abs(green - PAPER[1]) < 8 else NO_DIGIT)


def painted(layout: CounterLayout, digits: Sequence[int | None]) -> np.ndarray:
    """BGR. None leaves a place empty."""
    picture = np.full((200, 900, 3), PAPER[::-1], np.uint8)
    for (x, y, w, h), digit in zip(layout.digits, digits, strict=True):
        if digit is not None:
            inner = (int(x + 0.15 * w), int(y + 0.15 * h)), (int(x + 0.85 * w), int(y + 0.85 * h))
            cv2.rectangle(picture, *inner, (PAPER[2], 255, 20 * digit), -1)
    return picture


def crops(layout: CounterLayout, digits: Sequence[int | None]) -> list[np.ndarray]:
    picture = painted(layout, digits)[..., ::-1]
    return [
        cv2.resize(picture[int(y) : int(y + h), int(x) : int(x + w)], (20, 32))
        for x, y, w, h in layout.digits
    ]


def verdict(layout: CounterLayout, shown: Sequence[np.ndarray]) -> tuple[str, str]:
    number = decode(layout, shown)
    looks = [None if one.argmax() == EMPTY else int(one.argmax()) % 10 for one in shown]
    return judge(number, shown, crops(layout, looks))


# Places to a number


def test_digits_make_a_number_at_the_counters_step() -> None:
    number = decode(counter(6, 4), [sure(digit) for digit in (0, 4, 2, 1, 7, 5)])
    assert number.candidates[0].value == 421.75
    assert number.candidates[0].likelihood > 0.97
    assert number.digits == (0, 4, 2, 1, 7, 5)
    assert number.empty == 0


def test_empty_places_on_the_left_are_zeros() -> None:
    number = decode(counter(6, 4), [sure(what) for what in (EMPTY, EMPTY, 2, 1, 7, 5)])
    assert number.candidates[0].value == 21.75
    assert number.digits == (0, 0, 2, 1, 7, 5)
    assert number.empty == 2


def test_the_place_before_the_point_shows_a_digit() -> None:
    number = decode(counter(3, 1), [sure(EMPTY), sure(5), sure(6)])
    assert number.empty == 0
    assert number.masses[0] < 0.1


def test_a_zero_and_an_empty_place_add_up() -> None:
    number = decode(counter(3), [torn(0, EMPTY), sure(5), sure(6)])
    assert number.candidates[0].value == 56
    assert number.candidates[0].likelihood > 0.97
    assert number.masses[0] == pytest.approx(1.0)


def test_doubt_about_one_digit_gives_two_candidates() -> None:
    number = decode(counter(4), [sure(1), torn(8, 0, 0.6), sure(3), sure(4)])
    first, second = number.candidates[:2]
    assert (first.value, second.value) == (1834, 1034)
    assert first.likelihood / second.likelihood == pytest.approx(1.5, rel=0.05)
    assert sum(one.likelihood for one in number.candidates) <= 1


def test_twelve_places_in_complete_doubt() -> None:
    number = decode(counter(12, 9), [np.full(12, 1 / 12, np.float32)] * 12)
    assert len(number.candidates) <= 16
    assert all(0 <= one.value < 1e9 for one in number.candidates)


# What is believed


def test_sure_digits_are_accepted() -> None:
    assert verdict(counter(5, 3), [sure(what) for what in (EMPTY, 4, 2, 1, 7)]) == ("accepted", "")


@pytest.mark.parametrize(
    ("shown", "expected", "words"),
    [
        ([sure(1), sure(NO_DIGIT), sure(3)], "unreadable", "digit 2 shows no digit"),
        ([sure(1), sure(EMPTY), sure(3)], "unreadable", "digit 2 is empty"),
        ([sure(EMPTY)] * 3, "unreadable", "the display shows nothing"),
        ([np.full(12, 1 / 12, np.float32)] * 3, "unreadable", "cannot be made out"),
        ([sure(1), torn(8, 0, 0.55), sure(3)], "held", "whether it is 183 or 103"),
        ([sure(1), sure(2, 0.3), sure(3)], "held", "digit 2 can hardly be made out"),
        ([sure(what, 0.7) for what in (1, 2, 3)], "held", "the picture is hard to read"),
    ],
)
def test_doubtful_displays_are_not(shown: list[np.ndarray], expected: str, words: str) -> None:
    told, reason = verdict(counter(3), shown)
    assert told == expected
    assert words in reason


def test_a_lid_over_the_left_digits_does_not_make_a_small_number() -> None:
    layout = counter(4)
    looks = crops(layout, [None, None, 1, 2])
    looks[0] = np.full_like(looks[0], 20)
    shown = [sure(what) for what in (EMPTY, EMPTY, 1, 2)]
    told, reason = judge(decode(layout, shown), shown, looks)
    assert told == "held"
    assert reason.startswith("digit 1 is empty, but unlike the rest")


# Whole pictures


def test_a_picture_with_a_display_and_a_row_of_wheels() -> None:
    display = counter(5, 3)
    wheels = {"digits": [[100.0 * i, 50, 60, 100] for i in range(5)], "integer_digits": 5}
    layout = MeterLayout.model_validate({**display.model_dump(), "counters": {"night": wheels}})
    networks = PaintedSegments()

    seen = read(painted(display, [None, 2, 7, 1, 8]), layout, networks)

    main, night = seen.counters
    assert (main.verdict, main.value, main.unit, main.counter) == ("accepted", 27.18, "kWh", None)
    assert [one.digit for one in main.wheels] == [0, 2, 7, 1, 8]
    assert [one.position for one in main.wheels] == [0, 2, 7, 1, 8]
    assert night.counter == "night"
    assert {kind for kind, _ in networks.calls} == {"segments", "wheels"}


def test_a_dark_display_has_no_value() -> None:
    display = counter(4)
    layout = MeterLayout.model_validate(display.model_dump())
    (seen,) = read(painted(display, [None] * 4), layout, PaintedSegments()).counters
    assert (seen.verdict, seen.value, seen.candidates) == ("unreadable", None, ())


def test_a_display_is_read_by_the_networks_that_are_there() -> None:
    """The committed network, on a plain rendered display."""
    from meerkat_inference.meter.networks import FOLDER, Networks

    if not (FOLDER / "segment.tflite").is_file():
        pytest.skip("no network for displays is there: scripts/train-meter --only segment")
    from meerkat_training.segment_faces import SegmentFace
    from meerkat_training.segment_rows import paint_row
    from meerkat_training.segments import BLANK, DisplayStyle

    style = DisplayStyle(SegmentFace(slant=0.08), (0.6, 0.66, 0.52), (0.1, 0.12, 0.12), point=0.06)
    shown = [BLANK, BLANK, 1, 3, 4, 5, 7, 8]
    picture, boxes = paint_row(style, shown, 2, 48, np.random.default_rng(1))
    layout = MeterLayout(digits=boxes, integer_digits=6, display="segments", unit="kWh")

    pixels = (picture[..., ::-1] * 255).clip(0, 255).astype(np.uint8)
    (seen,) = read(np.ascontiguousarray(pixels), layout, Networks()).counters

    assert seen.verdict == "accepted", seen.reason
    assert seen.value == 1345.78


def test_without_its_network_a_display_is_refused(tmp_path: Path) -> None:
    from meerkat_inference.meter.networks import Networks

    display = counter(3)
    layout = MeterLayout.model_validate(display.model_dump())
    with pytest.raises(ModelError, match="no network for LCD and LED digits is there"):
        read(painted(display, [1, 2, 3]), layout, Networks(tmp_path))


# Layouts and the command


def test_a_display_has_no_pointers() -> None:
    with pytest.raises(ValidationError, match="has no pointers; dials beside it go under counters"):
        MeterLayout.model_validate(
            {"digits": [[0, 0, 10, 16]], "pointers": [[50, 0, 20, 20]], "display": "segments"}
        )


def test_a_layout_file_keeps_its_display(tmp_path: Path) -> None:
    file = tmp_path / "layout.yaml"
    layout = MeterLayout.model_validate(counter(3).model_dump())
    save_layout(layout, file)
    assert "display: segments" in file.read_text(encoding="utf-8")
    assert load_layout(file) == (layout, ())


def test_an_unknown_display_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "layout.yaml"
    file.write_text("digits:\n  - [0, 0, 10, 16]\ndisplay: lcd\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r":3.*display.*'wheels' or 'segments'"):
        load_layout(file)


def test_crops_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meerkat_inference.meter.networks.Networks", PaintedSegments)
    layout = counter(2)
    files = []
    for name, digits in (("seven.png", [7, None]), ("empty.png", [None, None])):
        files.append(str(tmp_path / name))
        cv2.imwrite(files[-1], painted(layout, digits)[50:150, 0:60])

    words = CliRunner().invoke(meter, ["wheel", "--display", "segments", *files])
    told = CliRunner().invoke(meter, ["wheel", "--display", "segments", "--json", *files])

    assert [line.rpartition(": ")[2] for line in words.stdout.splitlines()] == [
        "7 (100%)",
        "an empty place (100%)",
    ]
    first, second = (json.loads(line) for line in told.stdout.splitlines())
    assert (first["position"], first["digit"]) == (7.0, 7)
    assert (second["position"], second["digit"]) == (None, None)
