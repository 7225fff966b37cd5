"""What Home Assistant is told, as a value."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from meerkat_contract.ids import NAME_PATTERN, new_id
from meerkat_contract.messages import (
    Battery,
    BurstState,
    ButtonPress,
    CameraInfo,
    DeviceInfo,
    EventState,
    HubState,
    LightInfo,
    MeterInfo,
    PictureCondition,
    SensorInfo,
    SettingInfo,
)
from meerkat_homeassistant import catalogue
from meerkat_homeassistant.catalogue import Worker
from meerkat_homeassistant.counters import Counter
from meerkat_homeassistant.diff import components
from meerkat_homeassistant.discovery import Bus, Payload, device_of, discovery, object_of, to_json

from .discovery_keys import faults

GOLDEN = Path(__file__).parent / "golden.json"

CAPTURE = SettingInfo(name="capture", label="Take a picture now", kind="button", common=True)
IDENTIFY = SettingInfo(name="identify", label="Which one is it?", kind="button")
RESTART = SettingInfo(name="restart", label="Restart", kind="button")
CLOUD = SettingInfo(name="cloud", kind="select", options=("auto", "never", "overflow", "always"))
SETTINGS = (
    SettingInfo(name="enabled", label="Camera", kind="switch", common=True),
    SettingInfo(
        name="sensitivity", label="Sensitivity", kind="number", minimum=0, maximum=1, step=0.05, common=True
    ),
    SettingInfo(name="minimum_area", kind="number", minimum=0.0001, maximum=0.5, step=0.0001),
    SettingInfo(name="post_roll", kind="number", minimum=0, maximum=60, step=0.5, unit="s"),
    SettingInfo(name="frames_when", kind="select", options=("motion", "always")),
    SettingInfo(name="clips", label="Clips of motion", kind="switch"),
)
PORCH = DeviceInfo(
    device="porch-pi",
    label="Porch",
    model="Raspberry Pi 4 Model B Rev 1.5",
    software="0.1.0",
    cameras=(
        CameraInfo(name="front", label="Front door", settings=SETTINGS),
        CameraInfo(name="back_yard"),
    ),
    sensors=(
        SensorInfo(name="hall-pir", label="Hall", kind="motion"),
        SensorInfo(name="back-door", kind="door"),
        SensorInfo(name="bell", kind="button", rings="front"),
        SensorInfo(name="panic", kind="button"),
    ),
    lights=(LightInfo(name="ir", dimmable=True), LightInfo(name="lamp", label="Porch lamp", kind="white")),
    settings=(SettingInfo(name="log_level", label="Log", kind="select", options=("info", "debug")),),
)
BASEMENT = DeviceInfo(
    device="basement",
    meters=(MeterInfo(name="basement", label="Water meter", settings=(CAPTURE,)),),
    battery=Battery(level=87),
    wake_every=3600,
)
READ = {("basement", "basement"): Counter("m³", judged=True)}
BUS = Bus({"porch-pi": PORCH, "basement": BASEMENT}, "http://192.168.1.5:8480", "0.1.0", READ)

names = st.from_regex(NAME_PATTERN, fullmatch=True) | st.sampled_from(["a", "a-b", "b", "b-a", "device"])


def tuples(one: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Any]:
    return st.lists(one, max_size=most).map(tuple)


settings = tuples(
    st.builds(
        SettingInfo,
        name=names,
        kind=st.sampled_from(["switch", "number", "select", "button", "light"]),
        options=st.just(("a", "b")),
        minimum=st.none() | st.floats(-5, 0),
        maximum=st.none() | st.floats(1, 5),
        step=st.none() | st.floats(1e-6, 1),
        common=st.booleans(),
    ),
    12,
)
infos = st.builds(
    DeviceInfo,
    device=names,
    label=st.text(max_size=20),
    cameras=tuples(
        st.builds(
            CameraInfo,
            name=names,
            label=st.text(max_size=9),
            settings=settings,
            zones=st.dictionaries(names, st.just(((0, 0), (1, 0), (1, 1))), max_size=6),
        )
    ),
    mac=st.sampled_from(["", "d8:3a:dd:00:00:01"]),
    meters=tuples(st.builds(MeterInfo, name=names, settings=settings)),
    sensors=tuples(st.builds(SensorInfo, name=names, rings=st.none() | names)),
    lights=tuples(st.builds(LightInfo, name=names, dimmable=st.booleans())),
    settings=settings,
    battery=st.none() | st.just(Battery(level=5)),
    wake_every=st.none() | st.just(60.0),
)


def told(bus: Bus = BUS, **options: object) -> dict[str, Payload]:
    return discovery(bus, software="0.1.0", **options)  # type: ignore[arg-type]


def entities(payload: Payload) -> list[Payload]:
    """Its components without the device triggers, which make none."""
    return [part for part in components(payload).values() if "uniq_id" in part]


def test_the_payloads_are_those_that_were_tried_in_home_assistant() -> None:
    """After a change that is meant: MEERKAT_UPDATE_GOLDEN=1, and try it in a real one."""
    text = json.dumps(told(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("MEERKAT_UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


@given(st.lists(infos, max_size=4), st.text(max_size=20))
@profile(deadline=None)
def test_home_assistant_knows_every_option(devices: list[DeviceInfo], page: str) -> None:
    workers = {info.device: Worker(info.device, measures_heat=bool(info.mac)) for info in devices}
    known = {info.device: info for info in devices}
    payloads = discovery(Bus(known, page, workers=workers, burst=page < "m"), software="1")
    for payload in payloads.values():
        assert list(faults(payload)) == []
    unique = [part["uniq_id"] for payload in payloads.values() for part in entities(payload)]
    assert len(unique) == len(set(unique))
    for topic, payload in payloads.items():
        assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", topic)
        for part in entities(payload):
            assert re.fullmatch(rf"{part['p']}\.[a-z0-9_]+", part["def_ent_id"])
        for group in (payload, *payload.get("cdevs", ())):
            assert sum("ent_cat" not in part for part in entities({"cmps": group["cmps"]})) <= 8


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
    assert [child["name"] for child in payload["cdevs"]][:3] == ["Front door", "Back yard", "Hall"]
    basement = told()["homeassistant/device/meerkat_device_basement/config"]
    assert components(basement)["picture-basement"]["def_ent_id"] == "image.basement_picture"


def test_no_key_has_a_hyphen_since_the_first_one_ends_it() -> None:
    rows = (*catalogue.HUB, *catalogue.device(BASEMENT), *catalogue.CAMERA, *catalogue.METER)
    assert not any("-" in row.key or ":" in row.key for row in rows)


def part(name: str, device: str = "porch-pi", **change: Any) -> Payload:
    """One component of the porch, or of the basement."""
    info = {"porch-pi": PORCH, "basement": BASEMENT}[device].model_copy(update=change)
    payload = told(Bus({device: info}))[f"homeassistant/device/meerkat_device_{device}/config"]
    return components(payload).get(name, {})


def test_sensors_are_what_they_sense() -> None:
    kinds = [part(name)["dev_cla"] for name in ("state-hall-pir", "state-back-door", "press-panic")]
    assert kinds == ["motion", "door", "button"]
    bell = part("press-bell")
    assert (bell["dev_cla"], bell["evt_typ"]) == ("doorbell", ["ring"])
    assert bell["def_ent_id"] == "event.porch_pi_bell"
    assert part("state-hall-pir")["name"] is None  # its child device is called Hall


def test_a_sensor_whose_pin_cannot_be_had_is_unavailable() -> None:
    says = part("state-hall-pir")
    assert says["avty_mode"] == "all"
    assert [entry["t"].rpartition("/")[2] for entry in says["avty"]] == ["availability", "state"]
    assert [rendered(says["avty"][1]["val_tpl"], text) for text in ("ON", "OFF", "")] == [
        "online",
        "online",
        "offline",
    ]


def test_a_press_is_one_event_with_its_time() -> None:
    press = ButtonPress(id=new_id(), at=datetime(2026, 11, 20, 8, 15, tzinfo=UTC)).to_json().decode()
    shown = json.loads(rendered(part("press-bell")["val_tpl"], press))
    assert shown["event_type"] == "ring"
    assert shown["at"] == "2026-11-20T08:15:00Z"


def test_a_light_dims_where_it_can() -> None:
    assert part("light-ir")["sup_clrm"] == ["brightness"]
    assert part("light-ir")["bri_scl"] == 100
    assert part("light-lamp")["sup_clrm"] == ["onoff"]
    assert "bri_scl" not in part("light-lamp")


def test_settings_are_controls_and_only_those_of_every_day_stand_in_front() -> None:
    kinds = {name: part(f"front:{name}")["p"] for name in ("enabled", "sensitivity", "frames_when")}
    assert kinds == {"enabled": "switch", "sensitivity": "number", "frames_when": "select"}
    assert "ent_cat" not in part("front:sensitivity")
    assert (part("front:clips")["ent_cat"], part("front:clips").get("en")) == ("config", None)
    assert (part("front:post_roll")["ent_cat"], part("front:post_roll")["en"]) == ("config", False)
    assert part(":log_level")["stat_t"] == "meerkat/device/porch-pi/device/log_level/state"
    assert part("front:minimum_area")["step"] == 0.001
    assert part("front:minimum_area")["min"] == 0.0001
    assert part("front:enabled")["uniq_id"] == "meerkat/device/porch-pi/front/set:enabled"


def test_at_most_eight_everyday_entities_stand_in_front() -> None:
    many = tuple(SettingInfo(name=f"s{n}", kind="switch", common=True) for n in range(9))
    camera = CameraInfo(name="front", settings=many)
    shown = [part(f"front:s{n}", cameras=(camera,)).get("ent_cat") for n in range(9)]
    assert shown == [None] * 4 + ["config"] * 5


def test_one_that_never_sleeps_is_always_set_as_it_is_there() -> None:
    assert "avty" not in part("front:enabled")
    assert "avty" not in part("light-ir")


def test_nothing_is_set_of_a_device_that_is_asleep() -> None:
    (awake,) = part("basement:capture", "basement")["avty"]
    assert [rendered(awake["val_tpl"], word) for word in ("online", "asleep", "offline")] == [
        "online",
        "offline",
        "offline",
    ]
    assert "avty" not in part("condition-basement", "basement")


def test_the_battery_and_the_next_wake() -> None:
    battery, wake = part("battery", "basement"), part("next_wake", "basement")
    asleep = BASEMENT.model_copy(
        update={
            "battery": Battery(level=86.5, voltage=3.9),
            "next_wake": datetime(2026, 11, 20, 9, tzinfo=UTC),
        }
    )
    said, awake = asleep.to_json().decode(), BASEMENT.model_copy(update={"battery": None}).to_json().decode()
    assert rendered(battery["val_tpl"], said) == "86.5"
    assert json.loads(rendered(battery["json_attr_tpl"], said)) == {"voltage": 3.9, "charging": None}
    assert rendered(wake["val_tpl"], said) == "2026-11-20T09:00:00Z"
    for text in (awake, ""):  # empty: it was removed for good
        assert rendered(battery["val_tpl"], text) == "None"
        nothing = {"voltage": None, "charging": None}
        assert json.loads(rendered(battery["json_attr_tpl"], text)) == nothing
        assert rendered(wake["val_tpl"], text) == "None"
    assert part("battery") == {}
    assert part("next_wake") == {}


def test_a_meters_verdict_with_what_it_rests_on() -> None:
    condition = part("condition-basement", "basement")
    assert condition["ops"] == ["good", "dark", "burnt_out", "blurred"]
    figures = {"brightness": 0.3, "dark": 0, "burnt_out": 0.1, "glare": 0.05, "sharpness": 0.7, "noise": 2}
    said = PictureCondition(verdict="blurred", **figures).to_json().decode()
    assert rendered(condition["val_tpl"], said) == "blurred"
    shown = json.loads(rendered(condition["json_attr_tpl"], said))
    assert {name: shown[name] for name in figures} == figures
    assert not {"schema", "verdict"} & shown.keys()


def test_a_meter_whose_pictures_a_script_posts_has_no_verdict() -> None:
    assert part("condition-basement", "basement", meters=(MeterInfo(name="basement"),)) == {}


def rendered(template: str, payload: str) -> str:
    """As Home Assistant does: `value`, and `value_json` only when it is JSON."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    environment.filters["to_json"] = json.dumps
    known: dict[str, Any] = {"value": payload}
    with suppress(ValueError):
        known["value_json"] = json.loads(payload)
    return environment.from_string(template).render(known)


@pytest.mark.parametrize(
    "page", ["", "127.0.0.1:8480", "ftp://hub/", "http://", "http://hub:99999", "http://[::1", "http://h b/"]
)
def test_a_bad_page_is_left_out_since_it_would_cost_the_whole_device(page: str) -> None:
    for payload in told(Bus({"porch-pi": PORCH}, page)).values():
        assert "cu" not in payload["dev"]
        assert "url" not in payload["o"]


def test_a_page_within_home_assistant_is_linked_to_as_a_whole() -> None:
    """It takes homeassistant:// for its own pages, and passes nothing on to what an app shows in them."""
    page = "homeassistant://app/local_meerkat"
    for payload in told(Bus({"porch-pi": PORCH}, page)).values():
        assert payload["dev"]["cu"] == payload["o"]["url"] == page
        assert list(faults(payload)) == []


def test_a_camera_and_a_meter_of_one_name_do_not_cost_the_device() -> None:
    twice = DeviceInfo(device="d", cameras=(CameraInfo(name="x"),) * 2, meters=(MeterInfo(name="x"),))
    payload = told(Bus({"d": twice}))["homeassistant/device/meerkat_device_d/config"]
    assert [child["ids"] for child in payload["cdevs"]] == [["meerkat/device/d/x"]]
    assert list(faults(payload)) == []


def test_the_templates_read_fields_that_are_sent() -> None:
    event_fields = set(re.findall(r"event\.(?:get\('(\w+)')?(\w*)", catalogue.event_template()))
    used = {name for pair in event_fields for name in pair} - {"", "get"}
    assert "start_time" in used
    assert "identity" in used
    assert used <= set(EventState.model_fields)
    hub = " ".join(row.options.get("val_tpl", "") for row in catalogue.hub(burst=True))
    assert {"backlog", "workers", "oldest_wait", "per_minute"} <= set(re.findall(r"told\.(\w+)", hub))
    assert set(re.findall(r"told\.(\w+)", hub)) - {"get"} <= set(HubState.model_fields)
    assert set(re.findall(r"\{\}\)\.get\('(\w+)'", hub)) <= set(BurstState.model_fields)


def switches(*names: str) -> tuple[SettingInfo, ...]:
    return tuple(SettingInfo(name=name, kind="switch", common=True) for name in names)


def test_the_how_to_names_entities_that_appear() -> None:
    sensitivity = SettingInfo(name="sensitivity", kind="number", minimum=0, maximum=1, common=True)
    porch = DeviceInfo(
        device="porch",
        cameras=(
            CameraInfo(
                name="front",
                settings=(*switches("enabled", "motion_detection", "record", "clips"), sensitivity, CLOUD),
                zones={"drive": ((0, 0), (1, 0), (1, 1))},
            ),
        ),
        settings=(IDENTIFY, RESTART),
        sensors=(
            SensorInfo(name="hall", kind="motion"),
            SensorInfo(name="gate", kind="door"),
            SensorInfo(name="bell", kind="button", rings="front"),
            SensorInfo(name="panic", kind="button"),
        ),
        lights=(LightInfo(name="ir"),),
    )
    basement = DeviceInfo(
        device="basement",
        meters=(MeterInfo(name="water", settings=(CAPTURE, *switches("caption"))),),
        battery=Battery(level=87),
        wake_every=3600,
    )
    read = {("basement", "water"): Counter("m³", judged=True)}
    workers = {"attic": Worker("attic", measures_heat=True)}
    bus = Bus({"porch": porch, "basement": basement}, counters=read, workers=workers, burst=True)
    there = {part["def_ent_id"] for payload in told(bus).values() for part in entities(payload)}
    text = (Path(__file__).parents[2] / "docs/how-to/home-assistant.md").read_text()
    kinds = "camera|binary_sensor|event|image|sensor|light|switch|number|button|select"
    named = set(re.findall(rf"\b(?:{kinds})\.[a-z]+_\w+", text))
    assert len(named) >= 27
    assert named <= there
    twice = {"binary_sensor.basement_connectivity", "sensor.basement_last_seen"}
    assert there - named <= twice, "every entity is described"


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
