"""A device that is gone for good is forgotten when somebody asks for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from hub_support.bus_house import BusHouse
from hub_support.web_house import Served, WebHouse, serving
from meerkat_contract.ids import new_id
from meerkat_contract.messages import DeviceInfo, ErrorReport
from meerkat_hub.adapters.forgetting import Forgetting
from meerkat_hub.adapters.retained import AFTERWARDS
from meerkat_hub.application import Hub
from meerkat_hub.core.outputs import ClipStored
from meerkat_hub.core.records import Clip
from meerkat_hub.settings import HubSettings
from support.broker import Mosquitto
from support.processes import Program
from support.wait import wait_for

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def house(broker: Mosquitto, tmp_path: Path) -> Iterator[BusHouse]:
    made = BusHouse(broker, tmp_path)
    yield made
    made.bus.stop()


@pytest.fixture
def hub(house: BusHouse) -> Iterator[Hub]:
    """One that was started by itself: the devices are elsewhere."""
    with ExitStack() as ends:
        yield house.hub(ends, alone=True)


@pytest.fixture
def web(hub: Hub) -> Iterator[Served]:
    with serving(hub, HubSettings()) as served:
        yield served


def forget(web: Served, device: str, *, status: int = 204, kind: str = "application/json") -> httpx.Response:
    answer = web.http.request("DELETE", f"/api/devices/{device}", headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    return answer


def test_a_device_that_is_gone_leaves_broker_page_and_database(
    house: BusHouse, hub: Hub, web: Served
) -> None:
    clip = new_id()
    stored = ClipStored(Clip(clip, "attic", "front", NOW, NOW, recording=clip, duration=5.0, size=10))
    hub.store.commit([stored], announced=[], now=NOW, pictures={})
    house.device("attic", "front", word="offline")
    house.device("porch", "front")
    wait_for(lambda: len(hub.live.availability) == 2 and len(hub.live.devices) == 2)
    hub.live.errors.add("attic", ErrorReport(what="it is too warm", where="device attic", at=NOW))
    before = house.of("porch")
    forget(web, "attic")
    assert [one["device"] for one in web.json("/api/devices")] == ["porch"], "at once"
    assert [info.device for info in hub.store.devices()] == ["porch"]
    wait_for(lambda: not house.of("attic"), what="nothing is left of it on the bus")
    wait_for(lambda: ("attic", "front") not in hub.live.pictures, what="nor its picture in the hub")
    assert house.of("porch") >= before
    assert web.json(f"/api/clips/{clip}")["device"] == "attic", "what it recorded stays"
    assert "no device attic" in forget(web, "attic", status=404).json()["what"]

    house.device("attic", "front")
    wait_for(lambda: "attic" in hub.live.devices, what="it comes back")
    found = {one["device"]: one for one in web.json("/api/devices")}
    assert found["attic"]["errors"] == []


@pytest.mark.parametrize(
    ("word", "remedy"), [("online", "End it first"), ("asleep", "When it has not come at its next wake")]
)
def test_one_that_is_there_is_not_forgotten(
    house: BusHouse, hub: Hub, web: Served, word: str, remedy: str
) -> None:
    house.device("attic", "front", word=word)
    wait_for(lambda: hub.live.availability.get("attic") == word and "attic" in hub.live.devices)
    before = house.of("attic")
    said = forget(web, "attic", status=409).json()
    assert said["what"] == f"device attic is {word}"
    assert remedy in said["remedy"]
    hub.live.availability["attic"] = "offline"
    assert forget(web, "attic", status=409).json()["what"] == f"device attic is {word}", "the broker knows"
    assert house.of("attic") >= before
    assert "attic" in hub.live.devices


def test_one_that_the_database_alone_knows_is_forgotten_too(hub: Hub, web: Served) -> None:
    """The broker has lost what it retained."""
    info = DeviceInfo(device="attic")
    hub.live.devices["attic"] = info
    hub.store.save_device(info, NOW)
    forget(web, "attic")
    assert hub.store.devices() == []
    assert web.json("/api/devices") == []


def test_what_the_last_clips_bring_goes_two_minutes_later(house: BusHouse, hub: Hub) -> None:
    now = 0.0
    forgetting = Forgetting(house.connection, hub.live, clock=lambda: now)
    for name in ("attic", "porch"):
        house.device(name, "front", word="offline")
        wait_for(lambda name=name: hub.live.availability.get(name) == "offline")  # type: ignore[misc]
        wait_for(lambda name=name: name in hub.live.devices)  # type: ignore[misc]
        forgetting.forget(name)
        wait_for(lambda name=name: not house.of(name))  # type: ignore[misc]
        house.tell(f"camera/{name}/front/event/picture", "x")
    house.device("porch", "front")
    wait_for(lambda: "porch" in hub.live.devices, what="it came back")
    now = AFTERWARDS - 0.001
    forgetting.look()
    assert house.of("attic") == {"front"}
    now = AFTERWARDS
    forgetting.look()
    wait_for(lambda: not house.of("attic"))
    assert house.of("porch") >= {"front", "info", "availability"}
    house.tell("camera/attic/front/event/picture", "x")
    wait_for(lambda: house.of("attic"))
    forgetting.look()
    assert house.of("attic") == {"front"}, "once is enough"


def test_without_a_broker_it_says_so_and_nothing_is_lost(tmp_path: Path) -> None:
    made = WebHouse(tmp_path)  # it is never started
    made.hub.live.devices["attic"] = DeviceInfo(device="attic")
    try:
        with made.served() as web:
            said = forget(web, "attic", status=503).json()
            assert "not connected to the broker" in said["what"]
            assert [one["device"] for one in web.json("/api/devices")] == ["attic"]
    finally:
        made.close()


def test_another_web_site_cannot_forget_one_and_others_are_asked_for_the_password(
    house: BusHouse, hub: Hub, web: Served
) -> None:
    house.device("attic", "front", word="offline")
    wait_for(lambda: hub.live.availability.get("attic") == "offline" and "attic" in hub.live.devices)
    forget(web, "attic", status=415, kind="text/plain")
    with serving(hub, HubSettings(http_host="0.0.0.0")) as asked:
        headers = JSON | {"X-Forwarded-For": "192.168.1.7"}
        answer = asked.http.request("DELETE", "/api/devices/attic", content=json.dumps(None), headers=headers)
        assert answer.status_code == 401
    assert "attic" in hub.live.devices


def test_a_real_device_that_comes_back_is_shown_again(
    house: BusHouse, hub: Hub, web: Served, tmp_path: Path
) -> None:
    arguments = ["device", "--name", "attic", "--camera", "front=scene:porch", "--data", str(tmp_path / "pi")]
    program = Program("attic", arguments, connection=house.connection, folder=tmp_path)

    def is_word(word: str) -> Callable[[], bool]:
        return lambda: hub.live.availability.get("attic") == word and "attic" in hub.live.devices

    try:
        program.start()
        wait_for(is_word("online"), seconds=30)
        program.stop()
        wait_for(is_word("offline"), seconds=30)
        forget(web, "attic")
        wait_for(lambda: not house.of("attic"))
        program.start()
        wait_for(is_word("online"), seconds=30)
        wait_for(lambda: ("attic", "front") in hub.live.pictures, seconds=30)
        (device,) = web.json("/api/devices")
        assert [camera["name"] for camera in device["cameras"]] == ["front"]
    finally:
        program.stop()
