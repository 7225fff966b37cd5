"""The nodes as the orchestrator plans with them (PNM and Monitor of the paper, section 3.1).

What is measured jitters, and a plan that follows every jitter moves tasks about for nothing: `figures` says
when a figure counts, and for whom. A node that serves a workflow's task is made to load another one only
after SERVE_FACTOR times as long as loading takes, so that switching back and forth costs at most a tenth of
its time, however much the wishes change. From clips of motion it is called away at once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from meerkat_contract.messages import WorkerState
from meerkat_hub.core.times import soonest
from meerkat_hub.core.workflow_records import CLIP_TASK

from .figures import Figure, Way
from .graph import PART, EdgeNode

SERVE_FACTOR = 10.0

PRIOR = 3600.0
"""Seconds for which a node is taken to have been there before it was first heard of: one that came a
minute ago, and went once, is not called down for half of the time."""

DEPLOY_PATIENCE = 60.0
"""Seconds, at least, that a node may take to say that it serves what it was told to."""

REST = 600.0
"""Seconds for which a node that could not load a task, or did not, is not asked for it again."""


FORGET_AWAY = 7 * 24 * 3600.0
"""Seconds away after which a node is forgotten, as its retained state is: where workers are containers, each
start brings a new name."""


@dataclass(slots=True)
class EdgeWorker:
    """One worker: what it said last, what was measured, and how long it has been there."""

    state: WorkerState
    first_seen: float
    changed_at: float
    """When it came or went last."""
    up_before: float = 0.0
    """Seconds online before that."""
    figures: dict[str, Figure] = field(default_factory=dict)
    """Task → frames per second."""
    way: Way = field(default_factory=lambda: Way(0.0, 0.0))
    """Seconds there and back."""
    capacities: dict[str, float] = field(default_factory=dict)
    """Task → frames per second, by the careful figure."""
    serving_since: float | None = None
    """Since when it serves its task; None: the hub has not seen it load one."""
    deploying: str | None = None
    deploy_until: float = 0.0
    failed: dict[str, float] = field(default_factory=dict)
    """Task that it was told to load, and did not → when it may be told again."""
    fetching: dict[str, float] = field(default_factory=dict)
    """Task for which it was told to fetch a model → when it may be told again."""

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
        """Whether it can do the task this moment, and was not told to load another one."""
        loads = self.deploying in (None, task)
        return self.online and loads and self.serving in (None, task) and task in self.figures

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

    def is_forgotten(self, now: float) -> bool:
        """Whether it has been away for so long that nobody waits for it."""
        return not self.online and now - self.changed_at >= FORGET_AWAY

    def offers(self, task: str, now: float) -> bool:
        """Whether a plan may put this task on it."""
        if not self.online or task not in self.figures or now < self.failed.get(task, 0.0):
            return False
        if self.deploying not in (None, CLIP_TASK, task):
            return False  # it is loading something else
        return self.serving in (None, task) or self.deploying == task or now >= self.may_switch_at()

    def heed(self, before: WorkerState, now: float) -> None:
        """What its new state says of what it was told to load."""
        state = self.state
        if before.incarnation != state.incarnation:
            self.serving_since = self.deploying = None
            self.failed = {}
            self.fetching = {}
            return
        if before.serving != state.serving:
            self.serving_since = now
        said = {task.task: task for task in before.tasks}
        changed = {task.task for task in state.tasks if said.get(task.task) != task}
        self.failed = {t: at for t, at in self.failed.items() if t not in changed and t != state.serving}
        if self.deploying is None:
            return
        refused = (state.failed or {}).keys() - (before.failed or {}).keys()
        if state.serving in (None, self.deploying):
            self.deploying = None
        elif self.deploying in refused:
            self.give_up(now)

    def give_up(self, now: float) -> None:
        """It did not load what it was told to."""
        assert self.deploying is not None, "only then is there something to give up"
        self.failed[self.deploying] = now + REST
        self.deploying = None

    def announce(self, now: float, *, anew: bool) -> bool:
        """Take over what its state says of its tasks; `anew`: it has started, and nothing is known of it.

        Answers whether a plan may change.
        """
        if anew:
            self.figures, self.way = {}, Way(0.0, now)
        said = {task.task: task.frames_per_second for task in self.state.tasks}
        changed = said.keys() != self.figures.keys()
        self.figures = {task: self.figures.get(task) or Figure(fps, now) for task, fps in said.items()}
        for task, fps in said.items():
            changed |= self.figures[task].announce(fps, now)
        self.capacities = {task: figure.careful for task, figure in self.figures.items()}
        return changed

    def measured(self, speeds: Mapping[str, float], round_trip: float, now: float) -> bool:
        """Take over what the hub has measured; answers whether a plan may change.

        Of the tasks in `speeds` those were measured whose figure is another than last time; if all are the
        same, all of them were. What cannot be (a worker says that it took no time, or lies) was not.
        """
        known = {t: fps for t, fps in speeds.items() if t in self.figures and 0 < fps < math.inf}
        fresh = {t: fps for t, fps in known.items() if fps != self.figures[t].latest}
        changed = False
        for task, fps in (fresh or known).items():
            changed |= self.figures[task].measured(fps, now)
        if 0 <= round_trip < math.inf:
            changed |= self.way.measured(round_trip, now)
        if changed:
            self.capacities = {task: figure.careful for task, figure in self.figures.items()}
        return changed

    def pass_time(self, now: float) -> bool:
        """Forget figures that nobody has confirmed for long; answers whether a plan may change."""
        forgotten = [figure for figure in (*self.figures.values(), self.way) if figure.pass_time(now)]
        if forgotten:
            self.capacities = {task: figure.careful for task, figure in self.figures.items()}
        return bool(forgotten)

    def wake_at(self, now: float) -> float | None:
        """When time alone may change what a plan can do with it."""
        if not self.online:
            return None
        times = [figure.forget_at() for figure in (*self.figures.values(), self.way)]
        times += [self.may_switch_at(), *self.failed.values(), *self.fetching.values()]
        later = [at for at in times if at is not None and at > now]
        return min([self.deploy_until, *later] if self.deploying is not None else later, default=None)


class Nodes:
    """All workers that were heard of. Every method that changes something says whether plans may change."""

    def __init__(self) -> None:
        self._workers: dict[str, EdgeWorker] = {}
        self._made: dict[tuple[float, frozenset[str], frozenset[str]], list[EdgeNode]] = {}
        """What `edge_nodes` has answered since something changed: one plan asks many times."""
        self._clip_workers: frozenset[str] | None = None
        """The same of `clip_workers`."""

    def __iter__(self) -> Iterator[EdgeWorker]:
        """By name, so that the same nodes always give the same plan."""
        return iter(self._workers.values())

    def get(self, worker: str) -> EdgeWorker | None:
        return self._workers.get(worker)

    def seen(self, state: WorkerState, now: float) -> bool:
        """A worker's state as it was published, online or offline."""
        self._changing()
        worker = self._workers.get(state.worker)
        if worker is None:
            if not state.online:
                return False
            worker = EdgeWorker(state, now, now)
            worker.announce(now, anew=True)
            there = [(name, one) for name, one in self._workers.items() if not one.is_forgotten(now)]
            self._workers = dict(sorted([*there, (worker.id, worker)]))
            return True
        before = worker.state
        again = before.incarnation != state.incarnation
        if again and not state.online:
            return False  # the will of an earlier start
        if before.online != state.online:
            if before.online:
                worker.up_before += now - worker.changed_at
            worker.changed_at = now
            worker.fetching = {}  # who was not there heard of no order
        if not state.online:
            worker.state = before.model_copy(update={"online": False})
            worker.deploying = None
            return before.online
        worker.state = state
        worker.heed(before, now)
        figures = worker.announce(now, anew=again)
        changed = before.serving != state.serving or before.failed != state.failed
        return figures or again or changed or not before.online

    def measured(self, worker_id: str, speeds: Mapping[str, float], round_trip: float, now: float) -> bool:
        """Frames per second by task, and seconds there and back, as the hub measures them now."""
        self._changing()
        worker = self._workers.get(worker_id)
        return worker is not None and worker.measured(speeds, round_trip, now)

    def told(self, worker: EdgeWorker, task: str, now: float) -> None:
        """It was told to load this task."""
        self._changing()
        worker.deploying = task
        worker.deploy_until = now + max(DEPLOY_PATIENCE, 3 * worker.switch_seconds(task))

    def to_fetch(self, tasks: Collection[str], now: float) -> list[tuple[EdgeWorker, str]]:
        """Who is to fetch a model for which of these tasks; they count as told."""
        told = [
            (worker, task)
            for worker in self
            if worker.online
            for task in worker.state.fetchable
            if task in tasks and task not in worker.figures and now >= worker.fetching.get(task, 0.0)
        ]
        for worker, task in told:
            worker.fetching[task] = now + REST
        return told

    def pass_time(self, now: float) -> tuple[bool, list[tuple[str, str]]]:
        """Whether time alone has changed what a plan can do; (worker, task) that was not loaded in time."""
        self._changing()
        late: list[tuple[str, str]] = []
        changed = False
        for worker in self._workers.values():
            if worker.deploying is not None and now >= worker.deploy_until:
                if worker.serving == worker.deploying:  # it never left it, and had nothing to say
                    worker.deploying = None
                    changed = True
                else:
                    late.append((worker.id, worker.deploying))
                    worker.give_up(now)
            changed |= worker.pass_time(now)
        return changed or bool(late), late

    def clip_workers(self) -> frozenset[str]:
        """Those online that can look at clips of motion when they do nothing else."""
        if self._clip_workers is None:
            able = (worker for worker in self if worker.online and CLIP_TASK in worker.figures)
            self._clip_workers = frozenset(worker.id for worker in able)
        return self._clip_workers

    def reserve(self, wanted: int | None) -> int:
        """How many of `clip_workers` are lent to nobody, by what the house wants (Policy.reserve)."""
        able = self.clip_workers()
        if wanted is None:
            alone = len(able) == 1 and all(self._workers[worker].serving is None for worker in able)
            wanted = 0 if alone else 1
        return min(wanted, len(able))

    def wake_at(self, now: float) -> float | None:
        """When time alone may change what a plan can do."""
        times = (worker.wake_at(now) for worker in self._workers.values())
        return soonest(times)

    def _changing(self) -> None:
        self._made.clear()
        self._clip_workers = None

    def edge_nodes(
        self, now: float, *, split: frozenset[str] = frozenset(), known: frozenset[str] = frozenset()
    ) -> Sequence[EdgeNode]:
        """Those online, for admission: by the careful figures, but for workers of `known` by the steady.

        Those of `split` that hold all their tasks at once come as two halves.
        """
        made = self._made.get((now, split, known))
        if made is None:
            made = [node for worker in self for node in _parts(worker, now, split, steady=worker.id in known)]
            self._made[now, split, known] = made
        return made

    def own_nodes(self, workers: Iterable[str], now: float, *, split: frozenset[str]) -> dict[str, EdgeNode]:
        """Those on which a workflow runs, by id, with the steady figures."""
        there = [worker for name in workers if (worker := self._workers.get(name)) is not None]
        return {node.id: node for worker in there for node in _parts(worker, now, split, steady=True)}


def _parts(worker: EdgeWorker, now: float, split: frozenset[str], *, steady: bool) -> list[EdgeNode]:
    offered = {
        task: figure.steady if steady else figure.careful
        for task, figure in worker.figures.items()
        if worker.offers(task, now)
    }
    if not offered:
        return []
    switching = {task: worker.switch_seconds(task) for task in offered}
    halved = worker.id in split and worker.serving is None
    parts = [f"{worker.id}{PART}1", f"{worker.id}{PART}2"] if halved else [worker.id]
    round_trip = worker.way.steady if steady else worker.way.careful
    return [
        EdgeNode(
            part,
            {task: fps / len(parts) for task, fps in offered.items()},
            round_trip / 2 * 1000,
            (worker.state.energy or 0.0) / len(parts),
            worker.availability(now),
            switching,
        )
        for part in parts
    ]
