"""Wishes for settings that no browser sends, of devices that say what no device says."""

from __future__ import annotations

import json

import pytest

from hub_support.web_house import Served, WebHouse
from meerkat_contract.messages import CameraInfo, DeviceInfo, SettingInfo


@pytest.fixture(autouse=True)
def porch(house: WebHouse) -> None:
    settings = (
        SettingInfo(name="enabled", kind="switch"),
        SettingInfo(name="sensitivity", kind="number", minimum=0, maximum=1),
    )
    front = CameraInfo(name="front", settings=settings * 2)
    house.hub.live.devices["porch"] = DeviceInfo(device="porch", cameras=(front, front))


@pytest.mark.parametrize("setting", ["enabled", "sensitivity"])
@pytest.mark.parametrize(
    "value", ['"\\ud800"', '"\\u0000"', '"ä"', "1e400", "-1e400", "NaN", "7", f'"{"9" * 100_000}"']
)
def test_what_is_no_such_value_is_the_senders_mistake(web: Served, setting: str, value: str) -> None:
    answer = web.http.post(
        f"/api/devices/porch/front/{setting}",
        content='{"value": ' + value + "}",
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422, answer.text
    assert len(answer.text) < 500
    assert answer.json()["remedy"]


def test_a_device_that_names_a_setting_twice_is_no_mistake_of_the_hub(web: Served) -> None:
    answer = web.http.post("/api/devices/porch/front/enabled", json={"value": True})
    assert (answer.status_code, answer.json()["what"]) == (503, "not connected to the broker")


@pytest.mark.parametrize(
    "path", ["porch/fr%00nt/enabled", "p%C3%B6rch/front/enabled", f"porch/front/{'x' * 64}"]
)
def test_names_that_are_none_are_refused(web: Served, path: str) -> None:
    answer = web.http.post(f"/api/devices/{path}", json={"value": True})
    assert answer.status_code == 422


def test_a_page_of_another_site_can_set_nothing(web: Served) -> None:
    """A form or a script may send text without being asked; for JSON the browser asks first, in vain."""
    path, foreign = "/api/devices/porch/front/enabled", {"Origin": "http://elsewhere.example"}
    form = web.http.post(
        path, content=json.dumps({"value": True}), headers={**foreign, "Content-Type": "text/plain"}
    )
    assert form.status_code == 415
    asks = {
        **foreign,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = web.http.options(path, headers=asks)
    assert preflight.status_code == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]
