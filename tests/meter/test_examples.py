"""Corrected pictures become labelled wheels and needles."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from meerkat_contract.ids import new_id
from meerkat_contract.meter_layout import MeterLayout
from meerkat_devices.scenes.meter import BasementMeter
from meerkat_inference.meter.command import meter
from meerkat_inference.meter.examples import Box, boxes, cut_out, label
from meerkat_inference.picture import encode_jpeg

AT = datetime(2026, 11, 16, 9, tzinfo=UTC)


class Sees:
    """Networks that see the same everywhere."""

    def __init__(self, wheel: float, needle: float) -> None:
        self._wheel, self._needle = wheel, needle

    def wheels(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._at(self._wheel, len(crops))

    def needles(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._at(self._needle, len(crops))

    @staticmethod
    def _at(position: float, count: int) -> NDArray[np.float32]:
        found = np.zeros((count, 101), np.float32)
        found[:, round(position * 10)] = 1
        return found


def archive(
    folder: Path, layout: MeterLayout, value: float, *, picture: bytes | None = None
) -> tuple[Path, str]:
    """An examples.zip with one picture of the demonstration's meter, and the picture's id."""
    file, example = folder / "examples.zip", new_id()
    data = encode_jpeg(BasementMeter().render(AT)) if picture is None else picture
    listed = {
        "id": example,
        "values": {"": value},
        "layout": layout.model_dump(mode="json", exclude_none=True),
    }
    with ZipFile(file, "w") as opened:
        opened.writestr(f"pictures/{example}.jpg", data)
        opened.writestr("examples.json", json.dumps({"format": 1, "examples": [listed]}))
    return file, example


def wheel(expected: float, *, exact: bool = True) -> Box:
    return Box(False, (0, 0, 1, 1), False, expected, exact)


def needle(expected: float, *, exact: bool = True) -> Box:
    return Box(True, (0, 0, 1, 1), False, expected, exact)


@pytest.mark.parametrize(
    ("box", "seen", "said"),
    [
        (wheel(3.2), 3.1, 3.1),  # at rest, and seen so
        (wheel(3.2), 8.0, 3.0),  # misread
        (wheel(3.95), 3.6, 3.6),  # on its way
        (wheel(3.95), 8.0, None),  # on its way, who knows how far
        (wheel(3.0, exact=False), 3.7, 3.7),  # the last one turns evenly
        (wheel(3.0, exact=False), 6.0, 3.0),
        (wheel(0.1), 9.9, 9.9),  # a little low
        (needle(7.4), 7.7, 7.7),
        (needle(7.4), 2.4, 7.4),
        (needle(7.0, exact=False), 7.9, 7.9),
        (needle(7.0, exact=False), 2.0, 7.5),
        (needle(9.9), 0.1, 0.1),  # past the top
    ],
)
def test_a_label_is_what_is_seen_where_that_goes_with_the_value(
    box: Box, seen: float, said: float | None
) -> None:
    assert label(box, seen) == said


def test_the_value_tells_where_everything_stands() -> None:
    layout = BasementMeter().layout()
    found = boxes(layout, 567.3289)
    assert [round(box.expected, 4) for box in found if not box.needle] == [
        0.0057, 0.0567, 0.5673, 5.6733, 6.7329, 7.3289, 3.289, 2.89,
    ][-len(layout.digits) :]  # fmt: skip
    assert [round(box.expected, 4) for box in found if box.needle] == [8.9, 9.0]
    assert [box.exact for box in found if box.needle] == [True, False]


def test_wheels_and_needles_are_cut_out_under_their_labels(tmp_path: Path) -> None:
    layout = BasementMeter().layout()
    file, example = archive(tmp_path, layout, 567.3289)
    done = cut_out(file, tmp_path / "mine", Sees(wheel=5.0, needle=8.9))
    # The last wheel is at 2.89: who knows whether it has set off.
    assert (done.wheels, done.needles, done.left_out) == (len(layout.digits) - 1, len(layout.pointers), ())
    wheels = sorted(path.name for path in (tmp_path / "mine" / "wheel").iterdir())
    assert all(example in name for name in wheels)
    assert [name.partition("_")[0] for name in wheels][-1] == "7.0"
    (first, second) = sorted((tmp_path / "mine" / "needle").iterdir())
    assert [path.name[:3] for path in (first, second)] == ["8.9", "8.9"]
    cropped = cv2.imread(str(first))
    assert cropped is not None
    assert cropped.shape == (96, 96, 3)


def test_what_cannot_be_cut_up_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    file, example = archive(tmp_path, BasementMeter().layout(), 567.3289, picture=b"no picture")
    done = cut_out(file, tmp_path / "mine", Sees(5.0, 5.0))
    assert (done.wheels, done.needles) == (0, 0)
    assert example in done.left_out[0]


@pytest.mark.parametrize("content", [b"", b"PK no archive", None])
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "examples.zip"
    if content is None:
        buffer = io.BytesIO()
        with ZipFile(buffer, "w") as opened:
            opened.writestr("other.json", "{}")
        content = buffer.getvalue()
    file.write_bytes(content)
    result = CliRunner().invoke(meter, ["examples", str(file), "-o", str(tmp_path / "mine")])
    assert result.exit_code != 0
    assert "examples.zip" in str(result.exception)


def test_an_archive_that_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    result = CliRunner().invoke(meter, ["examples", str(tmp_path / "gone.zip"), "-o", str(tmp_path / "mine")])
    assert "gone.zip: cannot be read: No such file or directory." in str(result.exception)
