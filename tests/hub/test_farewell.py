"""What was removed on the page, and the demo once it is over, is taken off the bus."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub_support.bus_house import BusHouse
from meerkat_contract.added_cameras import AddedCameras, write_cameras
from meerkat_contract.messages import CameraInfo, DeviceInfo
from meerkat_hub.adapters import farewell
from meerkat_hub.adapters.page_cameras import PageCameras
from meerkat_hub.application import Hub
from support.broker import Mosquitto
from support.wait import wait_for

YARD, DOOR = {"yard": {"source": "rtsp://c/1"}}, {"door": {"source": "rtsp://c/2"}}


@pytest.fixture
def house(broker: Mosquitto, tmp_path: Path) -> Iterator[BusHouse]:
    made = BusHouse(broker, tmp_path)
    yield made
    made.bus.stop()


Begin = Callable[..., Hub]


@pytest.fixture
def begin(house: BusHouse) -> Iterator[Begin]:
    with ExitStack() as ends:
        yield lambda **more: house.hub(ends, **more)


def test_the_demo_goes_with_the_first_camera_once_it_is_silent(house: BusHouse, begin: Begin) -> None:
    house.device("porch", "front")
    hub = begin(demo=("porch",))
    wait_for(lambda: "porch" in hub.live.devices)
    write_cameras(house.file, AddedCameras("home", YARD))
    house.device("home", "yard")
    wait_for(lambda: hub.live.availability.get("home") == "online")
    assert "porch" in hub.live.devices, "it still speaks"
    house.tell("device/porch/availability", "offline")
    wait_for(lambda: not house.of("porch"), what="nothing is left of it on the bus")
    wait_for(lambda: "porch" not in hub.live.devices)
    wait_for(lambda: "porch" not in [info.device for info in hub.store.devices()], what="nor in the database")
    wait_for(lambda: ("porch", "front") not in hub.live.pictures, what="nor its picture")
    assert house.of("home") >= {"info", "availability", "yard"}


def test_what_the_last_clips_bring_afterwards_goes_too(
    house: BusHouse, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farewell, "AFTERWARDS", 0.0)
    house.device("porch", "front", word="offline")
    hub = begin(over=("porch",))
    wait_for(lambda: not house.of("porch") and "porch" not in hub.live.devices)
    house.tell("camera/porch/front/event/picture", "x")
    hub.farewell.look()  # type: ignore[union-attr]
    wait_for(lambda: not house.of("porch"), what="the last picture is cleared")


@pytest.mark.parametrize("word", ["online", "asleep"])
def test_a_device_that_is_there_is_never_forgotten(house: BusHouse, begin: Begin, word: str) -> None:
    """Somebody has called one of his own like one of the demo."""
    house.device("porch", "front", word=word)
    house.device("basement", "front", word="offline", host="another-machine")
    house.device("attic", "front", word="offline")
    house.device("shed", "front", word="offline", source="usb")
    house.device("garage", "front", word="offline")
    hub = begin(over=("porch", "basement"))
    wait_for(lambda: len(hub.live.availability) == len(hub.live.devices) == 5)
    over = ("porch", "basement", "garage", "shed")
    farewell.Farewell(house.bus.connection, hub.live, PageCameras(house.file), over=over)._look()
    wait_for(lambda: "garage" not in hub.live.devices, what="the look at what is over")
    assert set(hub.live.devices) == {"attic", "basement", "porch", "shed"}
    for device in hub.live.devices:
        assert {"front", "info"} <= house.of(device)


def test_one_that_comes_back_at_that_moment_stays(
    house: BusHouse, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    house.device("porch", "front")
    hub = begin(over=("porch",))
    wait_for(lambda: "porch" in hub.live.devices and hub.live.availability.get("porch") == "online")
    hub.live.availability["porch"] = "offline"  # it has not been heard yet that it is back
    with caplog.at_level("INFO", "meerkat.hub"):
        hub.farewell.look()  # type: ignore[union-attr]
        wait_for(lambda: "device porch is online again, and not cleared away" in caplog.text)
    assert {"front", "info"} <= house.of("porch")


def test_a_removed_camera_goes_and_its_neighbour_stays(house: BusHouse, begin: Begin) -> None:
    write_cameras(house.file, AddedCameras("home", YARD | DOOR))
    house.device("home", "yard", "door")
    hub = begin()
    wait_for(lambda: "home" in hub.live.devices)
    assert hub.cameras is not None
    assert hub.cameras.remove("door")
    house.tell("device/home/info", DeviceInfo(device="home", cameras=(CameraInfo(name="yard"),)).to_json())
    wait_for(lambda: "door" not in house.of("home"), what="the camera is cleared")
    assert house.of("home") >= {"info", "availability", "device", "yard"}


def test_with_the_last_camera_the_device_goes(house: BusHouse, begin: Begin) -> None:
    write_cameras(house.file, AddedCameras("home", YARD))
    house.device("home", "yard")
    hub = begin()
    wait_for(lambda: "home" in hub.live.devices)
    assert hub.cameras is not None
    hub.cameras.remove("yard")
    house.tell("device/home/availability", "offline")
    wait_for(lambda: not house.of("home") and "home" not in hub.live.devices)


def test_the_device_stays_while_its_outbox_holds_something(house: BusHouse, begin: Begin) -> None:
    """It comes once more without cameras, and the hub takes clips only from whom it knows."""
    outbox = house.file.parent / "devices" / "home" / "outbox"
    outbox.mkdir(parents=True)
    (outbox / "a.bin").touch()
    write_cameras(house.file, AddedCameras("home"))
    house.device("home", "yard", word="offline")
    house.device("porch", "front", word="offline")
    hub = begin(over=("porch",))
    wait_for(lambda: not house.of("porch"), what="the look at what is over")
    wait_for(lambda: set(hub.live.devices) == {"home"}, what="the hub to hear of it")
    assert house.of("home") >= {"info", "availability", "yard"}
    (outbox / "a.bin").unlink()
    hub.farewell.look()  # type: ignore[union-attr]
    wait_for(lambda: "home" not in hub.live.devices and not house.of("home"))


def test_what_was_removed_before_a_power_cut_goes_at_the_next_start(house: BusHouse, begin: Begin) -> None:
    write_cameras(house.file, AddedCameras("home", YARD))
    house.device("home", "yard", "door")
    house.device("home", "yard")
    hub = begin()
    wait_for(lambda: "home" in hub.live.devices)
    wait_for(lambda: "door" not in house.of("home"), what="what is left of the removed camera")
    assert "yard" in house.of("home")


def test_one_that_only_the_database_knows_goes_after_a_while(
    house: BusHouse, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker has lost its memory in the same power cut."""
    monkeypatch.setattr(farewell, "SILENT", 0.0)
    monkeypatch.setattr(farewell, "LOOK_EVERY", 0.05)
    with ExitStack() as ends:
        before = house.hub(ends)
        info = DeviceInfo(device="porch", host=platform.node())
        before.store.save_device(info, datetime.now(UTC))
    hub = begin(over=("porch",))
    wait_for(lambda: "porch" not in hub.live.devices)
    wait_for(lambda: not hub.store.devices())
