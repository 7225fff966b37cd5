"""A clip contains its event, whatever phase of the ring the trigger meets.

Twenty-four seconds of numbered pictures are encoded once, by the encoder that picamera2 uses, and go through
the Output, the ring and the muxer 200 times. In each clip the frame of the trigger is looked for by
its number.
"""

from __future__ import annotations

import base64
import io
import itertools
import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import av
import av.logging
import numpy as np
import pytest

from hub_support.browser import Browser
from meerkat_devices.clock import SystemClock
from meerkat_devices.picture import luma
from meerkat_devices.recording.mp4 import write_clip
from meerkat_devices.recording.recorder import TICKS, Clip, Limits, Recorder
from meerkat_devices.settings.picamera import PicameraSettings
from meerkat_devices.sources.picamera import board as boards_module
from meerkat_devices.sources.picamera.board import Boards
from meerkat_devices.sources.picamera.source import PicameraSource
from support.barcode import paint, read

PHASES = 200
FPS, SECONDS = 15, 24
WIDTH, HEIGHT = 320, 180
SETTINGS = PicameraSettings(width=WIDTH, height=HEIGHT, fps=FPS, lores_width=128, lores_height=72)
LIMITS = Limits(pre_roll=3.0, post_roll=3.0, clip_seconds=5.0)


@pytest.fixture(scope="module")
def encoded(picamera2: Any) -> list[tuple[bytes, bool]]:
    """(picture, whether it is a key frame), as picamera2's LibavH264Encoder sets libx264 up."""
    container = av.open("/dev/null", "w", format="null")
    stream: Any = container.add_stream("h264", rate=FPS)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context = stream.codec_context
    context.thread_count, context.gop_size, context.time_base = 1, FPS, Fraction(1, 1_000_000)
    context.options = {"preset": "superfast", "tune": "zerolatency", "deblock": "1"}
    packets = []
    for number in range(FPS * SECONDS):
        frame = av.VideoFrame.from_ndarray(paint(number, WIDTH, HEIGHT), format="gray").reformat(
            format="yuv420p"
        )
        frame.pts = round(number * 1e6 / FPS)
        packets += [(bytes(packet), packet.is_keyframe) for packet in stream.encode(frame)]
    container.close()
    assert len(packets) == FPS * SECONDS
    return packets


EPOCH = datetime(2026, 11, 20, tzinfo=UTC)


class SensorClock(SystemClock):
    """A frame arrives 50 ms after it was taken; the monotonic clock began at EPOCH."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.seconds)


@dataclass
class Pi:
    """A `PicameraSource` over an autospec of the real Picamera2, fed by hand."""

    source: PicameraSource
    picam2: Any
    output: Any
    encoder: Any

    request: Any
    clock: SensorClock
    began: int = 0

    def lores(self, sensor: int, pixels: Any) -> None:
        """A frame is complete; its request is picamera2's, and stays so."""
        self.clock.seconds = sensor / 1e6 + 0.05
        self.request.get_metadata.return_value = {"SensorTimestamp": sensor * 1000}
        self.request.make_array.side_effect = {"lores": pixels}.__getitem__
        self.picam2.post_callback(self.request)


def open_pi(picamera2: Any, monkeypatch: pytest.MonkeyPatch) -> Pi:
    from picamera2.request import CompletedRequest

    picam2 = create_autospec(picamera2.Picamera2, instance=True)
    picam2.camera_controls = dict.fromkeys(("AeEnable", "AwbEnable", "FrameDurationLimits"), (0, 1, 0))
    picam2.camera_properties = {"Model": "imx708"}
    picam2.camera_configuration.return_value = {
        "main": {"size": (WIDTH, HEIGHT)},
        "lores": {"size": (128, 72)},
    }
    info = [{"Model": "imx219", "Id": "/base/imx219", "Num": 0}]
    monkeypatch.setattr(picamera2.Picamera2, "global_camera_info", lambda: info)
    monkeypatch.setattr(boards_module, "construct", lambda *_: picam2)
    clock = SensorClock()
    source = PicameraSource(0, SETTINGS, clock=clock, boards=Boards())
    encoder, output = picam2.start_encoder.call_args.args
    picam2.start.assert_called_once_with()
    output.start()  # as `Encoder.start` does
    request = create_autospec(CompletedRequest, instance=True)
    return Pi(source, picam2, output, encoder, request, clock)


def record(pi: Pi, encoded: list[tuple[bytes, bool]], chance: random.Random) -> tuple[int, list[Clip], float]:
    """Feed everything, with the encoder's delay; move once. (the trigger's frame, the clips, longest GOP)."""
    recorder = Recorder(LIMITS)
    trigger = chance.randrange(4 * FPS, 10 * FPS)
    still_moving = trigger + chance.randrange(1, 4 * FPS)
    late = chance.randrange(0, 3)
    began = chance.randrange(10**9, 10**12)
    sensor = [
        began + round(number * 1e6 / FPS) + chance.randrange(-900, 900) for number in range(len(encoded))
    ]
    pi.encoder.firsttimestamp, pi.began = sensor[0], began
    pixels = np.zeros((108, 128), np.uint8)
    clips: list[Clip] = []
    samples = pi.source.samples(threading.Event())

    def look() -> None:
        sample = next(samples)
        for chunk in sample.chunks:
            clips.extend(recorder.add(chunk))
        for shot in sample.shots:
            number = numbers[shot.at]
            clips.extend(recorder.motion(trigger <= number <= still_moving, shot.at))

    numbers = {round((at - sensor[0]) * TICKS / 1e6): number for number, at in enumerate(sensor)}
    keys = []
    for number in range(len(encoded) + late):
        if number < len(encoded):
            pi.lores(sensor[number], pixels)
            look()
        if (ready := number - late) >= 0:
            data, key = encoded[ready]
            keys += [sensor[ready]] * key
            pi.output.outputframe(data, key, sensor[ready] - sensor[0])
            look()
    clips += recorder.finish()
    longest = max(after - before for before, after in itertools.pairwise(keys)) / 1e6
    return trigger, clips, longest


def numbers_in(path: Path) -> list[tuple[float, int]]:
    """(seconds into the clip, number) of every frame. libav, read to the end, has nothing to say."""
    with spoken() as said, av.open(str(path)) as container:
        numbers = [(float(frame.time or 0), read(luma(frame))) for frame in container.decode(video=0)]
    assert not said, said
    return numbers


@contextmanager
def spoken() -> Iterator[list[Any]]:
    """The warnings and errors of libav in this process: those that ffprobe prints with `-v warning`."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture(local=False) as said:
            yield said
    finally:
        av.logging.set_level(level)


def whole(path: Path) -> None:
    """ffprobe and ffmpeg read it to the end, and have nothing to say."""
    probe = subprocess.run(
        ["ffprobe", "-v", "warning", "-show_streams", path], capture_output=True, check=True
    )
    assert not probe.stderr, probe.stderr
    read_all = ["ffmpeg", "-v", "warning", "-i", path, "-f", "null", "-"]
    assert not subprocess.run(read_all, capture_output=True, check=True).stderr


@pytest.mark.parametrize("part", range(4))
def test_the_triggers_frame_is_in_the_clip(
    part: int,
    picamera2: Any,
    encoded: list[tuple[bytes, bool]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    phases = set()
    for case in range(part, PHASES, 4):
        chance = random.Random(case)
        pi = open_pi(picamera2, monkeypatch)
        trigger, clips, gop = record(pi, encoded, chance)
        phases.add(trigger % FPS)
        seen: list[int] = []
        for clip in clips:
            path = tmp_path / f"{case}-{clip.sequence}.mp4"
            with spoken() as said:
                write_clip(path, clip, pi.source.template)
            assert not said, said
            frames = numbers_in(path)
            if not seen:
                at = next(at for at, number in frames if number == trigger)
                assert 3.0 - 1e-4 <= at <= 3.0 + gop + 1e-4, f"phase {case}: the trigger is at {at:.4f} s"
                if case % 40 == 0:
                    whole(path)
            seen += [number for _, number in frames]
            path.unlink()
        assert seen == list(range(seen[0], seen[0] + len(seen))), f"phase {case}: a gap or an overlap"
        for before, after in itertools.pairwise(clips):
            assert abs(before.end - after.start) <= TICKS // 400, "of the jitter, 2.5 ms"
            assert abs(before.captured + before.seconds - after.captured) < 0.004
        first = clips[0]
        taken = (pi.began + seen[0] * 1e6 / FPS) / 1e6
        assert abs(first.captured - EPOCH.timestamp() - taken) < 0.002, "the time of day of its first frame"
        assert [clip.sequence for clip in clips] == list(range(len(clips)))
        assert [clip.last for clip in clips] == [False] * (len(clips) - 1) + [True]
        pi.source.close()
        pi.picam2.stop_encoder.assert_called_once_with(pi.encoder)
        pi.picam2.close.assert_called_once_with()
        pi.request.acquire.assert_not_called()
    assert len(phases) >= 12, "the phases are spread over the group of pictures"


def test_a_clip_with_a_hole_would_be_noticed(
    picamera2: Any, encoded: list[tuple[bytes, bool]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi = open_pi(picamera2, monkeypatch)
    _, clips, _ = record(pi, encoded, random.Random(7))
    path = tmp_path / "clip.mp4"
    write_clip(path, clips[0], pi.source.template)
    with av.open(str(path)) as container:
        largest = max(container.demux(video=0), key=lambda packet: packet.size)
    content = bytearray(path.read_bytes())
    middle = (largest.pos or 0) + largest.size * 3 // 4
    content[middle : middle + 40] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(AssertionError, match="h264"):
        numbers_in(path)
    pi.source.close()


def test_chromium_shows_the_triggers_frame(
    picamera2: Any, encoded: list[tuple[bytes, bool]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi = open_pi(picamera2, monkeypatch)
    trigger, clips, _ = record(pi, encoded, random.Random(7))
    path = tmp_path / "clip.mp4"
    write_clip(path, clips[0], pi.source.template)
    at = next(at for at, number in numbers_in(path) if number == trigger)
    data = base64.b64encode(path.read_bytes()).decode()
    (tmp_path / "page.html").write_text(f'<video muted src="data:video/mp4;base64,{data}"></video>')
    browser = Browser(tmp_path)
    try:
        browser.open((tmp_path / "page.html").as_uri())
        if not browser.js("document.createElement('video').canPlayType('video/mp4; codecs=\"avc1.64000c\"')"):
            pytest.skip("this Chromium was built without H.264")
        browser.js("window.video = document.querySelector('video')")
        browser.wait("video.readyState >= 3 || video.error", what="the video to be loaded")
        assert browser.js("video.error && video.error.message") is None
        assert browser.js("[video.videoWidth, video.videoHeight]") == [WIDTH, HEIGHT]
        assert abs(browser.js("video.duration") - clips[0].seconds) < 0.01
        browser.js(
            "new Promise(done => { video.onseeked = () => done(true);"
            f" video.currentTime = {at + 0.5 / FPS}; }})"
        )
        shown = browser.js(
            "(() => { const c = document.createElement('canvas'); c.width = video.videoWidth;"
            " c.height = video.videoHeight; const g = c.getContext('2d'); g.drawImage(video, 0, 0);"
            " return c.toDataURL('image/png'); })()"
        )
        with av.open(io.BytesIO(base64.b64decode(shown.partition(",")[2])), format="png_pipe") as picture:
            frame = next(picture.decode(video=0))
        assert read(frame.to_ndarray(format="gray")) == trigger
        browser.js("video.currentTime = 0; video.playbackRate = 4; video.play()")
        browser.wait("video.ended || video.error", what="the clip to be played to its end")
        assert browser.js("video.error && video.error.message") is None
    finally:
        browser.close()
    pi.source.close()
