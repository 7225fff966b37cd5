"""A meter's pictures, with the real picamera2: exposure found, held, checked, given back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from meerkat_devices.clock import SystemClock
from meerkat_devices.photo.opening import open_stills
from meerkat_devices.settings.address import parse_source
from meerkat_devices.settings.device import MeterSettings
from meerkat_devices.settings.picamera import ExposureSettings, PicameraSettings
from meerkat_devices.sources.picamera import board as board_module
from meerkat_devices.sources.picamera import still as still_module
from meerkat_devices.sources.picamera.board import Boards
from meerkat_devices.sources.picamera.source import PicameraSource
from meerkat_devices.sources.picamera.still import PicameraStill
from meerkat_devices.sources.source import SourceError
from support.barcode import paint
from support.libcamera_stub import SensorStub
from support.wait import wait_for

pytestmark = pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning")

SETTINGS = PicameraSettings(
    width=320, height=180, lores_width=160, lores_height=88, still_width=640, still_height=360
)
Connect = Callable[..., list[SensorStub]]
Run = Callable[[SensorStub], None]
NEVER = threading.Event()


def still_of(boards: Boards, **exposure: Any) -> PicameraStill:
    settings = SETTINGS.model_copy(update={"exposure": ExposureSettings(**exposure)})
    return PicameraStill(0, settings, clock=SystemClock(), boards=boards)


def test_the_exposure_is_found_then_held_and_the_picture_says_so(
    connect: Connect, running: Run, boards: Boards
) -> None:
    def grey(_: int, width: int, height: int) -> Any:
        return np.full((height, width), 77, np.uint8)

    (camera,) = connect(SensorStub("imx219", lamp=lambda: 0.2, paint=grey))
    running(camera)
    with still_of(boards) as still:
        before = SystemClock().now()
        stills = list(still.stills(3, NEVER))
        after = SystemClock().now()
    assert len(stills) == 3
    for one in stills:
        assert one.picture.shape == (360, 640, 3)
        assert one.picture.dtype == np.uint8
        assert (one.picture == 77).all()
        assert one.locked is True
        assert one.exposure is not None
        assert one.gain is not None
        assert pytest.approx(one.exposure * 1e6 * one.gain, rel=0.05) == 20_000 / 0.2, (
            "what the scene asks for"
        )
        assert before <= one.captured_at <= after, "exposed after it was asked for"
    held = [asked for asked in camera.asked if asked.get("AeEnable") is False]
    assert held[0]["AwbEnable"] is False
    assert held[0]["ColourGains"] == (1.8, 1.4)
    assert held[0]["ExposureTimeMode"] == held[0]["AnalogueGainMode"] == 1
    assert held[0]["FrameDurationLimits"][0] >= held[0]["ExposureTime"]
    assert not camera.taken


def test_an_exposure_by_hand_counts_from_the_frame_that_has_it(
    connect: Connect, running: Run, boards: Boards
) -> None:
    """Frames carry the exposure before for some time; those are passed over."""
    (camera,) = connect("imx219")
    running(camera)
    with still_of(boards, time_us=150_000, gain=3.0) as still:
        (one,) = still.stills(1, NEVER)
    assert (one.exposure, one.gain, one.locked) == (0.15, 3.0, True)


def test_an_exposure_that_does_not_hold_is_told(
    connect: Connect,
    running: Run,
    boards: Boards,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (camera,) = connect("imx219")
    camera.stuck = True
    running(camera)
    with caplog.at_level(logging.WARNING), still_of(boards, time_us=9_000, gain=3.0) as still:
        (one,) = still.stills(1, NEVER)
    assert one.locked is False
    assert "the exposure does not hold: 9000 µs at gain 3.00 were asked for" in caplog.text


def test_what_the_sensor_cannot_do_is_refused(connect: Connect, running: Run, boards: Boards) -> None:
    (camera,) = connect("imx219")
    running(camera)
    with still_of(boards, time_us=20) as still, pytest.raises(SourceError, match=r"takes 50 to 2e\+06"):
        list(still.stills(1, NEVER))
    with still_of(boards, gain=40) as still, pytest.raises(SourceError, match=r"exposure\.gain.*1 to 16"):
        list(still.stills(1, NEVER))
    assert not camera.taken


def test_a_still_while_the_ring_runs(connect: Connect, running: Run, boards: Boards) -> None:
    """The picture is the ring's main stream; the ring goes on, and has its automatic back afterwards."""
    (camera,) = connect(SensorStub("imx219", paint=paint))
    running(camera)
    stop = threading.Event()
    with PicameraSource(0, SETTINGS, clock=SystemClock(), boards=boards) as source:
        keys: list[bool] = []
        ring = threading.Thread(target=lambda: keys.extend(_packets(source, stop)))
        ring.start()
        with still_of(boards, time_us=30_000, gain=2.0) as still:
            stills = list(still.stills(2, NEVER))
        assert [one.picture.shape for one in stills] == [(180, 320, 3)] * 2
        assert [one.locked for one in stills] == [True, True]
        wait_for(lambda: camera.asked[-1].get("AeEnable") is True, what="the automatic to be back")
        assert camera.asked[-1]["ExposureTimeMode"] == 0
        assert camera.asked[-1]["FrameDurationLimits"] == (66_667, 66_667)
        assert camera.taken
        count = len(keys)
        wait_for(lambda: len(keys) > count + 5, what="the ring to go on")
        stop.set()
        ring.join()
        assert not source.feed.packets_dropped
    assert not camera.taken


def _packets(source: PicameraSource, stop: threading.Event) -> Iterator[bool]:
    for sample in source.samples(stop):
        yield from (chunk.key for chunk in sample.chunks)


def test_the_last_of_both_closes_the_camera(connect: Connect, running: Run, boards: Boards) -> None:
    (camera,) = connect("imx219")
    running(camera)
    source = PicameraSource(0, SETTINGS, clock=SystemClock(), boards=boards)
    still = still_of(boards)
    source.close()
    assert camera.taken
    assert list(still.stills(1, NEVER)), "the picture is taken all the same"
    still.close()
    still.close()
    assert not camera.taken


def test_a_ring_waits_for_the_meter_alone(
    connect: Connect, running: Run, boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    (camera,) = connect("imx219")
    running(camera)
    with still_of(boards):
        with pytest.raises(SourceError, match="another picture is being taken with it"):
            boards.open(0, "video", SETTINGS, patience=0.05)
        opened: list[PicameraSource] = []
        waiting = threading.Thread(
            target=lambda: opened.append(PicameraSource(0, SETTINGS, clock=SystemClock(), boards=boards))
        )
        waiting.start()
    waiting.join(20)
    assert opened[0].info.width == 320, "the ring's configuration, not the still's"
    opened[0].close()


def test_a_camera_that_gives_no_frame_is_closed(
    connect: Connect, boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order that never comes would stay before the order to stop, for ever."""
    (camera,) = connect("imx219")
    monkeypatch.setattr(still_module, "FRAME_TIMEOUT", 0.1)
    with still_of(boards) as still, pytest.raises(SourceError, match=r"^picamera:0: no picture for 0 s\."):
        list(still.stills(1, NEVER))
    assert not camera.taken


def test_stop_ends_it(connect: Connect, running: Run, boards: Boards) -> None:
    (camera,) = connect("imx219")
    running(camera)
    stop = threading.Event()
    with still_of(boards) as still:
        for _ in still.stills(100, stop):
            stop.set()
    assert not camera.taken


def test_stop_is_heard_while_no_frame_comes(connect: Connect, boards: Boards) -> None:
    (camera,) = connect("imx219")
    stop, taken = threading.Event(), []
    with still_of(boards) as still:
        thread = threading.Thread(target=lambda: taken.extend(still.stills(1, stop)))
        thread.start()
        wait_for(lambda: still._board.picam2._job_list, what="the order for a picture")
        stop.set()
        thread.join(5)
        assert not thread.is_alive()
    assert taken == []
    assert not camera.taken


def test_a_meters_address_opens_it(
    connect: Connect, running: Run, boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    (camera,) = connect("imx219")
    running(camera)
    settings = MeterSettings.model_validate(
        {"source": "picamera", "picamera": {"still_width": 320, "still_height": 180}}
    )
    with open_stills(parse_source("picamera"), settings, clock=SystemClock(), lit=False) as camera_of:
        (one,) = camera_of.stills(1, NEVER)
    assert one.picture.shape == (180, 320, 3)
    assert not camera.taken
    assert not any(slot.board for slot in board_module.BOARDS._slots.values())
