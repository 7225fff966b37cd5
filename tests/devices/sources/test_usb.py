"""What is asked of a USB camera, and what is done when it refuses; no camera is needed for that."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import av
import pytest

from meerkat_devices.clock import SystemClock
from meerkat_devices.recording.mp4 import write_clip
from meerkat_devices.recording.recorder import Chunk, Clip
from meerkat_devices.settings.address import Address
from meerkat_devices.settings.sources import SourceOptions, UsbOptions
from meerkat_devices.sources import container
from meerkat_devices.sources.container import ContainerSource
from meerkat_devices.sources.source import SourceError
from meerkat_devices.sources.usb import wishes
from support.media import make_clip

FULL_HD = UsbOptions(width=1920, height=1080, fps=30)


def test_the_camera_s_own_h264_is_asked_for_first_then_what_is_smaller_on_the_wire() -> None:
    assert wishes(FULL_HD) == [
        {"input_format": "h264", "video_size": "1920x1080", "framerate": "30"},
        {"input_format": "h264", "video_size": "1920x1080"},
        {"input_format": "mjpeg", "video_size": "1920x1080", "framerate": "30"},
        {"input_format": "mjpeg", "video_size": "1920x1080"},
        {"video_size": "1920x1080", "framerate": "30"},
        {"video_size": "1920x1080"},
        {"video_size": "640x480"},
        {},
    ]


def test_a_format_that_is_named_is_asked_for_alone() -> None:
    for name in ("h264", "mjpeg"):
        asked = wishes(UsbOptions.model_validate({"format": name, "fps": 7.5}))
        assert [wish["input_format"] for wish in asked] == [name, name]
        assert asked[0]["framerate"] == "7.5"
    raw = wishes(UsbOptions(format="raw"))
    assert raw
    assert all("input_format" not in wish for wish in raw)


class Usb:
    """libav's v4l2 input as far as we see it: EINVAL for what the camera cannot do."""

    def __init__(self, video: Path, gives: set[str | None], error: int = errno.EINVAL) -> None:
        self.video, self.gives, self.error = video, gives, error
        self.asked: list[dict[str, str]] = []
        self.real = av.open

    def __call__(self, target: str, *given: Any, **options: Any) -> Any:
        if options.get("format") != "v4l2":
            return self.real(target, *given, **options)
        assert target == "/dev/video9"
        self.asked.append(options["options"])
        if options["options"].get("input_format") not in self.gives:
            raise OSError(self.error, "hush")
        return self.real(str(self.video))


def opened(monkeypatch: pytest.MonkeyPatch, usb: Usb, options: SourceOptions) -> ContainerSource:
    monkeypatch.setattr(container.av, "open", usb)
    return ContainerSource(
        Address("usb", "/dev/video9"), pace="own", loop=False, clock=SystemClock(), options=options
    )


def test_h264_is_taken_as_it_comes_and_motion_jpeg_is_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    h264 = Usb(make_clip(tmp_path / "in.mp4", seconds=1), {"h264", "mjpeg"})
    with opened(monkeypatch, h264, SourceOptions()) as source:
        assert source.template.codec_context.name == "h264"
    assert len(h264.asked) == 1
    monkeypatch.undo()
    mjpeg = Usb(make_clip(tmp_path / "in.avi", seconds=1, codec="mjpeg"), {"mjpeg"})
    with opened(monkeypatch, mjpeg, SourceOptions()) as source:
        assert source.template.codec_context.name == "libx264"
    assert [wish["input_format"] for wish in mjpeg.asked] == ["h264", "h264", "mjpeg"]


def test_a_format_that_the_camera_does_not_have_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usb = Usb(tmp_path, {"mjpeg"})
    with pytest.raises(SourceError, match="gives no h264 pictures at 1280×720") as caught:
        opened(monkeypatch, usb, SourceOptions(usb=UsbOptions(format="h264")))
    assert "auto" in caught.value.remedy


def test_a_busy_camera_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usb = Usb(tmp_path, set(), errno.EBUSY)
    with pytest.raises(SourceError, match="the camera is busy"):
        opened(monkeypatch, usb, SourceOptions())
    assert len(usb.asked) == 1


def test_bare_h264_as_a_camera_sends_it_becomes_a_clip_that_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Annex B without a container: parameter sets in the stream and nowhere else."""
    usb = Usb(make_clip(tmp_path / "in.h264", seconds=3, fps=25, gop=1), {"h264"})
    chunks: list[Chunk] = []
    with opened(monkeypatch, usb, SourceOptions()) as source:
        for sample in source.samples(threading.Event()):
            chunks += sample.chunks
            if len(chunks) == 50:
                break
        clip = Clip("id", "recording", 0, True, "motion", chunks)
        write_clip(tmp_path / "out.mp4", clip, source.template)
    with usb.real(str(tmp_path / "out.mp4")) as written:
        assert written.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in written.decode(video=0)) == 50
