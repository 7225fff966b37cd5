"""Settings of a whole device that change while it runs, over a real broker."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest

from meerkat_contract.messages import DeviceInfo, ErrorReport, read
from meerkat_contract.session import Incoming, Session
from meerkat_devices.service import Device, Replay
from meerkat_devices.settings.device import DeviceSettings
from support.broker import Mosquitto
from support.media import make_clip
from support.stand_in_hub import StandInHub
from support.wait import wait_for


class Panel:
    """Sets what can be set, and hears what is in force; a hub takes the clips."""

    def __init__(self, broker: Mosquitto) -> None:
        self.states: dict[str, str] = {}
        self.heard: list[tuple[str, str]] = []
        self.errors: list[ErrorReport] = []
        self.hub = StandInHub(broker.connection)
        self.session = Session(broker.connection, client_id="panel")
        self.session.subscribe("meerkat/device/pi/+/+/state", self._state)
        self.session.subscribe(
            "meerkat/device/pi/error", lambda message: self.errors.append(read(ErrorReport, message.payload))
        )

    def _state(self, message: Incoming) -> None:
        _, _, _, thing, setting, _ = message.topic.split("/")
        word = message.payload.decode()
        self.states[f"{thing}/{setting}"] = word
        self.heard.append((f"{thing}/{setting}", word))

    def start(self) -> None:
        self.hub.start()
        self.session.start()
        self.session.wait_subscribed(10)

    def stop(self) -> None:
        self.session.stop(timeout=1)
        self.hub.stop()

    def send(self, setting: str, payload: str, *, retain: bool = False) -> None:
        self.session.publish(f"meerkat/device/pi/{setting}/set", payload, qos=1, retain=retain).wait(10)

    def set(self, setting: str, payload: str) -> None:
        """Set, and wait until it is said to be in force."""
        self.send(setting, payload)
        wait_for(lambda: self.states.get(setting) == payload, what=f"{setting} to be {payload}")

    def said(self, kind: str) -> list[bytes]:
        return self.hub.states.get(f"meerkat/device/pi/{kind}", [])


@pytest.fixture
def panel(broker: Mosquitto) -> Iterator[Panel]:
    made = Panel(broker)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def device(broker: Mosquitto, tmp_path: Path) -> Iterator[Callable[..., Device]]:
    made: list[Device] = []

    def make(*, moving: bool = False, **camera: Any) -> Device:
        video = tmp_path / f"{moving}.mp4"
        if not video.exists():
            make_clip(video, seconds=20, moving=moving)
        settings = DeviceSettings.model_validate({"cameras": {"yard": {"source": str(video), **camera}}})
        made.append(Device("pi", settings, broker.connection, tmp_path, replay=Replay(loop=True)))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()
    logging.getLogger("meerkat").setLevel(logging.NOTSET)


def test_what_can_be_set_is_told_with_its_bounds_and_its_state(
    panel: Panel, device: Callable[..., Device]
) -> None:
    device(motion={"sensitivity": 0.25})
    wait_for(lambda: panel.said("info"), what="the info")
    info = read(DeviceInfo, panel.said("info")[0])
    rows = {row.name: row for row in info.cameras[0].settings}
    assert (rows["sensitivity"].minimum, rows["sensitivity"].maximum) == (0, 1)
    assert rows["enabled"].kind == rows["record"].kind == "switch"
    assert rows["frames_when"].options == ("motion", "always")
    assert {row.name for row in info.settings} == {"log_level", "outbox_rate"}
    told = {f"yard/{name}" for name in rows} | {f"device/{row.name}" for row in info.settings}
    wait_for(lambda: told <= panel.states.keys(), what="every state")
    assert panel.states["yard/sensitivity"] == "0.25"
    assert panel.states["yard/pre_roll"] == "3"
    assert panel.states["yard/record"] == "OFF"


def test_everything_that_is_told_can_be_set(panel: Panel, device: Callable[..., Device]) -> None:
    own = device()
    for thing in ("yard", "device"):
        for row in own.tuning.infos(thing):
            other = {
                "switch": "OFF" if panel.states.get(f"{thing}/{row.name}") == "ON" else "ON",
                "select": row.options[-1] if row.options else "",
                "number": f"{row.maximum:.10g}" if row.maximum is not None else "1",
            }[row.kind]
            if row.name not in ("enabled", "record"):  # these have tests of their own
                panel.set(f"{thing}/{row.name}", other)
    assert not panel.errors
    settings = own.cameras[0].settings
    assert (settings.pre_roll, settings.motion.sensitivity, settings.frames.quality) == (30, 1, 95)
    assert own.settings.outbox.spooled_bytes_per_second == 100_000_000
    assert logging.getLogger("meerkat").level == logging.ERROR


def test_a_camera_is_switched_off_and_on(panel: Panel, device: Callable[..., Device]) -> None:
    own = device(moving=True, picture_seconds=1, post_roll=1)
    (camera,) = own.cameras
    wait_for(lambda: b"ON" in panel.said("yard/motion"), what="motion")
    panel.set("yard/enabled", "OFF")
    wait_for(lambda: camera._source is None, what="the source to be closed")
    wait_for(lambda: panel.said("yard/motion")[-1] == b"OFF", what="no motion")
    wait_for(lambda: any(clip.metadata.last for clip in panel.hub.clips()), what="the recording's end")
    panel.send("yard/record", "ON")
    wait_for(lambda: panel.errors, what="the refusal")
    assert "switched off" in panel.errors[0].what
    panel.set("yard/enabled", "ON")
    wait_for(lambda: camera._source is not None, what="the source to be opened")
    wait_for(lambda: panel.said("yard/motion")[-1] == b"ON", what="motion again")


def test_motion_is_looked_for_again_when_it_is_asked_for(panel: Panel, device: Callable[..., Device]) -> None:
    own = device(moving=True, motion={"enabled": False})
    (camera,) = own.cameras
    wait_for(lambda: camera._next_look > 2 * 90_000, what="two seconds of pictures")
    assert set(panel.said("yard/motion")) == {b"OFF"}  # a state may be told again
    panel.set("yard/motion_detection", "ON")
    wait_for(lambda: panel.said("yard/motion")[-1] == b"ON", what="motion")
    panel.set("yard/motion_detection", "OFF")
    wait_for(lambda: panel.said("yard/motion")[-1] == b"OFF", what="no motion")


def test_a_recording_by_hand_ends_by_itself_and_is_not_kept(
    panel: Panel, device: Callable[..., Device]
) -> None:
    own = device(record_seconds=1, post_roll=1, pre_roll=1)
    wait_for(lambda: own.cameras[0]._next_look > 90_000, what="a second of pictures")
    panel.send("yard/record", "ON")
    wait_for(panel.hub.clips, what="the recording")
    (clip,) = panel.hub.clips()
    assert clip.metadata.trigger == "command"
    assert clip.metadata.last
    with av.open(BytesIO(clip.payload)) as container:
        assert 2 <= float(container.duration or 0) / av.time_base <= 5
    wait_for(lambda: panel.states["yard/record"] == "OFF", what="the switch")
    assert ("yard/record", "ON") in panel.heard
    assert set(panel.said("yard/motion")) == {b"OFF"}
    assert not (own.outbox.folder.parent / "settings.json").exists()


def test_a_wish_that_cannot_be_is_refused_and_one_that_is_retained_too(
    panel: Panel, device: Callable[..., Device]
) -> None:
    panel.send("yard/pre_roll", "9", retain=True)
    own = device()
    wait_for(lambda: panel.errors, what="the refusal")
    assert "retain" in panel.errors[0].what
    panel.send("yard/sensitivity", "much")
    panel.send("yard/clip_seconds", "0")
    panel.send("yard/sharpness", "1")
    wait_for(lambda: len(panel.errors) >= 4, what="the refusals")
    assert all(error.what and error.where and error.remedy for error in panel.errors)
    assert {error.where for error in panel.errors} == {
        f"meerkat/device/pi/yard/{name}/set"
        for name in ("pre_roll", "sensitivity", "clip_seconds", "sharpness")
    }
    settings = own.cameras[0].settings
    assert (settings.pre_roll, settings.motion.sensitivity, settings.clip_seconds) == (3, 0.5, 5)


def test_clips_cannot_be_switched_on_where_something_is_private(
    panel: Panel, device: Callable[..., Device]
) -> None:
    own = device(clips=False, privacy=[[[0, 0], [1, 0], [1, 1]]])
    wait_for(lambda: panel.states.get("yard/clips") == "OFF", what="the state")
    panel.send("yard/clips", "ON")
    wait_for(lambda: panel.errors, what="the refusal")
    assert "privacy" in panel.errors[0].what
    assert not own.cameras[0].settings.clips


CONFIGURATION = """
devices:
  pi:
    cameras:
      yard: {{source: {video}, motion: {{sensitivity: {sensitivity}}}}}
"""


def test_what_was_set_outlives_a_power_cut_until_the_file_is_changed(
    broker: Mosquitto, panel: Panel, tmp_path: Path
) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=10, moving=False)
    file, log = tmp_path / "meerkat.yaml", tmp_path / "log"

    def start(sensitivity: float) -> subprocess.Popen[bytes]:
        panel.states.clear()
        file.write_text(CONFIGURATION.format(video=video, sensitivity=sensitivity))
        command = ["device", "--config", file, "--data", tmp_path / "data", "--loop"]
        with log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "meerkat_cli", *map(str, command)],
                stdout=out,
                stderr=out,
                env={**os.environ, "MEERKAT_BROKER": broker.connection.secret_url},
            )

    def in_force(word: str) -> None:
        wait_for(
            lambda: panel.states.get("yard/sensitivity") == word,
            what=f"sensitivity {word}; the log says {log.read_text()}",
        )

    process = start(0.5)
    try:
        in_force("0.5")
        panel.set("yard/sensitivity", "0.8")
        process.kill()
        process.wait(10)
        process = start(0.5)
        wait_for(lambda: "meerkat.yaml says 0.5: send default" in log.read_text(), what="the log")
        in_force("0.8")
        process.kill()
        process.wait(10)
        process = start(0.6)
        wait_for(lambda: "no longer counts" in log.read_text(), what="the log")
        in_force("0.6")
    finally:
        process.kill()
        process.wait(10)


def test_a_meters_photography_can_be_set_beside_its_button(
    broker: Mosquitto, panel: Panel, tmp_path: Path
) -> None:
    settings = DeviceSettings.model_validate({"meters": {"water": {"source": "scene:meter", "exposures": 2}}})
    own = Device("pi", settings, broker.connection, tmp_path)
    own.start()
    try:
        wait_for(lambda: panel.states.get("water/exposures") == "2", what="the state")
        wait_for(lambda: panel.said("info"), what="the info")
        info = read(DeviceInfo, panel.said("info")[-1])
        names = [row.name for row in info.meters[0].settings]
        assert names == ["capture", "exposures", "combine", "settle", "caption"], "no lamp, no brightness"
        panel.set("water/exposures", "5")
        panel.set("water/combine", "sharpest")
        (meter,) = own.meters
        assert (meter.settings.exposures, meter._photographer.settings.combine) == (5, "sharpest")
        panel.send("water/exposures", "2.5")
        wait_for(lambda: panel.errors, what="the refusal")
        assert panel.errors[0].where == "meerkat/device/pi/water/exposures/set"
        assert meter.settings.exposures == 5
    finally:
        own.stop()


def test_clips_say_whether_they_may_leave_the_house(panel: Panel, device: Callable[..., Device]) -> None:
    """What is set counts for what is recorded from then on."""
    device(moving=True, clip_seconds=1, cloud="overflow")
    wait_for(lambda: panel.states.get("yard/cloud") == "overflow", what="the state")
    wait_for(panel.hub.clips, what="a clip")
    panel.set("yard/cloud", "never")
    wait_for(lambda: panel.hub.clips()[-1].metadata.cloud == "never", what="a clip that stays")
    assert panel.hub.clips()[0].metadata.cloud == "overflow"
    panel.set("yard/cloud", "auto")
    wait_for(lambda: panel.hub.clips()[-1].metadata.cloud is None, what="a clip that says nothing")
