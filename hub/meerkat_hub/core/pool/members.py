"""The workers of the pool: what each announced, what it holds, and what the hub has measured of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from meerkat_contract.messages import Result, TaskInfo, WorkerState
from meerkat_hub.core.rules import InFlight, WorkerView

from .capacity import Link, Speed
from .work import Lease

BURST = 0.5
"""Two answers nearer to each other than this part of the work that was told came in a burst: the network
had kept them back, and the time between them says nothing."""


@dataclass(slots=True, eq=False)
class Member:
    """One worker."""

    id: str
    incarnation: str
    tasks: dict[str, TaskInfo]
    serving: str | None
    window: int
    ahead: bool
    """It does jobs that are marked so before those it has not begun."""
    joined: float
    """Monotonic seconds, as all times here."""
    paused_until: float = 0.0
    """It gets no work before: it handed some back unbegun, let a lease run out, fails, or comes and goes."""
    met: bool = False
    """It has answered something since it came, or since the broker did: what is sent reaches it."""
    greeted: bool = True
    """It has said how it is since the broker came."""
    silent: int = 0
    """Durable leases in a row that ran out."""
    missed: int = 0
    """Times in a row that perishable leases ran out."""
    missed_at: float = -inf
    """When that was last."""
    sound: set[str] = field(default_factory=set)
    """Tasks of which it did the last job well of those that it has begun."""
    failed_at: set[str] = field(default_factory=set)
    """Some of the items that it failed at since it did one well."""
    bouts: int = 0
    """How often in a row it was left out for failing at everything."""
    last_answer: float = -inf
    leases: list[Lease] = field(default_factory=list)
    """In the order in which the worker takes them: as they were sent, but for those that go ahead."""
    link: Link = field(default_factory=Link)
    _waits_until: float = 0.0
    """The end of its pause for other reasons than silence."""
    _held: dict[str, float] = field(default_factory=dict)
    """Task → cost of all that it holds."""
    _speeds: dict[str, Speed] = field(default_factory=dict)
    _views: dict[str, WorkerView] = field(default_factory=dict)

    @classmethod
    def of(cls, state: WorkerState, now: float) -> Member:
        tasks = {task.task: task for task in state.tasks}
        return cls(state.worker, state.incarnation, tasks, state.serving, state.window, state.ahead, now)

    def announce(self, state: WorkerState) -> bool:
        """It says anew what it offers; whether it takes other work than before.

        What was measured of it stays, whatever figure it says, unless it has another model.
        """
        tasks = {task.task: task for task in state.tasks}
        models = {name: task.model for name, task in self.tasks.items()}
        for name in [name for name in self._speeds if name not in tasks or models[name] != tasks[name].model]:
            del self._speeds[name]
        before = (self.tasks.keys(), self.serving, self.window, self.ahead)
        self.tasks, self.serving, self.window = tasks, state.serving, state.window
        self.ahead = state.ahead
        self._views.clear()
        return before != (tasks.keys(), state.serving, state.window, state.ahead)

    @property
    def offers(self) -> str:
        """In words."""
        tasks = [f"{task.task} {task.frames_per_second:.1f} frames a second" for task in self.tasks.values()]
        return ", ".join(tasks) or "it offers no task"

    def does(self, task: str) -> bool:
        """Whether it takes jobs of this task now."""
        info = self.tasks.get(task)
        return info is not None and (self.serving in (None, task) or info.beside)

    def seconds(self, task: str) -> float:
        """Per unit of cost, estimated."""
        return self._speed(task).seconds

    def capacity(self, task: str) -> float:
        """Units of cost a second, as measured by its work; as announced before it did any."""
        return 1 / self.seconds(task)

    def view(self, task: str, size: float) -> WorkerView:
        """What a rule sees; `size` is the bytes that a job of this task usually has."""
        view = self._views.get(task)
        if view is None:
            speed = self._speed(task)
            seconds = speed.seconds
            held = tuple(
                [
                    lease.in_flight
                    if lease.task == task
                    else InFlight(
                        lease.item.id, lease.item.cost * self._seconds_of(lease.task) / seconds, lease.sent
                    )
                    for lease in self.leases
                ]
            )
            view = self._views[task] = WorkerView(
                self.id,
                seconds,
                self.link.round_trip(size),
                self.window,
                self.tasks[task].frames_per_second,
                held,
                self.last_answer,
                speed.variation,
            )
        return view

    @property
    def held_seconds(self) -> float:
        """Predicted service time of all that it holds."""
        return sum([cost * self._seconds_of(task) for task, cost in self._held.items()])

    def take(self, lease: Lease, place: int | None = None) -> None:
        """It holds the lease from now on: at the end, or at this place, before what has not begun."""
        task, cost = lease.task, lease.item.cost
        self._held[task] = self._held.get(task, 0.0) + cost
        if place is None:
            self.leases.append(lease)
        else:
            lease.ahead = True
            for passed in self.leases[place:]:
                passed.passed += cost * self._seconds_of(task)
                passed.alone = False  # what it has waited is no longer the worker's own business alone
            self.leases.insert(place, lease)
        self._views.clear()

    def drop(self, lease: Lease) -> None:
        """It no longer holds the lease."""
        if lease in self.leases:
            self.leases.remove(lease)
            self._held[lease.task] -= lease.item.cost
            if not self.leases:
                self._held.clear()  # and with it what roundings have added up to
        if len(self.leases) > 1 and self.leases[0].ahead:
            self._begin_what_was_there()
        self._views.clear()

    def _begin_what_was_there(self) -> None:
        """What was to go ahead and was still on its way when the job before it ended passes one less.

        What was answered last ended half a round trip before the answer came.
        """
        for lease in self.leases:
            if lease.sent + self.link.round_trip(lease.item.size) <= self.last_answer:
                self.leases.remove(lease)
                self.leases.insert(0, lease)
                return

    def learn(self, lease: Lease, result: Result, now: float) -> None:
        """From one answer that is done: its speed at the task, and the way to it.

        The time between two answers, when the second job was there before the first was answered, is
        what a job truly takes, whatever the worker says. Of a worker that was idle its own word is
        taken, within the time that the hub has waited.
        """
        if lease.task not in self.tasks:
            return
        total = now - lease.sent
        told = min(max(result.seconds, 0.0), total)
        waited = result.waited
        if waited is not None:
            waited = min(waited, total - told)
            self.link.observe(total - waited - told, lease.item.size)
        elif lease.alone:
            self.link.observe(total - told, lease.item.size)
        spent = told + (waited or 0.0) if lease.alone else told  # there was nothing to wait for
        if lease.sent + self.link.round_trip(lease.item.size) < self.last_answer:
            between = now - self.last_answer
            spent = between if between > BURST * told else told
        self._observe(lease, result, spent)

    def learn_late(self, lease: Lease, result: Result, now: float) -> None:
        """From an answer after the end of its lease: it is slower than was thought, and not mute.

        One that gave up then needs at least as long as it tried.
        """
        if lease.task in self.tasks:
            spent = min(max(result.seconds, 0.0), now - lease.sent)
            if result.state == "done" or spent > lease.item.cost * self.seconds(lease.task):
                self._observe(lease, result, spent)

    def _observe(self, lease: Lease, result: Result, spent: float) -> None:
        cost = min(result.frames, lease.item.cost) or lease.item.cost
        if spent > 0:
            self._speed(lease.task).observe(spent / cost)

    def answered(self, now: float) -> None:
        """It said something about a job of its own."""
        self.last_answer = now
        self.silent = self.missed = 0
        self.met = True
        self._views.clear()

    def pause(self, until: float, *, silent: bool = False) -> None:
        """It gets no work until then; one that is `silent` only until something is heard of it."""
        if not silent:
            self._waits_until = max(self._waits_until, until)
        self.paused_until = max(self.paused_until, until)

    def heard(self, now: float) -> None:
        """It is not silent: what is left of such a pause is over."""
        self.silent = self.missed = 0
        if self.paused_until:
            self.paused_until = max(self._waits_until, now)

    def _speed(self, task: str) -> Speed:
        speed = self._speeds.get(task)
        if speed is None:
            speed = self._speeds[task] = Speed(1 / self.tasks[task].frames_per_second)
        return speed

    def _seconds_of(self, task: str) -> float:
        """Per unit of cost of what it holds; a task that it no longer offers counts as usual work."""
        if task not in self.tasks:
            return max((s.seconds for s in self._speeds.values()), default=1.0)
        return self._speed(task).seconds
