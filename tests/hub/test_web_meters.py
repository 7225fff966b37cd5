"""A meter's picture comes with what it is worth, and one can be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from hub_support.browser import Browser
from hub_support.web_house import Served, WebHouse
from meerkat_contract.device_messages import PictureCondition
from meerkat_contract.errors import BrokerError
from meerkat_contract.messages import DeviceInfo, MeterInfo, SettingInfo
from meerkat_contract.session import Delivery
from meerkat_hub.adapters.live import Change
from support.wait import wait_for

CAPTURE = SettingInfo(name="capture", kind="button")
DARK = PictureCondition(
    verdict="dark", brightness=0.009, dark=0.99, burnt_out=0, glare=0, sharpness=0, light="ir", exposures=3
)


@pytest.fixture(autouse=True)
def basement(house: WebHouse) -> None:
    """Two meters, of which one takes pictures on command."""
    meters = (MeterInfo(name="water", settings=(CAPTURE,)), MeterInfo(name="gas"))
    house.hub.live.devices["basement"] = DeviceInfo(device="basement", meters=meters)
    house.hub.live.availability["basement"] = "online"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path)
    yield made
    made.close()


class Told:
    """What is published in place of the bus; each delivery ends as it is told."""

    def __init__(self, house: WebHouse, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages: list[tuple[str, bytes, int, bool]] = []
        self.nobody = False
        self.error: BrokerError | None = None
        monkeypatch.setattr(house.hub.bus.session, "publish", self._publish)

    def _publish(self, topic: object, payload: bytes, *, qos: int = 0, retain: bool = False) -> Delivery:
        self.messages.append((str(topic), payload, qos, retain))
        delivery = Delivery()
        delivery.nobody = self.nobody
        delivery.finish(self.error)
        return delivery


@pytest.fixture
def told(house: WebHouse, monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(house, monkeypatch)


def press(web: Served, thing: str = "basement/water") -> httpx.Response:
    return web.http.post(f"/api/devices/{thing}/capture", json={"value": "PRESS"})


def test_the_condition_is_stored_with_its_picture(house: WebHouse, web: Served) -> None:
    with_it, without = house.meter_picture(condition=DARK), house.meter_picture()
    pictures = web.json("/api/meters/basement/water/pictures")["pictures"]
    shown = {picture["id"]: picture["condition"] for picture in pictures}
    assert PictureCondition.model_validate(shown[with_it]) == DARK
    assert shown[without] is None
    devices = web.json("/api/devices")
    assert devices[0]["meters"][0]["latest"]["id"] in shown


def test_a_picture_is_asked_for_on_the_bus(web: Served, told: Told) -> None:
    assert press(web).status_code == 204
    assert told.messages == [("meerkat/device/basement/water/capture/set", b"PRESS", 1, False)]


def test_the_page_says_it_and_asks(house: WebHouse, web: Served, told: Told, browser: Browser) -> None:
    jpeg = cv2.imencode(".jpg", np.full((90, 160, 3), 9, np.uint8))[1].tobytes()
    house.meter_picture(at=datetime.now(UTC), payload=jpeg, condition=DARK)
    browser.open(web.base)
    browser.wait("document.querySelector('.meter .badge.alert')?.textContent === 'Too dark'")
    # Its card is drawn anew once this has come, with a fresh button.
    browser.wait("performance.getEntriesByName(new URL('api/meters', location).href).length > 0")
    buttons = "[...document.querySelectorAll('.meter button')]"
    assert browser.js(f"{buttons}.length") == 1, "the other meter takes no commands"
    browser.click(".meter button")
    browser.wait(f"{buttons}[0].disabled && {buttons}[0].textContent === 'Taking a picture…'")
    wait_for(lambda: [message[1] for message in told.messages] == [b"PRESS"], what="the command")
    good = DARK.model_copy(update={"verdict": "good"})
    house.meter_picture(at=datetime.now(UTC), payload=jpeg, condition=good)
    house.hub.live.tell(Change("device", "basement"))
    browser.wait("!document.querySelector('.meter .badge.alert')", what="the new picture")
    assert not browser.js(f"{buttons}[0].disabled")
    told.nobody = True
    browser.click(".meter button")
    browser.wait("document.getElementById('notices').textContent.includes('device basement is online')")
    browser.wait(f"!{buttons}[0].disabled")
