"""What Home Assistant is told of the burst, of workers, zones, days, event types and device triggers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meerkat_contract.ids import new_id
from meerkat_contract.messages import (
    BurstState,
    CameraInfo,
    DeviceInfo,
    Event,
    EventState,
    HubState,
    ModelInfo,
    SettingInfo,
    TaskInfo,
    Today,
    WorkerState,
    ZonesNow,
)
from meerkat_homeassistant import catalogue
from meerkat_homeassistant.catalogue import EVENT_TYPES, Worker, event_template
from meerkat_homeassistant.catalogue.entity import spoken
from meerkat_homeassistant.diff import components
from meerkat_homeassistant.discovery import Bus, Payload, called, object_of, restore_words
from meerkat_homeassistant.settings import HomeAssistantSettings

from .discovery_keys import faults
from .test_discovery import BASEMENT, BUS, CLOUD, IDENTIFY, PORCH, RESTART, SETTINGS, entities, rendered, told

SQUARE = ((0, 0), (1, 0), (1, 1), (0, 1))


def shown(bus: Bus, name: str) -> dict[str, Payload]:
    return components(told(bus)[f"homeassistant/device/meerkat_{name}/config"])


def camera(**about: Any) -> dict[str, Payload]:
    front = CameraInfo.model_validate({"name": "front", **about})
    return shown(Bus({"porch": DeviceInfo(device="porch", cameras=(front,))}), "device_porch")


# --- the hub -----------------------------------------------------------------------------------------

BURST = BurstState(state="no-gain", reason="it would not be done sooner", spent_today=0.02, ceiling_day=0.5)
HUB_STATE = HubState(backlog=3, oldest_wait=12, per_minute=40, workers=2, jobs={"attic": 2}, burst=BURST)


def test_the_burst_is_shown_only_where_the_hub_has_one() -> None:
    without, with_burst = shown(Bus(), "hub"), shown(Bus(burst=True), "hub")
    assert not [name for name in without if "burst" in name or "cloud" in name]
    assert with_burst.keys() - without.keys() == {row.key for row in catalogue.BURST}


def test_what_the_hub_says_is_what_is_shown() -> None:
    parts, said = shown(Bus(burst=True), "hub"), HUB_STATE.to_json().decode()
    values = {name: rendered(part["val_tpl"], said) for name, part in parts.items() if "val_tpl" in part}
    assert values | {"connectivity": ""} == {
        "connectivity": "",
        "backlog": "3",
        "oldest_wait": "12.0",
        "per_minute": "40",
        "workers": "2",
        "no_worker": "OFF",
        "burst": "ON",
        "burst_state": "no-gain",
        "spent_today": "0.02",
        "ceiling_day": "0.5",
        "in_cloud": "0",
        "machines": "0",
    }
    assert json.loads(rendered(parts["burst_state"]["json_attr_tpl"], said)) == {
        "reason": "it would not be done sooner",
        "trouble": "",
    }


def test_a_state_of_the_burst_that_nobody_was_told_of_is_unknown() -> None:
    said = HubState(burst=BurstState(state="resting")).to_json().decode()
    assert rendered(shown(Bus(burst=True), "hub")["burst_state"]["val_tpl"], said) == "None"
    words = BurstState.model_fields["state"].description or ""
    assert set(words.partition(": ")[2].replace("|", " ").split()) == set(
        catalogue.hub(burst=True)[8].options["ops"]
    )


def test_the_switch_and_the_button_say_what_the_hub_takes() -> None:
    parts = shown(Bus(burst=True), "hub")
    assert {parts[name]["cmd_t"] for name in ("burst", "burst_stop")} == {"meerkat/hub/burst/set"}
    assert parts["burst_stop"]["pl_prs"] == "STOP"


# --- workers -----------------------------------------------------------------------------------------

ATTIC = WorkerState(
    worker="attic",
    incarnation=new_id(),
    online=True,
    tasks=(
        TaskInfo(task="read_meter", model=ModelInfo(name="digits"), frames_per_second=9),
        TaskInfo(task="detect_objects", model=ModelInfo(name="yolox"), frames_per_second=31.5),
    ),
    serving="detect_objects",
    load=0.35,
    temperature=51.5,
)


def test_a_worker_is_a_device_of_its_own_behind_the_hub() -> None:
    payload = told(Bus(workers={"attic": Worker.of(ATTIC)}))[
        "homeassistant/device/meerkat_worker_attic/config"
    ]
    assert payload["dev"]["via_device"] == "meerkat/hub"
    assert payload["dev"]["name"] == "Worker attic"
    (available,) = payload["avty"]
    gone = ATTIC.model_copy(update={"online": False}).to_json().decode()
    words = [rendered(available["val_tpl"], text) for text in (ATTIC.to_json().decode(), gone, "")]
    assert words == ["online", "offline", "offline"]
    assert [one["t"] for one in payload["cmps"]["jobs"]["avty"]] == [
        "meerkat/hub/availability",
        "meerkat/worker/attic/state",
    ]


def test_what_a_worker_says_is_what_is_shown() -> None:
    parts, said = shown(Bus(workers={"attic": Worker.of(ATTIC)}), "worker_attic"), ATTIC.to_json().decode()
    values = {name: rendered(part["val_tpl"], said) for name, part in parts.items() if name != "jobs"}
    assert values == {
        "connectivity": "ON",
        "state": "working",
        "tasks": "read meter, detect objects",
        "frames_per_second": "31.5",
        "model": "yolox",
        "load": "35.0",
        "temperature": "51.5",
    }
    assert rendered(parts["jobs"]["val_tpl"], HUB_STATE.to_json().decode()) == "2"
    assert rendered(parts["jobs"]["val_tpl"], HubState().to_json().decode()) == "0"


def test_a_worker_that_does_nothing_yet_is_honest_about_it() -> None:
    bare = WorkerState(worker="desk", incarnation=new_id(), online=True)
    parts, said = shown(Bus(workers={"desk": Worker.of(bare)}), "worker_desk"), bare.to_json().decode()
    assert "temperature" not in parts
    values = [rendered(parts[name]["val_tpl"], said) for name in ("state", "tasks", "model", "load")]
    assert values == ["idle", "None", "None", "None"]


def test_discovery_does_not_depend_on_what_a_worker_does() -> None:
    busy = ATTIC.model_copy(update={"load": 0.9, "serving": "read_meter", "temperature": 70, "tasks": ()})
    gone = ATTIC.model_copy(update={"load": None, "online": False, "temperature": None})
    known = Worker.of(ATTIC)
    assert Worker.of(busy, known) == Worker.of(gone, known) == known


@pytest.mark.parametrize(
    ("name", "spoken", "words"),
    [
        ("meerkat_hub", "the hub", "--hub"),
        ("meerkat_device_porch", "porch", "porch"),
        ("meerkat_worker_attic", "worker attic", "--worker attic"),
    ],
)
def test_everybody_has_a_name_and_a_way_back(name: str, spoken: str, words: str) -> None:
    assert called(name) == spoken
    assert restore_words(name) == words
    assert object_of(f"homeassistant/device/{name}/config", "homeassistant") == name


# --- cameras -----------------------------------------------------------------------------------------


def test_every_zone_says_whether_somebody_stands_in_it() -> None:
    parts = camera(zones={"drive": SQUARE, "front-steps": SQUARE})
    drive, steps = parts["front:zone:drive"], parts["front:zone:front-steps"]
    assert (drive["dev_cla"], drive["name"]) == ("occupancy", "Drive occupancy")
    assert steps["def_ent_id"] == "binary_sensor.porch_front_front_steps_occupancy"
    said = ZonesNow(zones={"drive": {"person": 2}, "front-steps": {}}).to_json().decode()
    assert [rendered(part["val_tpl"], said) for part in (drive, steps)] == ["ON", "OFF"]
    assert json.loads(rendered(drive["json_attr_tpl"], said)) == {"in_view": {"person": 2}}


def test_the_day_is_counted_by_category_and_the_rest_waits_to_be_enabled() -> None:
    said = Today(date="2026-11-20", person=3, animal=1).to_json().decode()
    parts = camera()
    kinds = ("person", "vehicle", "animal", "object")
    assert [rendered(parts[f"today_{kind}-front"]["val_tpl"], said) for kind in kinds] == ["3", "0", "1", "0"]
    assert [parts[f"today_{kind}-front"].get("en", True) for kind in kinds] == [True, True, False, False]


@pytest.mark.parametrize(
    ("about", "kind"),
    [
        ({}, "person"),
        ({"identity": "Ada", "workflow": "w"}, "known_person"),
        ({"stranger": True, "workflow": "w", "label": "face"}, "unknown_person"),
        ({"label": "truck", "category": "vehicle"}, "vehicle"),
        ({"label": "cat", "category": "animal"}, "animal"),
        ({"label": "parcel", "category": "object"}, "package"),
        ({"label": "kite", "category": "object"}, "object"),
        ({"label": "kite", "category": "of a later version"}, "object"),
    ],
)
def test_an_event_is_of_one_type(about: dict[str, Any], kind: str) -> None:
    assert event_type(about) == kind
    assert kind in EVENT_TYPES


@pytest.mark.parametrize(
    ("about", "types", "kind"),
    [
        ({"identity": "Ada"}, ("person",), "person"),
        ({"stranger": True}, ("person", "known_person"), "person"),
        ({"identity": "Ada"}, ("known_person",), "known_person"),
        ({}, ("known_person",), None),
        ({"identity": "Ada"}, ("vehicle",), None),
        ({"label": "parcel", "category": "object"}, ("object",), "object"),
        ({"label": "parcel", "category": "object"}, ("person",), None),
        ({"label": "cat", "category": "animal"}, ("person", "object"), None),
    ],
)
def test_only_what_is_wanted_is_told(about: dict[str, Any], types: tuple[str, ...], kind: str | None) -> None:
    assert event_type(about, types) == kind


def event_type(about: dict[str, Any], types: tuple[str, ...] = EVENT_TYPES) -> str | None:
    text = rendered(event_template(types), new_event(about))
    return json.loads(text)["event_type"] if text else None


def new_event(about: dict[str, Any]) -> str:
    time = "2026-11-20T08:15:00.250Z"
    times = {"start_time": time, "end_time": time, "picture_time": time}
    seen = {
        "label": "person",
        "category": "person",
        "score": 0.87,
        "box": (0.1, 0.1, 0.2, 0.5),
        "revision": 1,
    }
    state = EventState.model_validate(
        {"id": new_id(), "device": "porch", "camera": "front", **times, **seen, **about}
    )
    return Event(type="new", before=None, after=state).to_json().decode()


def test_the_types_are_those_of_the_configuration() -> None:
    assert HomeAssistantSettings.model_validate({}).events == EVENT_TYPES
    wanted = HomeAssistantSettings.model_validate({"events": ["vehicle"]}).events
    event = components(told(Bus({"porch-pi": PORCH}, events=wanted))[PORCH_TOPIC])["event-front"]
    assert event["evt_typ"] == ["vehicle"]


PORCH_TOPIC = "homeassistant/device/meerkat_device_porch-pi/config"


def test_whether_clips_may_leave_the_house_is_asked_only_where_there_is_a_cloud() -> None:
    device = DeviceInfo(device="porch", cameras=(CameraInfo(name="front", settings=(CLOUD,)),))
    assert "front:cloud" not in shown(Bus({"porch": device}), "device_porch")
    asked = shown(Bus({"porch": device}, burst=True), "device_porch")["front:cloud"]
    assert (asked["p"], asked["ent_cat"], asked.get("en", True)) == ("select", "config", True)


# --- the device --------------------------------------------------------------------------------------


def test_what_a_device_can_be_asked_has_home_assistants_own_classes() -> None:
    device = DeviceInfo(device="porch", settings=(IDENTIFY, RESTART))
    parts = shown(Bus({"porch": device}), "device_porch")
    assert [parts[f":{name}"]["dev_cla"] for name in ("identify", "restart")] == ["identify", "restart"]
    assert "dev_cla" not in camera(settings=(RESTART,))["front:restart"], "a camera's own is another thing"


def test_the_board_is_named() -> None:
    about = {"model": "Raspberry Pi 4", "model_id": "raspberrypi,4-model-b", "serial": "1000", "mac": MAC}
    device = told(Bus({"p": DeviceInfo.model_validate({"device": "p", **about})}, "http://hub:8480"))
    said = device["homeassistant/device/meerkat_device_p/config"]["dev"]
    assert (said["hw"], said["mdl_id"], said["sn"]) == ("Raspberry Pi 4", "raspberrypi,4-model-b", "1000")
    assert said["cns"] == [["mac", MAC]]


MAC = "d8:3a:dd:01:02:03"


def test_two_devices_on_one_machine_stay_two() -> None:
    both = {name: DeviceInfo(device=name, mac=MAC) for name in ("a", "b")}
    assert all("cns" not in payload["dev"] for payload in told(Bus(both)).values())


def test_device_triggers_stand_with_the_device_and_fire_once() -> None:
    payload = told()[PORCH_TOPIC]
    triggers = {name: part for name, part in payload["cmps"].items() if part["p"] == "device_automation"}
    assert {(part["stype"], part["type"]) for part in triggers.values()} == {
        ("front", "person"),
        ("front", "vehicle"),
        ("back_yard", "person"),
        ("back_yard", "vehicle"),
        ("hall-pir", "motion"),
        ("bell", "doorbell"),
        ("panic", "pressed"),
    }
    person, new = triggers["front:on:person"], new_event({"identity": "Ada"})
    update = new.replace('"type":"new"', '"type":"update"')
    assert [rendered(person["val_tpl"], text) for text in (new, update, "")] == ["person", "", ""]
    assert (triggers["bell:on:doorbell"]["pl"], triggers["hall-pir:on:motion"]["pl"]) == ("doorbell", "ON")
    # Home Assistant fires for a retained message too, at each of its starts.
    assert triggers["hall-pir:on:motion"]["t"] == "meerkat/device/porch-pi/hall-pir/triggered"


@pytest.mark.parametrize(
    ("name", "words"), [("back-yard", "Back yard"), ("ir", "IR"), ("hall_pir", "Hall PIR"), ("iris", "Iris")]
)
def test_a_name_without_a_label_is_read_as_one_would_say_it(name: str, words: str) -> None:
    assert spoken(name) == words


# --- all of it ---------------------------------------------------------------------------------------


def a_big_house() -> Bus:
    zones = {f"zone-{number}": SQUARE for number in range(12)}
    common = tuple(SettingInfo(name=f"s{number}", kind="switch", common=True) for number in range(9))
    cameras = tuple(
        CameraInfo(name=f"c{number}", zones=zones, settings=(*SETTINGS, *common)) for number in range(8)
    )
    device = PORCH.model_copy(update={"cameras": cameras, "settings": (*common, IDENTIFY, RESTART)})
    workers = {"attic": Worker.of(ATTIC)}
    return Bus(
        {"porch-pi": device, "basement": BASEMENT}, "http://h:1", "1", BUS.counters, workers, burst=True
    )


@pytest.mark.parametrize("bus", [BUS, a_big_house()], ids=["demo", "big"])
def test_at_most_eight_entities_of_anything_stand_in_front(bus: Bus) -> None:
    for payload in told(bus).values():
        assert list(faults(payload)) == []
        for group in (payload, *payload.get("cdevs", ())):
            front = [part for part in entities({"cmps": group["cmps"]}) if "ent_cat" not in part]
            assert len(front) <= 8


def test_no_template_minds_an_empty_message() -> None:
    """A topic is emptied when its owner is removed: attributes stay an object, and no enum hears nothing."""
    for payload in told(a_big_house()).values():
        for part in entities(payload):
            if part["p"] in ("event", "button", "image", "camera", "light", "select", "number"):
                continue
            if "val_tpl" in part:
                value = rendered(part["val_tpl"], "")
                assert part.get("dev_cla") != "enum" or value in ("None", *part["ops"]), part["def_ent_id"]
            if "json_attr_tpl" in part:
                assert isinstance(json.loads(rendered(part["json_attr_tpl"], "")), dict), part["def_ent_id"]


def test_the_payload_of_a_big_house_stays_below_what_a_broker_takes() -> None:
    sizes = [len(json.dumps(payload)) for payload in told(a_big_house()).values()]
    assert max(sizes) < 500_000
