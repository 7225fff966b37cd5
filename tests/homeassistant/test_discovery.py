"""What Home Assistant is told, as a value."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat_contract.ids import NAME_PATTERN
from meerkat_contract.messages import CameraInfo, DeviceInfo, EventState, HubState, MeterInfo
from meerkat_homeassistant import catalogue
from meerkat_homeassistant.diff import components
from meerkat_homeassistant.discovery import Bus, Payload, device_of, discovery, object_of, to_json

from .discovery_keys import faults

GOLDEN = Path(__file__).parent / "golden.json"

PORCH = DeviceInfo(
    device="porch-pi",
    label="Porch",
    model="Raspberry Pi 4 Model B Rev 1.5",
    software="0.1.0",
    cameras=(CameraInfo(name="front", label="Front door"), CameraInfo(name="back_yard")),
)
BASEMENT = DeviceInfo(device="basement", meters=(MeterInfo(name="basement", label="Water meter"),))
BUS = Bus({"porch-pi": PORCH, "basement": BASEMENT}, "http://192.168.1.5:8480", "0.1.0")

names = st.from_regex(NAME_PATTERN, fullmatch=True)
infos = st.builds(
    DeviceInfo,
    device=names,
    label=st.text(max_size=20),
    cameras=st.lists(st.builds(CameraInfo, name=names, label=st.text(max_size=9)), max_size=4).map(tuple),
    meters=st.lists(st.builds(MeterInfo, name=names), max_size=3).map(tuple),
)


def told(bus: Bus = BUS, **options: object) -> dict[str, Payload]:
    return discovery(bus, software="0.1.0", **options)  # type: ignore[arg-type]


def test_the_payloads_are_those_that_were_tried_in_home_assistant() -> None:
    """After a change that is meant: MEERKAT_UPDATE_GOLDEN=1, and try it in a real one."""
    text = json.dumps(told(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("MEERKAT_UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


@given(st.lists(infos, max_size=4), st.text(max_size=20))
def test_home_assistant_knows_every_option(devices: list[DeviceInfo], page: str) -> None:
    payloads = discovery(Bus({info.device: info for info in devices}, page), software="1")
    for payload in payloads.values():
        assert list(faults(payload)) == []
    unique = [part["uniq_id"] for payload in payloads.values() for part in components(payload).values()]
    assert len(unique) == len(set(unique))
    for topic, payload in payloads.items():
        assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", topic)
        for part in components(payload).values():
            assert re.fullmatch(rf"{part['p']}\.[a-z0-9_]+", part["def_ent_id"])


def test_the_hub_comes_first_and_the_devices_refer_to_it() -> None:
    payloads = list(told().values())
    hub = payloads[0]["dev"]["ids"][0]
    assert [payload["dev"].get("via_device") for payload in payloads] == [None, hub, hub]


def test_nobody_refers_to_a_hub_that_was_deleted() -> None:
    payloads = told(dismissed=frozenset({"meerkat_hub"}))
    assert len(payloads) == 2
    assert not any("via_device" in payload["dev"] for payload in payloads.values())


def test_a_dismissed_device_is_left_out() -> None:
    payloads = told(dismissed=frozenset({"meerkat_device_porch-pi"}))
    assert list(payloads) == [
        "homeassistant/device/meerkat_hub/config",
        "homeassistant/device/meerkat_device_basement/config",
    ]


def test_what_the_device_publishes_does_not_depend_on_the_hub_nor_the_other_way_round() -> None:
    payload = told()["homeassistant/device/meerkat_device_porch-pi/config"]
    assert [entry["t"] for entry in payload["avty"]] == ["meerkat/device/porch-pi/availability"]
    parts = components(payload)
    assert "avty" not in parts["camera-front"]
    assert "avty" not in parts["motion-front"]
    assert parts["event-front"]["avty"] == [{"t": "meerkat/hub/availability"}]
    assert parts["event_picture-front"]["avty"] == [{"t": "meerkat/hub/availability"}]
    assert parts["connectivity"]["avty"] == []


def test_names_do_not_repeat_the_device() -> None:
    payload = told()["homeassistant/device/meerkat_device_porch-pi/config"]
    assert components(payload)["camera-front"]["name"] is None
    assert "name" not in components(payload)["motion-front"]
    assert [child["name"] for child in payload["cdevs"]] == ["Front door", "Back yard"]
    basement = told()["homeassistant/device/meerkat_device_basement/config"]
    assert components(basement)["picture-basement"]["def_ent_id"] == "image.basement_picture"


def test_at_most_eight_primary_entities_per_device() -> None:
    for rows in (catalogue.HUB, catalogue.DEVICE, catalogue.CAMERA, catalogue.METER):
        assert sum("ent_cat" not in row.options for row in rows) <= 8
        assert not any("-" in row.key for row in rows)


@pytest.mark.parametrize(
    "page", ["", "127.0.0.1:8480", "ftp://hub/", "http://", "http://hub:99999", "http://[::1", "http://h b/"]
)
def test_a_bad_page_is_left_out_since_it_would_cost_the_whole_device(page: str) -> None:
    for payload in told(Bus({"porch-pi": PORCH}, page)).values():
        assert "cu" not in payload["dev"]
        assert "url" not in payload["o"]


def test_a_camera_and_a_meter_of_one_name_do_not_cost_the_device() -> None:
    twice = DeviceInfo(device="d", cameras=(CameraInfo(name="x"),) * 2, meters=(MeterInfo(name="x"),))
    payload = told(Bus({"d": twice}))["homeassistant/device/meerkat_device_d/config"]
    assert [child["ids"] for child in payload["cdevs"]] == [["meerkat/device/d/x"]]
    assert list(faults(payload)) == []


def test_the_templates_read_fields_that_are_sent() -> None:
    event_fields = set(re.findall(r"event\.(?:get\('(\w+)')?(\w*)", catalogue.EVENT_TEMPLATE))
    used = {name for pair in event_fields for name in pair} - {"", "get"}
    assert "start_time" in used
    assert "identity" in used
    assert used <= set(EventState.model_fields)
    hub = [row.options["val_tpl"] for row in catalogue.HUB if "value_json" in row.options["val_tpl"]]
    assert set(re.findall(r"value_json\.(\w+)", " ".join(hub))) == {"backlog", "workers"}
    assert {"backlog", "workers"} <= set(HubState.model_fields)


def test_the_how_to_names_entities_that_appear() -> None:
    porch = DeviceInfo(device="porch", cameras=(CameraInfo(name="front"),))
    basement = DeviceInfo(device="basement", meters=(MeterInfo(name="water"),))
    payloads = told(Bus({"porch": porch, "basement": basement})).values()
    there = {part["def_ent_id"] for payload in payloads for part in components(payload).values()}
    text = (Path(__file__).parents[2] / "docs/how-to/home-assistant.md").read_text()
    named = set(re.findall(r"\b(?:camera|binary_sensor|event|image|sensor)\.[a-z]+_\w+", text))
    assert len(named) >= 9
    assert named <= there


def test_equal_payloads_are_equal_bytes() -> None:
    assert to_json({"b": 1, "a": {"d": "ü", "c": None}}) == '{"a":{"c":null,"d":"ü"},"b":1}'.encode()


@pytest.mark.parametrize(
    ("topic", "object_id"),
    [
        ("homeassistant/device/meerkat_hub/config", "meerkat_hub"),
        ("homeassistant/device/meerkat_device_hub/config", "meerkat_device_hub"),
        ("homeassistant/device/meerkat_device_/config", None),
        ("homeassistant/device/zigbee_0x1/config", None),
        ("homeassistant/sensor/meerkat_hub/config", None),
        ("homeassistant/status", None),
        ("other/device/meerkat_hub/config", None),
        ("device/meerkat_hub/config", None),
    ],
)
def test_only_our_own_topics_are_ours(topic: str, object_id: str | None) -> None:
    assert object_of(topic, "homeassistant") == object_id


def test_a_device_named_hub_is_not_the_hub() -> None:
    assert device_of("meerkat_device_hub") == "hub"
    assert device_of("meerkat_hub") == ""
