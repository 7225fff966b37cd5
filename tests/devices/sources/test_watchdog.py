"""Sources that never come back: the camera goes on without them, and saves what it had."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from meerkat_contract.errors import MeerkatError
from meerkat_devices import camera as camera_module
from meerkat_devices.camera import Camera
from meerkat_devices.clock import SystemClock
from meerkat_devices.outbox.outbox import Outbox
from meerkat_devices.photo.opening import open_stills
from meerkat_devices.settings.address import Address, parse_source
from meerkat_devices.settings.device import CameraSettings, MeterSettings
from meerkat_devices.settings.sources import SourceOptions
from meerkat_devices.sources import watchdog
from meerkat_devices.sources.container import ContainerSource
from meerkat_devices.sources.opening import open_source
from meerkat_devices.sources.source import Sample, Source, SourceError
from meerkat_devices.sources.watchdog import MOST_STUCK, Watchdog
from support.http_camera import HttpCamera, picture, send
from support.media import make_clip
from support.rtsp_camera import RtspCamera
from support.wait import wait_for

IMPATIENT = SourceOptions.model_construct(**{**SourceOptions().__dict__, "stall_seconds": 0.1})
USB = Address("usb", "/dev/video9")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "GRACE", 0.9)
    monkeypatch.setattr(watchdog, "CLOSE_SECONDS", 0.1)


class Wedged:
    """A named pipe with some video in it and no end, read by libav: nothing but data ends that read."""

    def __init__(self, path: Path, content: bytes) -> None:
        os.mkfifo(path)
        self.path = path
        self._content = content
        self._feeder = threading.Thread(target=self._feed, daemon=True)  # nobody may ever read it
        self._free = threading.Event()
        self._feeder.start()

    def _feed(self) -> None:
        with self.path.open("wb") as pipe:
            pipe.write(self._content)
            pipe.flush()
            self._free.wait()

    def open(self) -> Source:
        address = Address("file", str(self.path))
        return ContainerSource(address, pace="fast", loop=False, clock=SystemClock())

    def free(self) -> None:
        """The kernel lets go of the camera."""
        self._free.set()
        self._feeder.join(10)


@pytest.fixture
def wedge(tmp_path: Path) -> Iterator[Callable[..., Wedged]]:
    made: list[Wedged] = []

    def make(*, seconds: float = 4) -> Wedged:
        video = make_clip(tmp_path / f"{len(made)}.ts", seconds=seconds, gop=1)
        made.append(Wedged(tmp_path / f"pipe{len(made)}", video.read_bytes()))
        return made[-1]

    yield make
    for wedged in made:
        wedged.free()


def count(samples: Iterator[Sample]) -> tuple[int, SourceError | None]:
    seen = 0
    try:
        for _ in samples:
            seen += 1
    except SourceError as error:
        return seen, error
    return seen, None


def test_a_read_that_never_returns_is_left_behind_and_told(wedge: Callable[..., Wedged]) -> None:
    dog = Watchdog(SystemClock())
    wedged = wedge()
    source = dog.open(USB, wedged.open, threading.Event(), IMPATIENT)
    assert source is not None
    with source:
        seen, error = count(source.samples(threading.Event()))
    assert seen >= 30
    assert error is not None
    assert error.what == "nothing has come for 1 s"
    assert error.where == "/dev/video9"
    assert "Unplug" in error.remedy
    assert dog.hangs
    wedged.free()
    wait_for(lambda: not dog.hangs, what="the thread that was left behind to end by itself")


def test_at_most_a_few_are_left_behind(wedge: Callable[..., Wedged]) -> None:
    dog = Watchdog(SystemClock())
    all_wedged = [wedge() for _ in range(MOST_STUCK)]
    for wedged in all_wedged:
        source = dog.open(USB, wedged.open, threading.Event(), IMPATIENT)
        assert source is not None
        with source:
            count(source.samples(threading.Event()))
    opened: list[int] = []

    def opener() -> Source:
        opened.append(1)
        raise SourceError("is not there")

    with pytest.raises(SourceError, match="it hangs: 3 attempts"):
        dog.open(USB, opener, threading.Event(), IMPATIENT)
    assert not opened
    all_wedged[0].free()
    wait_for(lambda: sum(pump.is_alive() for pump in dog._stuck) < MOST_STUCK, what="one to come back")
    with pytest.raises(SourceError, match="is not there"):
        dog.open(USB, opener, threading.Event(), IMPATIENT)
    assert opened


class Slow:
    """A source that opens when it is let."""

    def __init__(self, inner: Callable[[], Source]) -> None:
        self.let = threading.Event()
        self.closed = threading.Event()
        self._inner = inner

    def open(self) -> Source:
        self.let.wait()
        source = self._inner()
        close = source.close

        def told() -> None:
            close()
            self.closed.set()

        source.close = told  # type: ignore[method-assign]
        return source


def test_what_opens_too_late_is_closed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "OPEN_SECONDS", 0.2)
    video = make_clip(tmp_path / "in.mp4", seconds=1)
    slow = Slow(lambda: open_source(parse_source(str(video))))
    dog = Watchdog(SystemClock())
    with pytest.raises(SourceError, match=r"does not open: no answer for 0\.2 s"):
        dog.open(USB, slow.open, threading.Event())
    assert dog.hangs
    slow.let.set()
    assert slow.closed.wait(10)
    wait_for(lambda: not dog.hangs, what="its thread to end")


def test_a_stop_is_heard_while_nothing_comes(wedge: Callable[..., Wedged], tmp_path: Path) -> None:
    dog, stop = Watchdog(SystemClock()), threading.Event()
    source = dog.open(USB, wedge().open, stop)  # with all its patience
    assert source is not None
    done: list[tuple[int, SourceError | None]] = []
    with source:
        thread = threading.Thread(target=lambda: done.append(count(source.samples(stop))))
        thread.start()
        stop.set()
        thread.join(10)
    ((_, error),) = done
    assert error is None
    slow = Slow(lambda: open_source(parse_source(str(tmp_path / "none.mp4"))))
    assert dog.open(USB, slow.open, stop) is None
    slow.let.set()


def test_what_is_replayed_needs_no_watching(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=1)
    source = Watchdog(SystemClock()).open(
        parse_source(str(video)), lambda: open_source(parse_source(str(video))), threading.Event()
    )
    assert isinstance(source, ContainerSource)
    source.close()


class Hurried(SystemClock):
    """Every look at it is a second later."""

    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        self.at += 1
        return self.at


def test_sound_without_a_picture_is_a_stall_too(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.ts", seconds=1)
    address = Address("file", str(video))
    source = ContainerSource(address, pace="fast", loop=False, clock=Hurried(), options=IMPATIENT)
    source._pacer = None  # as what is live
    source._stream = SimpleNamespace(index=7)  # type: ignore[assignment]  # all that comes is something else
    with source, pytest.raises(SourceError, match="sends sound, but no picture"):
        next(source.samples(threading.Event()))


# --- a camera with such a source -----------------------------------------------------------------------


class Station:
    name = "pi"

    def __init__(self) -> None:
        self.errors: list[MeerkatError] = []
        self.well_again = 0

    def keep(self, topic: object, payload: bytes | str, *, content_type: str = "") -> None:
        pass

    def report(self, error: MeerkatError, *, about: str = "") -> None:
        self.errors.append(error)

    def well(self, about: str) -> None:
        self.well_again += 1

    def changed(self) -> None:
        pass


class Running:
    def __init__(self, source: str, folder: Path, **settings: object) -> None:
        self.station = Station()
        self.outbox = Outbox(folder / "outbox", max_bytes=1_000_000_000, refused_bytes=0)
        values = CameraSettings.model_validate({"source": source, **settings})
        self.camera = Camera(
            "yard",
            values,
            station=self.station,
            outbox=self.outbox,
            clock=SystemClock(),  # type: ignore[arg-type]
        )

    @contextmanager
    def on(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self.camera.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)
            self.outbox.close()
        assert not thread.is_alive()


def test_the_recording_is_saved_and_the_camera_opened_anew(
    tmp_path: Path, wedge: Callable[..., Wedged], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [wedge(seconds=6), wedge(seconds=6)]
    openers = iter([wedged.open for wedged in made])
    monkeypatch.setattr(camera_module, "open_source", lambda *_, **__: next(openers)())
    running = Running("9", tmp_path, stall_seconds=2)
    monkeypatch.setattr(watchdog, "GRACE", -1.0)
    with running.on():
        wait_for(lambda: len(running.station.errors) >= 1, what="the stall")
        (error, *_) = running.station.errors
        assert str(error).startswith("camera yard, /dev/video9: nothing has come for 1 s")
        clips = running.outbox.waiting()
        assert clips, "saved before it was told"
        assert clips[-1].metadata.last
        wait_for(lambda: running.station.well_again >= 2, what="the camera to be opened anew")
        assert running.camera.hangs
        pictures = 0
        for entry in clips:
            content = running.outbox.lend(entry)
            assert content is not None
            with av.open(BytesIO(content)) as container:
                pictures += sum(1 for _ in container.decode(video=0))
        assert pictures >= 60, "of 90, all but what came before the motion was told or lies in libav"


def test_a_network_camera_that_falls_silent_is_opened_anew(tmp_path: Path) -> None:
    camera = RtspCamera(make_clip(tmp_path / "in.mp4", seconds=6, gop=1))
    with camera.serving() as port:
        running = Running(f"rtsp://joe:secret@127.0.0.1:{port}/live", tmp_path, stall_seconds=2)
        with running.on():
            wait_for(lambda: camera.plays >= 2, what="the second time that it is played")
            assert running.outbox.waiting()[-1].metadata.last
            assert "no answer" in str(running.station.errors[0])
            assert not running.camera.hangs, "libav's own limit ends that read"


def test_a_refused_login_is_not_tried_again_soon(tmp_path: Path) -> None:
    waits: list[float] = []

    class Clock(SystemClock):
        def wait(self, event: threading.Event, seconds: float) -> bool:
            waits.append(seconds)
            return True

    http, rtsp = HttpCamera(login="basic"), RtspCamera(make_clip(tmp_path / "in.mp4", seconds=1))
    with http.serving() as port, rtsp.serving() as rtsp_port:
        for address in (f"http://joe:hush@127.0.0.1:{port}/x", f"rtsp://joe:hush@127.0.0.1:{rtsp_port}/x"):
            running = Running(address, tmp_path)
            running.camera._clock = Clock()
            running.camera.run(threading.Event())
            running.outbox.close()
            assert "refuses the user or password" in str(running.station.errors[0])
    assert waits == [300.0, 300.0]


def test_pictures_pulled_over_http_become_a_recording(tmp_path: Path) -> None:
    def respond(handler: object) -> None:
        moves = 25 < camera.gets < 50
        send(handler, picture(camera.gets / 12 if moves else None))  # type: ignore[arg-type]

    camera = HttpCamera(respond)
    with camera.serving() as port:
        running = Running(
            f"http://127.0.0.1:{port}/now.jpg", tmp_path, snapshot_seconds=0.1, post_roll=0.5, clip_seconds=2
        )
        with running.on():
            wait_for(
                lambda: any(e.metadata.last for e in running.outbox.waiting()), seconds=40, what="its end"
            )
            assert running.camera.info.source == "http"
            content = running.outbox.lend(running.outbox.waiting()[0])
            assert content is not None
            with av.open(BytesIO(content)) as container:
                assert sum(1 for _ in container.decode(video=0)) >= 10
    assert not running.station.errors


def test_a_meter_does_not_wait_for_a_wedged_camera_either(
    wedge: Callable[..., Wedged], monkeypatch: pytest.MonkeyPatch
) -> None:
    wedged = wedge()
    monkeypatch.setattr("meerkat_devices.sources.opening.open_source", lambda *_, **__: wedged.open())
    settings = MeterSettings.model_construct(
        **{**MeterSettings(source="9").__dict__, "stall_seconds": 0.1, "settle": 100.0}
    )
    dog = Watchdog(SystemClock())
    camera = open_stills(USB, settings, clock=SystemClock(), lit=True, watchdog=dog)
    with camera, pytest.raises(SourceError, match="nothing has come"):
        list(camera.stills(1, threading.Event()))
    assert dog.hangs


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts files by /proc")
def test_a_camera_that_breaks_off_all_day_leaves_nothing_open(tmp_path: Path) -> None:
    class Hasty(SystemClock):
        def wait(self, event: threading.Event, seconds: float) -> bool:
            return event.wait(min(seconds, 0.01))

    camera = RtspCamera(make_clip(tmp_path / "in.mp4", seconds=1, gop=1))
    camera.silent.set()  # it hangs up when it has sent all
    with camera.serving() as port:
        running = Running(f"rtsp://joe:secret@127.0.0.1:{port}/live", tmp_path)
        running.camera._clock = Hasty()
        with running.on():
            wait_for(lambda: camera.plays >= 5, seconds=60, what="the first five times")
            files, threads = open_files(), threading.active_count()
            wait_for(lambda: camera.plays >= 100, seconds=90, what="a hundred")
            assert running.station.well_again >= 50, "with pictures each time"
            assert open_files() <= files + 4
            assert threading.active_count() <= threads + 2
            assert not running.camera.hangs


def test_a_device_that_is_to_end_does_not_wait_for_a_scene_to_be_painted() -> None:
    stop, painted, ended = threading.Event(), threading.Event(), threading.Event()
    own = Watchdog(SystemClock())

    def paint() -> Source:
        painted.wait()
        return open_source(parse_source("scene:meter"))

    def follow() -> None:
        assert own.open(parse_source("scene:porch"), paint, stop) is None
        ended.set()

    camera = threading.Thread(target=follow)
    camera.start()
    assert not ended.wait(0.05)
    stop.set()
    assert ended.wait(10)
    assert own.hangs, "whoever ends the process is told"
    painted.set()
    wait_for(lambda: not own.hangs, what="it to be done, and to trouble nobody")
    camera.join(10)


def test_what_is_not_live_is_opened_as_it_is_or_says_why_not(tmp_path: Path) -> None:
    video = parse_source(str(make_clip(tmp_path / "in.mp4", seconds=1)))
    own, stop = Watchdog(SystemClock()), threading.Event()
    with own.open(video, lambda: open_source(video, pace="fast"), stop) as source:  # type: ignore[union-attr]
        assert isinstance(source, ContainerSource), "no thread between its pictures"
        assert sum(len(sample.shots) for sample in source.samples(stop)) == 15
    missing = parse_source(str(tmp_path / "no.mp4"))
    with pytest.raises(SourceError, match="there is no such file"):
        own.open(missing, lambda: open_source(missing), stop)
    assert not own.hangs
