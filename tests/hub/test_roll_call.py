"""When a device was last heard of, and the end of workers that do not come back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub_support.peers import FakeDevice, FakeWorker
from meerkat_contract.session import Incoming, Session
from meerkat_hub.adapters.roll_call import FORGET_AFTER, TELL_EVERY
from meerkat_hub.application import Hub, build_hub
from meerkat_hub.clock import now as now_
from meerkat_hub.core.records import Now
from meerkat_hub.settings import HubSettings
from support.broker import Mosquitto
from support.wait import wait_for

HEARD = "meerkat/device/porch/heard"


class House:
    def __init__(self, hub: Hub, bus: Session) -> None:
        self.hub, self.bus = hub, bus
        self.said: list[str] = []
        bus.subscribe(HEARD, lambda message: self.said.append(bytes(message.payload).decode()))
        self.states: list[Incoming] = []
        bus.subscribe("meerkat/worker/cpu/state", self.states.append)
        self._marks: list[Incoming] = []
        bus.subscribe("meerkat/mark", self._marks.append)

    def look(self, later: float) -> Now:
        moment = now_()
        at = Now(moment.wall + timedelta(seconds=later), moment.mono + later)
        self.hub.bus.roll_call.look(at)
        return at

    def hear_it_out(self) -> None:
        """Returns when all has come that the hub has sent."""
        self._marks.clear()
        self.hub.bus.session.publish("meerkat/mark", b"", qos=1)
        wait_for(lambda: self._marks, what="the mark")


@pytest.fixture
def house(broker: Mosquitto, tmp_path: Path) -> Iterator[House]:
    hub = build_hub(tmp_path, broker.connection, HubSettings())
    bus = Session(broker.connection, client_id="watcher")
    made = House(hub, bus)
    bus.start()
    bus.wait_subscribed(10)
    hub.start()
    wait_for(lambda: hub.live.connected)
    yield made
    hub.stop()
    bus.stop()


def test_a_device_is_heard_of_while_it_is_online_and_its_last_time_stays(
    house: House, broker: Mosquitto
) -> None:
    device = FakeDevice(broker.connection, "porch")
    device.session.publish("meerkat/device/porch/availability", b"online", qos=1, retain=True).wait(10)
    wait_for(lambda: house.said)
    first = datetime.fromisoformat(house.said[0])
    assert abs((datetime.now(UTC) - first).total_seconds()) < 60
    house.look(TELL_EVERY - 10)
    late = house.look(TELL_EVERY + 5)
    wait_for(lambda: len(house.said) == 2)
    assert house.said[1] == late.wall.strftime("%Y-%m-%dT%H:%M:%S.000Z")[:19] + house.said[1][19:]
    seen = house.look(TELL_EVERY + 65)
    device.session.publish("meerkat/device/porch/availability", b"offline", qos=1, retain=True).wait(10)
    wait_for(lambda: len(house.said) == 3)
    assert house.said[2].startswith(seen.wall.strftime("%Y-%m-%dT%H:%M:%S"))
    house.look(2 * TELL_EVERY + 100)
    device.session.publish("meerkat/device/porch/info", b"", qos=1, retain=True).wait(10)
    wait_for(lambda: len(house.said) == 4)
    assert house.said[3] == ""
    device.stop()


def test_a_device_that_was_there_before_the_hub_is_heard_of_at_once(house: House) -> None:
    house.hub.bus.roll_call.told("porch", "online", now_(), news=False)
    wait_for(lambda: house.said)


def test_what_a_broker_kept_of_one_that_sleeps_is_not_heard_from_it(house: House) -> None:
    house.hub.bus.roll_call.told("porch", "asleep", now_(), news=False)
    house.hub.bus.roll_call.told("porch", "online", now_(), news=False)
    wait_for(lambda: house.said)
    assert len(house.said) == 1


def test_a_worker_that_stays_away_is_forgotten(house: House, broker: Mosquitto) -> None:
    worker = FakeWorker(broker.connection, "cpu")
    wait_for(lambda: house.hub.live.workers.get("cpu"))
    worker.session.keep("meerkat/worker/cpu/state", worker._state(False, 4))
    wait_for(lambda: not house.hub.live.workers["cpu"].online)
    house.look(FORGET_AFTER - 60)
    house.hear_it_out()
    assert house.states[-1].payload
    house.look(FORGET_AFTER + 1)
    wait_for(lambda: "cpu" not in house.hub.live.workers)
    wait_for(lambda: not house.states[-1].payload)
    worker.stop()
