"""Random lives of a hub with workflows: every frame meets one fate, and its bytes are forgotten once."""

from __future__ import annotations

import base64
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from struct import pack
from typing import Any

import pytest

from hub_support.orchestra import CLIPS, FACES, START, WHO, a_spec, a_worker, an_id
from meerkat_contract.messages import Face, Found, ModelInfo, Result, Sighting, Track, WorkflowState
from meerkat_hub.core.inputs import (
    BusChanged,
    Input,
    MediaLost,
    ResultArrived,
    SendFailed,
    TimeReached,
    WorkerAbsent,
    WorkerSeen,
)
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.outputs import Effect, SendFrame
from meerkat_hub.core.pool.work import Lease
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import (
    AnswerRequest,
    DeployTask,
    ForgetFrame,
    FrameArrived,
    Policy,
    PublishWorkflow,
    SetFrameRate,
    WorkflowRequested,
    WorkflowSpec,
    WorkflowWithdrawn,
)
from meerkat_hub.core.workflows.frames import DONE, DROPPED

LIVES = 60
STEPS = 250
BOX = (0.25, 0.25, 0.125, 0.25)
CAMERAS = ("porch/front", "porch/back", "hall/door")
SEEN = {"rule": "seen"}


@dataclass
class Node:
    number: int
    online: bool = False
    start: int = 0
    serving: str | None = None
    deploying: str | None = None
    """Told to load, and at it."""


class Life:
    """One random course of events, made of a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.numbers = 0
        self.mono = 10.0
        policy = Policy(reserve=seed % 2, overbooking=1 + seed % 3, gather=2.0 * (seed % 4 == 0))
        self.core = HubCore(epoch=1, new_id=self.new_id, policy=policy)
        self.nodes = [Node(number) for number in range(5)]
        self.arrived: set[str] = set()
        self.forgotten: Counter[str] = Counter()
        self.sent: list[SendFrame] = []
        self.published: dict[str, WorkflowState | None] = {}
        self.rates: dict[str, float] = {}
        self.answers: list[str] = []
        configured = {"stays": a_spec(4, "porch/front", max_delay=0.5)}
        self.carry_out(self.core.load((), (), self.now, configured=configured).effects)
        self.do(BusChanged(up=True))

    def new_id(self) -> str:
        self.numbers += 1
        return an_id(self.numbers)

    @property
    def now(self) -> Now:
        return Now(START + timedelta(seconds=self.mono), self.mono)

    def do(self, happened: Input) -> None:
        self.carry_out(self.core.step(happened, self.now).effects)
        self.check()

    def carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case ForgetFrame(frame=frame):
                    self.forgotten[frame] += 1
                case SendFrame(job=job):
                    assert self.forgotten[job.media] == 0, "a job whose bytes are forgotten"
                    self.sent.append(effect)
                case DeployTask(worker=worker, deploy=deploy):
                    self.nodes[int(worker[1:])].deploying = deploy.task
                case PublishWorkflow(name=name, state=state):
                    self.published[name] = state
                case SetFrameRate(device=device, camera=camera, frames_per_second=fps):
                    self.rates[f"{device}/{camera}"] = fps
                case AnswerRequest(outcome=outcome):
                    self.answers.append(outcome)
                case _:
                    pass

    def check(self) -> None:
        workflows, pool = self.core.workflows, self.core.pool
        assert all(count == 1 for count in self.forgotten.values()), "forgotten twice"
        in_work = 0
        for state in workflows.view(self.now).workflows:
            counts = Counter(state.frames or {})
            ended = sum(counts[fate] for fate in (*DONE, *DROPPED))
            assert counts["received"] == ended + counts["in_work"], counts
            in_work += counts["in_work"]
        held = {*pool.queues.waiting, *pool.leases}
        assert in_work == len(held), "what is in work is in the pool"
        assert all(workflows.knows(item) for item in held)
        totals = workflows.totals()
        ended = totals["done"] + sum(totals.get(reason, 0) for reason in DROPPED)
        assert totals["received"] == ended + in_work
        media = {workflows.job(lease, 1).media for leases in pool.leases.values() for lease in leases}
        assert not media & set(self.forgotten), "bytes that a job still needs"
        wanted = {state.workflow for state in workflows.view(self.now).workflows}
        assert {name for name, state in self.published.items() if state} <= wanted
        running = [view for name, view in self.published.items() if view and view.state != "refused"]
        asked = {camera for state in running for camera in state.cameras}
        assert {camera for camera, rate in self.rates.items() if rate} == asked

    # --- what happens ---------------------------------------------------------------------------

    def live(self) -> None:
        moves = [self.frame] * 8 + [self.answer] * 8 + [self.node] * 2 + [self.load] * 2
        moves += [self.wish, self.time, self.time, self.mishap]
        for _ in range(STEPS):
            self.chance.choice(moves)()
        for name in list(self.published):
            self.do(WorkflowWithdrawn(name, "ticket"))
        self.mono += 4000
        for _ in range(3):
            self.do(TimeReached())
        stays = self.core.workflows.state("stays")
        assert stays is not None
        assert "in_work" not in stays.frames
        assert set(self.forgotten) == self.arrived

    def frame(self) -> None:
        frame = self.new_id()
        self.arrived.add(frame)
        device, _, camera = self.chance.choice(CAMERAS).partition("/")
        found = self.chance.choice([None, None, (), (Found(label="face", score=0.9, box=BOX),)])
        self.mono += self.chance.random() / 4
        self.do(FrameArrived(frame, device, camera, self.now.wall, 50_000, found=found, found_by=FACES))

    def answer(self) -> None:
        leases = [lease for leases in self.core.pool.leases.values() for lease in leases]
        if leases:
            self.mono += self.chance.random() / 10
            lease = self.chance.choice(leases)
            self.do(ResultArrived(lease.worker, self.result(lease)))

    def result(self, lease: Lease) -> Result:
        kind = self.chance.random()
        token = lease.token - (kind < 0.05)
        sighting = Sighting(at=0, score=0.9, box=BOX)
        track = Track(track=0, label="face", score=0.9, hits=1, sightings=(sighting,), best=sighting)
        embedding = base64.b64encode(pack("<2f", self.chance.random(), 0))
        looked = self.chance.random() < 0.6
        return Result(
            job=lease.item.id,
            token=token,
            incarnation=lease.incarnation,
            state="failed" if 0.05 < kind < 0.25 else "done",
            reason="no memory",
            retry=0.05 < kind < 0.2,
            frames=0 if 0.05 < kind < 0.1 else 1,
            seconds=0.0 if 0.05 < kind < 0.1 else self.chance.uniform(0.01, 1.0),
            model=ModelInfo(name="a-model", sha256="ab" * 32),
            tracks=(track,) if looked and lease.task != WHO else (),
            faces=(Face(box=BOX, score=0.9, embedding=embedding),) if lease.task == WHO else (),
        )

    def node(self) -> None:
        node = self.chance.choice(self.nodes)
        node.online = not node.online if self.chance.random() < 0.5 else True
        if node.online:
            node.start += 1
            node.serving = self.chance.choice([None, CLIPS]) if node.number < 3 else None
            node.deploying = None
        self.say(node)

    def say(self, node: Node) -> None:
        tasks = [
            {CLIPS: 20.0, FACES: 40.0},
            {CLIPS: 20.0, FACES: 40.0, WHO: 40.0},
            {CLIPS: 20.0, WHO: 5.0},
            {FACES: 9.0},
            {WHO: 30.0},
        ][node.number]
        serving = node.serving if node.online else None
        name = f"n{node.number}"
        self.do(WorkerSeen(a_worker(name, serving=serving, start=node.start, online=node.online, **tasks)))

    def load(self) -> None:
        """A node loads what it was told to, or something else, or says nothing of it."""
        for node in self.nodes:
            if node.online and node.serving and node.deploying and self.chance.random() < 0.7:
                node.serving = node.deploying if self.chance.random() < 0.9 else CLIPS
                node.deploying = None
                self.say(node)

    def wish(self) -> None:
        """Ask for a workflow, or end one and ask for another of its name at once."""
        name = self.chance.choice(("a", "b", "c"))
        if self.chance.random() < 0.5:
            self.do(WorkflowWithdrawn(name, "ticket"))
        if self.chance.random() < 0.7:
            self.do(WorkflowRequested(name, self.spec(), "ticket", wait=self.chance.random() < 0.5))

    def spec(self) -> WorkflowSpec:
        cameras = self.chance.sample(CAMERAS, self.chance.randint(1, 3))
        kinds: list[dict[str, Any]] = [
            {},
            {"shared": False},
            {"measurement": "device"},
            {"feature": None, "decision": SEEN},
            {"measurement": "device", "feature": None, "decision": SEEN},
            {"measurement": CLIPS, "feature": None, "decision": SEEN},
        ]
        more = {"max_delay": self.chance.choice([0.06, 0.2, 2, 30]), **self.chance.choice(kinds)}
        return a_spec(self.chance.choice([1, 3, 8]), *cameras, **more)

    def time(self) -> None:
        self.mono += self.chance.choice([0.1, 1, 5, 70])
        self.do(TimeReached())

    def mishap(self) -> None:
        kind = self.chance.random()
        if kind < 0.3:
            self.do(BusChanged(up=False))
            self.do(BusChanged(up=True))
        elif self.core.pool.leases:
            lease = self.chance.choice(list(self.core.pool.leases.values()))[0]
            if kind < 0.5:
                self.do(SendFailed(lease.item.id, lease.token, "no way"))
            elif kind < 0.7:
                self.do(WorkerAbsent(lease.worker, lease.item.id, lease.token))
            else:
                self.do(MediaLost(lease.item.id, "its bytes are gone"))


@cache
def fates(seed: int) -> tuple[Counter[str], frozenset[str]]:
    """How often each fate met a frame in this life, and what wishes were answered; lived only once."""
    life = Life(seed)
    life.live()
    return Counter(life.core.workflows.totals()), frozenset(life.answers)


@pytest.mark.parametrize("seed", range(LIVES))
def test_whatever_happens_the_counts_add_up(seed: int) -> None:
    """The counts are checked after every step (Life.check)."""
    fates(seed)


def test_these_lives_see_every_fate() -> None:
    """Otherwise they would prove little."""
    totals: Counter[str] = Counter()
    answers: set[str] = set()
    for seed in range(LIVES):
        met, answered = fates(seed)
        totals.update(met)
        answers |= answered
    assert set(totals) == {"received", "done", *DROPPED}
    assert answers == {"admitted", "kept", "refused", "exists", "withdrawn", "unknown", "configured"}
