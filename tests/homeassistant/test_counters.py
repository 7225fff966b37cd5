"""A meter's readings as Home Assistant is told of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from meerkat_contract.device_messages import DeviceInfo, MeterInfo
from meerkat_contract.ids import new_id
from meerkat_contract.meter_messages import MeterReading, MeterVerdict
from meerkat_homeassistant.counters import Counter
from meerkat_homeassistant.diff import components
from meerkat_homeassistant.discovery import Bus, Payload, discovery

from .discovery_keys import faults
from .test_discovery import CAPTURE, rendered
from .world import World, topic

AT = datetime(2026, 11, 20, 8, tzinfo=UTC)


def meter(kind: str = "water", name: str = "water", label: str = "") -> DeviceInfo:
    info = MeterInfo.model_validate({"name": name, "kind": kind, "label": label, "settings": (CAPTURE,)})
    return DeviceInfo(device="pi", meters=(info,))


def payload(info: DeviceInfo, counters: dict[tuple[str, str], Counter]) -> Payload:
    found = discovery(Bus({"pi": info}, counters=counters), software="1")
    told = found["homeassistant/device/meerkat_device_pi/config"]
    assert list(faults(told)) == []
    return told


def parts(unit: str = "m³", kind: str = "water") -> dict[str, Any]:
    return components(payload(meter(kind), {("pi", "water"): Counter(unit, judged=True)}))


def reading(**change: Any) -> MeterReading:
    fields = {"id": new_id(), "device": "pi", "meter": "water", "at": AT, "value": 5.25, "total": 105.25}
    return MeterReading.model_validate({**fields, "unit": "m³", **change})


def verdict(**change: Any) -> MeterVerdict:
    fields = {"id": new_id(), "device": "pi", "meter": "water", "at": AT, "verdict": "held"}
    return MeterVerdict.model_validate({**fields, **change})


def shown(template: str, message: MeterReading | MeterVerdict) -> str:
    return rendered(template, message.to_json().decode())


def test_the_counter_is_the_meters_main_entity() -> None:
    found = parts()["reading-water"]
    assert (found["def_ent_id"], found["name"]) == ("sensor.pi_water", None)
    assert (found["dev_cla"], found["stat_cla"], found["unit_of_meas"]) == ("water", "total", "m³")
    assert found["stat_t"] == found["json_attr_t"] == "meerkat/meter/pi/water/reading"
    assert found["avty"] == [{"t": "meerkat/hub/availability"}]
    assert shown(found["val_tpl"], reading()) == "105.25"
    told = json.loads(shown(found["json_attr_tpl"], reading(confidence=0.93)))
    assert (told["value"], told["at"], told["confidence"]) == (5.25, "2026-11-20T08:00:00Z", 0.93)


def test_an_exchange_of_the_meter_is_no_new_beginning() -> None:
    """Home Assistant books a state whole when `last_reset` changes; the total goes on, so it must not."""
    found = parts()["reading-water"]
    assert "lrst_val_tpl" not in found
    after = reading(value=0.3, total=105.6, last_reset=AT)
    assert shown(found["val_tpl"], after) == "105.6"
    assert "last_reset" not in json.loads(shown(found["json_attr_tpl"], after))


@pytest.mark.parametrize(
    ("unit", "kind", "measures", "per_hour", "of_one"),
    [
        ("m³", "water", ("water", "m³"), ("volume_flow_rate", "m³/h"), 1),
        ("l", "water", ("water", "L"), ("volume_flow_rate", "L/h"), 1),
        ("ft³", "gas", ("gas", "ft³"), ("volume_flow_rate", "ft³/min"), 1 / 60),
        ("CCF", "gas", ("gas", "CCF"), ("volume_flow_rate", "ft³/min"), 100 / 60),
        ("kWh", "gas", ("energy", "kWh"), ("power", "kW"), 1),
        ("kWh", "electricity", ("energy", "kWh"), ("power", "kW"), 1),
        ("MJ", "heat", ("energy", "MJ"), ("power", "kW"), 1 / 3.6),
        ("m³", "heat", ("volume", "m³"), ("volume_flow_rate", "m³/h"), 1),
    ],
)
def test_units_are_those_that_home_assistant_knows(
    unit: str, kind: str, measures: tuple[str, str], per_hour: tuple[str, str], of_one: float
) -> None:
    found = parts(unit, kind)
    counter, flow = found["reading-water"], found["flow-water"]
    assert (counter["dev_cla"], counter["unit_of_meas"]) == measures
    assert (flow["dev_cla"], flow["unit_of_meas"]) == per_hour
    assert flow["stat_cla"] == "measurement"
    assert float(shown(flow["val_tpl"], reading(flow=3.0))) == pytest.approx(3 * of_one, abs=1e-6)


def test_a_unit_that_nobody_knows_is_counted_all_the_same() -> None:
    found = parts("pulses")
    assert found["reading-water"]["unit_of_meas"] == "pulses"
    assert "dev_cla" not in found["reading-water"]
    assert "flow-water" not in found


def test_the_first_reading_has_no_flow() -> None:
    assert shown(parts()["flow-water"]["val_tpl"], reading()) == "None"


def test_an_emptied_topic_is_ignored() -> None:
    """Home Assistant renders what is empty too, and ignores an empty state; but an enum's it complains of."""
    for name in ("reading-water", "flow-water", "verdict-water", "leak-water", "problem-water"):
        nothing = "None" if parts()[name].get("dev_cla") == "enum" else ""
        assert rendered(parts()[name]["val_tpl"], "") == nothing
        if "json_attr_tpl" in parts()[name]:
            json.loads(rendered(parts()[name]["json_attr_tpl"], ""))


def test_the_verdict_says_why() -> None:
    found = parts()["verdict-water"]
    assert found["ops"] == ["accepted", "held", "unreadable", "implausible"]
    assert found["ent_cat"] == "diagnostic"
    said = verdict(reason="wheel 3 can hardly be made out", value=5.3, expected=(5.2, 5.4), confidence=0.4)
    assert shown(found["val_tpl"], said) == "held"
    told = json.loads(shown(found["json_attr_tpl"], said))
    assert told["reason"] == "wheel 3 can hardly be made out"
    assert told["expected"] == [5.2, 5.4]


@pytest.mark.parametrize(
    ("alarm", "leak", "problem"),
    [(None, "OFF", "OFF"), ("leak", "ON", "OFF"), ("no_flow", "OFF", "ON"), ("silent", "OFF", "ON")],
)
def test_a_camera_that_is_silent_is_no_leak(alarm: str | None, leak: str, problem: str) -> None:
    said = verdict(alarm=alarm, leak="it has flowed for 30 h: a leak?" if alarm else "")
    found = parts()
    assert shown(found["leak-water"]["val_tpl"], said) == leak
    assert shown(found["problem-water"]["val_tpl"], said) == problem
    why = json.loads(shown(found["leak-water"]["json_attr_tpl"], said))["reason"]
    assert bool(why) == (alarm == "leak")
    assert found["leak-water"]["dev_cla"] == "moisture"
    assert parts(kind="gas")["leak-water"]["dev_cla"] == "problem"


def test_what_has_not_been_read_is_not_there() -> None:
    names = set(components(payload(meter(), {})))
    assert not {"reading-water", "flow-water", "verdict-water", "leak-water"} & names
    judged = set(components(payload(meter(), {("pi", "water"): Counter(judged=True)})))
    assert "verdict-water" in judged
    assert "reading-water" not in judged


def test_at_most_eight_stand_in_front() -> None:
    primary = [part for name, part in parts().items() if "water" in name and "ent_cat" not in part]
    assert len(primary) <= 5


def test_a_named_counter_is_a_meter_of_its_own() -> None:
    known = {("pi", "power"): Counter("kWh", judged=True), ("pi", "power-night"): Counter("kWh", judged=True)}
    told = payload(meter("electricity", "power", "Electricity"), known)
    assert [child["name"] for child in told["cdevs"]] == ["Electricity", "Electricity night"]
    night = components(told)["reading-power-night"]
    assert night["def_ent_id"] == "sensor.pi_power_night"
    assert night["stat_t"] == "meerkat/meter/pi/power-night/reading"
    assert night["dev_cla"] == "energy"


def test_a_meter_that_is_named_like_anothers_counter_is_itself() -> None:
    two = DeviceInfo(device="pi", meters=(MeterInfo(name="water"), MeterInfo(name="water-hot")))
    told = payload(two, {("pi", "water-hot"): Counter("m³"), ("pi2", "water-cold"): Counter("m³")})
    assert [child["name"] for child in told["cdevs"]] == ["Water", "Water hot"]
    assert "reading-water-hot" in components(told)


# --- over time ------------------------------------------------------------------------------------


def say(world: World, message: MeterReading | MeterVerdict | None, kind: str = "reading") -> None:
    text = message.to_json() if message else b""
    world.broker.publish(f"meerkat/meter/pi/water/{kind}", text)
    world.settle()


def test_it_appears_with_the_first_reading_and_follows_its_unit() -> None:
    world = World()
    world.connect()
    world.appear(meter())
    world.settle()
    assert "reading-water" not in world.shown(topic("pi"))
    say(world, reading())
    assert {"reading-water", "flow-water"} <= world.shown(topic("pi"))
    sent = len(world.sent)
    say(world, reading(total=106))
    assert len(world.sent) == sent, "another reading changes nothing of what it is"
    say(world, reading(unit="L", total=106000))
    assert json.loads(world.sent[-1][2])["cdevs"][0]["cmps"]["reading-water"]["unit_of_meas"] == "L"
    say(world, verdict(), "verdict")
    assert "verdict-water" in world.shown(topic("pi"))
    say(world, None)
    assert "reading-water" not in world.shown(topic("pi"))
    assert "verdict-water" in world.shown(topic("pi"))


def test_a_broker_that_lost_its_memory_does_not_take_the_counter_away() -> None:
    """Its history in Home Assistant would have a gap until the next picture, an hour later."""
    world = World()
    world.connect()
    world.appear(meter())
    say(world, reading())
    world.disconnect()
    world.broker.retained.clear()
    world.connect()
    world.appear(meter())
    world.settle()
    assert "reading-water" in world.shown(topic("pi"))


def test_a_reading_that_cannot_be_read_is_told_and_changes_nothing() -> None:
    world = World()
    world.connect()
    world.appear(meter())
    say(world, reading())
    world.broker.publish("meerkat/meter/pi/water/reading", b"12.5")
    world.settle()
    assert "reading-water" in world.shown(topic("pi"))
    assert any("meerkat/meter/pi/water/reading" in note for note in world.notes)
