"""The cloud of the simulated house: a queue, machines that die, a store, and the agent that speaks with it.

The cloud outlives the hub's process, its agent does not. Messages come at least once, results stay until
the hub says Forget, and what nobody answers for lies in the dead-letter queue after three tries.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from zlib import crc32

from meerkat_cloud_burst.messages import RECEIVES, Order
from meerkat_cloud_burst.news import (
    CloudAnswered,
    CloudDead,
    CloudEffect,
    CloudNews,
    EndInstances,
    Forget,
    Looked,
    NotSent,
    Reached,
    Scale,
    SendOut,
    Sent,
    TakeBack,
    TakenBack,
    Trouble,
)
from meerkat_cloud_burst.ports import FleetState, Instance, QueueState
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.messages import ModelInfo, Result

from .clock import Clock
from .trace import Trace

MAXIMUM = 4
VISIBILITY = 60.0
"""Seconds after which what a machine took and did not answer is offered again."""

REDELIVERY = 30.0
"""Seconds after which a message that nobody deleted comes again."""

SECONDS = 4.0
"""Of a machine for a clip, in the middle."""

LEAST = 60.0
"""Seconds that are billed at least."""

IDLE = 60.0
"""Seconds after which a machine that finds no work ends."""

Mark = tuple[str, int]
"""A job and its token."""


@dataclass(slots=True, eq=False)
class _Machine:
    id: str
    since: datetime
    running: bool = False
    busy: bool = False
    idle_since: float = 0.0


@dataclass(slots=True, eq=False)
class _Queued:
    order: Order
    receives: int = 0


@dataclass(slots=True, eq=False)
class _Message:
    """A result, or a dead letter, that the hub has not forgotten."""

    news: CloudAnswered | CloudDead
    mark: Mark
    next_at: float = 0.0


@dataclass(slots=True)
class _Shares:
    """Of the orders that machines take."""

    dies: float = 0.03
    never: float = 0.02
    """Deleted, and no answer comes of it."""
    slow: float = 0.03
    fails: float = 0.01
    declines: float = 0.02
    twice: float = 0.1
    poison: float = 0.03
    """Of the clips: whoever takes one dies."""


@dataclass
class Sky:
    """What is there of the cloud, whether a hub speaks with it or not."""

    clock: Clock
    trace: Trace
    shares: _Shares = field(default_factory=_Shares)
    away_until: float = 0.0
    """Nobody reaches it before."""
    desired: int = 0
    _machines: list[_Machine] = field(default_factory=list)
    _orders: deque[_Queued] = field(default_factory=deque)
    _taken: int = 0
    _clips: set[Mark] = field(default_factory=set)
    _put_at: dict[Mark, float] = field(default_factory=dict)
    _results: dict[str, Result] = field(default_factory=dict)
    _messages: list[_Message] = field(default_factory=list)
    _launched: int = 0
    _ran: float = 0.0
    """Seconds of machines that have ended."""

    def __post_init__(self) -> None:
        self._chance = self.clock.chance("sky")

    @property
    def away(self) -> bool:
        return self.clock.mono < self.away_until

    def billed(self, dollars_an_hour: float) -> float:
        """Of all machines so far, by the second and a minute at least."""
        now = self.clock.true_time()
        running = sum(_seconds(now, machine.since) for machine in self._machines)
        return (self._ran + running) * dollars_an_hour / 3600

    # --- what an agent does ---------------------------------------------------------------------

    def look(self) -> Looked:
        instances = tuple(
            Instance(one.id, "running" if one.running else "pending", one.since) for one in self._machines
        )
        fleet = FleetState(self.desired, MAXIMUM, instances)
        return Looked(fleet, QueueState(len(self._orders), self._taken))

    def put(self, order: Order) -> None:
        mark = (order.job.job, order.job.token)
        self._clips.add(mark)
        self._put_at[mark] = self.clock.mono
        self._orders.append(_Queued(order))
        self._wake()

    def scale(self, desired: int) -> None:
        if desired > MAXIMUM:
            raise AssertionError(f"{desired} machines were asked for, the group takes {MAXIMUM}")
        self.desired = desired
        while len(self._machines) < desired:
            self._launch()

    def end(self, ids: tuple[str, ...]) -> None:
        for machine in [one for one in self._machines if one.id in ids]:
            self._gone(machine, "is ended")

    def void(self, marks: tuple[Mark, ...]) -> None:
        """Whoever takes these orders finds no clip and drops them."""
        self._clips.difference_update(marks)

    def forget(self, mark: Mark) -> None:
        job, token = mark
        self._clips.discard(mark)
        if (known := self._results.get(job)) is not None and known.token <= token:
            del self._results[job]
        self._messages = [one for one in self._messages if one.mark[0] != job or one.mark[1] > token]

    def messages(self) -> list[CloudAnswered | CloudDead]:
        """Those that are due, which come again unless they are deleted."""
        due = [one for one in self._messages if self.clock.mono >= one.next_at]
        for one in due:
            one.next_at = self.clock.mono + REDELIVERY
        return [one.news for one in due]

    # --- its machines ---------------------------------------------------------------------------

    def _launch(self) -> None:
        self._launched += 1
        machine = _Machine(f"i-{self._launched:04x}", self.clock.true_time())
        self._machines.append(machine)
        self.trace.note("sky", f"launches {machine.id}", count="machines launched")

        def up() -> None:
            machine.running, machine.idle_since = True, self.clock.mono
            self._next(machine)

        self.clock.after(self._chance.uniform(30, 120), up)

    def _gone(self, machine: _Machine, why: str) -> None:
        """A machine that ends itself, or is ended, is not replaced."""
        if machine in self._machines:
            self._machines.remove(machine)
            self._ran += _seconds(self.clock.true_time(), machine.since)
            self.desired = max(self.desired - 1, 0)
            self.trace.note("sky", f"{machine.id} {why}", count="machines ended")

    def _wake(self) -> None:
        for machine in list(self._machines):
            if machine.running and not machine.busy:
                self._next(machine)

    def _next(self, machine: _Machine) -> None:
        if machine not in self._machines or machine.busy:
            return
        if not self._orders:
            self._idle(machine)
            return
        queued = self._orders.popleft()
        queued.receives += 1
        mark = (queued.order.job.job, queued.order.job.token)
        if mark not in self._clips or self._is_over(queued.order):
            self.clock.after(0.1, lambda: self._next(machine))  # nobody wants it any more
            return
        machine.busy = True
        self._taken += 1
        self._begin(machine, queued, mark)

    def _idle(self, machine: _Machine) -> None:
        idle_since = machine.idle_since = self.clock.mono

        def tired() -> None:
            if machine in self._machines and not machine.busy and machine.idle_since == idle_since:
                self._gone(machine, "has no work and ends")

        self.clock.after(IDLE, tired)

    def _is_over(self, order: Order) -> bool:
        """By how long it has been there: in this world a hub's clock may be off by hours, and AWS would not
        hear of such a hub."""
        assert order.until is not None
        put = self._put_at[order.job.job, order.job.token]
        return self.clock.mono > put + (order.until - order.sent_at).total_seconds()

    def _begin(self, machine: _Machine, queued: _Queued, mark: Mark) -> None:
        chance, shares = self._chance, self.shares
        seconds = SECONDS * chance.lognormvariate(0, 0.3) * (100 if chance.random() < shares.slow else 1)
        poison = crc32(mark[0].encode()) % 1000 < 1000 * shares.poison
        dies = poison or chance.random() < shares.dies

        def ended() -> None:
            self._taken -= 1
            machine.busy = False
            if dies or machine not in self._machines:
                self._gone(machine, "dies in mid-clip")
                self.clock.after(VISIBILITY, lambda: self._offer_again(queued, mark))
                return
            self._finish(machine, mark, seconds)
            machine.idle_since = self.clock.mono
            self._next(machine)

        self.clock.after(seconds, ended)

    def _offer_again(self, queued: _Queued, mark: Mark) -> None:
        if queued.receives < RECEIVES:
            self._orders.append(queued)
            self._wake()
        else:
            dead = CloudDead(*mark, f"{RECEIVES} machines ended in the middle of it")
            self._messages.append(_Message(dead, mark))
            self.trace.note("sky", f"dead letter {mark[0][:8]}", count="dead letters")

    def _finish(self, machine: _Machine, mark: Mark, seconds: float) -> None:
        chance, shares = self._chance, self.shares
        if chance.random() < shares.never:
            self.trace.note("sky", f"never answers {mark[0][:8]}", count="orders never answered")
            return
        fate = chance.random()
        state: Literal["done", "failed"] = "failed" if fate < shares.fails + shares.declines else "done"
        result = Result(
            job=mark[0],
            token=mark[1],
            incarnation=self.clock.new_id(),
            state=state,
            reason="" if state == "done" else "it cannot be looked at",
            retry=shares.fails <= fate < shares.fails + shares.declines,
            frames=25,
            seconds=seconds,
            model=ModelInfo(name="sky"),
        )
        kept = self._results.setdefault(mark[0], result)
        news = CloudAnswered(kept, machine.id)
        self._messages += [_Message(news, mark)] * (2 if chance.random() < shares.twice else 1)


def _seconds(now: datetime, since: datetime) -> float:
    return max((now - since).total_seconds(), LEAST)


class SkyAgent:
    """Of one process of the hub: what it has not done when that dies is not done."""

    def __init__(
        self,
        sky: Sky,
        settings: BurstSettings,
        *,
        tell: Callable[[CloudNews], None],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        """`later` does something only if the process lives then."""
        self._sky = sky
        self._settings = settings
        self._tell = tell
        self._later = later
        self._chance = sky.clock.chance(f"agent {sky.clock.new_id()}")
        self._troubled = False

    def start(self) -> None:
        self._later(self._chance.uniform(0, self._settings.tick), self._tick)
        self._later(1.0, self._listen)

    def carry_out(self, effect: CloudEffect) -> None:
        self._later(self._chance.expovariate(1 / 0.5), lambda: self._do(effect))

    def _tick(self) -> None:
        if self._reaches():
            self._tell(self._sky.look())
        self._later(self._settings.tick, self._tick)

    def _listen(self) -> None:
        if self._reaches():
            for news in self._sky.messages():
                self._tell(news)
        self._later(2.0, self._listen)

    def _reaches(self) -> bool:
        """Trouble is told once, and its end."""
        away = self._sky.away
        if away != self._troubled:
            self._troubled = away
            self._tell(Trouble("network", "the cloud cannot be reached") if away else Reached())
        return not away

    def _do(self, effect: CloudEffect) -> None:
        if self._sky.away:
            self._later(5.0, lambda: self._do(effect))
            return
        match effect:
            case SendOut(order=order):
                self._send(order)
            case Scale(desired=desired):
                self._sky.scale(desired)
            case EndInstances(instances=instances):
                self._sky.end(instances)
            case Forget(job=job, token=token):
                self._sky.forget((job, token))
            case TakeBack(jobs=jobs):
                self._sky.void(jobs)
                for job, token in jobs:
                    self._tell(TakenBack(job, token))

    def _send(self, order: Order) -> None:
        job, token = order.job.job, order.job.token
        if self._chance.random() < 0.02:
            self._tell(NotSent(job, token, "network", "the line broke"))
            return
        seconds = self._chance.expovariate(1 / 2.0)
        self._sky.put(order)  # the hub may die between the two
        self._later(seconds, lambda: self._tell(Sent(job, token, max(seconds, 0.01), 500_000)))
