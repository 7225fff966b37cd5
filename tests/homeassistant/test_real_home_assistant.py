"""Against a real Home Assistant, when there is one: what an owner sees, and what hangs on a device.

It runs with MEERKAT_TEST_HOMEASSISTANT, see `real`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from meerkat_contract.ids import new_id
from meerkat_contract.messages import (
    CameraInfo,
    DeviceInfo,
    Event,
    EventState,
    HubState,
    LightInfo,
    MeterInfo,
    MeterReading,
    MeterVerdict,
    SensorInfo,
    SettingInfo,
)
from meerkat_contract.session import Session
from meerkat_devices.service import Device
from meerkat_devices.settings.device import DeviceSettings
from meerkat_homeassistant.bridge import Bridge
from meerkat_homeassistant.settings import HomeAssistantSettings
from support.broker import Mosquitto
from support.wait import wait_for

from .real import COMMAND, HomeAssistant, home_assistant
from .websocket import Socket

pytestmark = [
    pytest.mark.skipif(not COMMAND, reason="MEERKAT_TEST_HOMEASSISTANT names no Home Assistant to test with"),
    pytest.mark.timeout(300),
]

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
PORCH = DeviceInfo(
    device="porch-pi",
    label="Porch",
    cameras=(CameraInfo(name="front", label="Front door"), CameraInfo(name="yard")),
    meters=(MeterInfo(name="water", label="Water meter"),),
)


@pytest.fixture
def home(broker: Mosquitto) -> Iterator[HomeAssistant]:
    with home_assistant(f"127.0.0.1:{broker.port}") as running:
        yield running


def a_new_event() -> EventState:
    now = "2026-11-20T08:15:00.250Z"
    times = {"start_time": now, "end_time": now, "picture_time": now}
    seen = {"label": "person", "category": "person", "score": 0.8734, "box": (0.1, 0.1, 0.2, 0.5)}
    return EventState.model_validate(
        {"id": new_id(), "device": "porch-pi", "camera": "front", "revision": 1, **times, **seen}
    )


Publish = Callable[..., None]


@pytest.fixture
def publish(broker: Mosquitto) -> Iterator[Publish]:
    """Speaks for the device and the hub, with a bridge beside it."""
    bus = Session(broker.connection, client_id="test-bus")
    bus.start()
    bus.wait_connected(10)
    bridge = Bridge(broker.connection, HomeAssistantSettings(), software="1.2.3")
    thread = threading.Thread(target=bridge.run)
    thread.start()
    try:
        yield lambda topic, payload, retain=True: bus.publish(topic, payload, qos=1, retain=retain).wait(10)
    finally:
        bridge.stop()
        thread.join(10)
        bus.stop()


def test_what_an_owner_sees(home: HomeAssistant, publish: Publish) -> None:
    """One run, as starting a Home Assistant takes ten seconds."""
    states_and_pictures(home, publish)
    event(home, publish)
    readings(home, publish)
    availability(home, publish)
    removal(home, publish)
    assert home.complaints() == []


WIRED = DeviceSettings.model_validate(
    {
        "pins": "mock",
        "sensors": {
            "hall-pir": {"kind": "motion", "gpio": 17, "label": "Hall"},
            "back-door": {"kind": "door", "gpio": 27},
            "bell": {"kind": "button", "gpio": 22, "rings": "front"},
        },
        "lights": {"ir": {"kind": "infrared", "gpio": 18, "brightness": 0.8}},
        "cameras": {"front": {"source": "scene:porch", "clips": False}},
        "meters": {"water": {"source": "scene:meter", "light": "ir", "label": "Cold water"}},
        "battery": {"command": "echo 87"},
    }
)


def test_what_hangs_on_a_device(
    home: HomeAssistant, publish: Publish, broker: Mosquitto, tmp_path: Path
) -> None:
    """A real device, played: what its pins say is seen, and what is set reaches it."""
    publish("meerkat/hub/availability", b"online")
    device = Device("pi", WIRED, broker.connection, tmp_path)
    device.start()
    try:
        sensors(home, device)
        lights(home, device)
        settings(home, device)
        verdict(home, device)
        assert home.until("sensor.pi_battery", "87.0")["attributes"]["charging"] is None
        assert home.complaints() == []
    finally:
        device.stop()
    home.until("binary_sensor.pi_hall_pir", "unavailable")
    asleep(home, publish)
    assert home.complaints() == []


def sensors(home: HomeAssistant, device: Device) -> None:
    pir = home.until("binary_sensor.pi_hall_pir", "off")["attributes"]
    assert (pir["device_class"], pir["friendly_name"]) == ("motion", "Hall")
    device.pins.play("hall-pir", on=True)
    home.until("binary_sensor.pi_hall_pir", "on")
    home.until("binary_sensor.pi_back_door", "off")
    device.pins.play("back-door", on=True)
    home.until("binary_sensor.pi_back_door", "on")
    home.until("event.pi_bell", "unknown")
    device.pins.play("bell", on=True)
    rung = home.until("event.pi_bell", "20.*")["attributes"]
    assert (rung["device_class"], rung["event_type"]) == ("doorbell", "ring")
    assert rung["at"].endswith("Z")


def lights(home: HomeAssistant, device: Device) -> None:
    home.until("light.pi_ir", "off")
    home.call("light.turn_on", "light.pi_ir")
    assert home.until("light.pi_ir", "on")["attributes"]["brightness"] == round(0.8 * 255)
    home.call("light.turn_on", "light.pi_ir", brightness_pct=40)
    wait_for(lambda: round(device.pins.lamp("ir").level, 2) == 0.4, what="a dimmed lamp")
    home.call("light.turn_off", "light.pi_ir")
    home.until("light.pi_ir", "off")
    assert device.pins.lamp("ir").level == 0


def settings(home: HomeAssistant, device: Device) -> None:
    (camera,) = device.cameras
    home.until("switch.pi_front_motion_detection", "on")
    home.call("switch.turn_off", "switch.pi_front_motion_detection")
    home.until("switch.pi_front_motion_detection", "off")
    assert not camera.settings.motion.enabled
    before = float(home.until("number.pi_front_sensitivity", r"[\d.]+")["state"])
    home.call("number.set_value", "number.pi_front_sensitivity", value=before + 0.15)
    home.until("number.pi_front_sensitivity", f"{before + 0.15:.10g}")
    assert camera.settings.motion.sensitivity == pytest.approx(before + 0.15)
    home.until("switch.pi_front_clips", "off")
    assert home.state("number.pi_front_post_roll") == {}  # disabled until somebody wants it


def verdict(home: HomeAssistant, device: Device) -> None:
    told = home.until("sensor.pi_water_condition", "good|dark|burnt_out|blurred")["attributes"]
    assert told["options"] == ["good", "dark", "burnt_out", "blurred"]
    assert 0 <= told["glare"] <= 1
    assert "schema" not in told
    home.call("button.press", "button.pi_water_capture")
    earlier = told["captured_at"]

    def newer() -> bool:
        return bool(home.state("sensor.pi_water_condition")["attributes"]["captured_at"] > earlier)

    wait_for(newer, seconds=30, what="a picture that was asked for")
    assert [meter.name for meter in device.meters] == ["water"]


def asleep(home: HomeAssistant, publish: Publish) -> None:
    """A device with all of it that sleeps: what it told stands, and nothing can be set."""
    wake = datetime(2026, 11, 20, 9, tzinfo=UTC)
    switch = SettingInfo(name="enabled", label="Camera", kind="switch", common=True)
    sleepy = DeviceInfo(
        device="cellar",
        cameras=(CameraInfo(name="eye", settings=(switch,)),),
        sensors=(SensorInfo(name="leak", kind="door"),),
        lights=(LightInfo(name="lamp"),),
        wake_every=3600,
    )
    off = b'{"state": "OFF"}'
    for topic, said in (("leak/state", b"ON"), ("eye/enabled/state", b"ON"), ("lamp/light/state", off)):
        publish(f"meerkat/device/cellar/{topic}", said)
    publish("meerkat/device/cellar/availability", b"online")
    publish("meerkat/device/cellar/info", sleepy.to_json())
    home.until("switch.cellar_eye_enabled", "on")
    home.until("sensor.cellar_next_wake", "unknown")
    publish("meerkat/device/cellar/info", sleepy.model_copy(update={"next_wake": wake}).to_json())
    publish("meerkat/device/cellar/availability", b"asleep")
    home.until("switch.cellar_eye_enabled", "unavailable")
    home.until("light.cellar_lamp", "unavailable")
    home.until("sensor.cellar_next_wake", "2026-11-20T09:00:00.*")
    assert home.state("binary_sensor.cellar_leak")["state"] == "on"
    publish("meerkat/device/cellar/leak/state", b"")  # its pin cannot be had any more
    home.until("binary_sensor.cellar_leak", "unavailable")
    publish("meerkat/device/cellar/info", sleepy.model_copy(update={"lights": (), "sensors": ()}).to_json())
    wait_for(lambda: not home.state("light.cellar_lamp"), seconds=30, what="no lamp")
    assert home.state("binary_sensor.cellar_leak") == {}
    publish("meerkat/device/cellar/info", b"")
    wait_for(lambda: not home.state("sensor.cellar_next_wake"), seconds=30, what="no device")


def states_and_pictures(home: HomeAssistant, publish: Publish) -> None:
    publish("meerkat/hub/availability", b"online")
    publish("meerkat/hub/state", HubState(workers=1, backlog=2, page="http://10.0.0.5:8480").to_json())
    publish("meerkat/device/porch-pi/availability", b"online")
    publish("meerkat/device/porch-pi/front/motion", b"OFF")
    publish("meerkat/device/porch-pi/front/picture", JPEG)
    publish("meerkat/device/porch-pi/water/picture", JPEG + b"meter")
    publish("meerkat/device/porch-pi/info", PORCH.to_json())

    camera = home.until("camera.porch_pi_front", "idle")
    assert camera["attributes"]["friendly_name"] == "Front door"
    assert home.get("/api/camera_proxy/camera.porch_pi_front") == JPEG
    home.until("image.porch_pi_water_picture", "20.*")
    assert home.get("/api/image_proxy/image.porch_pi_water_picture") == JPEG + b"meter"
    home.until("sensor.meerkat_hub_backlog", "2")
    home.until("binary_sensor.meerkat_hub_no_worker", "off")
    home.until("binary_sensor.porch_pi_front_motion", "off")
    publish("meerkat/device/porch-pi/front/motion", b"ON")
    home.until("binary_sensor.porch_pi_front_motion", "on")


def event(home: HomeAssistant, publish: Publish) -> None:
    home.until("event.porch_pi_front_event", "unknown")
    seen = a_new_event()
    publish("meerkat/camera/porch-pi/front/event/picture", JPEG + b"event")
    publish("meerkat/camera/porch-pi/front/event", Event(type="new", after=seen).to_json(), False)
    shown = home.until("event.porch_pi_front_event", "20.*")
    told = {name: shown["attributes"][name] for name in ("event_type", "event_id", "label", "score")}
    assert told == {"event_type": "person", "event_id": seen.id, "label": "person", "score": 0.87}
    assert home.get("/api/image_proxy/image.porch_pi_front_last_event") == JPEG + b"event"

    # An end is no event; the motion after it proves that it has been read.
    publish(
        "meerkat/camera/porch-pi/front/event", Event(type="end", before=seen, after=seen).to_json(), False
    )
    publish("meerkat/device/porch-pi/front/motion", b"OFF")
    home.until("binary_sensor.porch_pi_front_motion", "off")
    assert home.state("event.porch_pi_front_event")["state"] == shown["state"]


def readings(home: HomeAssistant, publish: Publish) -> None:
    """What a meter shows is water to the Energy dashboard, also after the meter was exchanged."""
    topic = "meerkat/meter/porch-pi/water"
    at = datetime(2026, 11, 20, 8, tzinfo=UTC)
    now: dict[str, Any] = {"id": new_id(), "device": "porch-pi", "meter": "water", "at": at}
    told = MeterReading(**now, value=734.915, total=734.915, unit="m³", confidence=0.97)
    publish(f"{topic}/reading", told.to_json())
    publish(f"{topic}/verdict", MeterVerdict(**now, verdict="accepted", unit="m³").to_json())
    counter = home.until("sensor.porch_pi_water", "734.915")["attributes"]
    assert (counter["device_class"], counter["state_class"]) == ("water", "total")
    assert (counter["unit_of_measurement"], counter["friendly_name"]) == ("m³", "Water meter")
    assert (counter["value"], counter["confidence"]) == (734.915, 0.97)
    assert "last_reset" not in counter
    home.until("sensor.porch_pi_water_flow", "unknown")
    home.until("binary_sensor.porch_pi_water_leak", "off")
    assert home.until("sensor.porch_pi_water_verdict", "accepted")["attributes"]["reason"] == ""

    later = told.model_copy(update={"value": 0.25, "total": 735.2, "last_reset": at, "flow": 0.285})
    publish(f"{topic}/reading", later.to_json())
    home.until("sensor.porch_pi_water", "735.2")
    flow = home.until("sensor.porch_pi_water_flow", "0.285")["attributes"]
    assert (flow["device_class"], flow["unit_of_measurement"]) == ("volume_flow_rate", "m³/h")
    held = MeterVerdict(**now, verdict="held", reason="wheel 3 is dirty", leak="30 h: a leak?", alarm="leak")
    publish(f"{topic}/verdict", held.to_json())
    leak = home.until("binary_sensor.porch_pi_water_leak", "on")["attributes"]
    assert (leak["device_class"], leak["reason"]) == ("moisture", "30 h: a leak?")
    reason = home.until("sensor.porch_pi_water_verdict", "held")["attributes"]["reason"]
    assert reason == "wheel 3 is dirty"
    home.until("binary_sensor.porch_pi_water_problem", "off")
    in_the_energy_dashboard(home)


def in_the_energy_dashboard(home: HomeAssistant) -> None:
    source = {
        "type": "water",
        "stat_energy_from": "sensor.porch_pi_water",
        "stat_rate": "sensor.porch_pi_water_flow",
    }
    with Socket(home.url, home.token) as socket:
        issues = socket.ask("recorder/validate_statistics")
        assert not [name for name in issues if "porch_pi" in name]
        socket.ask("energy/save_prefs", energy_sources=[source])
        told = socket.ask("energy/validate")["energy_sources"]
    # Its statistics are made every five minutes: until then they are not there yet, and that is all.
    assert {issue["type"] for one in told for issue in one} <= {"statistics_not_defined"}


def availability(home: HomeAssistant, publish: Publish) -> None:
    publish("meerkat/device/porch-pi/availability", b"asleep")
    publish("meerkat/hub/availability", b"offline")
    home.until("event.porch_pi_front_event", "unavailable")
    assert home.state("camera.porch_pi_front")["state"] == "idle"
    publish("meerkat/hub/availability", b"online")
    publish("meerkat/device/porch-pi/availability", b"offline")
    home.until("camera.porch_pi_front", "unavailable")
    home.until("binary_sensor.porch_pi_connectivity", "off")
    # The last clip of a camera that is gone may still be in the queue.
    before = home.until("event.porch_pi_front_event", "20.*")["state"]
    publish("meerkat/camera/porch-pi/front/event", Event(type="new", after=a_new_event()).to_json(), False)
    wait_for(lambda: home.state("event.porch_pi_front_event")["state"] > before, what="the late event")


def removal(home: HomeAssistant, publish: Publish) -> None:
    publish("meerkat/device/porch-pi/info", PORCH.model_copy(update={"meters": ()}).to_json())
    wait_for(lambda: not home.state("image.porch_pi_water_picture"), seconds=30, what="no meter")
    publish("meerkat/device/porch-pi/info", b"")
    wait_for(lambda: not home.state("camera.porch_pi_front"), seconds=30, what="no device")
