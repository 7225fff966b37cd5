"""The nodes as the orchestrator plans with them (PNM and Monitor of the paper, section 3.1).

What is measured jitters, and a plan that follows every jitter moves tasks about for nothing. So figures
are taken over only when one differs from what was planned with by more than LEAP, or by more than DRIFT for
LASTING seconds without a break. A node that serves a workflow's task is made to load another one only after
SERVE_FACTOR times as long as loading takes, so that switching back and forth costs at most a tenth of its
time, however much the wishes change. From clips of motion it is called away at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from meerkat_contract.messages import WorkerState

from .graph import EdgeNode
from .workflow_records import CLIP_TASK

LEAP = 0.2
DRIFT = 0.05
"""Relative; of the round trip, half a millisecond is nothing in any case."""

LASTING = 30.0
"""Seconds."""

SERVE_FACTOR = 10.0

PRIOR = 3600.0
"""Seconds for which a node is taken to have been there before it was first heard of: one that came a
minute ago, and went once, is not called down for half of the time."""

DEPLOY_PATIENCE = 60.0
"""Seconds, at least, that a node may take to say that it serves what it was told to."""

PART = "~"
"""`pi~1` and `pi~2` are the halves of a node that holds all its tasks at once. No worker is named so."""


@dataclass(slots=True)
class EdgeWorker:
    """One worker: what it said last, what was measured, and how long it has been there."""

    state: WorkerState
    first_seen: float
    changed_at: float
    """When it came or went last."""
    up_before: float = 0.0
    """Seconds online before that."""
    capacities: dict[str, float] = field(default_factory=dict)
    """Task → frames per second, as planned with."""
    speeds: dict[str, float] = field(default_factory=dict)
    """Task → frames per second as the hub measured them."""
    round_trip: float = 0.0
    """Seconds, as planned with."""
    measured_round_trip: float = 0.0
    drifting_since: float | None = None
    """Since when a figure differs by more than DRIFT."""
    serving_since: float | None = None
    """Since when it serves its task; None: the hub has not seen it load one."""
    deploying: str | None = None
    deploy_until: float = 0.0
    failed: frozenset[str] = frozenset()
    """Tasks that it was told to load, and did not."""

    @property
    def id(self) -> str:
        return self.state.worker

    @property
    def online(self) -> bool:
        return self.state.online

    @property
    def serving(self) -> str | None:
        return self.state.serving

    def ready(self, task: str) -> bool:
        """Whether it can do the task this moment."""
        return self.online and self.serving in (None, task) and task in self.capacities

    def switch_seconds(self, task: str) -> float:
        """What it costs to make it serve this task now; 0 when it does already."""
        if self.serving in (None, task):
            return 0.0
        return next((t.switch_seconds for t in self.state.tasks if t.task == task), 0.0)

    def may_switch_at(self) -> float:
        """The monotonic time from which it may be made to load another task."""
        if self.serving in (None, CLIP_TASK) or self.serving_since is None:
            return 0.0
        slowest = max((t.switch_seconds for t in self.state.tasks), default=0.0)
        return self.serving_since + SERVE_FACTOR * slowest

    def availability(self, now: float) -> float:
        """The share of time online, PRIOR seconds before it was first heard of included."""
        up = PRIOR + self.up_before + (now - self.changed_at if self.online else 0.0)
        return min(1.0, up / (PRIOR + now - self.first_seen)) if now > self.first_seen else 1.0

    def offers(self, task: str, now: float) -> bool:
        """Whether a plan may put this task on it."""
        if not self.online or task not in self.capacities or task in self.failed:
            return False
        if self.deploying not in (None, CLIP_TASK, task):
            return False  # it is loading something else
        return self.serving in (None, task) or self.deploying == task or now >= self.may_switch_at()

    def settle_figures(self, now: float) -> bool:
        """Take over what differs enough; answers whether anything that a plan rests upon changed."""
        fresh = {t.task: self.speeds.get(t.task) or t.frames_per_second for t in self.state.tasks}
        if fresh.keys() == self.capacities.keys():
            planned = self.capacities
            most = max((abs(fps - planned[t]) / planned[t] for t, fps in fresh.items()), default=0.0)
            way = abs(self.measured_round_trip - self.round_trip)
            if way > 0.0005:
                most = max(most, way / self.round_trip if self.round_trip else math.inf)
            if most <= DRIFT:
                self.drifting_since = None
                return False
            if self.drifting_since is None:
                self.drifting_since = now
            if most <= LEAP and now < self.drifting_since + LASTING:
                return False
        self.drifting_since = None
        self.capacities, self.round_trip = fresh, self.measured_round_trip
        return True


class Nodes:
    """All workers that were heard of. Every method that changes something says whether plans may change."""

    def __init__(self) -> None:
        self._workers: dict[str, EdgeWorker] = {}

    def __iter__(self) -> Iterator[EdgeWorker]:
        """By name, so that the same nodes always give the same plan."""
        return iter(sorted(self._workers.values(), key=lambda worker: worker.id))

    def get(self, worker: str) -> EdgeWorker | None:
        return self._workers.get(worker)

    def seen(self, state: WorkerState, now: float) -> bool:
        """A worker's state as it was published, online or offline."""
        worker = self._workers.get(state.worker)
        if worker is None:
            if not state.online:
                return False
            worker = self._workers[state.worker] = EdgeWorker(state, now, now)
            worker.settle_figures(now)
            return True
        before = worker.state
        again = before.incarnation != state.incarnation
        if again and not state.online:
            return False  # the will of an earlier start
        if before.online != state.online:
            if before.online:
                worker.up_before += now - worker.changed_at
            worker.changed_at = now
        if not state.online:
            worker.state = before.model_copy(update={"online": False})
            worker.deploying = None
            return before.online
        worker.state = state
        if again or before.tasks != state.tasks:
            worker.failed = frozenset()
            worker.speeds = {} if again else worker.speeds
        if again:
            worker.serving_since = worker.deploying = None
        elif before.serving != state.serving:
            worker.serving_since = now
        if worker.deploying is not None and state.serving in (None, worker.deploying):
            worker.deploying = None
        figures = worker.settle_figures(now)
        return figures or again or not before.online or before.serving != state.serving

    def measured(self, worker_id: str, speeds: Mapping[str, float], round_trip: float, now: float) -> bool:
        """Frames per second by task, and seconds there and back, as the hub measures them now.

        What cannot be (a worker says that it took no time, or lies) is as if it had not been measured.
        """
        worker = self._workers.get(worker_id)
        if worker is None:
            return False
        worker.speeds = {task: fps for task, fps in speeds.items() if 0 < fps < math.inf}
        if 0 <= round_trip < math.inf:
            worker.measured_round_trip = round_trip
        return worker.settle_figures(now)

    def told(self, worker: EdgeWorker, task: str, now: float) -> None:
        """It was told to load this task."""
        worker.deploying = task
        worker.deploy_until = now + max(DEPLOY_PATIENCE, 3 * worker.switch_seconds(task))

    def overdue(self, now: float) -> list[tuple[str, str]]:
        """(worker, task) that was not loaded in time; nothing else is expected of it until it says so."""
        late = [w for w in self._workers.values() if w.deploying is not None and now >= w.deploy_until]
        given_up = [(worker.id, str(worker.deploying)) for worker in late]
        for worker in late:
            worker.failed |= {str(worker.deploying)}
            worker.deploying = None
        return given_up

    def looks_at_clips(self, worker_id: str) -> bool:
        """Whether it can look at clips of motion when it does nothing else."""
        worker = self._workers.get(worker_id)
        return worker is not None and worker.online and CLIP_TASK in worker.capacities

    def unlock_at(self, now: float) -> float | None:
        """When the next node may be made to load another task again."""
        times = (worker.may_switch_at() for worker in self._workers.values() if worker.online)
        return min((at for at in times if at > now), default=None)

    def wake_at(self, now: float) -> float | None:
        """When time alone may change what a plan can do."""
        times = [w.deploy_until for w in self._workers.values() if w.online and w.deploying is not None]
        unlock = self.unlock_at(now)
        return min([*times, unlock] if unlock is not None else times, default=None)

    def edge_nodes(self, now: float, *, split: frozenset[str] = frozenset()) -> list[EdgeNode]:
        """Those online, for admission; those of `split` that hold all their tasks at once, as two halves."""
        nodes: list[EdgeNode] = []
        for worker in self:
            offered = {t: fps for t, fps in worker.capacities.items() if worker.offers(t, now)}
            if not offered:
                continue
            switching = {task: worker.switch_seconds(task) for task in offered}
            halved = worker.id in split and worker.serving is None
            parts = [f"{worker.id}{PART}1", f"{worker.id}{PART}2"] if halved else [worker.id]
            nodes += [
                EdgeNode(
                    part,
                    {task: fps / len(parts) for task, fps in offered.items()},
                    worker.round_trip / 2 * 1000,
                    (worker.state.energy or 0.0) / len(parts),
                    worker.availability(now),
                    switching,
                )
                for part in parts
            ]
        return nodes


def worker_of(node: str) -> str:
    """The worker that a node is, or is half of."""
    return node.partition(PART)[0]
