"""The ring of H.264 and the low-resolution pictures, with the real picamera2 and its real encoder."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

from meerkat_devices.clock import SystemClock
from meerkat_devices.picture import luma
from meerkat_devices.recording.recorder import TICKS
from meerkat_devices.settings.picamera import PicameraSettings
from meerkat_devices.sources.picamera import board
from meerkat_devices.sources.picamera.board import Boards
from meerkat_devices.sources.picamera.source import PicameraSource
from meerkat_devices.sources.source import Sample, SourceError
from support.barcode import paint, read
from support.libcamera_stub import SensorStub
from support.wait import wait_for

pytestmark = pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning")

SMALL = PicameraSettings(width=320, height=180, lores_width=240, lores_height=136)
Connect = Callable[..., list[SensorStub]]


def follow(source: PicameraSource, camera: SensorStub, count: int, first: int = 10**9) -> Iterator[Sample]:
    """`count` frames, 66.667 ms apart, and what the source makes of each."""
    samples = source.samples(threading.Event())
    for number in range(count):
        at = first + round(number * 1e9 / 15)
        wait_for(partial(camera.tick, at), what="a free buffer")
        yield next(samples)


def opened(boards: Boards, settings: PicameraSettings = SMALL, **more: Any) -> PicameraSource:
    return PicameraSource(0, settings, clock=SystemClock(), boards=boards, **more)


def test_frames_and_packets_come_with_the_sensors_time(connect: Connect, boards: Boards) -> None:
    (camera,) = connect(SensorStub("ov5647", paint=paint))
    with opened(boards) as source:
        assert (source.info.kind, source.info.width, source.info.height, source.info.fps) == (
            "picamera",
            320,
            180,
            15,
        )
        shots, chunks = [], []
        samples = follow(source, camera, 40)
        for sample in samples:
            shots += sample.shots
            chunks += sample.chunks
        assert [read(luma(shot.frame)) for shot in shots] == sorted({read(luma(s.frame)) for s in shots})
        for shot in shots:
            number = read(luma(shot.frame))
            assert abs(shot.at - number * TICKS / 15) <= 2, "ticks since the first frame"
            assert luma(shot.frame).shape == (136, 240)
        assert [chunk.key for chunk in chunks[:16]] == [True] + 14 * [False] + [True]
        assert [round(chunk.pts * 15 / TICKS) for chunk in chunks] == list(range(len(chunks)))
        assert source.template.codec_context.width == 320
        assert source.template.codec_context.extradata
    assert not camera.taken, "the camera is given back"
    assert not camera.running


def test_a_frame_outlives_the_cameras_buffer(connect: Connect, boards: Boards) -> None:
    (camera,) = connect(SensorStub("ov5647", paint=paint))
    with opened(boards) as source:
        kept = [shot for sample in follow(source, camera, 30) for shot in sample.shots]
    numbers = [read(luma(shot.frame)) for shot in kept]
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 12, "more of them than the camera has buffers"


def test_the_configuration_is_what_the_settings_say(connect: Connect, boards: Boards, picamera2: Any) -> None:
    (camera,) = connect("ov5647")
    settings = SMALL.model_copy(update={"rotation": 180, "hflip": True, "fps": 10, "bitrate": 500_000})
    with opened(boards, settings) as source:
        configuration = source._board.picam2.camera_configuration()
        assert configuration["main"]["size"] == (320, 180)
        assert configuration["main"]["format"] == configuration["lores"]["format"] == "YUV420"
        assert configuration["raw"] is None, "nobody wants it, and it takes memory"
        assert (configuration["transform"].hflip, configuration["transform"].vflip) == (False, True)
        assert camera.asked[0]["FrameDurationLimits"] == (100_000, 100_000)
        assert camera.asked[0]["AeEnable"] is True
        assert "ExposureTime" not in camera.asked[0]
        assert source._encoder.iperiod == 10, "a key frame a second"
        assert source._encoder.bitrate == 500_000
        assert source._encoder.repeat, "each with its parameter sets"
        assert source._encoder.threads == 1, "an encoder of one thread holds no frame back"


def test_an_exposure_by_hand_is_held_from_the_first_frame(connect: Connect, boards: Boards) -> None:
    (camera,) = connect("ov5647")
    settings = SMALL.model_copy(
        update={"exposure": SMALL.exposure.model_copy(update={"time_us": 8000, "gain": 2.0})}
    )
    with opened(boards, settings):
        asked = camera.asked[0]
    assert (asked["AeEnable"], asked["ExposureTime"], asked["AnalogueGain"]) == (False, 8000, 2.0)
    assert asked["ExposureTimeMode"] == asked["AnalogueGainMode"] == 1


def test_a_sensor_that_is_slower_than_asked_keeps_a_key_frame_a_second(
    connect: Connect, boards: Boards, caplog: pytest.LogCaptureFixture
) -> None:
    slow = SensorStub("imx477")
    next(span for key, span in slow.controls.items() if key.name == "FrameDurationLimits").min = 99_990
    (camera,) = connect(slow)
    with opened(boards) as source:
        assert source.info.fps == 10.0
        assert source._encoder.iperiod == 10
        assert camera.asked[0]["FrameDurationLimits"] == (99_990, 99_990)
    assert "15 frames a second are more than the sensor has at this size; it is 10" in caplog.text


def test_no_frame_for_a_while_is_an_error_and_the_camera_can_be_opened_anew(
    connect: Connect, boards: Boards
) -> None:
    (camera,) = connect("ov5647")
    with opened(boards, stall_seconds=0.3) as source:
        list(follow(source, camera, 3))
        with pytest.raises(SourceError, match=r"^picamera:0: no picture for 0 s\. It is opened anew\."):
            list(source.samples(threading.Event()))
    assert not camera.taken
    with opened(boards) as source:
        assert next(follow(source, camera, 1)).shots


def test_frames_without_packets_are_an_error(connect: Connect, boards: Boards) -> None:
    (camera,) = connect("ov5647")
    with opened(boards, stall_seconds=0.3) as source:
        source._board.picam2.stop_encoder(source._encoder)
        source._encoder = None
        stop = threading.Event()
        frames = threading.Thread(target=lambda: [camera.tick() for _ in iter(lambda: stop.wait(0.01), True)])
        frames.start()
        try:
            with pytest.raises(SourceError, match=r"pictures, but nothing from the H\.264 encoder"):
                list(source.samples(threading.Event()))
        finally:
            stop.set()
            frames.join()


def test_an_error_in_picamera2s_thread_reaches_ours(connect: Connect, boards: Boards) -> None:
    (camera,) = connect("ov5647")
    with opened(boards) as source:
        list(follow(source, camera, 1))
        source._board.imx500 = object()  # no such sensor, and no settings of one
        camera.tick()
        with pytest.raises(SourceError, match="the camera cannot give its pictures"):
            list(source.samples(threading.Event()))
    assert not camera.taken


def test_an_encoder_that_hangs_does_not_hold_the_camera_thread_for_ever(
    connect: Connect, boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    (camera,) = connect("ov5647")
    monkeypatch.setattr(board, "CLOSE_SECONDS", 0.1)
    source = opened(boards)
    hangs = source._encoder._lock
    hangs.acquire()  # as `encode` does while it waits for a buffer that never comes back
    source.close()
    with pytest.raises(SourceError, match=r"it hangs: libcamera or the encoder has not let it go"):
        boards.open(0, "video", SMALL, patience=0.05)
    hangs.release()
    monkeypatch.undo()
    again = boards.open(0, "video", SMALL)
    assert camera.taken, "it came back, and could be opened again"
    boards.release(again, "video")
    assert not camera.taken


def test_stop_ends_it_at_once(connect: Connect, boards: Boards) -> None:
    connect("ov5647")
    stop = threading.Event()
    stop.set()
    with opened(boards) as source:
        assert list(source.samples(stop)) == []


# --- what goes wrong before the first frame ---------------------------------------------------------


def test_no_camera_is_connected(connect: Connect, boards: Boards) -> None:
    connect()
    with pytest.raises(SourceError, match=r"^picamera:0: no camera is connected\. .*ribbon cable"):
        opened(boards)


def test_another_number_names_those_that_are_there(connect: Connect, boards: Boards) -> None:
    connect("imx219")
    with pytest.raises(SourceError, match=r"there is no such camera\. Found: picamera:0 \(imx219\)"):
        PicameraSource(3, SMALL, clock=SystemClock(), boards=boards)


def test_a_busy_camera_is_told_and_taken_when_it_is_free(connect: Connect, boards: Boards) -> None:
    (camera,) = connect("ov5647")
    camera.busy = True
    files = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(SourceError, match=r"the camera is busy .* Another program uses it: close that"):
            opened(boards)
    assert len(list(Path("/proc/self/fd").iterdir())) <= files + 2, "every try leaves files open"
    camera.busy = False
    opened(boards).close()
    assert not camera.taken


def test_two_cameras_of_one_number_are_refused(connect: Connect, boards: Boards) -> None:
    connect("ov5647")
    with opened(boards), pytest.raises(SourceError, match="other camera of the same number"):
        opened(boards)


def test_a_second_camera_has_a_number_of_its_own(connect: Connect, boards: Boards) -> None:
    first, second = connect("imx219", "ov5647")
    with opened(boards), PicameraSource(1, SMALL, clock=SystemClock(), boards=boards):
        assert first.taken
        assert second.taken
    assert not first.taken
    assert not second.taken


@pytest.mark.parametrize("missing", ["picamera2", "libcamera"])
def test_what_is_missing_is_named_with_the_way_to_install_it(
    missing: str, boards: Boards, picamera2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing == "libcamera":
        for name in [name for name in sys.modules if name.partition(".")[0] == "picamera2"]:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SourceError, match=rf"{missing} is missing.*apt install python3-picamera2"):
        opened(boards)


def test_hdr_that_is_not_to_be_had_is_refused(connect: Connect, boards: Boards) -> None:
    (camera,) = connect("ov5647")
    with pytest.raises(SourceError, match="has no HDR of its own"):
        opened(boards, SMALL.model_copy(update={"hdr": "sensor"}))
    with pytest.raises(SourceError, match=r"hdr: night is not to be had here\. It takes a Pi 5"):
        opened(boards, SMALL.model_copy(update={"hdr": "night"}))
    assert not camera.taken
    opened(boards, SMALL.model_copy(update={"hdr": "auto"})).close()


@pytest.mark.parametrize(("hdr", "on"), [("off", False), ("sensor", True), ("auto", True)])
def test_a_camera_module_3_is_told_its_hdr_before_it_is_opened(
    hdr: str, on: bool, connect: Connect, boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    from picamera2.devices import imx708

    made = create_autospec(imx708.IMX708)
    sensor = made.return_value.__enter__.return_value = create_autospec(imx708.IMX708, instance=True)
    monkeypatch.setattr(imx708, "IMX708", made)
    (camera,) = connect("imx708_wide_noir")
    sensor.set_sensor_hdr_mode.side_effect = lambda _: pytest.fail("too late") if camera.taken else None
    opened(boards, SMALL.model_copy(update={"hdr": hdr})).close()
    made.assert_called_once_with(0)
    sensor.set_sensor_hdr_mode.assert_called_once_with(on)


@pytest.mark.parametrize(
    ("hdr", "mode"), [("single", "SingleExposure"), ("multi", "MultiExposure"), ("auto", "SingleExposure")]
)
def test_a_pi_5_combines_exposures_itself(hdr: str, mode: str, connect: Connect, boards: Boards) -> None:
    (camera,) = connect(SensorStub("imx219", more=("HdrMode",)))
    opened(boards, SMALL.model_copy(update={"hdr": hdr})).close()
    assert camera.asked[0]["HdrMode"].name == mode


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (
            ValueError("numpy.dtype size changed, may indicate binary incompatibility"),
            "pip install --ignore-installed --no-deps simplejpeg",
        ),
        (ImportError("libcamera.so.0.5: cannot open shared object"), "apt install --reinstall"),
    ],
)
def test_a_picamera2_that_cannot_be_loaded_is_told_with_the_way_out(
    error: Exception, remedy: str, boards: Boards, picamera2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refuses:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "picamera2":
                raise error

    monkeypatch.delitem(sys.modules, "picamera2")
    monkeypatch.setattr(sys, "meta_path", [Refuses(), *sys.meta_path])
    with pytest.raises(SourceError, match=rf"picamera2 cannot be loaded \(.*{remedy}"):
        opened(boards)


def test_a_tuning_file_that_is_not_there_is_told(connect: Connect, boards: Boards) -> None:
    connect("ov5647")
    for name in ("no-such.json", "/no/such.json"):
        with pytest.raises(SourceError, match="tuning file"):
            opened(boards, SMALL.model_copy(update={"tuning_file": name}))
