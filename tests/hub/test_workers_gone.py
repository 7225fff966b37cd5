"""Workers that the broker's memory alone says are there: a whole hub, and a broker that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub_support.orchestra import a_spec, a_worker
from hub_support.peers import FakeDevice, FakeWorker
from meerkat_contract.messages import ROLL_CALL, Job, WorkerState, read
from meerkat_contract.session import Incoming, Session
from meerkat_hub.adapters.worker_calls import PATIENCE
from meerkat_hub.application import Hub, build_hub
from meerkat_hub.clock import now
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import Policy
from meerkat_hub.settings import HubSettings
from support.broker import Mosquitto
from support.media import make_clip
from support.wait import wait_for

WALKERS = a_spec(2, measurement="detect_objects", feature=None, decision={"rule": "seen"})


class House:
    """A broker that remembers, as those of `meerkat up` and of `docker/` do; and who comes to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory = folder / "broker" / "mosquitto.db"
        keeps = ("persistence true", f"persistence_location {folder}/broker/")
        now = ("autosave_on_changes true", "autosave_interval 1")
        self.broker = Mosquitto(folder / "broker", settings=("allow_anonymous true", *keeps, *now))
        self.broker.start()
        self.hub: Hub | None = None
        self.there: list[Any] = []
        """What is to be stopped at the end."""
        self.states: list[bytes] = []
        """All that was said of workers."""

    def start_hub(self) -> Hub:
        policy = Policy(reserve=None)
        self.hub = build_hub(self.folder / "data", self.broker.connection, HubSettings(), policy=policy)
        self.hub.start()
        self.hub.bus.session.wait_subscribed(10)
        return self.hub

    def worker(self, name: str) -> FakeWorker:
        made = FakeWorker(self.broker.connection, name)
        self.there.append(made)
        return made

    def watch(self) -> None:
        watcher = Session(self.broker.connection, client_id="watcher")
        watcher.subscribe("meerkat/worker/+/state", lambda message: self.states.append(message.payload))
        watcher.start()
        watcher.wait_subscribed(10)
        self.there.append(watcher)

    def die_with(self, *workers: FakeWorker) -> None:
        """The power goes; the broker is back, and these workers are not."""
        for worker in workers:
            said = f"meerkat/worker/{worker.name}/state".encode()
            wait_for(lambda said=said: said in self.remembered(), what="the broker to remember")
        self.broker.kill()
        for worker in workers:
            worker.session.stop(timeout=0)
        self.broker.start()

    def remembered(self) -> bytes:
        return self.memory.read_bytes() if self.memory.exists() else b""

    def online(self, name: str) -> bool | None:
        """As the page has it."""
        assert self.hub is not None
        state = self.hub.live.workers.get(name)
        return state.online if state is not None else None

    def stop(self) -> None:
        for one in self.there:
            one.stop()
        if self.hub is not None:
            self.hub.stop()
        self.broker.stop()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.stop()


def send_clip(house: House) -> FakeDevice:
    device = FakeDevice(house.broker.connection)
    house.there.append(device)
    device.receipt(device.send(make_clip(house.folder / "clip.mp4").read_bytes(), last=True))
    return device


def test_a_worker_that_died_with_the_broker_is_not_counted_on(house: House) -> None:
    house.die_with(house.worker("gone"))
    hub = house.start_hub()
    wait_for(lambda: house.online("gone") is False, seconds=5, what="the absence to be noticed")
    here = house.worker("here")
    wait_for(lambda: house.online("here"))
    answer = hub.desk.request("walkers", WALKERS, wait=False)
    assert answer.state is not None
    assert [node.node for node in answer.state.nodes] == ["here"]
    assert {node.worker: node.online for node in hub.desk.view().nodes} == {"gone": False, "here": True}
    wait_for(lambda: hub.live.hub.workers == 1)
    send_clip(house)
    job, _ = here.job()
    here.answer(job)
    wait_for(lambda: hub.live.hub.done == 1)
    house.worker("gone")
    wait_for(lambda: hub.live.hub.workers == 2, what="both to be there")
    assert house.online("gone")


def test_one_that_dies_with_the_broker_under_a_hub_is_noticed_when_the_broker_is_back(house: House) -> None:
    here, gone = house.worker("here"), house.worker("gone")
    hub = house.start_hub()
    wait_for(lambda: hub.live.hub.workers == 2)
    house.die_with(gone)
    wait_for(lambda: house.online("gone") is False, what="the absence to be noticed")
    wait_for(lambda: house.online("here"), what="the other one to be back")
    send_clip(house)
    job, _ = here.job()
    assert job.task == "detect_objects"
    wait_for(lambda: hub.live.hub.workers == 1)


def test_workers_that_live_are_not_given_up_when_the_hub_comes(house: House) -> None:
    """Nor those that are slow: nothing is asked of them but to listen."""
    house.watch()
    workers = [house.worker(f"w{number}") for number in range(3)]
    wait_for(lambda: len(house.states) == 3)
    hub = house.start_hub()
    wait_for(lambda: hub.live.hub.workers == 3)
    hub.stop()
    hub = house.start_hub()
    wait_for(lambda: hub.live.hub.workers == 3)
    send_clip(house)
    wait_for(lambda: any(not worker.jobs.empty() for worker in workers), what="the job")
    assert len(house.states) == 3, "nobody has said anything in their place"


def test_one_that_subscribes_after_it_has_said_that_it_is_there_gets_its_jobs(house: House) -> None:
    jobs: list[Job] = []

    def take(message: Incoming) -> None:
        job = read(Job, dict(message.properties)["job"].encode())
        jobs.extend([job] if job.task != ROLL_CALL else [])

    hub = house.start_hub()
    send_clip(house)
    hasty = Session(house.broker.connection, client_id="meerkat-worker-hasty")
    hasty.start()
    house.there.append(hasty)
    hasty.wait_connected(10)
    state = a_worker("hasty", detect_objects=20)
    hasty.keep("meerkat/worker/hasty/state", state.to_json())
    wait_for(lambda: house.online("hasty") is False, what="the first job to find nobody")
    hasty.subscribe("meerkat/worker/hasty/jobs", take, join_parts=True)
    wait_for(lambda: jobs, what="its job")
    assert house.online("hasty")
    assert hub.live.workers["hasty"] == state
    house.watch()
    wait_for(lambda: house.states)
    assert read(WorkerState, house.states[0]) == state, "that is what everybody reads"


def test_a_monitor_of_all_topics_hides_nobody_that_answers_calls(house: House) -> None:
    state = a_worker("gone", detect_objects=20).model_copy(update={"roll_call": True})
    monitor = Session(house.broker.connection, client_id="monitor")
    monitor.subscribe("#", lambda message: None)
    monitor.start()
    monitor.wait_subscribed(10)
    monitor.publish("meerkat/worker/gone/state", state.to_json(), qos=1, retain=True).wait(10)
    house.there.append(monitor)
    hub = house.start_hub()
    wait_for(lambda: house.online("gone"))
    hub.bus.session.publish("meerkat/mark", b"", qos=1).wait(10)  # the call was answered before
    at = now()
    hub.bus.calls.look(Now(at.wall, at.mono + PATIENCE))
    wait_for(lambda: house.online("gone") is False, what="the absence to be noticed")
    wait_for(lambda: not hub.live.hub.workers)
