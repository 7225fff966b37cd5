"""A whole device and a whole hub over a real broker: zones, regions, and settings over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub_support.core_driver import track
from hub_support.peers import FakeWorker
from meerkat_contract.errors import DeviceError
from meerkat_contract.messages import ErrorReport, Event, read
from meerkat_contract.session import Session
from meerkat_contract.topics import DeviceTopic
from meerkat_devices.frames import detector as frame_detector
from meerkat_devices.service import Device, Replay
from meerkat_devices.settings.device import DeviceSettings
from meerkat_hub.adapters.queries import Filter, Queries
from meerkat_hub.application import Hub, build_hub
from meerkat_hub.core.workflow_records import Policy, WorkflowSpec
from meerkat_hub.settings import HubSettings
from meerkat_hub.web.server import HubServer, listen
from support.broker import Mosquitto
from support.frames import Eyes
from support.media import make_clip
from support.wait import wait_for

LEFT = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
RIGHT = [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]

LOBBY = WorkflowSpec.model_validate(
    {
        "cameras": {"pi/yard": 5},
        "measurement": "device",
        "feature": None,
        "decision": {"rule": "seen", "labels": ["person"], "cooldown": 0},
    }
)


class House:
    def __init__(self, broker: Mosquitto, folder: Path, workflows: dict[str, WorkflowSpec]) -> None:
        self.broker, self.folder = broker, folder
        self.events: list[Event] = []
        policy = Policy(reserve=0, gather=0)
        self.hub: Hub = build_hub(
            folder, broker.connection, HubSettings(), workflows=workflows, policy=policy
        )
        self.hub.start()
        self.hub.bus.session.wait_subscribed(10)
        self.heard = Session(broker.connection, client_id="subscriber")
        self.heard.subscribe(
            "meerkat/camera/+/+/event", lambda message: self.events.append(read(Event, message.payload))
        )
        self.heard.start()
        self.heard.wait_subscribed(10)
        self.devices: list[Device] = []

    def device(self, *, moving: bool = False, **camera: Any) -> Device:
        video = self.folder / f"{moving}.mp4"
        if not video.exists():
            make_clip(video, seconds=20, moving=moving, crossing=2)
        settings = DeviceSettings.model_validate({"cameras": {"yard": {"source": str(video), **camera}}})
        own = Device("pi", settings, self.broker.connection, self.folder, replay=Replay(loop=True))
        self.devices.append(own)
        own.start()
        return own

    def stop(self) -> None:
        for device in self.devices:
            device.stop()
        self.heard.stop()
        self.hub.stop()


@pytest.fixture
def house(broker: Mosquitto, tmp_path: Path) -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def make(**workflows: WorkflowSpec) -> House:
        made.append(House(broker, tmp_path, workflows))
        return made[0]

    yield make
    for one in made:
        one.stop()


def test_an_event_of_a_recording_says_in_which_zones_it_was(house: Callable[..., House]) -> None:
    site = house()
    worker = FakeWorker(site.broker.connection)
    try:
        site.device(moving=True, zones={"drive": LEFT, "garden": RIGHT}, clip_seconds=1, pre_roll=0)
        for x in ((0.1, 0.3), (0.3, 0.6)):
            job, _ = worker.job()
            worker.answer(job, track(x=x, end=1.0))
        wait_for(lambda: len(site.events) >= 2, what="the event")
        new, update = site.events[:2]
        assert (new.type, new.after.zones) == ("new", ("drive",))
        assert (update.type, update.after.zones) == ("update", ("drive", "garden"))
        (stored,) = Queries(site.hub.engine).events(Filter(limit=5))
        assert stored.state.zones == ("drive", "garden")
    finally:
        worker.stop()


def test_a_device_that_looks_at_a_region_tells_the_hub_where_it_is_in_the_whole(
    house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_detector, "open_for", Eyes().open)
    site = house(lobby=LOBBY)
    frames = {"detect": "detect_objects", "when": "always", "region": [0.5, 0.5, 0.5, 0.5]}
    site.device(frames=frames, zones={"drive": LEFT, "garden": RIGHT})
    wait_for(lambda: site.events, what="the event")
    after = site.events[0].after
    assert after.box == pytest.approx((0.55, 0.6, 0.15, 0.2), abs=0.01), "(0.1, 0.2, 0.3, 0.4) of the part"
    assert (after.workflow, after.zones) == ("lobby", ("garden",))


def test_what_a_device_complains_of_is_gone_from_the_hub_as_soon_as_it_works(
    house: Callable[..., House],
) -> None:
    site = house()
    own = site.device()
    errors = site.hub.live.errors
    own.report(DeviceError("is taken by another program", where="light lamp, GPIO 18"), about="light lamp")
    own.report(DeviceError("has been ON for an hour", where="sensor hall"), about="sensor hall, stuck")
    wait_for(lambda: len(errors.of("pi")) == 2, what="both errors")
    own.well("light lamp")
    wait_for(lambda: [one.where for one in errors.of("pi")] == ["sensor hall"], what="the lamp's end")
    own.well("sensor hall, stuck")
    wait_for(lambda: not errors.of("pi"), what="the sensor's end")


def test_what_stands_is_written_to_the_log_once(
    house: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "meerkat.hub")
    site = house()
    report = ErrorReport(what="is not there", where="camera yard, rtsp://yard/1", at=datetime.now(UTC))
    well = report.model_copy(update={"what": ""})
    for said in (report, report, well, well, report.model_copy(update={"what": "refuses the password"})):
        site.heard.publish(DeviceTopic("pi", "error"), said.to_json(), qos=1)
    wait_for(lambda: "refuses the password" in caplog.text, what="the last to be heard")
    told = [line for line in caplog.messages if line.startswith("device pi reports")]
    assert [line.split(": ")[-1] for line in told] == [
        "is not there. ",
        "all is well again",
        "refuses the password. ",
    ]


def test_a_setting_is_set_over_http_and_what_is_wrong_is_said_at_once(house: Callable[..., House]) -> None:
    site = house()
    own = site.device(zones={"drive": LEFT})
    with listen("127.0.0.1", 0) as listener:
        server = HubServer(site.hub, HubSettings())
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_for(lambda: server.started, what="the server")
            base = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=base, timeout=20) as http:
                _set_over_http(http, own)
        finally:
            server.should_exit = True
            thread.join(20)


def _set_over_http(http: httpx.Client, own: Device) -> None:
    def value(thing: str, name: str) -> str | None:
        answer = http.get("/api/devices/pi/settings")
        found = [one for one in answer.json() if (one["thing"], one["name"]) == (thing, name)]
        return found[0]["value"] if found else None

    wait_for(lambda: http.get("/api/devices/pi/settings").status_code == 200, what="the device")
    wait_for(lambda: value("yard", "sensitivity") == "0.5", what="its state")
    assert http.post("/api/devices/pi/yard/sensitivity", json={"value": 0.7}).status_code == 204
    wait_for(lambda: value("yard", "sensitivity") == "0.7", what="the new state")
    assert own.cameras[0].settings.motion.sensitivity == 0.7
    assert http.post("/api/devices/pi/yard/motion_detection", json={"value": False}).status_code == 204
    wait_for(lambda: value("yard", "motion_detection") == "OFF", what="the switch")
    assert http.post("/api/devices/pi/yard/sensitivity", json={"value": "default"}).status_code == 204
    wait_for(lambda: value("yard", "sensitivity") == "0.5", what="the file's value")
    for path, wish, status in (
        ("pi/yard/sensitivity", 7, 422),
        ("pi/yard/sensitivity", "much", 422),
        ("pi/yard/enabled", 1, 422),
        ("pi/yard/sharpness", 1, 404),
        ("pi/back/sensitivity", 1, 404),
        ("attic/yard/sensitivity", 1, 404),
    ):
        answer = http.post(f"/api/devices/{path}", json={"value": wish})
        assert answer.status_code == status, answer.text
        assert answer.json()["remedy"]
    assert http.get("/api/devices/attic/settings").status_code == 404
    zones = http.get("/api/devices").json()[0]["cameras"][0]["zones"]
    assert zones == {"drive": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
    own.stop()
    wait_for(lambda: http.get("/api/devices").json()[0]["availability"] == "offline", what="its goodbye")
    answer = http.post("/api/devices/pi/yard/sensitivity", json={"value": 0.7})
    assert (answer.status_code, answer.json()["what"]) == (409, "device pi is offline")
