"""The discovery topics over time: what is written when, and that all ends as it should."""

from __future__ import annotations

import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from meerkat_contract.errors import BadMessage
from meerkat_contract.messages import Battery, SensorInfo, SettingInfo
from meerkat_homeassistant.discovery import config_topic, device_object
from meerkat_homeassistant.exchange import Connected, Note, Received, Tick
from meerkat_homeassistant.keeper import GRACE, HUB_LEAD, SETTLE, Keeper
from meerkat_homeassistant.leftovers import SPACING

from .world import HUB, World, info, parts, topic

FRONT = {"connectivity", "last_seen"} | parts("front")
YARD = parts("yard")


@pytest.fixture
def world() -> World:
    world = World()
    world.connect()
    world.appear(info("porch", "front"))
    world.settle()
    return world


def test_the_hub_first_and_the_devices_after_it() -> None:
    world = World()
    world.appear(info("porch", "front"))
    world.connect()
    world.settle()
    assert world.sent_to(topic("porch"))[0] == world.sent_to(HUB)[0] + HUB_LEAD
    assert world.shown(topic("porch")) == FRONT
    assert world.home.dangling == set()
    assert world.notes == [
        "the hub is shown in Home Assistant with 6 entities",
        "porch is shown in Home Assistant with 10 entities",
    ]


def test_a_device_that_starts_again_keeps_its_battery_until_it_has_looked(world: World) -> None:
    full = info("porch", "front").model_copy(update={"battery": Battery(level=90)})
    world.appear(full)
    world.settle()
    assert "battery" in world.shown(topic("porch"))
    world.sent.clear()
    world.appear(info("porch", "front"))
    world.settle()
    world.appear(full.model_copy(update={"battery": Battery(level=89)}))
    world.settle()
    assert world.sent == []


def test_a_sensor_and_a_setting_that_are_gone_are_taken_out(world: World) -> None:
    before = info("porch", "front").model_copy(
        update={
            "sensors": (SensorInfo(name="pir", kind="motion"), SensorInfo(name="bell", kind="button")),
            "settings": (SettingInfo(name="log_level", kind="select", options=("info",)),),
        }
    )
    world.appear(before)
    world.settle()
    assert world.shown(topic("porch")) == FRONT | {
        "state-pir",
        "pir:on:motion",
        "press-bell",
        "bell:on:pressed",
        ":log_level",
    }
    world.appear(before.model_copy(update={"sensors": before.sensors[1:], "settings": ()}))
    world.settle()
    assert world.shown(topic("porch")) == FRONT | {"press-bell", "bell:on:pressed"}


def test_a_restart_with_nothing_new_writes_nothing(world: World) -> None:
    world.sent.clear()
    world.restart_bridge()
    world.settle()
    assert world.sent == []


def test_changes_within_the_settling_time_are_one_message(world: World) -> None:
    world.sent.clear()
    world.appear(info("yard", "a"))
    world.advance(SETTLE - 0.01)
    assert world.sent == []
    world.appear(info("yard", "a", "b"))
    world.advance(0.01)
    assert len(world.sent_to(topic("yard"))) == 1
    world.settle()
    assert len(world.sent_to(topic("yard"))) == 1


def test_a_removed_camera_takes_two_messages_with_time_between(world: World) -> None:
    world.appear(info("porch", "front", "yard"))
    world.settle()
    assert world.shown(topic("porch")) == FRONT | YARD
    world.sent.clear()
    world.appear(info("porch", "front"))
    world.settle()
    first, second = world.sent_to(topic("porch"))
    assert second - first == SPACING
    assert world.shown(topic("porch")) == FRONT
    assert b"yard" not in world.broker.retained[topic("porch")]


def test_a_bridge_that_dies_between_the_two_messages_finishes_later(world: World) -> None:
    world.appear(info("porch", "front", "yard"))
    world.settle()
    world.appear(info("porch", "front"))
    world.advance(SETTLE)
    assert b'"camera-yard":{"p":"camera"}' in world.broker.retained[topic("porch")]
    world.restart_bridge()
    world.settle()
    assert b"yard" not in world.broker.retained[topic("porch")]


def test_a_device_that_goes_is_taken_out(world: World) -> None:
    world.vanish("porch")
    world.settle()
    assert topic("porch") not in world.broker.retained
    assert world.shown(topic("porch")) == set()
    assert "porch is taken out of Home Assistant" in world.notes


def test_a_device_that_went_while_the_bridge_was_away_is_taken_out_after_grace(world: World) -> None:
    world.disconnect()
    world.vanish("porch")
    world.restart_bridge()
    world.advance(GRACE - 0.01)
    assert topic("porch") in world.broker.retained
    world.advance(0.01)
    assert topic("porch") not in world.broker.retained
    assert world.shown(topic("porch")) == set()


def test_a_device_that_comes_back_late_after_the_broker_forgot_it_stays(world: World) -> None:
    world.disconnect()
    del world.broker.retained["meerkat/device/porch/info"]
    world.sent.clear()
    world.connect()
    world.advance(GRACE - 1)
    world.appear(info("porch", "front"))
    world.settle()
    assert world.sent == []


def test_an_unreadable_leftover_is_replaced_and_a_foreign_one_left_alone() -> None:
    world = World()
    world.broker.retained[HUB] = b"[1, 2]"
    world.broker.retained["homeassistant/device/zigbee/config"] = b"{}"
    world.connect()
    world.settle()
    assert json.loads(world.broker.retained[HUB])["o"]["name"] == "Meerkat"
    assert world.broker.retained["homeassistant/device/zigbee/config"] == b"{}"


def test_home_assistants_start_brings_all_again_after_the_jitter(world: World) -> None:
    world.sent.clear()
    world.greet()
    world.advance(0.99)
    assert world.sent == []
    world.advance(0.01)
    assert [name for _, name, _ in world.sent] == [HUB, topic("porch")]
    world.settle()
    assert len(world.sent) == 2


def test_a_device_deleted_in_home_assistant_stays_away_until_asked(world: World) -> None:
    world.delete_in_home_assistant(topic("porch"))
    world.settle()
    assert world.shown(topic("porch")) == set()
    assert "porch was deleted in Home Assistant and stays away" in world.notes[-1]
    assert "meerkat ha restore porch" in world.notes[-1]

    world.appear(info("porch", "front", label="New name"))
    world.restart_bridge()
    world.settle()
    world.restart_home_assistant()
    world.settle()
    assert world.shown(topic("porch")) == set()

    world.restore("meerkat_device_porch")
    world.settle()
    assert world.shown(topic("porch")) == FRONT


def test_a_deleted_hub_is_no_longer_referred_to(world: World) -> None:
    world.delete_in_home_assistant(HUB)
    world.settle()
    assert world.home.vias[topic("porch")] is None
    world.restart_home_assistant()
    world.settle()
    assert world.home.dangling == set()
    assert "meerkat ha restore --hub" in " ".join(world.notes)
    world.restore("meerkat_hub")
    world.settle()
    assert world.home.vias[topic("porch")] == "meerkat/hub"
    assert world.home.dangling == set()


def test_our_own_removal_is_not_taken_for_the_users(world: World) -> None:
    world.vanish("porch")
    world.advance(SETTLE)
    world.appear(info("porch", "front"))
    world.settle()
    assert world.shown(topic("porch")) == FRONT


def test_another_program_on_our_topic_is_told_of_and_not_fought(world: World) -> None:
    world.sent.clear()
    world.broker.publish(HUB, b'{"dev":{},"cmps":{}}')
    world.advance(0)
    world.advance(50)
    assert world.sent == []
    assert "another program writes to" in world.notes[-1]


def test_nothing_is_decided_without_a_broker(world: World) -> None:
    world.appear(info("porch", "front", "yard"))
    world.sent.clear()
    world.disconnect()
    assert world.keeper.wake_at is None
    world.advance(500)
    assert world.sent == []
    world.connect()
    world.settle()
    assert world.shown(topic("porch")) == FRONT | YARD


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"{", "DeviceInfo"),
        (b'{"schema":1,"device":"other"}', "names device 'other'"),
        (b"\xff", "DeviceInfo"),
    ],
)
def test_an_info_that_cannot_be_read_changes_nothing(world: World, payload: bytes, words: str) -> None:
    before = world.keeper.wanted
    with pytest.raises(BadMessage, match=words) as raised:
        world.keeper.step(Received("meerkat/device/porch/info", payload), world.now)
    assert "meerkat/device/porch/info" in str(raised.value)
    assert world.keeper.wanted == before


def test_a_device_whose_info_cannot_be_read_is_not_taken_for_gone(world: World) -> None:
    world.disconnect()
    world.broker.retained["meerkat/device/porch/info"] = b'{"schema":2,"device":"porch"}'
    world.restart_bridge()
    world.settle()
    assert world.shown(topic("porch")) == FRONT
    world.vanish("porch")
    world.settle()
    assert world.shown(topic("porch")) == set()


def test_a_broker_that_does_not_answer_is_asked_ever_more_seldom_and_named() -> None:
    keeper, now, notes, times = Keeper(), 0.0, [], []
    effects = keeper.step(Connected(), now)
    while now < 300:
        times.append(now)
        notes += [effect.text for effect in effects if isinstance(effect, Note)]
        assert keeper.wake_at is not None
        now = keeper.wake_at
        effects = keeper.step(Tick(), now)
    assert times == [0, 2, 6, 14, 30, 62, 122, 182, 242]
    assert len(notes) == 1
    assert "homeassistant/meerkat/bridge/sync" in notes[0]
    assert "homeassistant/# in the broker's access list" in notes[0]


def test_the_hubs_page_becomes_the_link(world: World) -> None:
    world.hub("http://192.168.1.5:8480")
    world.settle()
    device = json.loads(world.broker.retained[topic("porch")])["dev"]
    assert device["cu"] == "http://192.168.1.5:8480/#device=porch"


def test_the_backlog_of_the_hub_is_no_reason_to_publish(world: World) -> None:
    world.sent.clear()
    world.broker.publish("meerkat/hub/state", b'{"schema":1,"backlog":7}')
    world.settle()
    assert world.sent == []


def test_before_the_broker_has_told_all_nothing_is_written() -> None:
    keeper = Keeper()
    keeper.step(Received("meerkat/device/porch/info", info("porch", "x").to_json()), 0.0)
    assert keeper.wake_at is None


devices = st.sampled_from(["a", "b", "c"])
cameras = st.sets(st.sampled_from(["x", "y"]))


class Houses(RuleBasedStateMachine):
    """Whatever happens, in the end Home Assistant shows what is there and was not deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.connect()
        self.there: dict[str, set[str]] = {}
        self.dismissed: set[str] = set()

    @rule(device=devices, cameras=cameras, label=st.sampled_from(["", "Name"]))
    def appear(self, device: str, cameras: set[str], label: str) -> None:
        self.there[device] = cameras
        self.world.appear(info(device, *sorted(cameras), label=label))

    @rule(device=devices)
    def vanish(self, device: str) -> None:
        self.there.pop(device, None)
        self.world.vanish(device)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 2.0, 5.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(device=devices)
    def user_deletes(self, device: str) -> None:
        self.world.settle()
        if self.world.shown(topic(device)):
            self.dismissed.add(device)
        self.world.delete_in_home_assistant(topic(device))

    @rule(device=devices)
    def user_restores(self, device: str) -> None:
        self.dismissed.discard(device)
        self.world.restore(device_object(device))

    @rule()
    def bridge_restarts(self) -> None:
        self.world.restart_bridge()

    @rule(device=devices)
    def device_goes_while_the_bridge_is_away(self, device: str) -> None:
        self.world.disconnect()
        self.vanish(device)
        self.world.connect()

    @rule()
    def home_assistant_restarts(self) -> None:
        self.world.restart_home_assistant()

    @rule(gone=devices)
    def broker_forgets_all_and_one_device_never_returns(self, gone: str) -> None:
        self.world.settle()
        self.there.pop(gone, None)
        self.world.disconnect()
        self.dismissed.clear()
        self.world.broker.retained.clear()
        self.world.connect()
        self.world.appear(*(info(name, *sorted(cameras)) for name, cameras in self.there.items()))
        self.world.settle()

    @invariant()
    def nobody_refers_to_what_is_not_there(self) -> None:
        assert self.world.home.dangling == set()

    def teardown(self) -> None:
        self.world.settle()
        for name in ("a", "b", "c"):
            expected = set()
            if name in self.there and name not in self.dismissed:
                expected = {"connectivity", "last_seen"}.union(*map(parts, self.there[name]))
            assert self.world.shown(topic(name)) == expected
            stands = config_topic(device_object(name), "homeassistant") in self.world.broker.retained
            assert stands == bool(expected)


TestHouses = Houses.TestCase
TestHouses.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
