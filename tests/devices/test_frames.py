"""Frames of interest: what is asked, what is sent and how often, and what the device sees by itself."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from meerkat_contract.errors import BadMessage, BrokerError, MeerkatError, MessageTooLarge, ModelError
from meerkat_contract.ids import is_id
from meerkat_contract.messages import ErrorReport, FrameFindings, ModelInfo, read
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Delivery, Incoming, Session
from meerkat_devices import frame_detector
from meerkat_devices.clock import SystemClock
from meerkat_devices.frame_detector import FrameDetector
from meerkat_devices.frame_settings import FrameSettings
from meerkat_devices.frames import MAX_BYTES, Frames, Spacing, parse_rate
from meerkat_devices.recorder import TICKS
from meerkat_devices.service import Device, Replay
from meerkat_devices.settings import DeviceSettings
from meerkat_devices.source import Shot
from support.broker import Mosquitto
from support.media import background, make_clip
from support.wait import wait_for

SET = "meerkat/device/pi/yard/frames/set"


class Clock(SystemClock):
    """Nobody waits for a back-off; `later` turns it on."""

    def __init__(self) -> None:
        self.turned = 0.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.turned

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        return event.is_set()


class Station:
    name = "pi"

    def __init__(self) -> None:
        self.connected = True
        self.kept: list[tuple[str, bytes | str]] = []
        self.sent: list[tuple[str, bytes, list[tuple[str, str]], str]] = []
        self.deliveries: list[Delivery] = []
        self.settle = True
        """Whether what is sent leaves at once."""
        self.errors: list[MeerkatError] = []
        self.standing: set[str] = set()

    def send(
        self, topic: object, payload: bytes, *, properties: Sequence[tuple[str, str]], content_type: str
    ) -> Delivery:
        self.sent.append((str(topic), payload, list(properties), content_type))
        self.deliveries.append(Delivery())
        if self.settle:
            self.deliveries[-1].finish()
        return self.deliveries[-1]

    def keep(self, topic: object, payload: bytes | str, *, content_type: str = "") -> None:
        self.kept.append((str(topic), payload))

    def report(self, error: MeerkatError, *, about: str = "") -> None:
        self.errors.append(error)
        if about:
            self.standing.add(about)

    def well(self, about: str) -> None:
        self.standing.discard(about)

    def changed(self) -> None: ...

    @property
    def rates(self) -> list[bytes | str]:
        return [payload for topic, payload in self.kept if topic == "meerkat/device/pi/yard/frames/state"]


def picture(width: int = 320, height: int = 180) -> Any:
    return background((width, height))


def shot(number: int = 0, *, fps: float = 10, size: tuple[int, int] = (320, 180)) -> Shot:
    frame = av.VideoFrame.from_ndarray(picture(*size), format="bgr24").reformat(format="yuv420p")
    return Shot(round(number * TICKS / fps), 1_790_000_000 + number / fps, frame)


def frames_of(station: Station, *, clock: Clock | None = None, **settings: Any) -> Frames:
    return Frames("yard", FrameSettings(**settings), station=station, clock=clock or Clock())


def ask(frames: Frames, payload: str | bytes) -> None:
    data = payload.encode() if isinstance(payload, str) else payload
    frames.told(Incoming(SET, data, retain=True))


# --- what is asked -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "rate"),
    [(b"2", 2), (b"0.5", 0.5), (b"0", 0), (b"", 0), (b"240", 240), (b"25.0", 25), (b"1e-05", 1e-5)],
)
def test_a_rate_is_a_decimal_number(payload: bytes, rate: float) -> None:
    assert parse_rate(payload) == rate


BAD = [b"fast", b"-1", b"-0.1", b"1e9", b"1e09", b"nan", b"inf", b"240.001", b"2 fps", b" 2", b"1_0", b"0x2"]
BAD += [b"\xff\xfe", "２".encode(), b'{"rate": 2}', b"1" * 5000]


@pytest.mark.parametrize("payload", BAD)
def test_what_is_no_rate_is_refused_in_words_and_changes_nothing(payload: bytes) -> None:
    station = Station()
    frames = frames_of(station)
    ask(frames, "2")
    ask(frames, payload)
    assert frames.rate == 2
    assert station.rates == ["2"]
    (error,) = station.errors
    assert isinstance(error, BadMessage)
    assert "no number of frames per second" in error.what
    assert error.where == SET
    assert "from 0 to 240" in error.remedy
    assert len(str(error)) < 300


def test_the_rate_in_force_is_told_once_for_each_change() -> None:
    station = Station()
    frames = frames_of(station)
    frames.start()
    ask(frames, "40")
    ask(frames, "40")
    frames.opened(25.0)
    frames.opened(0.0)  # a camera that does not say
    frames.opened(29.97)
    frames.hub_is(here=False)
    frames.hub_is(here=False)
    frames.hub_is(here=True)
    ask(frames, "")
    assert station.rates == ["0", "40", "25", "40", "29.97", "0", "29.97", "0"]


def test_settings_that_could_never_find_anything_are_refused() -> None:
    with pytest.raises(ValidationError, match="detect_faces finds no 'person'; write face"):
        FrameSettings(detect="detect_faces", labels=("person",))
    with pytest.raises(ValidationError, match="finds no 'persn'"):
        FrameSettings(detect="detect_objects", labels=("person", "persn"))
    assert FrameSettings(detect="detect_faces", labels=("face",)).labels == ("face",)


# --- how often -----------------------------------------------------------------------------------------


def taken(times: list[float], rate: float) -> list[float]:
    spacing = Spacing()
    return [at for at in times if spacing.take(at, rate)]


def test_frames_are_the_nearest_to_evenly_spaced_moments() -> None:
    every = [number / 25 for number in range(50)]
    assert taken(every, 5) == pytest.approx([number / 5 for number in range(10)])
    # 10 of 25: after two frames, then three, and so on.
    steps = np.diff(taken(every, 10)) * 25
    assert set(np.round(steps)) == {2, 3}
    assert taken(every, 25) == every
    assert taken(every, 100) == every


@given(
    fps=st.floats(1, 60),
    rate=st.floats(0.1, 120),
    jitter=st.floats(0, 0.4),
    seed=st.integers(0, 2**16),
)
def test_never_more_than_was_asked_for_and_none_left_out_without_need(
    fps: float, rate: float, jitter: float, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    times = sorted(((np.arange(400) + chance.uniform(-jitter, jitter, 400)) / fps).tolist())
    found = taken(times, rate)
    span = times[-1] - times[0]
    assert len(found) <= span * rate + 2
    assert len(found) >= 0.95 * min(len(times), span * rate) - 2
    # In no stretch there are more than its share, but for one at each end.
    for width in (3, 10, 30):
        for begin in range(0, len(found) - width, 7):
            assert width <= (found[begin + width] - found[begin]) * max(rate, 0.1) + 2


def test_after_a_pause_the_first_frame_goes_at_once_and_nothing_is_made_up_for() -> None:
    spacing = Spacing()
    assert spacing.take(0.0, 1)
    assert spacing.take(100.3, 1)
    assert not spacing.take(100.4, 1)
    assert spacing.take(101.3, 1)
    assert spacing.take(0.0, 1), "the stream began anew"
    assert not spacing.take(0.4, 1)
    assert spacing.take(0.5, 0.001), "another rate counts from now on"
    assert not spacing.take(900.0, 0.001)
    assert spacing.take(900.1, 10)


def test_motion_that_flickers_makes_no_more_frames() -> None:
    spacing = Spacing()
    found = [n for n in range(100) if spacing.take(n / 10, 2, wanted=n % 3 == 0)]
    assert 17 <= len(found) <= 21


# --- what is sent --------------------------------------------------------------------------------------


def test_a_frame_is_a_jpeg_with_its_time_and_id() -> None:
    station = Station()
    frames = frames_of(station, width=160)
    ask(frames, "2")
    for number in range(20):
        frames.offer(shot(number), moving=True)
    assert len(station.sent) == 4
    topic, payload, properties, content_type = station.sent[1]
    assert topic == "meerkat/device/pi/yard/frame"
    metadata = Metadata.from_properties(properties, content_type=content_type)
    assert is_id(metadata.id)
    assert metadata.trigger == "frame"
    assert metadata.content_type == "image/jpeg"
    assert metadata.captured_at == datetime.fromtimestamp(1_790_000_000.5, UTC)
    assert "found" not in dict(properties), "nobody has looked"
    assert cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR).shape == (90, 160, 3)
    assert frames.counts == {"sent": 4, "nothing": 0, "passed over": 0, "failed": 0}
    assert len({dict(properties)["id"] for _, _, properties, _ in station.sent}) == 4


def test_pictures_are_never_scaled_up_and_quality_gives_way_to_the_limit() -> None:
    station = Station()
    frames = frames_of(station, width=3840, quality=95)
    ask(frames, "10")
    noise = np.random.default_rng(1).integers(0, 256, (1080, 1920, 3), np.uint8)
    frames.offer(Shot(0, 0.0, av.VideoFrame.from_ndarray(noise, format="bgr24")), moving=True)
    payload = station.sent[0][1]
    assert len(payload) <= MAX_BYTES
    decoded = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape[1] <= 1920
    frames.offer(shot(10), moving=True)
    assert cv2.imdecode(np.frombuffer(station.sent[1][1], np.uint8), cv2.IMREAD_COLOR).shape[1] == 320


@pytest.mark.parametrize(("when", "number"), [("motion", 5), ("always", 20)])
def test_by_default_only_while_something_moves(when: str, number: int) -> None:
    station = Station()
    frames = frames_of(station, when=when)
    ask(frames, "10")
    for index in range(20):
        frames.offer(shot(index), moving=5 <= index < 10)
    assert len(station.sent) == number


def test_nobody_asks_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station()
    frames = frames_of(station, when="always")
    monkeypatch.setattr(
        "meerkat_devices.frames.scaled", lambda *_, **__: pytest.fail("a frame was converted")
    )
    frames.offer(shot(), moving=True)
    ask(frames, "10")
    frames.hub_is(here=False)
    frames.offer(shot(), moving=True)
    frames.hub_is(here=True)
    station.connected = False
    frames.offer(shot(), moving=True)
    assert frames.rate == 10
    assert not any(frames.counts.values())


def test_a_line_slower_than_the_frames_is_not_filled() -> None:
    station = Station()
    frames = frames_of(station)
    ask(frames, "10")
    station.settle = False
    for number in range(5):
        frames.offer(shot(number), moving=True)
    assert len(station.sent) == 1
    assert frames.counts["passed over"] == 4
    station.deliveries[0].finish()
    frames.offer(shot(5), moving=True)
    assert len(station.sent) == 2
    station.deliveries[1].finish(BrokerError("the connection is lost"))
    frames.offer(shot(6), moving=True)
    assert frames.counts == {"sent": 1, "nothing": 0, "passed over": 4, "failed": 1}
    assert not station.errors, "that the line is down is told elsewhere"


def test_a_frame_above_the_brokers_limit_is_told_with_its_remedy() -> None:
    station = Station()
    frames = frames_of(station)
    ask(frames, "10")
    station.settle = False
    frames.offer(shot(0), moving=True)
    station.deliveries[0].finish(MessageTooLarge("a message of 9000 bytes is above the limit"))
    (error,) = station.errors
    assert "lower frames.width or frames.quality" in str(error)
    assert station.standing == {"camera yard, frames"}
    station.settle = True
    frames.offer(shot(1), moving=True)
    assert station.standing == set()


def test_a_fast_replay_sends_no_more_than_was_asked_for() -> None:
    """It gives the frames of minutes in a second: what counts is the time of those who take them."""
    station, clock = Station(), Clock()
    frames = Frames("yard", FrameSettings(), station=station, clock=clock, pace="fast")
    ask(frames, "2")
    for number in range(100):
        clock.turned = number / 50
        frames.offer(shot(number), moving=True)
    assert len(station.sent) == 4


def test_the_end_of_a_request_is_logged_with_its_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    station = Station()
    frames = frames_of(station)
    for _ in range(2):
        ask(frames, "10")
        for number in range(3):
            frames.offer(shot(number), moving=True)
        ask(frames, "0")
    assert (
        caplog.messages
        == [
            "camera yard: 10 frames a second are asked for",
            "camera yard: no more frames are asked for; 3 frames sent",
        ]
        * 2
    )


# --- the device looks ----------------------------------------------------------------------------------


class Eyes:
    """A detector whose answers the test gives; it waits for each when `gate` is closed."""

    info = ModelInfo(name="eyes", engine="none")

    def __init__(self, *answers: Any) -> None:
        from meerkat_inference.detector import Found

        self.default = [Found("person", 0.9, (0.1, 0.2, 0.3, 0.4))]
        self.answers = list(answers)
        self.gate = threading.Event()
        self.gate.set()
        self.looked: list[tuple[int, ...]] = []
        self.opened = 0
        self.closed = 0

    def open(self, task: str) -> Eyes:
        self.opened += 1
        return self

    def detect(self, picture: Any) -> list[Any]:
        self.looked.append(picture.shape)
        assert self.gate.wait(10)
        answer = self.answers.pop(0) if self.answers else self.default
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed += 1


class Looking:
    """Frames with a detector, and its thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, eyes: Eyes, **settings: Any) -> None:
        monkeypatch.setattr(frame_detector, "open_for", eyes.open)
        self.station, self.clock = Station(), Clock()
        wanted = {"detect": "detect_objects", "when": "always", **settings}
        self.frames = frames_of(self.station, clock=self.clock, **wanted)
        detector = self.frames.detector
        assert detector is not None
        self.stop = threading.Event()
        self.raised: list[BaseException] = []
        self.thread = threading.Thread(target=self._run, args=(detector,))
        self.thread.start()
        self.number = 0

    def _run(self, detector: FrameDetector) -> None:
        try:
            detector.run(self.stop)
        except ZeroDivisionError as error:
            self.raised.append(error)

    def look(self) -> None:
        """Offer a frame and wait until its fate is known."""
        before = sum(self.frames.counts.values())
        self.offer()
        wait_for(lambda: sum(self.frames.counts.values()) > before, what="the frame's fate")

    def offer(self) -> None:
        self.frames.offer(shot(self.number), moving=False)
        self.number += 10

    def found(self) -> list[FrameFindings]:
        return [
            read(FrameFindings, dict(properties)["found"].encode())
            for _, _, properties, _ in self.station.sent
        ]

    def end(self) -> None:
        self.frames.end()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Looking]]:
    made: list[Looking] = []

    def make(eyes: Eyes, **settings: Any) -> Looking:
        made.append(Looking(monkeypatch, eyes, **settings))
        return made[-1]

    yield make
    for one in made:
        one.end()


def found(label: str, score: float) -> Any:
    from meerkat_inference.detector import Found

    return Found(label, score, (0.123456789, 0.2, 0.3, 0.4))


def test_what_the_device_found_goes_with_the_frame(look: Callable[..., Looking]) -> None:
    eyes = Eyes(
        [found("person", 0.5), found("cat", 0.3), found("chair", 0.9)],
        [found("person", 0.49), found("chair", 0.99)],
        [],
    )
    looking = look(eyes, width=160)
    ask(looking.frames, "1")
    for _ in range(4):
        looking.look()
    first, last = looking.found()
    assert first.task == "detect_objects"
    assert first.model is not None
    assert first.model.name == "eyes"
    assert [(one.label, one.score) for one in first.found] == [("person", 0.5), ("cat", 0.3)]
    assert first.found[0].box == (0.1235, 0.2, 0.3, 0.4)
    assert last.found[0].score == 0.9
    assert looking.frames.counts == {"sent": 2, "nothing": 2, "passed over": 0, "failed": 0}
    assert eyes.looked[0] == (90, 160, 3), "it looks at what is sent"
    jpeg = cv2.imdecode(np.frombuffer(looking.station.sent[0][1], np.uint8), cv2.IMREAD_COLOR)
    assert jpeg.shape == (90, 160, 3)


def test_labels_choose_what_is_of_interest(look: Callable[..., Looking]) -> None:
    looking = look(Eyes([found("chair", 0.9)], [found("person", 0.9)]), labels=("chair",))
    ask(looking.frames, "1")
    looking.look()
    looking.look()
    assert [one.found[0].label for one in looking.found()] == ["chair"]


def test_the_newest_frame_is_looked_at_and_nobody_waits(look: Callable[..., Looking]) -> None:
    eyes = Eyes()
    looking = look(eyes)
    ask(looking.frames, "1")
    eyes.gate.clear()
    looking.offer()
    wait_for(lambda: eyes.looked, what="the first look")
    for _ in range(5):  # on this thread: it would hang if it waited for the detector
        looking.offer()
    assert looking.frames.counts["passed over"] == 4
    eyes.gate.set()
    wait_for(lambda: looking.frames.counts["sent"] == 2, what="the first and the newest")
    times = [Metadata.from_properties(p, content_type=c).captured_at for _, _, p, c in looking.station.sent]
    assert (times[1] - times[0]).total_seconds() == 5


def test_a_failure_is_told_and_never_reads_as_nothing_found(look: Callable[..., Looking]) -> None:
    looking = look(Eyes(ModelError("the network fails", where="eyes"), ModelError("again")))
    ask(looking.frames, "1")
    looking.look()
    looking.look()
    assert looking.frames.counts["failed"] == 2
    assert looking.frames.counts["nothing"] == 0
    assert str(looking.station.errors[0]) == "camera yard, frames, eyes: the network fails"
    assert isinstance(looking.station.errors[0], ModelError)
    assert looking.station.standing == {"camera yard, detector"}
    looking.look()
    wait_for(lambda: not looking.station.standing, what="the all-clear")
    assert looking.frames.counts["sent"] == 1
    assert len(looking.clock.waits) == 2, "it is not tried again at once"
    assert looking.clock.waits[1] > looking.clock.waits[0]


def test_an_error_of_ours_is_counted_and_ends_the_thread_for_its_supervisor(
    look: Callable[..., Looking],
) -> None:
    eyes = Eyes(ZeroDivisionError("a mistake of ours"))
    looking = look(eyes)
    ask(looking.frames, "1")
    looking.look()
    looking.thread.join(10)
    assert len(looking.raised) == 1
    assert eyes.closed == 1
    assert looking.frames.counts["failed"] == 1


def test_without_a_request_no_detector_is_held(look: Callable[..., Looking]) -> None:
    eyes = Eyes()
    looking = look(eyes)
    looking.offer()
    assert eyes.opened == 0
    for turn in (1, 2):
        ask(looking.frames, "1")
        looking.look()
        assert (eyes.opened, eyes.closed) == (turn, turn - 1)
        ask(looking.frames, "0")
        wait_for(lambda turn=turn: eyes.closed == turn, what="the memory to be given back")  # type: ignore[misc]


def test_what_is_found_after_the_request_was_withdrawn_is_not_sent(look: Callable[..., Looking]) -> None:
    eyes = Eyes()
    looking = look(eyes)
    ask(looking.frames, "1")
    eyes.gate.clear()
    looking.offer()
    wait_for(lambda: eyes.looked, what="the look")
    ask(looking.frames, "0")
    eyes.gate.set()
    wait_for(lambda: eyes.closed, what="the rest")
    assert looking.station.sent == []


def test_a_missing_extra_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "meerkat_inference.loading", None)
    with pytest.raises(ModelError, match=r"Install the extra `worker`") as caught:
        frame_detector.open_for("detect_objects")
    assert "the device cannot look by itself" in caught.value.what


def test_no_model_for_faces_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEERKAT_MODELS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="no model for detect_faces") as caught:
        frame_detector.open_for("detect_faces")
    assert "meerkat models pull" in caught.value.remedy


def test_the_fallback_says_that_it_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MEERKAT_MODELS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    detector = frame_detector.open_for("detect_objects")
    assert detector.info.fallback
    assert [line.levelname for line in caplog.records] == ["WARNING"]
    detector.close()


def test_a_device_without_detection_does_not_load_inference() -> None:
    import subprocess

    code = (
        "import sys, meerkat_devices.service, meerkat_devices.camera\n"
        "assert not any(name.startswith('meerkat_inference') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the whole device, over a real broker --------------------------------------------------------------


class Listener:
    """Asks for frames and hears them, as a hub does."""

    def __init__(self, broker: Mosquitto) -> None:
        self.frames: list[Incoming] = []
        self.rates: list[bytes] = []
        self.errors: list[ErrorReport] = []
        self.clips: list[str] = []
        self.session = Session(broker.connection, client_id="listener")
        self.session.subscribe("meerkat/device/pi/+/frame", self.frames.append)
        self.session.subscribe(
            "meerkat/device/pi/+/frames/state", lambda message: self.rates.append(message.payload)
        )
        self.session.subscribe(
            "meerkat/device/pi/error", lambda message: self.errors.append(read(ErrorReport, message.payload))
        )
        self.session.subscribe(
            "meerkat/device/pi/+/clip", lambda message: self.clips.append(message.topic), join_parts=True
        )
        self.session.start()
        self.session.wait_subscribed(10)

    def ask(self, payload: str) -> None:
        self.session.publish(SET, payload, qos=1, retain=True).wait(10)


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    made = Listener(broker)
    yield made
    made.session.stop(timeout=1)


@pytest.fixture
def device(broker: Mosquitto, tmp_path: Path) -> Iterator[Callable[..., Device]]:
    made: list[Device] = []
    video = make_clip(tmp_path / "in.mp4", seconds=20, fps=15, moving=True, crossing=2)

    def make(**frames: Any) -> Device:
        cameras = {"yard": {"source": str(video), "frames": frames}}
        settings = DeviceSettings.model_validate({"cameras": cameras})
        made.append(Device("pi", settings, broker.connection, tmp_path, replay=Replay(loop=True)))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_a_device_sends_frames_while_they_are_asked_for(
    listener: Listener, device: Callable[..., Device]
) -> None:
    listener.ask("5")  # before the device is there: the wish is retained
    own = device()
    wait_for(lambda: len(listener.frames) >= 3, what="frames")
    assert listener.rates[:2] == [b"0", b"5"]
    message = listener.frames[0]
    assert message.qos == 0
    assert message.metadata().trigger == "frame"
    assert not message.retain
    times = [message.metadata().captured_at.timestamp() for message in listener.frames[:3]]
    assert np.diff(times) == pytest.approx([0.2, 0.2], abs=0.002)
    listener.ask("a lot")
    wait_for(lambda: listener.errors, what="the refusal")
    assert listener.errors[0].where == SET
    assert own.cameras[0].frames.rate == 5
    listener.ask("0")
    wait_for(lambda: listener.rates[-1] == b"0", what="the end")
    (camera,) = own.cameras
    sent = camera.frames.counts["sent"]
    wait_for(lambda: len(listener.frames) == sent, what="the last frames")
    looked = camera._next_look
    wait_for(lambda: camera._next_look > looked + TICKS, what="another second of pictures")
    assert camera.frames.counts["sent"] == sent == len(listener.frames)


def test_a_hub_that_dies_is_sent_no_frames(
    broker: Mosquitto, listener: Listener, device: Callable[..., Device]
) -> None:
    from support.stand_in_hub import StandInHub

    hub = StandInHub(broker.connection)
    hub.start()
    listener.ask("5")
    own = device()
    wait_for(lambda: listener.frames, what="frames")
    hub.session.stop(goodbye=False)  # cut off: the broker publishes its will
    wait_for(lambda: listener.rates[-1] == b"0", what="the rate to be 0")
    assert own.cameras[0].frames.asked == 5
    again = StandInHub(broker.connection)
    again.start()
    wait_for(lambda: listener.rates[-1] == b"5", what="the rate to be back")
    again.stop()


def test_a_detector_that_hangs_holds_up_neither_motion_nor_recording_nor_the_end(
    monkeypatch: pytest.MonkeyPatch, listener: Listener, device: Callable[..., Device]
) -> None:
    eyes = Eyes()
    eyes.gate.clear()
    monkeypatch.setattr(frame_detector, "open_for", eyes.open)
    listener.ask("5")
    own = device(detect="detect_objects")
    wait_for(lambda: eyes.looked, what="the look that hangs")
    (camera,) = own.cameras
    wait_for(lambda: listener.clips, what="a clip")
    wait_for(lambda: camera.frames.counts["passed over"] >= 3, what="frames passed over")
    assert len(eyes.looked) == 1
    eyes.gate.set()
    wait_for(lambda: listener.frames, what="the frame")
    findings = read(FrameFindings, dict(listener.frames[0].properties)["found"].encode())
    assert findings.found[0].label == "person"
