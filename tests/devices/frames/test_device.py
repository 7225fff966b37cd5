"""Frames of a whole device, over a real broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meerkat_contract.messages import ErrorReport, FrameFindings, read
from meerkat_contract.session import Incoming, Session
from meerkat_devices.frames import detector as frame_detector
from meerkat_devices.recording.recorder import TICKS
from meerkat_devices.service import Device, Replay
from meerkat_devices.settings.device import DeviceSettings
from support.broker import Mosquitto
from support.frames import SET, Eyes
from support.media import make_clip
from support.stand_in_hub import StandInHub
from support.wait import wait_for


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
    # The rate of the start may be told twice, and a frame may overtake the other one.
    wait_for(lambda: [rate for rate, _ in groupby(listener.rates)] == [b"0", b"5"], what="the rates")
    message = listener.frames[0]
    assert message.qos == 0
    assert message.metadata().trigger == "frame"
    assert not message.retain
    times = [message.metadata().captured_at.timestamp() for message in listener.frames[:3]]
    steps = np.diff(times) / 0.2
    assert steps == pytest.approx(np.round(steps), abs=0.01)
    assert round(sum(steps)) - 2 <= own.cameras[0].frames.counts["passed over"], "on a busy machine"
    listener.ask("a lot")
    wait_for(lambda: listener.errors, what="the refusal")
    assert listener.errors[0].where == SET
    assert own.cameras[0].frames.rate == 5
    listener.ask("0")
    wait_for(lambda: listener.rates[-1] == b"0", what="the end")
    (camera,) = own.cameras
    sent = len(listener.frames)  # none comes after that word
    wait_for(lambda: camera.frames.counts["sent"] == sent, what="the last one to be counted")
    looked = camera._next_look
    wait_for(lambda: camera._next_look > looked + TICKS, what="another second of pictures")
    assert camera.frames.counts["sent"] == sent == len(listener.frames)


def test_a_hub_that_dies_is_sent_no_frames(
    broker: Mosquitto, listener: Listener, device: Callable[..., Device]
) -> None:
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
