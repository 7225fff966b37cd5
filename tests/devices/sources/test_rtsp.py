"""A network camera over RTSP: its packets pass through, it may refuse, and it may go silent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import av
import pytest

from meerkat_devices.recording.mp4 import write_clip
from meerkat_devices.recording.recorder import TICKS, Chunk, Clip, Limits, Recorder
from meerkat_devices.settings.address import parse_source
from meerkat_devices.settings.sources import SourceOptions
from meerkat_devices.sources import container
from meerkat_devices.sources.container import source_error
from meerkat_devices.sources.opening import open_source
from meerkat_devices.sources.source import Sample, SourceError
from support.media import make_clip
from support.rtsp_camera import RtspCamera


def test_packets_pass_through(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=8, size=(640, 360))
    camera = RtspCamera(video)
    chunks: list[Chunk] = []
    frames = 0
    with (
        camera.serving() as port,
        open_source(
            parse_source(f"rtsp://joe:secret@127.0.0.1:{port}/live"), options=SourceOptions(stall_seconds=2)
        ) as opened,
    ):
        assert (opened.info.kind, opened.info.width, opened.info.height) == ("rtsp", 640, 360)
        with pytest.raises(SourceError, match=r"no answer|broke off|ended"):  # noqa: PT012
            for sample in opened.samples(threading.Event()):
                chunks += sample.chunks
                frames += len(sample.shots)
        assert opened.template.codec_context.name == "h264"
    assert len(chunks) >= 115
    assert frames >= 110
    assert [chunk.key for chunk in chunks[:16]] == [True] + [False] * 14 + [True]
    assert chunks[0].pts == 0
    assert {b.pts - a.pts for a, b in pairwise(chunks)} == {TICKS // 15}


def test_a_wrong_password_is_said(tmp_path: Path) -> None:
    camera = RtspCamera(make_clip(tmp_path / "in.mp4", seconds=1))
    with camera.serving() as port:
        with pytest.raises(SourceError, match="refuses the user or password") as caught:
            open_source(parse_source(f"rtsp://joe:hunter2@127.0.0.1:{port}/live"))
        assert "hunter2" not in str(caught.value)


def test_its_recording_is_a_whole_file(tmp_path: Path) -> None:
    camera = RtspCamera(make_clip(tmp_path / "in.mp4", seconds=8, gop=1))
    recorder = Recorder(Limits())
    path = tmp_path / "out.mp4"
    with (
        camera.serving() as port,
        open_source(parse_source(f"rtsp://joe:secret@127.0.0.1:{port}/live")) as opened,
    ):
        for sample in opened.samples(threading.Event()):
            for chunk in sample.chunks:
                clips = recorder.add(chunk)
                recorder.motion(True, chunk.pts)
                if clips:
                    write_clip(path, clips[0], opened.template)
                    break
            if path.exists():
                break
    with av.open(BytesIO(path.read_bytes())) as container:
        assert sum(1 for _ in container.decode(video=0)) == 75


def test_a_camera_that_is_off_is_said() -> None:
    with pytest.raises(SourceError, match="connection refused") as caught:
        open_source(parse_source("rtsp://joe:secret@127.0.0.1:9/live"))
    assert str(caught.value).startswith("rtsp://127.0.0.1:9/live: ")
    assert "secret" not in repr(caught.value)


@pytest.mark.parametrize(
    ("code", "words", "remedy"),
    [
        (socket.EAI_NONAME, "the name camera.invalid is unknown", "Check the name"),
        (socket.EAI_AGAIN, "the name camera.invalid cannot be looked up now", "this machine's network"),
    ],
)
def test_a_camera_s_name_that_nobody_has_is_said(
    code: int, words: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(_host: str, _port: object) -> None:
        raise socket.gaierror(code, "libav has looked it up by itself")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(SourceError) as caught:
        open_source(parse_source("rtsp://joe:secret@camera.invalid/live"))
    assert caught.value.what == words
    assert remedy in caught.value.remedy
    assert "IP address" in caught.value.remedy
    assert "secret" not in repr(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(16, "Device or resource busy"), "the camera is busy"),
        (PermissionError(13, "Permission denied"), "may not be read"),
        (TimeoutError(110, "Connection timed out"), "no answer"),
        (av.error.ExitError(1, "Immediate exit requested"), "no answer"),
        (av.error.ProtocolNotFoundError(1, "Protocol not found"), "is not known here"),
        (OSError(113, "No route to host"), "No route to host"),
    ],
)
def test_what_goes_wrong_is_said_in_words(error: Exception, words: str) -> None:
    found = source_error(error, parse_source("0"))
    assert found.what.endswith(words)
    assert found.where == "/dev/video0"
    assert found.remedy


def look(samples: Iterator[Sample], seen: list[int]) -> Iterator[Chunk]:
    """The packets of the samples; `seen` gets the width of each frame."""
    for sample in samples:
        seen += [shot.frame.width for shot in sample.shots]
        yield from sample.chunks


def test_a_camera_that_is_set_to_another_size_ends_the_recording(tmp_path: Path) -> None:
    small = make_clip(tmp_path / "small.mp4", seconds=4, size=(320, 180))
    large = make_clip(tmp_path / "large.mp4", seconds=4, size=(640, 360))
    camera = RtspCamera(small)
    camera.units += [(at + 4 * TICKS, nals) for at, nals in RtspCamera(large).units]
    seen: list[int] = []
    chunks: list[Chunk] = []
    with (
        camera.serving() as port,
        open_source(parse_source(f"rtsp://joe:secret@127.0.0.1:{port}/live")) as opened,
        pytest.raises(SourceError, match="is 640×360 now, it was 320×180"),
    ):
        chunks.extend(look(opened.samples(threading.Event()), seen))
    assert set(seen) == {320}
    assert len(chunks) <= 60


def test_a_camera_that_sends_nothing_to_be_seen_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "OPEN_TIMEOUT", 1.0)
    monkeypatch.setattr(container, "BLIND_TIMEOUT", 0.0)
    camera = RtspCamera(make_clip(tmp_path / "in.mp4", seconds=8, gop=60))
    camera.units = camera.units[1:]  # and no key frame ever again
    with (
        camera.serving() as port,
        open_source(parse_source(f"rtsp://joe:secret@127.0.0.1:{port}/live")) as opened,
        pytest.raises(SourceError, match="no picture could be decoded"),
    ):
        list(opened.samples(threading.Event()))


def clips_of(camera: RtspCamera, folder: Path) -> list[Path]:
    """What a recording without end makes of all that it sends."""
    recorder, paths = Recorder(Limits()), []
    with (
        camera.serving() as port,
        open_source(
            parse_source(f"rtsp://joe:secret@127.0.0.1:{port}/live"), options=SourceOptions(stall_seconds=2)
        ) as opened,
    ):
        clips: list[Clip] = []
        with suppress(SourceError):  # it falls silent at its end
            for sample in opened.samples(threading.Event()):
                for chunk in sample.chunks:
                    clips += recorder.add(chunk)
                    clips += recorder.motion(True, chunk.pts)
        for clip in (*clips, *recorder.finish()):
            paths.append(folder / f"{len(paths)}.mp4")
            write_clip(paths[-1], clip, opened.template)
    return paths


def steps_back(camera: RtspCamera, folder: Path) -> None:
    del folder
    camera.units = [(at - TICKS // 2 * (number > 50), nals) for number, (at, nals) in enumerate(camera.units)]


def describes_another(camera: RtspCamera, folder: Path) -> None:
    """Its description is that of the size it had yesterday."""
    camera.sets = RtspCamera(make_clip(folder / "other.mp4", seconds=1, size=(640, 360))).sets


@pytest.mark.parametrize("stumbles", [steps_back, describes_another])
def test_a_camera_that_stumbles_is_recorded_whole(
    stumbles: Callable[[RtspCamera, Path], None], tmp_path: Path
) -> None:
    camera = RtspCamera(make_clip(tmp_path / "in.mp4", seconds=6, gop=1))
    stumbles(camera, tmp_path)
    times: list[list[float]] = []
    for path in clips_of(camera, tmp_path):
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.width == 320
            times.append([float(frame.time or 0) for frame in container.decode(video=0)])
    assert sum(len(one) for one in times) == 90
    for one in times:
        assert one == pytest.approx([number / 15 for number in range(len(one))], abs=0.001)
