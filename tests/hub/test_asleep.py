"""Devices that sleep: well until their wake and its grace are over, then given up on the bus."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meerkat_contract.messages import DeviceInfo
from meerkat_contract.session import Incoming, Session, Will
from meerkat_hub.application import Hub, build_hub
from meerkat_hub.core.asleep import GRACE, Sleeper, Sleepers
from meerkat_hub.core.records import Now
from meerkat_hub.settings import HubSettings
from support.broker import Mosquitto
from support.wait import wait_for

START = datetime(2026, 11, 20, 13, 7, tzinfo=UTC)
WAKE = datetime(2026, 11, 20, 14, tzinfo=UTC)
AVAILABILITY = "meerkat/device/pi/availability"


def at(moment: datetime) -> Now:
    return Now(moment, 1000.0 + (moment - START).total_seconds())


def info(every: float | None = 3600, wake: datetime | None = WAKE) -> DeviceInfo:
    return DeviceInfo(device="pi", wake_every=every, next_wake=wake)


def missed(sleepers: Sleepers, moment: datetime) -> list[str]:
    return [sleeper.device for sleeper in sleepers.missed(at(moment))]


# --- the rule ----------------------------------------------------------------------------------------


def test_a_wake_is_missed_when_its_grace_is_over_and_not_before() -> None:
    sleepers = Sleepers()
    sleepers.described(info(every=600))
    sleepers.told("pi", "asleep", at(START))
    over = WAKE + timedelta(seconds=GRACE)
    assert missed(sleepers, over - timedelta(microseconds=1)) == []
    assert missed(sleepers, over) == ["pi"]


def test_a_long_sleep_has_a_longer_grace() -> None:
    sleepers = Sleepers()
    sleepers.described(info(every=3600))
    sleepers.told("pi", "asleep", at(START))
    assert missed(sleepers, WAKE + timedelta(seconds=359)) == []
    assert missed(sleepers, WAKE + timedelta(seconds=360)) == ["pi"]


def test_without_a_time_it_is_missed_by_how_often_it_wakes() -> None:
    sleepers = Sleepers()
    sleepers.told("pi", "asleep", at(START))
    sleepers.told("pi", "asleep", at(START + timedelta(seconds=500)))  # said again: it went at START
    sleepers.described(info(every=600, wake=None))
    assert missed(sleepers, START + timedelta(seconds=719)) == []
    assert missed(sleepers, START + timedelta(seconds=720)) == ["pi"]


def test_who_says_nothing_of_a_wake_is_never_missed() -> None:
    sleepers = Sleepers()
    sleepers.told("pi", "asleep", at(START))
    assert missed(sleepers, START + timedelta(days=400)) == []
    sleepers.described(info(every=None, wake=None))
    assert missed(sleepers, START + timedelta(days=400)) == []


@pytest.mark.parametrize("word", ["online", "offline", ""])
def test_who_is_heard_of_is_not_missed(word: str) -> None:
    sleepers = Sleepers()
    sleepers.described(info())
    sleepers.told("pi", "asleep", at(START))
    sleepers.told("pi", word, at(START + timedelta(minutes=50)))
    assert missed(sleepers, START + timedelta(days=1)) == []
    sleepers.told("pi", "asleep", at(START))
    sleepers.forgotten("pi")
    assert missed(sleepers, START + timedelta(days=1)) == []


# --- on the bus --------------------------------------------------------------------------------------


class Sleepy:
    """A device's session, and everything that its availability ever said."""

    def __init__(self, broker: Mosquitto) -> None:
        self.heard: list[bytes] = []
        self.session = Session(
            broker.connection, client_id="pi", will=Will(AVAILABILITY, b"offline", retain=True)
        )
        self.session.subscribe(AVAILABILITY, self._hear)
        self.session.start()
        self.session.wait_subscribed(10)

    def _hear(self, message: Incoming) -> None:
        self.heard.append(message.payload)

    def say(self, word: str, described: DeviceInfo | None = None) -> None:
        if described:
            self.session.publish("meerkat/device/pi/info", described.to_json(), qos=1, retain=True).wait(10)
        self.session.publish(AVAILABILITY, word, qos=1, retain=True).wait(10)


@pytest.fixture
def hub(broker: Mosquitto, tmp_path: Path) -> Iterator[Hub]:
    made = build_hub(tmp_path / "data", broker.connection, HubSettings())
    made.start()
    yield made
    made.stop()


@pytest.fixture
def pi(broker: Mosquitto) -> Iterator[Sleepy]:
    made = Sleepy(broker)
    yield made
    made.session.stop(timeout=1)


def test_the_hub_says_offline_for_one_that_oversleeps_and_why(hub: Hub, pi: Sleepy) -> None:
    pi.say("asleep", info())
    wait_for(lambda: hub.live.availability.get("pi") == "asleep", what="the hub to know")
    hub.bus.asleep.look(at(WAKE))
    assert not hub.live.errors.of("pi")
    hub.bus.asleep.look(at(WAKE + timedelta(minutes=6)))
    wait_for(lambda: hub.live.availability.get("pi") == "offline", what="its word")
    wait_for(lambda: pi.heard == [b"asleep", b"offline"], what="everybody to hear it")
    (report,) = hub.live.errors.of("pi")
    assert f"was to wake at {WAKE.astimezone():%H:%M}" in report.what
    hub.bus.asleep.look(at(WAKE + timedelta(minutes=12)))
    pi.say("online", info(wake=None))
    wait_for(lambda: hub.live.availability.get("pi") == "online", what="it to be back")
    wait_for(lambda: len(pi.heard) >= 3, what="everybody to hear it")
    assert pi.heard == [b"asleep", b"offline", b"online"], "said once"
    assert not hub.live.errors.of("pi")


def test_one_that_wakes_as_it_is_given_up_is_online_in_the_end(
    hub: Hub, pi: Sleepy, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi.say("asleep", info())
    wait_for(lambda: hub.live.availability.get("pi") == "asleep", what="the hub to know")
    say = hub.bus.asleep._say

    def late(device: str, word: bytes) -> None:
        if word == b"offline":  # the device's word reaches the broker just before ours
            pi.say("online", info(wake=None))
        say(device, word)

    monkeypatch.setattr(hub.bus.asleep, "_say", late)
    hub.bus.asleep.look(at(WAKE + timedelta(minutes=6)))
    wait_for(lambda: pi.heard[-2:] == [b"offline", b"online"], what="the last word")
    wait_for(lambda: hub.live.availability.get("pi") == "online", what="the hub to know")


def test_one_that_is_back_before_it_is_given_up_on_the_bus_stays_online(
    hub: Hub, pi: Sleepy, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi.say("asleep", info())
    wait_for(lambda: hub.live.availability.get("pi") == "asleep", what="the hub to know")
    tell = hub.bus.asleep._tell

    def slow(sleeper: Sleeper, now: Now) -> None:
        tell(sleeper, now)
        pi.say("online", info(wake=None))
        wait_for(lambda: hub.live.availability.get("pi") == "online", what="the hub to know")

    monkeypatch.setattr(hub.bus.asleep, "_tell", slow)
    hub.bus.asleep.look(at(WAKE + timedelta(minutes=6)))
    hub.bus.session.publish("meerkat/test", b"", qos=1).wait(10)  # what the hub has said is with the broker
    before = len(pi.heard)
    pi.say("online")
    wait_for(lambda: len(pi.heard) > before, what="all that was said")
    assert b"offline" not in pi.heard
    assert pi.heard[-1] == b"online"


def test_a_hub_that_starts_later_knows_who_sleeps_from_the_broker(
    broker: Mosquitto, pi: Sleepy, tmp_path: Path
) -> None:
    pi.say("asleep", info())
    hub = build_hub(tmp_path / "data", broker.connection, HubSettings())
    hub.start()
    try:
        wait_for(lambda: hub.live.availability.get("pi") == "asleep", what="the hub to know")
        wait_for(lambda: "pi" in hub.live.devices, what="its info")
        hub.bus.asleep.look(at(WAKE + timedelta(minutes=6)))
        wait_for(lambda: pi.heard[-1] == b"offline", what="its word")
    finally:
        hub.stop()
