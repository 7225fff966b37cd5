"""The camera loop, in this process: sources good and bad, motion, pictures, recordings."""

from __future__ import annotations

import http.server
import logging
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest

from meerkat_contract.errors import MeerkatError, StorageError
from meerkat_devices.camera import Camera
from meerkat_devices.clock import SystemClock
from meerkat_devices.outbox.outbox import Entry, Outbox
from meerkat_devices.picture import jpeg
from meerkat_devices.recording.recorder import TICKS
from meerkat_devices.settings.address import parse_source
from meerkat_devices.settings.device import CameraSettings
from meerkat_devices.sources import container
from meerkat_devices.sources.opening import open_source
from meerkat_devices.sources.source import SourceError
from support.media import background, make_clip, square_at
from support.wait import wait_for


class Station:
    name = "pi"

    def __init__(self) -> None:
        self.kept: list[tuple[str, bytes | str]] = []
        self.errors: list[MeerkatError] = []
        self.standing: set[str] = set()

    def keep(self, topic: object, payload: bytes | str, *, content_type: str = "") -> None:
        self.kept.append((str(topic), payload))

    def report(self, error: MeerkatError, *, about: str = "") -> None:
        self.errors.append(error)
        if about:
            self.standing.add(about)

    def well(self, about: str) -> None:
        self.standing.discard(about)

    def changed(self) -> None:
        self.kept.append(("info", b""))

    def said(self, kind: str) -> list[bytes | str]:
        return [payload for topic, payload in self.kept if topic == f"meerkat/device/pi/yard/{kind}"]


class Watched:
    """A camera with its outbox and station."""

    def __init__(self, source: object, folder: Path, *, fast: bool = True, **settings: float) -> None:
        self.station = Station()
        self.outbox = Outbox(folder / "outbox", max_bytes=1_000_000_000, refused_bytes=0)
        self.camera = Camera(
            "yard",
            CameraSettings.model_validate({"source": str(source), **settings}),
            station=self.station,
            outbox=self.outbox,
            clock=SystemClock(),
            pace="fast" if fast else "own",
        )

    def run(self) -> list[Entry]:
        self.camera.run(threading.Event())
        return self.outbox.waiting()

    def content(self, entry: Entry) -> bytes:
        found = self.outbox.lend(entry)
        assert found is not None
        return found


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(source: object, **settings: float) -> Watched:
        made.append(Watched(source, tmp_path, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for watched in made:
        watched.outbox.close()


def test_motion_is_told_recorded_and_pictured(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=30, moving=lambda at: 8 <= at < 13)
    watched = watch(video)
    clips = watched.run()
    assert watched.station.said("motion") == ["OFF", "ON", "OFF"]
    first = clips[0].metadata
    start = first.captured_at.timestamp()
    assert sum(clip.metadata.duration or 0 for clip in clips) >= 3 + 5 + 3
    assert clips[-1].metadata.last
    assert start < clips[-1].metadata.captured_at.timestamp()
    picture = watched.station.said("picture")[0]
    assert isinstance(picture, bytes)
    assert picture[:2] == b"\xff\xd8"
    info = watched.camera.info
    assert (info.width, info.height, info.fps, info.source) == (320, 180, 15, "file")
    assert not watched.station.errors


def test_nothing_moves_nothing_is_recorded(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    watched = watch(make_clip(tmp_path / "in.mp4", seconds=20, moving=False))
    assert watched.run() == []
    assert watched.station.said("motion") == ["OFF"]


def test_motion_is_the_same_at_thirty_frames_a_second(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=20, fps=30, moving=lambda at: 8 <= at < 12)
    watched = watch(video)
    clips = watched.run()
    assert watched.station.said("motion") == ["OFF", "ON", "OFF"]
    seconds = sum(clip.metadata.duration or 0 for clip in clips)
    with av.open(BytesIO(watched.content(clips[0]))) as container:
        assert float(container.streams.video[0].average_rate or 0) == pytest.approx(30, abs=0.1)
    assert seconds >= 10


def test_what_was_taken_before_the_clock_was_set_says_so(
    tmp_path: Path, watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch(make_clip(tmp_path / "in.mp4", seconds=30, gop=1))
    monkeypatch.setattr(
        "meerkat_devices.camera.clock_state",
        lambda now: "synced" if watched.outbox.counts().waiting >= 2 else "unsynced",
    )
    clips = [entry.metadata for entry in watched.run()]
    assert [clip.clock for clip in clips[:4]] == ["unsynced", "unsynced", "unsynced", "synced"], (
        "the third was begun before and written after"
    )
    assert clips[-1].clock == "synced"


def test_a_broken_file_ends_with_its_reason(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    broken = tmp_path / "in.mp4"
    broken.write_bytes(b"not a video at all")
    watched = watch(broken)
    assert watched.run() == []
    assert isinstance(watched.camera.failed, SourceError)
    assert "not a video" in str(watched.camera.failed)
    assert str(broken) in str(watched.camera.failed)


def test_a_file_that_comes_later_is_watched(
    tmp_path: Path, watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    video = tmp_path / "in.mp4"
    watched = watch(video, fast=False)
    stations = []

    class Clock(SystemClock):
        def wait(self, event: threading.Event, seconds: float) -> bool:
            if watched.station.errors and not video.exists():
                stations.append(set(watched.station.standing))
                make_clip(video, seconds=10, moving=lambda at: 4 <= at < 6)
            return event.is_set()

    watched.camera._clock = Clock()
    watched.run()
    (error,) = watched.station.errors
    assert str(error) == f"camera yard, {video}: there is no such file. Check the path"
    assert stations == [{"camera yard"}]
    assert watched.station.standing == set()
    assert watched.outbox.waiting()


def test_a_clip_that_cannot_be_kept_is_told_until_one_can(
    tmp_path: Path, watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch(make_clip(tmp_path / "in.mp4", seconds=30, moving=lambda at: 8 <= at < 13))
    stood: list[bool] = []

    def make_room(size: int) -> None:
        stood.append("camera yard, recordings" in watched.station.standing)
        if len(stood) == 1:
            raise StorageError("the disk is full", where="outbox")

    monkeypatch.setattr(watched.outbox, "make_room", make_room)
    clips = watched.run()
    assert [str(error) for error in watched.station.errors] == ["outbox: the disk is full"]
    assert len(clips) == len(stood) - 1 >= 2
    assert stood == [False, True] + [False] * (len(stood) - 2)


def test_the_log_says_each_recording_once(
    tmp_path: Path, watch: Callable[..., Watched], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    watched = watch(
        make_clip(tmp_path / "in.mp4", seconds=40, moving=lambda at: 8 <= at < 9 or 11 <= at < 12)
    )
    clips = watched.run()
    assert watched.station.said("motion").count("ON") == 2
    assert len({clip.metadata.recording for clip in clips}) == 1
    assert sum("something moves" in line for line in caplog.messages) == 1
    (end,) = (line for line in caplog.messages if "ended after" in line)
    seconds = sum(clip.metadata.duration or 0 for clip in clips)
    assert end == f"camera yard: recording ended after {seconds:.0f} s"


def test_a_truncated_file_gives_what_it_has(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    whole = make_clip(tmp_path / "whole.ts", seconds=20)
    cut = tmp_path / "cut.ts"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    clips = watch(cut).run()
    assert sum(clip.metadata.duration or 0 for clip in clips) > 9


def test_streams_that_appear_in_mid_file_are_no_error(
    tmp_path: Path, watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tripping:
        """What PyAV does at the end of such a file."""

        def __init__(self, real: Any) -> None:
            self.real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def demux(self) -> Iterator[Any]:
            yield from self.real.demux()
            raise IndexError("list index out of range")

    real_open = container._open
    monkeypatch.setattr(container, "_open", lambda *given: Tripping(real_open(*given)))
    watched = watch(make_clip(tmp_path / "in.ts", seconds=10))
    assert watched.run()[-1].metadata.last
    assert not watched.station.errors


def test_the_scene_is_a_camera_too(watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch) -> None:
    class Scene:
        fps, width, height, period = 10.0, 320, 181, 20.0

        def render(self, at: float) -> object:
            picture = background((self.width, self.height))
            return square_at(picture, at / 4) if 7 <= at < 11 else picture

    monkeypatch.setattr("meerkat_devices.sources.opening.open_scene", lambda name: Scene())
    watched = watch("scene:porch")
    clips = watched.run()
    assert watched.station.said("motion") == ["OFF", "ON", "OFF"]
    assert watched.camera.info.height == 180, "4:2:0 holds even sizes only"
    with av.open(BytesIO(watched.content(clips[0]))) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in container.decode(video=0)) >= 50


# --- streams over the network --------------------------------------------------------------------------


@contextmanager
def serving(respond: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            respond(self)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://joe:secret@127.0.0.1:{server.server_port}/stream?token=secret"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def stream(handler: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "video/mp2t")
    handler.end_headers()
    handler.wfile.write(content)
    handler.wfile.flush()


def test_a_stream_that_ends_is_opened_again(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    content = make_clip(tmp_path / "in.ts", seconds=12, gop=1).read_bytes()
    requests = []

    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        requests.append(handler.path)
        stream(handler, content)

    with serving(respond) as url:
        watched = watch(url)
        stop = threading.Event()
        thread = threading.Thread(target=watched.camera.run, args=(stop,))
        thread.start()
        wait_for(lambda: len(requests) >= 2 and len(watched.outbox.waiting()) >= 4, what="a second recording")
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
    recordings = {entry.metadata.recording for entry in watched.outbox.waiting()}
    assert len(recordings) >= 2
    text = " ".join(map(str, watched.station.errors)) + str(watched.camera.info)
    assert "broke off" in text or "the stream ended" in text
    assert "secret" not in text


def test_a_dead_connection_does_not_hold_up_the_end(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    content = make_clip(tmp_path / "in.ts", seconds=12, gop=1).read_bytes()
    over = threading.Event()

    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        stream(handler, content)
        over.wait(60)

    with serving(respond) as url:
        watched = watch(url)
        stop = threading.Event()
        thread = threading.Thread(target=watched.camera.run, args=(stop,), daemon=True)
        thread.start()
        wait_for(watched.outbox.waiting, what="the first clip")
        watched.camera.close()
        entries = watched.outbox.waiting()
        assert entries[-1].metadata.last, "the open recording was saved all the same"
        over.set()
        thread.join(10)
    assert not thread.is_alive()
    assert watched.outbox.waiting() == entries


def test_motion_jpeg_is_timed_by_its_arrival(tmp_path: Path) -> None:
    """It bears no timestamps: 20 frames, 120 ms apart, last 2.3 s and not 20/25 s."""
    picture = jpeg(av.VideoFrame.from_ndarray(background((320, 180)), format="bgr24"))
    tick = threading.Event()

    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        for _ in range(60):
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            try:
                handler.wfile.write(head.encode() + picture + b"\r\n")
            except OSError:
                return
            tick.wait(0.12)

    stop = threading.Event()
    shots = []
    with serving(respond) as url, open_source(parse_source(url)) as source:
        for sample in source.samples(stop):
            shots += sample.shots
            if len(shots) >= 20:
                stop.set()
    # On a busy machine the first one arrives late.
    assert (shots[-1].at - shots[0].at) / TICKS >= 1.5


def test_a_video_of_a_phone_is_turned_upright(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=20, moving=lambda at: 8 <= at < 12)
    turned = tmp_path / "turned.mp4"
    command = ["ffmpeg", "-v", "error", "-i", video, "-c", "copy", "-metadata:s:v", "rotate=90", turned]
    subprocess.run(command, check=True)
    with av.open(str(turned)) as container:
        if not next(container.decode(video=0)).rotation:
            pytest.skip("this ffmpeg writes no rotation with -metadata rotate")
    watched = watch(turned)
    clips = watched.run()
    assert (watched.camera.info.width, watched.camera.info.height) == (180, 320)
    with av.open(BytesIO(watched.content(clips[0]))) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height, frame.rotation) == (180, 320, 0)
    picture = watched.station.said("picture")[0]
    assert isinstance(picture, bytes)
    with av.open(BytesIO(picture)) as container:
        assert container.streams.video[0].width == 180


@pytest.mark.parametrize(
    ("status", "words"), [(401, "refuses the user or password"), (404, "no such stream"), (403, "forbids")]
)
def test_a_refusal_is_said_in_words_without_the_password(status: int, words: str) -> None:
    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_error(status)

    with (
        serving(respond) as url,
        pytest.raises(SourceError, match=words) as caught,
    ):
        open_source(parse_source(url))
    assert "secret" not in str(caught.value)
    assert "joe" not in str(caught.value)


def test_a_video_that_is_over_is_told_and_is_no_error(tmp_path: Path) -> None:
    watched = Watched(make_clip(tmp_path / "in.mp4", seconds=1, fps=5), tmp_path, fast=False)
    assert not watched.camera.info.ended
    watched.run()
    assert watched.camera.info.ended
    assert watched.station.kept[-1][0] == "info", "the hub hears of it"
    assert not watched.station.errors


def test_a_device_that_replays_fast_ends_itself_and_its_camera_is_not_called_over(tmp_path: Path) -> None:
    watched = Watched(make_clip(tmp_path / "in.mp4", seconds=1, fps=5), tmp_path)
    watched.run()
    assert not watched.camera.info.ended
