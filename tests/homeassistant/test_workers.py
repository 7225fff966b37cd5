"""Workers in Home Assistant over time: told once, quiet while they work, there while they are away."""

from __future__ import annotations

import json

import pytest

from meerkat_contract.ids import new_id
from meerkat_contract.messages import HubState, ModelInfo, TaskInfo, WorkerState

from .world import HUB, World

ATTIC = "homeassistant/device/meerkat_worker_attic/config"
STATE = "meerkat/worker/attic/state"
RUNNING = WorkerState(
    worker="attic",
    incarnation=new_id(),
    online=True,
    tasks=(TaskInfo(task="detect_objects", model=ModelInfo(name="yolox"), frames_per_second=31.5),),
    load=0.2,
    temperature=50,
)
GONE = RUNNING.model_copy(update={"online": False, "load": None, "temperature": None})


class House(World):
    def say(self, state: WorkerState) -> None:
        self.broker.publish(STATE, state.to_json())
        self._work()

    def told(self) -> list[str]:
        """Which discovery the bridge wrote since it was last asked."""
        self.settle()
        names = [name for _, name, _ in self.sent if name.endswith("/config")]
        self.sent.clear()
        return names


@pytest.fixture
def house() -> House:
    house = House()
    house.connect()
    house.settle()
    house.say(RUNNING)
    return house


def test_a_worker_appears_behind_the_hub_with_its_temperature(house: House) -> None:
    assert house.told() == [HUB, ATTIC]
    assert "temperature" in house.shown(ATTIC)
    assert house.home.vias[ATTIC] == "meerkat/hub"
    assert not house.home.dangling


def test_nothing_is_told_of_what_a_worker_does(house: House) -> None:
    house.told()
    for load in range(10):
        house.say(RUNNING.model_copy(update={"load": load / 10, "temperature": 50 + load}))
    house.say(RUNNING.model_copy(update={"incarnation": new_id(), "tasks": (), "serving": "read_meter"}))
    house.say(GONE)
    house.say(RUNNING)
    assert house.told() == []


def test_one_that_is_away_when_the_bridge_starts_stays_as_it_was(house: House) -> None:
    house.told()
    house.say(GONE)
    house.restart_bridge()
    assert house.told() == []
    assert "temperature" in house.shown(ATTIC)
    house.say(RUNNING)
    assert house.told() == []


def test_one_that_was_never_seen_running_is_not_shown() -> None:
    house = House()
    house.broker.publish(STATE, GONE.to_json())
    house.connect()
    assert house.told() == [HUB]


def test_one_whose_state_is_cleared_is_taken_out(house: House) -> None:
    house.told()
    house.say(GONE)
    house.broker.publish(STATE, b"")
    house._work()
    assert house.told() == [ATTIC]
    assert house.shown(ATTIC) == set()


def test_one_that_was_deleted_in_home_assistant_stays_away_until_asked(house: House) -> None:
    house.told()
    house.delete_in_home_assistant(ATTIC)
    house.say(RUNNING.model_copy(update={"incarnation": new_id(), "software": "2"}))
    house.settle()
    assert house.shown(ATTIC) == set()
    assert any("meerkat ha restore --worker attic" in note for note in house.notes)
    house.restore("meerkat_worker_attic")
    house.settle()
    assert house.shown(ATTIC)


def test_a_state_that_cannot_be_read_does_not_cost_the_worker_its_place(house: House) -> None:
    house.told()
    house.restart_bridge()
    house.broker.publish(STATE, b"{}")
    house._work()
    assert house.told() == []
    assert house.shown(ATTIC)


def test_the_burst_comes_and_goes_with_the_hubs_word(house: House) -> None:
    house.told()
    state = json.loads(HubState().to_json())
    house.broker.publish("meerkat/hub/state", json.dumps({**state, "burst": {"on": True}}).encode())
    house._work()
    assert house.told() == [HUB]
    assert "burst" in house.shown(HUB)
    house.broker.publish("meerkat/hub/state", json.dumps({**state, "burst": {"on": False}}).encode())
    house._work()
    assert house.told() == []
    house.broker.publish("meerkat/hub/state", json.dumps(state).encode())
    house._work()
    house.settle()
    assert "burst" not in house.shown(HUB)
