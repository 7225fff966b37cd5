"""Settings and corners on the page, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from hub_support.browser import Browser
from hub_support.web_house import Served, WebHouse
from meerkat_contract.messages import CameraInfo, DeviceInfo, SettingInfo
from meerkat_contract.session import Delivery
from meerkat_hub.adapters.live import LivePicture
from support.wait import wait_for

SETTINGS = (
    SettingInfo(name="enabled", label="Camera", kind="switch", common=True),
    SettingInfo(name="sensitivity", label="Sensitivity", kind="number", minimum=0, maximum=1, common=True),
    SettingInfo(name="frames_when", kind="select", options=("motion", "always")),
)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path)
    yield made
    made.close()


def furnish(house: WebHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A porch whose device obeys at once."""
    live = house.hub.live
    live.devices["porch"] = DeviceInfo(
        device="porch", cameras=(CameraInfo(name="front", label="Door", settings=SETTINGS),)
    )
    live.availability["porch"] = "online"
    picture = cv2.imencode(".jpg", np.full((90, 160, 3), 90, np.uint8))[1].tobytes()
    live.pictures["porch", "front"] = LivePicture(picture, datetime.now(UTC))
    for name, value in (("enabled", b"ON"), ("sensitivity", b"0.5"), ("frames_when", b"motion")):
        live.set_to("porch", "front", name, value)

    def obey(topic: object, payload: bytes, **_: object) -> Delivery:
        live.set_to("porch", "front", str(topic).split("/")[4], payload)
        delivery = Delivery()
        delivery.finish()
        return delivery

    monkeypatch.setattr(house.hub.bus.session, "publish", obey)


def change(browser: Browser, name: str, how: str) -> None:
    browser.js(
        f"(() => {{ const one = document.querySelector('[data-setting={name}]'); {how}; "
        "one.dispatchEvent(new Event('change')); })()"
    )


def test_a_camera_is_set_beside_its_picture(
    house: WebHouse, web: Served, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(house, monkeypatch)
    said = house.hub.live.settings
    browser.open(web.base)
    browser.wait("document.querySelector('[data-camera] img')?.naturalWidth === 160", what="the live picture")
    browser.click("[data-camera]")
    browser.wait("document.querySelectorAll('#settings [data-setting]').length === 3", what="the settings")
    assert browser.js("document.querySelector('[data-setting=enabled]').checked")
    assert browser.js("document.querySelector('[data-setting=frames_when]').closest('details') !== null")
    change(browser, "sensitivity", "one.value = '0.8'")
    wait_for(lambda: said["porch", "front", "sensitivity"] == "0.8", what="the sensitivity")
    change(browser, "enabled", "one.checked = false")
    wait_for(lambda: said["porch", "front", "enabled"] == "OFF", what="the switch")
    change(browser, "frames_when", "one.value = 'always'")
    wait_for(lambda: said["porch", "front", "frames_when"] == "always", what="the choice")
    assert browser.js("document.getElementById('settings-trouble').textContent") == ""
    assert browser.complaints == []
    change(browser, "sensitivity", "one.value = '8'")
    browser.wait("document.getElementById('settings-trouble').textContent.includes('from 0 to 1')")
    assert said["porch", "front", "sensitivity"] == "0.8"


def test_clicks_on_the_picture_are_corners_to_be_written_down(
    house: WebHouse, web: Served, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(house, monkeypatch)
    browser.open(web.base)
    browser.wait("document.querySelector('[data-camera] img')?.naturalWidth === 160", what="the live picture")
    browser.click("[data-camera]")
    browser.wait("document.querySelectorAll('#settings [data-setting]').length === 3", what="the settings")
    assert browser.js("document.getElementById('corners').hidden")
    browser.js(
        "(() => { const image = document.getElementById('live-picture'), at = image.getBoundingClientRect();"
        "for (const [x, y] of [[0.25, 0.5], [0.75, 0.5]]) image.dispatchEvent(new MouseEvent('click', "
        "{clientX: at.left + x * at.width, clientY: at.top + y * at.height})); })()"
    )
    shown = "document.querySelector('#corners code')?.textContent"
    browser.wait(f"{shown} && JSON.parse({shown}).length === 2", what="two corners")
    corners = json.loads(browser.js(shown))
    assert np.array(corners) == pytest.approx(np.array([[0.25, 0.5], [0.75, 0.5]]), abs=0.01)
    browser.click("#corners button")
    assert browser.js("document.getElementById('corners').hidden")
    assert browser.complaints == []
