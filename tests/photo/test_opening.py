"""Every kind of source gives a meter its stills; a live one after it has settled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame

from meerkat_devices.clock import SystemClock
from meerkat_devices.photo.condition import judge, measure
from meerkat_devices.photo.from_source import SourceStills
from meerkat_devices.photo.opening import open_stills
from meerkat_devices.recording.recorder import TICKS
from meerkat_devices.settings.address import parse_source
from meerkat_devices.settings.device import MeterSettings
from meerkat_devices.sources.source import Sample, Shot, Source, SourceError, SourceInfo
from meerkat_devices.stills import Still
from support.media import make_clip


class Film(Source):
    """A live source: two frames a second, each as bright as its number."""

    info = SourceInfo("rtsp", 64, 48, 2.0)

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.read = 0
        self.closed = False

    def samples(self, stop: threading.Event) -> Iterator[Sample]:
        for number in range(self.frames):
            if stop.is_set():
                return
            self.read += 1
            picture = np.full((48, 64, 3), 10 * number, np.uint8)
            frame = VideoFrame.from_ndarray(picture, format="bgr24")
            yield Sample((), (Shot(number * TICKS // 2, 1_790_000_000 + number / 2, frame),))

    def close(self) -> None:
        self.closed = True


def taken(film: Film, count: int, *, live: bool = True, settle: float = 1.0) -> list[Still]:
    with SourceStills(film, live=live, settle=settle, name="rtsp://cellar") as camera:
        found = list(camera.stills(count, threading.Event()))
    assert film.closed
    return found


def test_a_live_camera_s_first_second_does_not_count() -> None:
    film = Film(10)
    stills = taken(film, 3)
    assert [int(still.picture.mean() + 0.5) for still in stills] == [20, 30, 40]
    assert stills[0].captured_at == datetime.fromtimestamp(1_790_000_001, UTC)
    assert [still.locked for still in stills] == [None] * 3
    assert film.read == 5, "no frame is waited for that is not needed"


def test_a_file_shows_its_first_frame_once() -> None:
    (still,) = taken(Film(10), 3, live=False)
    assert still.picture.max() == 0


def test_what_there_is_counts_when_a_camera_breaks_off_late() -> None:
    assert len(taken(Film(4), 3)) == 2


def test_a_camera_that_breaks_off_before_it_has_settled_is_an_error() -> None:
    with pytest.raises(SourceError, match="rtsp://cellar: gave no picture"):
        taken(Film(2), 3)


def test_a_stop_is_no_error() -> None:
    stop = threading.Event()
    stop.set()
    with SourceStills(Film(4), live=True, settle=0, name="rtsp://cellar") as camera:
        assert list(camera.stills(3, stop)) == []


def stills(source: str, *, lit: bool = True, **settings: Any) -> list[Still]:
    wanted = MeterSettings(source=source, **settings)
    with open_stills(parse_source(source), wanted, clock=SystemClock(), lit=lit) as camera:
        return list(camera.stills(2, threading.Event()))


@pytest.mark.parametrize(("lit", "verdict"), [(True, "good"), (False, "dark")])
def test_the_built_in_basement_is_as_dark_as_its_lamp(lit: bool, verdict: str) -> None:
    first, second = stills("scene:meter", lit=lit)
    assert judge(measure(first.picture)) == verdict
    assert not np.array_equal(first.picture, second.picture), "each exposure has its own noise"


def test_a_video_file(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "meter.mp4", seconds=1, size=(320, 240))
    (still,) = stills(str(video))
    assert still.picture.shape == (240, 320, 3)


def test_a_file_that_is_not_there_is_an_error_of_the_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        stills(str(tmp_path / "nothing.mp4"))
