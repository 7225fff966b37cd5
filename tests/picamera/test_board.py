"""One camera and who uses it: what hangs in libcamera holds nobody, and every order of coming and going ends
with the camera closed."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from meerkat_devices.camera import Camera
from meerkat_devices.clock import SystemClock
from meerkat_devices.outbox.outbox import Outbox
from meerkat_devices.photo.opening import open_stills
from meerkat_devices.running import heartbeat
from meerkat_devices.settings.address import parse_source
from meerkat_devices.settings.device import CameraSettings, MeterSettings
from meerkat_devices.settings.picamera import Imx500Settings, PicameraSettings
from meerkat_devices.settings.sources import SourceOptions
from meerkat_devices.sources import watchdog
from meerkat_devices.sources.picamera import board
from meerkat_devices.sources.picamera.board import Boards
from meerkat_devices.sources.source import SourceError
from meerkat_devices.sources.watchdog import Watchdog
from support.frames import Station
from support.libcamera_stub import SensorStub
from support.wait import wait_for

pytestmark = pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning")

SMALL = PicameraSettings(
    width=320, height=180, lores_width=240, lores_height=136, still_width=320, still_height=180
)
Connect = Callable[..., list[SensorStub]]


class Hanging:
    """`Picamera2()` comes back when it is let, and not before."""

    def __init__(self, real: Callable[..., Any]) -> None:
        self._real = real
        self.let = threading.Event()
        self.calls = 0

    def __call__(self, *given: Any) -> Any:
        self.calls += 1
        self.let.wait()
        return self._real(*given)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    made = Hanging(board.construct)
    monkeypatch.setattr(board, "construct", made)
    yield made
    made.let.set()


def test_a_camera_that_never_opens_holds_neither_camera_nor_meter(
    connect: Connect, boards: Boards, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sensor,) = connect("imx219")
    monkeypatch.setattr(board, "OPEN_SECONDS", 0.1)
    with pytest.raises(SourceError, match=r"^picamera:0: does not open: no answer for 0\.1 s"):
        boards.open(0, "video", SMALL)
    for use in ("still", "video"):
        with pytest.raises(SourceError, match="it hangs"):
            boards.open(0, use, SMALL)  # type: ignore[arg-type]
    assert hanging.calls == 1, "one thread is held, not one for each try"
    hanging.let.set()
    wait_for(lambda: boards._slot(0).opening is None, what="it to come back")
    assert not sensor.taken, "what nobody waits for is closed again"
    monkeypatch.setattr(board, "OPEN_SECONDS", 20.0)
    again = boards.open(0, "still", SMALL)
    assert sensor.taken
    boards.release(again, "still")
    assert not sensor.taken


def test_a_second_camera_of_the_same_number_is_refused_while_the_first_opens(
    connect: Connect, boards: Boards, hanging: Hanging
) -> None:
    connect("imx219")
    first = threading.Thread(target=lambda: boards.release(boards.open(0, "video", SMALL), "video"))
    first.start()
    wait_for(lambda: hanging.calls, what="the first")
    with pytest.raises(SourceError, match="other camera of the same number"):
        boards.open(0, "video", SMALL)
    with pytest.raises(SourceError, match="it hangs"):
        boards.open(0, "still", SMALL, patience=0.05)
    hanging.let.set()
    first.join(20)
    assert not first.is_alive()


class Attended(SystemClock):
    """Counts who looks at it: a thread that does not is taken for dead by the device's heartbeats."""

    def __init__(self) -> None:
        self.looks: Counter[str] = Counter()

    def monotonic(self) -> float:
        self.looks[threading.current_thread().name] += 1
        return super().monotonic()


def test_a_camera_that_hangs_is_attended_and_told_to_stop(
    connect: Connect, hanging: Hanging, tmp_path: Path
) -> None:
    connect("imx219")
    clock = Attended()
    outbox = Outbox(tmp_path / "outbox", max_bytes=100_000_000, refused_bytes=0)
    settings = CameraSettings.model_validate({"source": "picamera"})
    camera = Camera("porch", settings, station=Station(), outbox=outbox, clock=clock)
    stop = threading.Event()
    thread = threading.Thread(target=camera.run, args=(stop,), name="porch")
    thread.start()
    wait_for(lambda: hanging.calls, what="it to hang")
    before = clock.looks["porch"]
    wait_for(lambda: clock.looks["porch"] >= before + 3, what="signs of life")
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert camera.hangs
    hanging.let.set()
    wait_for(lambda: not camera.hangs, what="what was left behind to end")
    outbox.close()
    assert not any(slot.board for slot in board.BOARDS._slots.values())


def test_a_meter_is_told_as_well(connect: Connect, hanging: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    connect("imx219")
    monkeypatch.setattr(board, "OPEN_SECONDS", 0.1)
    settings = MeterSettings.model_validate({"source": "picamera"})
    with pytest.raises(SourceError, match="does not open"):
        open_stills(parse_source("picamera"), settings, clock=SystemClock(), lit=True)
    hanging.let.set()
    wait_for(lambda: board.BOARDS._slot(0).opening is None, what="it to come back")


def test_no_wait_is_so_long_that_a_meter_is_taken_for_dead() -> None:
    assert board.PATIENCE + board.OPEN_SECONDS + board.CLOSE_SECONDS < heartbeat.PATIENCE


def test_an_ai_camera_has_minutes_to_load_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []

    def wait(_dog: Watchdog, _pump: object, seconds: float, *_: object) -> None:
        told.append(seconds)

    monkeypatch.setattr(Watchdog, "wait", wait)

    def opener() -> Any:
        raise SourceError("is not there")

    network = PicameraSettings(imx500=Imx500Settings(network="/x.rpk"))
    for settings in (SMALL, network):
        options = SourceOptions(picamera=settings)
        Watchdog(SystemClock()).open(parse_source("picamera"), opener, threading.Event(), options)
    plain, loading = told
    assert plain > board.PATIENCE + board.OPEN_SECONDS - 1
    assert loading == plain + watchdog.LOADING_SECONDS


@pytest.mark.parametrize("seed", range(3))
def test_whoever_comes_and_goes_the_camera_ends_closed(seed: int, connect: Connect, boards: Boards) -> None:
    """A ring that is opened anew again and again, and two meters, all at once."""
    (sensor,) = connect("imx219")
    threads_before = threading.active_count()
    wrong: list[str] = []

    def visit(use: Any, chance: random.Random) -> None:
        for _ in range(12):
            try:
                mine = boards.open(0, use, SMALL, patience=30)
            except SourceError as error:
                wrong.append(str(error))
                continue
            if not sensor.taken or mine.users < 1:
                wrong.append("given a camera that is closed")
            if use == "video" and mine.use != "video":
                wrong.append("the ring was given the still's configuration")
            threading.Event().wait(chance.random() * 0.004)
            boards.release(mine, use)

    uses = ("video", "still", "still")
    visitors = [
        threading.Thread(target=visit, args=(use, random.Random(f"{seed} {n}"))) for n, use in enumerate(uses)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(120)
        assert not visitor.is_alive()
    assert wrong == []
    assert not sensor.taken
    wait_for(lambda: threading.active_count() <= threads_before, what="the threads to end")


def test_the_camera_is_opened_anew_while_the_meters_still_is_taken(
    connect: Connect, boards: Boards, running: Callable[[SensorStub], None]
) -> None:
    from meerkat_devices.sources.picamera.source import PicameraSource
    from meerkat_devices.sources.picamera.still import PicameraStill

    (sensor,) = connect("imx219")
    running(sensor)
    never = threading.Event()
    source = PicameraSource(0, SMALL, clock=SystemClock(), boards=boards)
    still = PicameraStill(0, SMALL, clock=SystemClock(), boards=boards)
    stills = still.stills(2, never)
    assert next(stills).picture.shape == (180, 320, 3)
    source.close()
    with pytest.raises(SourceError, match="another picture is being taken"):
        boards.open(0, "video", SMALL, patience=0.05)
    reopened: list[PicameraSource] = []
    opening = threading.Thread(
        target=lambda: reopened.append(PicameraSource(0, SMALL, clock=SystemClock(), boards=boards))
    )
    opening.start()
    assert next(stills).locked, "the ring's end changes nothing for the picture"
    still.close()
    opening.join(20)
    with reopened[0] as again:
        assert next(again.samples(never)) is not None
    assert not sensor.taken
