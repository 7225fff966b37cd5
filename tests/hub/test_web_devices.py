"""Devices on the page: a whole device, a whole hub, a real broker and a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from hub_support.browser import Browser
from hub_support.web_house import Served, WebHouse
from meerkat_contract.messages import Battery, CameraInfo, DeviceInfo, LightInfo, SensorInfo
from meerkat_devices.service import Device
from meerkat_devices.settings.device import DeviceSettings
from meerkat_hub.adapters.live import Change
from meerkat_hub.application import build_hub
from meerkat_hub.settings import HubSettings
from meerkat_hub.web.server import HubServer, listen
from support.broker import Mosquitto
from support.wait import wait_for

WIRED = DeviceSettings.model_validate(
    {
        "label": "Hall",
        "pins": "mock",
        "sensors": {
            "stairs": {"kind": "motion", "gpio": 17},
            "back-door": {"kind": "door", "gpio": 27, "label": "Back door"},
            "bell": {"kind": "button", "gpio": 22, "label": "Doorbell"},
        },
        "lights": {
            "ir": {"kind": "infrared", "gpio": 18, "brightness": 0.8, "label": "Infrared"},
            "porch": {"kind": "white", "gpio": 23, "dimmable": False},
        },
        "meters": {"water": {"source": "scene:meter", "label": "Cold water"}},
        "battery": {"command": "echo 87"},
    }
)
SHOWN = "document.querySelector('[data-device=pi]')"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path)
    yield made
    made.close()


@pytest.fixture
def device(broker: Mosquitto, tmp_path: Path) -> Iterator[Device]:
    own = Device("pi", WIRED, broker.connection, tmp_path)
    own.start()
    yield own
    own.stop()


@pytest.fixture
def page(broker: Mosquitto, tmp_path: Path) -> Iterator[str]:
    """The address of a running hub's page."""
    hub = build_hub(tmp_path, broker.connection, HubSettings())
    hub.start()
    try:
        with listen("127.0.0.1", 0) as listener:
            server = HubServer(hub, HubSettings())
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            wait_for(lambda: server.started, what="the server")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True
            thread.join(20)
    finally:
        hub.stop()


def reads(browser: Browser, text: str) -> None:
    browser.wait(f"{SHOWN}?.innerText.includes({text!r})", what=text)


def test_what_hangs_on_a_device_is_seen_and_set(page: str, device: Device, browser: Browser) -> None:
    browser.open(page)
    reads(browser, "no motion")
    reads(browser, "not pressed yet")
    reads(browser, "battery 87 %")
    device.pins.play("stairs", on=True)
    browser.wait(f"{SHOWN}.querySelector('[data-sensor=stairs]').textContent === 'motion'")
    device.pins.play("back-door", on=True)
    browser.wait(f"{SHOWN}.querySelector('[data-sensor=back-door]').textContent === 'open'")
    device.pins.play("bell", on=True)
    browser.wait(f"{SHOWN}.querySelector('[data-sensor=bell]').textContent.startsWith('pressed')")
    browser.wait(
        "document.querySelector('#headline b')?.textContent.endsWith(' pressed')", what="who rang, on top"
    )
    _lights(device, browser)
    _settings(page, device, browser)
    assert browser.complaints == []


def _lights(device: Device, browser: Browser) -> None:
    lamp, own = f"{SHOWN}.querySelector('[data-light=ir]')", device.pins.lamp("ir")
    browser.wait(f"!{lamp}.querySelector('[role=switch]').disabled", what="the lamp's state")
    browser.js(f"{lamp}.querySelector('[role=switch]').click()")
    wait_for(lambda: own.level == pytest.approx(0.8), what="the lamp to be lit")
    browser.wait(f"{lamp}.querySelector('output').textContent === '80 %'", what="its brightness")
    browser.js(
        f"(() => {{ const one = {lamp}.querySelector('[type=range]'); one.value = 40; "
        "one.dispatchEvent(new Event('change')); })()"
    )
    wait_for(lambda: own.level == pytest.approx(0.4), what="the lamp to be dimmed")
    device.pins.lamp("ir").set(0.0)  # somebody else switches it off
    browser.wait(f"!{lamp}.querySelector('[role=switch]').checked", what="the lamp to be off")
    assert browser.count("[data-light=porch] [type=range]") == 0


def _settings(page: str, device: Device, browser: Browser) -> None:
    meter = device.meters[0]
    assert browser.count("[data-device=pi] [data-setting]") == 0
    browser.click("[data-device=pi] summary")
    caption = f"{SHOWN}.querySelector('[data-setting=caption]')"
    browser.wait(f"{caption}?.disabled === false", what="the settings")
    assert browser.text("[data-device=pi] h4") == "Meter Cold water"
    assert browser.count("[data-device=pi] [data-setting=capture]") == 0  # it has a button under its picture
    browser.js(f"{caption}.focus(); {caption}.click()")
    wait_for(lambda: meter.settings.caption, what="the caption to be set")
    answer = httpx.post(f"{page}/api/devices/pi/water/combine", json={"value": "sharpest"})  # somebody else
    assert answer.status_code == 204
    browser.wait(f"{SHOWN}.querySelector('[data-setting=combine]').value === 'sharpest'")
    browser.wait(f"{caption}.checked", what="the state to come back")
    assert browser.js(f"document.activeElement === {caption}")  # nobody lost the place with the keyboard
    assert browser.js(f"{SHOWN}.querySelector('details').open")


def test_lights_over_http(page: str, device: Device) -> None:
    own = device.pins.lamp("ir")
    with httpx.Client(base_url=page, timeout=20) as http:

        def shown() -> dict[str, object]:
            (told,) = http.get("/api/devices").json() or [{"lights": [{}]}]
            return {name: told["lights"][0].get(name) for name in ("name", "on", "brightness")}

        wait_for(lambda: shown() == {"name": "ir", "on": False, "brightness": None}, what="the lamp's state")
        assert http.post("/api/lights/pi/ir", json={"on": True, "brightness": 25}).status_code == 204
        wait_for(lambda: own.level == 0.25, what="the lamp to be lit")
        wait_for(lambda: shown() == {"name": "ir", "on": True, "brightness": 25.0}, what="its state")
        assert http.post("/api/lights/pi/ir", json={"on": False}).status_code == 204
        wait_for(lambda: own.level == 0, what="the lamp to be off")
        for path, body, status in (
            ("pi/sun", {"on": True}, 404),
            ("attic/ir", {"on": True}, 404),
            ("pi/ir", {"on": True, "brightness": 101}, 422),
            ("pi/ir", {"brightness": 10}, 422),
        ):
            answer = http.post(f"/api/lights/{path}", json=body)
            assert answer.status_code == status, answer.text
            assert answer.json()["remedy"]
        device.stop()
        wait_for(lambda: http.get("/api/devices").json()[0]["availability"] == "offline", what="its goodbye")
        answer = http.post("/api/lights/pi/ir", json={"on": True})
        assert (answer.status_code, answer.json()["what"]) == (409, "device pi is offline")


def test_a_device_that_sleeps_says_until_when_and_takes_nothing(
    house: WebHouse, web: Served, browser: Browser
) -> None:
    live, wake = house.hub.live, datetime.now(UTC) + timedelta(hours=1)
    live.devices["cellar"] = DeviceInfo(
        device="cellar",
        model="Raspberry Pi Zero 2 W",
        lights=(LightInfo(name="lamp", dimmable=True),),
        sensors=(SensorInfo(name="leak", kind="door"),),
        battery=Battery(level=42.4, charging=True),
        wake_every=3600,
        next_wake=wake,
    )
    live.devices["porch"] = DeviceInfo(device="porch", cameras=(CameraInfo(name="front"),))
    live.availability.update(cellar="asleep", porch="online")
    live.sensors["cellar", "leak"] = True
    browser.open(web.base)
    browser.wait("!!document.querySelector('[data-device=cellar]')", what="the card")
    text = browser.text("[data-device=cellar]")
    assert "asleep, wakes" in text
    assert "Raspberry Pi Zero 2 W · battery 42 %, charging · wakes every 1 h" in text
    assert "Leak" in text
    assert "open" in text
    assert browser.js(
        "[...document.querySelectorAll('[data-light=lamp] input')].every((one) => one.disabled)"
    )
    assert browser.count("[data-device=porch]") == 0  # all there is of it is its camera
    live.sensors["cellar", "leak"] = False
    live.tell(Change("device", "cellar"))
    browser.wait("document.querySelector('[data-sensor=leak]').textContent === 'shut'")
    assert browser.complaints == []


def test_an_address_that_names_a_device_shows_its_card(
    house: WebHouse, web: Served, browser: Browser
) -> None:
    """Home Assistant's link from a device leads there."""
    for number in range(12):
        name = f"pi-{number:02}"
        house.hub.live.devices[name] = DeviceInfo(
            device=name, sensors=tuple(SensorInfo(name=f"s{n}", kind="motion") for n in range(6))
        )
    browser.open(f"{web.base}#device=pi-11")
    card = "document.querySelector('[data-device=pi-11]')"
    browser.wait(f"!!{card} && {card}.getBoundingClientRect().top < innerHeight")
    browser.js("scrollTo(0, 0)")
    browser.js("location.hash = '#device=pi-10'")
    card = card.replace("pi-11", "pi-10")
    browser.wait(f"{card}.getBoundingClientRect().top < innerHeight")


def test_it_shows_its_card_when_the_device_is_heard_of_later_unless_somebody_reads_elsewhere(
    house: WebHouse, web: Served, browser: Browser
) -> None:
    devices = [
        DeviceInfo(
            device=f"pi-{n:02}", sensors=tuple(SensorInfo(name=f"s{k}", kind="motion") for k in range(6))
        )
        for n in range(12)
    ]

    def come(*infos: DeviceInfo) -> None:
        for info in infos:
            house.hub.live.devices[info.device] = info
        house.hub.live.tell(Change("device", infos[-1].device))

    come(devices[0])
    card = "document.querySelector('[data-device=pi-11]')"
    browser.open(f"{web.base}#device=pi-11")
    browser.wait("!!document.querySelector('[data-device=pi-00]')")
    come(*devices)
    browser.wait(f"!!{card} && {card}.getBoundingClientRect().top < innerHeight")

    house.hub.live.devices.clear()
    come(devices[0])
    browser.open(f"{web.base}?again#device=pi-11")
    browser.wait("!!document.querySelector('[data-device=pi-00]')")
    browser.js("dispatchEvent(new Event('wheel'))")
    come(*devices)
    browser.wait(f"!!{card}")
    assert browser.js("scrollY") == 0
