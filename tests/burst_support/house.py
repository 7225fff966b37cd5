"""A house with a hub that crashes, and clocks that leap, under the policy and the ledger of production."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from math import inf
from random import Random
from typing import Literal

from meerkat_cloud_burst.policy import Ledger, Machine, Moment, Refused, Terms, idle_grace, make_policy
from meerkat_cloud_burst.policy.view import AloftClip, CloudView, LedgerEntry, Rule, WaitingClip, World
from meerkat_cloud_burst.settings import BurstSettings

from .cloud import Cloud, Order

STEP = 5.0
SKEWED = 300.0
"""AWS serves nobody whose clock is further off."""


@dataclass
class Clip:
    id: str
    came: float
    rule: Rule
    state: Literal["waiting", "home", "aloft", "done"] = "waiting"
    attempts: int = 0
    token: int = 0
    sent: float = 0.0
    results: int = 0
    """Results that the hub has taken; one, in the end."""


@dataclass(frozen=True)
class Faults:
    """Chances a second."""

    crash: float = 0.0
    outage: float = 0.0
    leap: float = 0.0
    price: float = 0.0
    interruption: float = 0.0
    refusal: float = 0.0
    """Of a launch that the hub asks for."""


@dataclass
class Site:
    settings: BurstSettings
    faults: Faults
    random: Random
    begin: float
    """True Unix seconds at which it begins."""
    homes: int = 1
    home_seconds: float = 30.0
    spared: float = 0.0
    """Of the ledger's `hold`, seconds that are not needed in a world where the clocks are right."""

    def __post_init__(self) -> None:
        settings = self.settings
        self.now = 0.0
        self.clips: dict[str, Clip] = {}
        self.home: list[tuple[float, Clip]] = []
        self.skew = 0.0
        self.right_at = inf
        self.outage_until = self.down_until = -inf
        self.stored: list[LedgerEntry] = []
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.codes: set[str] = set()
        self.ids = count()
        self.price = settings.money.instance_hour
        self.cloud = Cloud(
            self.random,
            settings.boot,
            settings.clip_seconds,
            idle_grace(settings),
            settings.max_instances,
            self.faults.interruption,
            stated=self.price / 3600,
        )
        self.next_tick = 0.0
        self.start()

    # --- time ---------------------------------------------------------------------------------------

    def moment(self) -> Moment:
        return Moment(self.steady_zero + self.now, self.begin + self.now + self.skew)

    def start(self) -> None:
        """The hub comes up, with what it has stored."""
        self.steady_zero = self.random.uniform(0, 1e6)
        settings = self.settings.model_copy(
            update={"money": self.settings.money.model_copy(update={"instance_hour": self.price})}
        )
        terms = Terms.of(settings)
        terms = replace(terms, hold=terms.hold - self.spared)
        self.ledger = Ledger(terms, lambda: f"line-{next(self.ids)}")
        self.ledger.load(list(self.stored), self.moment())
        self.policy = make_policy(settings)

    def chance(self, rate: float) -> bool:
        return self.random.random() < rate * STEP

    def step(self) -> None:
        self.now += STEP
        self.cloud.step(self.begin + self.now, STEP)
        self._trouble()
        for at, happen in [item for item in self.later if item[0] <= self.now]:
            self.later.remove((at, happen))
            happen()
        if self.now < self.down_until:
            return
        self._home()
        self._results()
        reachable = self.now >= self.outage_until and abs(self.skew) < SKEWED
        if self.now >= self.next_tick:
            self.next_tick = self.now + self.settings.tick
            if reachable:
                self._tick()

    def _trouble(self) -> None:
        random, faults = self.random, self.faults
        if self.now >= self.right_at:
            self.skew, self.right_at = random.uniform(-20, 20), inf
        elif self.chance(faults.leap):
            if random.random() < 0.5:
                self.skew = max(-280.0, min(280.0, random.uniform(-250, 250)))
            else:
                self.skew = random.choice((-1, 1)) * random.choice((1_000, 7_200, 40_000, 86_400, 3e6))
                self.right_at = self.now + random.uniform(30, 600)
        if self.chance(faults.outage):
            self.outage_until = self.now + random.uniform(30, 900)
        if self.chance(faults.price):
            self.price *= random.choice((0.5, 0.8, 1.3, 2.0))
        if self.now >= self.down_until > -inf:
            self.down_until = -inf
            self.start()
        elif self.chance(faults.crash):
            self._crash()

    def _crash(self) -> None:
        self.down_until = self.now + self.random.choice((0.0, 5.0, 60.0, 900.0))
        self.later.clear()
        self.home.clear()
        for clip in self.clips.values():
            if clip.state == "home":
                clip.state = "waiting"

    # --- the house ----------------------------------------------------------------------------------

    def come(self, rule: Rule) -> None:
        clip = Clip(f"clip-{len(self.clips)}", self.now, rule)
        self.clips[clip.id] = clip

    def waiting(self) -> list[Clip]:
        return [clip for clip in self.clips.values() if clip.state == "waiting"]

    def _home(self) -> None:
        for done, clip in [item for item in self.home if item[0] <= self.now]:
            self.home.remove((done, clip))
            self._take(clip)
        for clip in self.waiting()[: max(0, self.homes - len(self.home))]:
            clip.state = "home"
            self.home.append((self.now + self.home_seconds, clip))

    def _results(self) -> None:
        if self.now < self.outage_until:
            return
        results, self.cloud.results = self.cloud.results, []
        for id, _ in results:
            clip = self.clips[id]
            self.home = [item for item in self.home if item[1] is not clip]
            if clip.state != "done":
                self._take(clip)

    def _take(self, clip: Clip) -> None:
        clip.state = "done"
        clip.results += 1

    # --- the hub ------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self.moment()
        for clip in self.clips.values():
            if clip.state == "aloft" and self.now - clip.sent > self.settings.timeout:
                self._back(clip)
        self.cloud.stated = self.price / 3600
        wall = self.begin + self.now + self.skew
        machines = [Machine(m.id, wall - m.since) for m in self.cloud.fleet.values()]
        seen = self.ledger.observe(machines, self.cloud.desired, now, self.price)
        self.stored += seen.entries
        world = self._view(now, seen.end, seen.desired)
        decision = self.policy.decide(world)
        self.codes.add(decision.code)
        assert decision.reason, f"{decision} gives no reason"
        if decision.reserve is not None:
            paid = self.ledger.reserve(decision.reserve.instances, now, decision.reason)
            assert not isinstance(paid, Refused), paid
            self.stored += paid
        for id in decision.send:
            clip = self.clips[id]
            assert clip.rule != "never", "a clip that may never go was sent"
            assert clip.state == "waiting", f"{id} is {clip.state} and was sent"
            clip.state, clip.sent, clip.token = "aloft", self.now, clip.token + 1
        for id in decision.take_back:
            self._back(self.clips[id])
        if self.faults.crash and self.random.random() < 0.01:
            self._crash()
            return
        self._effects(seen.end, seen.desired, decision.desired, decision.send)

    def _effects(
        self, end: tuple[str, ...], cut: int | None, desired: int | None, send: tuple[str, ...]
    ) -> None:
        random = self.random
        for id in end:
            if random.random() > 0.1:
                self._later(random.uniform(0, 30), lambda id=id: self.cloud.terminate(id, self._true))
        if cut is not None and random.random() > 0.1:
            self._later(random.uniform(0, 10), lambda: self.cloud.set_desired(min(cut, self.cloud.desired)))
        if desired is not None:
            if random.random() < self.faults.refusal:
                if random.random() < 0.5:
                    self.ledger.launch_failed()
            else:
                self._later(random.choice((0.0, 5.0, 60.0)), lambda: self.cloud.set_desired(desired))
        wall = self.begin + self.now + self.skew
        for id in send:
            clip = self.clips[id]
            order = Order(id, clip.token, wall + self.settings.timeout, 0.0)
            self._later(random.uniform(0, 10), lambda order=order: self.cloud.queue.append(order))

    @property
    def _true(self) -> float:
        return self.begin + self.now

    def _later(self, seconds: float, happen: Callable[[], None]) -> None:
        self.later.append((self.now + seconds, happen))

    def _back(self, clip: Clip) -> None:
        self.cloud.queue = [order for order in self.cloud.queue if order.clip != clip.id]
        clip.state = "waiting"
        clip.attempts += 1

    def _view(self, now: Moment, ended: tuple[str, ...], cut: int | None) -> World:
        cloud, settings = self.cloud, self.settings
        work = 0.0
        waiting = []
        for clip in self.waiting():
            work += self.home_seconds
            waiting.append(
                WaitingClip(
                    clip.id,
                    self.now - clip.came,
                    work / self.homes if self.homes else inf,
                    1_000_000,
                    5.0,
                    clip.rule,
                    clip.attempts,
                )
            )
        alive = [m for m in cloud.fleet.values() if m.id not in ended]
        taken = {m.order.clip for m in cloud.fleet.values() if m.order is not None}
        aloft = [clip for clip in self.clips.values() if clip.state == "aloft"]
        return World(
            tuple(waiting),
            tuple(
                AloftClip(c.id, self.now - c.came, self.now - c.sent, taken=c.id in taken, rule=c.rule)
                for c in aloft
            ),
            CloudView(
                desired=cloud.desired if cut is None else min(cut, cloud.desired),
                maximum=settings.max_instances,
                ages=tuple(self._true + self.skew - m.since for m in alive),
                ready=sum(self._true >= m.ready_at for m in alive),
                boot=settings.boot,
                clip_seconds=settings.clip_seconds,
                queued=len(cloud.queue),
            ),
            self.ledger.view(now),
            idle_at_home=len(self.home) < self.homes,
            home_seconds=self.home_seconds,
        )
