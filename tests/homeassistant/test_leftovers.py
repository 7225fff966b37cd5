"""What Home Assistant missed while it, or the bridge, was away."""

from __future__ import annotations

import json

import pytest

from meerkat_homeassistant.diff import beside, components, gone, without
from meerkat_homeassistant.exchange import record_topic
from meerkat_homeassistant.leftovers import SPACING, SURE, Record

from .test_diff import CAMERA, MOTION, device
from .world import HUB, World, info, parts, topic

PORCH = topic("porch")
RECORD = record_topic("meerkat_device_porch", "homeassistant")
OWN = {"connectivity", "last_seen"}


@pytest.fixture
def world() -> World:
    world = World()
    world.connect()
    world.appear(info("porch", "front", "yard"))
    world.settle()
    return world


def record(world: World) -> Record:
    return Record.read(world.broker.retained.get(RECORD, b""))


def stop(world: World) -> None:
    world.home.stop()
    world.advance(0)


def test_a_camera_removed_while_home_assistant_is_away(world: World) -> None:
    stop(world)
    world.appear(info("porch", "front"))
    world.settle()
    world.home.start()
    assert {part.name for part in world.home.dead} == parts("yard") - {"yard:on:person", "yard:on:vehicle"}
    world.sent.clear()
    world.advance(5)
    world.greet()
    world.settle()
    assert world.shown(PORCH) == OWN | parts("front")
    assert world.home.dead == set()
    told = [json.loads(text) for at, where, text in world.sent if where == PORCH]
    assert [set(components(one)) >= parts("yard") for one in told] == [False, True, True]
    assert b"yard" not in world.broker.retained[PORCH]
    assert record(world) == Record(shown=True)


def test_a_device_removed_while_home_assistant_is_away(world: World) -> None:
    stop(world)
    world.vanish("porch")
    world.settle()
    assert PORCH not in world.broker.retained
    world.start_home_assistant()
    world.settle()
    assert world.shown(PORCH) == set()
    assert RECORD not in world.broker.retained
    assert world.home.unknown == []
    assert world.home.dangling == set()


def test_the_bridge_comes_after_home_assistant_and_hears_no_greeting(world: World) -> None:
    stop(world)
    world.appear(info("porch", "front"))
    world.settle()
    world.disconnect()
    world.start_home_assistant()
    world.restart_bridge()
    world.settle()
    assert world.shown(PORCH) == OWN | parts("front")
    assert record(world).left, "whether it was there is not known"
    world.restart_home_assistant()
    world.settle()
    assert not record(world).left


def test_what_home_assistant_heard_is_not_told_again(world: World) -> None:
    world.restart_home_assistant()
    world.settle()
    world.appear(info("porch", "front"))
    world.advance(10)
    assert set(components(record(world).left)) == parts("yard")
    world.settle()
    assert record(world) == Record(shown=True)
    world.sent.clear()
    world.restart_home_assistant()
    world.settle()
    assert len(world.sent_to(PORCH)) == 1


@pytest.mark.parametrize("seconds", [3.0, SURE - 1])
def test_a_home_assistant_that_ends_suddenly_may_have_forgotten_that_it_forgot(
    world: World, seconds: float
) -> None:
    """At once its registry was not saved; and that its power was cut long ago, the broker says late."""
    world.restart_home_assistant()
    world.settle()
    if seconds > 10:
        world.home.running = False
    world.appear(info("porch", "front"))
    world.advance(seconds)
    world.home.crash()
    world.advance(0)
    world.settle()
    world.start_home_assistant()
    world.settle()
    assert world.shown(PORCH) == OWN | parts("front")


def test_it_surely_knows_at_the_very_moment(world: World) -> None:
    world.restart_home_assistant()
    world.settle()
    world.appear(info("porch", "front"))
    world.advance(0.5)
    world.advance(SURE - 0.01)
    assert record(world).left
    world.advance(0.01)
    assert not record(world).left


def test_what_comes_back_meanwhile_is_not_taken_out_again(world: World) -> None:
    stop(world)
    world.appear(info("porch", "front"))
    world.settle()
    world.appear(info("porch", "front", "yard"))
    world.settle()
    assert record(world) == Record(shown=True)
    world.start_home_assistant()
    world.settle()
    assert world.shown(PORCH) == OWN | parts("front") | parts("yard")


def test_what_comes_back_between_the_two_messages_stays(world: World) -> None:
    stop(world)
    world.vanish("porch")
    world.settle()
    world.start_home_assistant()
    world.advance(1.0 + SPACING / 2)
    assert world.shown(PORCH) >= parts("yard")
    world.appear(info("porch", "front"))
    world.settle()
    assert world.shown(PORCH) == OWN | parts("front")


def test_several_removals_while_it_is_away_are_all_made_up_for(world: World) -> None:
    stop(world)
    world.appear(info("porch", "front"))
    world.settle()
    world.restart_bridge()
    world.appear(info("porch"))
    world.settle()
    world.vanish("porch")
    world.settle()
    world.start_home_assistant()
    world.settle()
    assert world.home.entities.keys() == {part for part in world.home.entities if part.topic == HUB}


def test_a_broker_that_forgot_the_record_is_told_again(world: World) -> None:
    stop(world)
    world.appear(info("porch", "front"))
    world.settle()
    world.disconnect()
    world.broker.retained.clear()
    world.connect()
    world.appear(info("porch", "front"))
    world.settle()
    world.start_home_assistant()
    world.settle()
    assert world.shown(PORCH) == OWN | parts("front")


def test_a_camera_that_went_together_with_the_brokers_memory(world: World) -> None:
    world.disconnect()
    world.broker.retained.clear()
    world.connect()
    world.appear(info("porch", "front"))
    world.settle()
    assert world.shown(PORCH) == OWN | parts("front")


@pytest.mark.parametrize("restarts", [True, False])
def test_a_device_deleted_while_the_bridge_is_away_stays_away(world: World, *, restarts: bool) -> None:
    world.disconnect()
    world.delete_in_home_assistant(PORCH)
    if restarts:
        world.restart_bridge()
    else:
        world.connect()
    world.settle()
    assert world.shown(PORCH) == set()
    assert RECORD not in world.broker.retained
    assert "porch was deleted in Home Assistant and stays away" in " ".join(world.notes)
    world.restore("meerkat_device_porch")
    world.settle()
    assert world.shown(PORCH) == OWN | parts("front") | parts("yard")


def test_a_hub_deleted_while_the_bridge_is_away_leaves_no_nameless_device(world: World) -> None:
    """Home Assistant has started since, and read of a device that refers to it."""
    world.disconnect()
    world.delete_in_home_assistant(HUB)
    world.restart_home_assistant()
    assert world.home.dangling == {"meerkat/hub"}
    world.restart_bridge()
    world.settle()
    assert world.home.dangling == set()
    assert world.shown(HUB) == set()
    assert world.home.vias[PORCH] is None


def test_what_is_told_once_more_does_not_refer_to_a_hub_that_was_deleted(world: World) -> None:
    """The device is gone as well, and what is left of it is told while its discovery still stands."""
    stop(world)
    world.appear(info("porch", "front"))
    world.settle()
    world.start_home_assistant()
    world.advance(0.5)
    world.disconnect()
    world.delete_in_home_assistant(HUB)
    world.vanish("porch")
    world.restart_bridge()
    world.restart_home_assistant()
    world.settle()
    assert world.home.dangling == set()
    assert world.home.entities == {}


def test_a_broker_that_forgot_all_is_not_taken_for_a_deletion(world: World) -> None:
    world.disconnect()
    world.broker.retained.clear()
    world.restart_bridge()
    world.appear(info("porch", "front", "yard"))
    world.settle()
    assert world.shown(PORCH) == OWN | parts("front") | parts("yard")


def test_a_bridge_that_dies_before_it_empties_the_topic_finishes_later(world: World) -> None:
    """The record goes first, so that its own removal never looks like the user's."""
    world.vanish("porch")
    world.disconnect()  # before the change has settled
    world.broker.publish(RECORD, Record(shown=False, left=json.loads(world.broker.retained[PORCH])).to_json())
    world.restart_bridge()
    world.settle()
    assert world.shown(PORCH) == set()
    world.appear(info("porch", "front"))
    world.settle()
    assert world.shown(PORCH) == OWN | parts("front")


@pytest.mark.parametrize(
    "text",
    [
        b"[1",
        b"[]",
        b"{}",
        b'{"shown":true,"left":7}',
        b'{"shown":true,"left":{"cmps":{"a":{"p":"camera","t":"x"}}}}',
        b'{"shown":true,"left":{"dev":{"ids":["d"]},"o":{},"cmps":{},"cdevs":[{"cmps":{}}]}}',
        b'{"shown":true,"left":{"dev":{"ids":["d"]},"o":{},"cmps":{"a":7}}}',
    ],
)
def test_an_unreadable_record_is_none(world: World, text: bytes) -> None:
    world.disconnect()
    world.broker.retained[RECORD] = text
    world.restart_bridge()
    world.settle()
    assert record(world) == Record(shown=True)


def test_nothing_is_written_when_all_is_said(world: World) -> None:
    world.sent.clear()
    world.restart_bridge()
    world.settle()
    world.disconnect()
    world.connect()
    world.settle()
    assert world.sent == []


def test_what_is_gone_keeps_its_place() -> None:
    before = device({"a": CAMERA, "b": MOTION}, {"x": {"c": MOTION}, "y": {"d": CAMERA}})
    after = device({"a": CAMERA}, {"x": {"c": {**MOTION, "name": "n"}}})
    left = gone(before, after)
    assert left == device({"b": MOTION}, {"y": {"d": CAMERA}})
    assert components(beside(after, left)).keys() == {"a", "b", "c", "d"}
    assert components(without(after, left)) == {
        **components(after),
        "b": {"p": "binary_sensor"},
        "d": {"p": "camera"},
    }
    assert gone(before, before) == {}


def test_of_two_with_one_name_the_one_that_goes_is_told() -> None:
    left = device({}, {"x": {"a": CAMERA}})
    now = device({"k": MOTION}, {"x": {"a": {**CAMERA, "p": "image"}, "b": MOTION}})
    assert beside(now, left) == device({"k": MOTION}, {"x": {"b": MOTION, "a": CAMERA}})
    assert without(now, left) == device({"k": MOTION, "a": {"p": "camera"}}, {"x": {"b": MOTION}})
