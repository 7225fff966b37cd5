"""`meerkat ha dashboard`: made of what is announced, of core cards, and of nothing that is not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML

from meerkat_contract.messages import CameraInfo, DeviceInfo, LightInfo, MeterInfo, SensorInfo, SettingInfo
from meerkat_homeassistant.check.payload import Component, Message, read
from meerkat_homeassistant.counters import Counter
from meerkat_homeassistant.dashboard import dashboard, entities, to_yaml
from meerkat_homeassistant.discovery import Bus, discovery, to_json

CORE = {"heading", "picture-entity", "tile", "statistics-graph"}
CAMERA = CameraInfo(
    name="front",
    label="Front door",
    settings=(
        SettingInfo(name="record", label="Record", kind="switch", common=True),
        SettingInfo(name="sensitivity", label="Sensitivity", kind="number", common=True),
        SettingInfo(name="width", label="Width", kind="number"),
    ),
)
PORCH = DeviceInfo(
    device="porch",
    cameras=(CAMERA, CameraInfo(name="yard")),
    sensors=(SensorInfo(name="gate", kind="door"),),
    lights=(LightInfo(name="ir"),),
)
BASEMENT = DeviceInfo(
    device="basement",
    meters=(MeterInfo(name="water", settings=(SettingInfo(name="capture", kind="button", common=True),)),),
)
COUNTERS = {("basement", "water"): Counter("m³", judged=True)}


def house(*devices: DeviceInfo, burst: bool = False) -> list[Message]:
    bus = Bus({one.device: one for one in devices}, counters=COUNTERS, burst=burst)
    told = discovery(bus, software="1")
    return [read(topic, to_json(payload), "homeassistant") for topic, payload in told.items()]


@pytest.fixture(name="config", scope="module")
def made() -> dict[str, Any]:
    return dashboard(house(PORCH, BASEMENT))


def cards(config: Any) -> Iterator[dict[str, Any]]:
    for view in config["views"]:
        for section in view["sections"]:
            yield from section["cards"]


def section(config: Any, heading: str) -> list[dict[str, Any]]:
    (found,) = [
        one["cards"]
        for view in config["views"]
        for one in view["sections"]
        if one["cards"][0]["heading"] == heading
    ]
    return list(found)


def shown(component: Component) -> bool:
    options = component.options
    return (
        "default_entity_id" in options
        and options.get("enabled_by_default", True)
        and options.get("entity_category") != "config"
    )


def test_every_entity_that_is_enabled_is_there_and_no_other(config: dict[str, Any]) -> None:
    told = [one for message in house(PORCH, BASEMENT) for one in message.components]
    there = {one.options["default_entity_id"] for one in told if shown(one)}
    assert set(entities(config)) == there
    assert len(there) < sum("default_entity_id" in one.options for one in told)


def test_only_cards_that_home_assistant_has(config: dict[str, Any]) -> None:
    assert {card["type"] for card in cards(config)} == CORE
    assert [view["type"] for view in config["views"]] == ["sections", "sections"]
    assert all(1 <= view["max_columns"] <= 3 for view in config["views"])


def test_a_camera_has_its_picture_its_last_event_and_its_switches(config: dict[str, Any]) -> None:
    heading, live, last, *rest = section(config, "Front door")
    assert [one["entity"] for one in heading["badges"]] == ["binary_sensor.porch_front_motion"]
    assert (live["type"], live["entity"]) == ("picture-entity", "camera.porch_front")
    assert (last["type"], last["entity"]) == ("picture-entity", "image.porch_front_last_event")
    named = {one["entity"]: one for one in rest}
    assert named["event.porch_front_event"]["state_content"] == ["event_type", "state"]
    assert "switch.porch_front_record" in named
    assert named["number.porch_front_sensitivity"]["features"][0]["type"] == "numeric-input"
    assert "number.porch_front_width" not in named  # a setting, and disabled


def test_a_meter_has_its_reading_and_what_was_used_each_day(config: dict[str, Any]) -> None:
    heading, reading, days, *_ = section(config, "Water")
    assert heading["tap_action"]["navigation_path"] == "/energy"
    assert reading["entity"] == "sensor.basement_water"
    assert reading["name"] == {"type": "device"}
    assert (days["entities"], days["stat_types"]) == (["sensor.basement_water"], ["change"])


def test_the_hub_comes_first_and_devices_share_a_section(config: dict[str, Any]) -> None:
    headings = [one["cards"][0]["heading"] for one in config["views"][1]["sections"]]
    assert headings[0] == "Meerkat hub"
    names = {one["entity"] for one in section(config, "Devices")[1:]}
    assert {"binary_sensor.porch_connectivity", "binary_sensor.basement_connectivity"} <= names
    assert "Sensors and lamps" in [one["cards"][0]["heading"] for one in config["views"][0]["sections"]]


def test_no_row_is_half_empty(config: dict[str, Any]) -> None:
    for view in config["views"]:
        for one in view["sections"]:
            at = 0
            for card in one["cards"][1:]:
                wide = card["grid_options"]["columns"]
                at = at + wide if at + wide <= 12 else wide + 100
                assert at <= 12, (one["cards"][0]["heading"], card)
                at %= 12
            assert at == 0


def test_a_button_says_on_a_phone_what_it_does(config: dict[str, Any]) -> None:
    cards = [card for view in config["views"] for one in view["sections"] for card in one["cards"][1:]]
    buttons = [card for card in cards if card.get("entity", "").startswith("button.")]
    assert buttons
    assert {card["grid_options"]["columns"] for card in buttons} == {12}


def test_a_button_that_cannot_be_taken_back_asks_first_wherever_it_is_tapped() -> None:
    buttons = [
        card
        for card in cards(dashboard(house(BASEMENT, burst=True)))
        if card.get("entity", "").startswith("button.")
    ]
    (stop,) = [card for card in buttons if card["entity"] == "button.meerkat_hub_burst_stop"]
    for action in (stop["tap_action"], stop["icon_tap_action"]):
        assert action["action"] == "toggle"
        assert "Stop the cloud burst?" in action["confirmation"]["text"]
    assert len(buttons) > 1
    assert not any("confirmation" in card["tap_action"] for card in buttons if card is not stop)


def test_badges_show_what_is_wrong_while_it_is(config: dict[str, Any]) -> None:
    badges = {one["entity"]: one["visibility"][0]["state"] for one in config["views"][0]["badges"]}
    assert badges["binary_sensor.porch_connectivity"] == "off"
    assert badges["binary_sensor.basement_water_leak"] == "on"


def test_yaml_is_read_the_same_by_old_readers(config: dict[str, Any]) -> None:
    text = to_yaml(config)
    assert json.loads(json.dumps(YAML(typ="safe").load(text))) == config
    assert 'state: "off"' in text  # without quotes it were false to them
    assert "&" not in text


def test_two_cameras_of_one_name_are_told_apart() -> None:
    shed = DeviceInfo(device="shed", cameras=(CameraInfo(name="cam"), CameraInfo(name="back")))
    barn = DeviceInfo(device="barn", cameras=(CameraInfo(name="cam"),))
    house_view = dashboard(house(shed, barn))["views"][0]
    headings = [one["cards"][0]["heading"] for one in house_view["sections"]]
    assert sorted(headings) == ["Back", "Barn Cam", "Shed Cam"]


def test_a_house_without_children_has_machines_alone() -> None:
    assert [view["path"] for view in dashboard(house())["views"]] == ["machines"]
    assert dashboard([])["views"] == []
