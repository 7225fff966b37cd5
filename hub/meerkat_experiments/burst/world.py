"""One day of one house: clips come, the house works them off, and the policy sends some to machines.

Discrete events. Random are when clips come, and how long each takes at home and in the cloud. Nothing fails
here: the tests of policy and ledger have worlds for that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count
from math import log, sqrt
from random import Random

from meerkat_cloud_burst.policy import Ledger, Machine, Moment, Refused, Terms, idle_grace, make_policy
from meerkat_cloud_burst.policy.view import AloftClip, CloudView, WaitingClip, World
from meerkat_cloud_burst.settings import BurstSettings

from .parameters import DAY, Arrivals, Site

CALM = 15
"""Ticks with nothing to do after which no decision is asked for: they would all say the same."""

MIDNIGHT = 1_790_035_200.0
"""Where the simulated day begins, Unix seconds: some midnight of UTC."""


def day(
    site: Site,
    settings: BurstSettings | None,
    seed: int,
    *,
    grace: float | None = None,
    sampled: bool = False,
) -> Day:
    """The day of one seed: clips come at the same times whatever is done with them."""
    times = arrivals(site.arrivals, Random(f"clips {seed}"))
    return House(site, settings, Random(f"work {seed}"), grace=grace, sampled=sampled).run(times)


def arrivals(rule: Arrivals, random: Random) -> list[float]:
    """Times of a day's clips: a Poisson stream, and in each storm another."""
    times = _poisson(rule.per_hour / 3600, 0.0, DAY, random)
    for _ in range(rule.storms):
        begin = random.uniform(0.0, DAY - rule.storm_seconds)
        times += _poisson(rule.storm_per_minute / 60, begin, begin + rule.storm_seconds, random)
    return sorted(times)


def _poisson(rate: float, begin: float, end: float, random: Random) -> list[float]:
    times: list[float] = []
    at = begin + random.expovariate(rate)
    while at < end:
        times.append(at)
        at += random.expovariate(rate)
    return times


@dataclass(slots=True)
class Clip:
    id: str
    came: float
    attempts: int = 0
    sent: float = 0.0
    taken: bool = False


@dataclass(slots=True)
class Instance:
    id: str
    since: float
    ready: bool = False
    clip: Clip | None = None
    idle_since: float = 0.0
    worked: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The state at a tick, for the drawing: seconds of the day, clips, machines, dollars."""

    at: float
    waiting: int
    aloft: int
    machines: int
    dollars: float


@dataclass(slots=True)
class Day:
    """What came of it. `latencies` in seconds from a clip's coming to its result."""

    latencies: list[float] = field(default_factory=list)
    sent: int = 0
    taken_back: int = 0
    launches: int = 0
    dollars: float = 0.0
    """As billed, by the second and a minute at least."""
    booked: float = 0.0
    """As the ledger has it."""
    samples: list[Sample] = field(default_factory=list)


class House:
    """Runs one day. `settings` None: nothing leaves the house. `grace`: instead of the policy's."""

    def __init__(
        self,
        site: Site,
        settings: BurstSettings | None,
        random: Random,
        *,
        grace: float | None = None,
        sampled: bool = False,
    ) -> None:
        self._site = site
        self._random = random
        self._settings = settings
        self._sampled = sampled
        self._grace = grace if grace is not None else idle_grace(settings) if settings is not None else 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._now = 0.0
        self._waiting: list[Clip] = []
        self._home: list[float] = []
        self._aloft: dict[str, Clip] = {}
        self._queue: list[Clip] = []
        self._line_free = 0.0
        self._fleet: dict[str, Instance] = {}
        self._desired = 0
        self._names = count()
        self._left = 0
        self._calm = 0
        self._day = Day()

    def run(self, times: Sequence[float]) -> Day:
        self._left = len(times)
        for number, at in enumerate(times):
            self._at(at, partial(self._come, Clip(f"clip-{number}", at)))
        if self._settings is not None:
            ids = count()
            self._policy = make_policy(self._settings)
            self._ledger = Ledger(Terms.of(self._settings), lambda: f"line-{next(ids)}")
            self._ledger.load((), self._moment())
            self._at(0.0, self._tick)
        while self._events:
            self._now, _, happen = heappop(self._events)
            happen()
        if self._settings is not None:
            self._day.booked = self._ledger.month(self._moment()).spent
        return self._day

    def _at(self, at: float, happen: Callable[[], None]) -> None:
        heappush(self._events, (at, next(self._order), happen))

    def _moment(self) -> Moment:
        return Moment(self._now, MIDNIGHT + self._now)

    # --- the house ----------------------------------------------------------------------------------

    def _come(self, clip: Clip) -> None:
        self._waiting.append(clip)
        self._work()

    def _work(self) -> None:
        while self._waiting and len(self._home) < self._site.pis:
            clip = self._waiting.pop(0)
            done = self._now + self._takes(self._site.home_seconds)
            self._home.append(done)
            self._at(done, partial(self._home_done, clip, done))

    def _home_done(self, clip: Clip, done: float) -> None:
        self._home.remove(done)
        self._finish(clip)
        self._work()

    def _takes(self, mean: float) -> float:
        """A service time, log-normal."""
        sigma = sqrt(log(1 + self._site.varies**2))
        return mean * self._random.lognormvariate(-(sigma**2) / 2, sigma)

    def _finish(self, clip: Clip) -> None:
        self._day.latencies.append(self._now - clip.came)
        self._left -= 1

    # --- the cloud ----------------------------------------------------------------------------------

    def _send(self, clip: Clip) -> None:
        self._waiting.remove(clip)
        self._aloft[clip.id] = clip
        clip.sent = self._now
        self._day.sent += 1
        self._line_free = max(self._line_free, self._now) + self._site.size / self._site.upload_rate
        self._at(self._line_free, partial(self._queued, clip))

    def _queued(self, clip: Clip) -> None:
        if clip.id in self._aloft:
            self._queue.append(clip)
            self._serve()

    def _serve(self) -> None:
        for instance in self._fleet.values():
            if not self._queue:
                return
            if instance.ready and instance.clip is None:
                clip = instance.clip = self._queue.pop(0)
                clip.taken = True
                self._at(
                    self._now + self._takes(self._site.cloud_seconds),
                    partial(self._cloud_done, instance, clip),
                )

    def _cloud_done(self, instance: Instance, clip: Clip) -> None:
        instance.clip = None
        del self._aloft[clip.id]
        self._finish(clip)
        self._idle(instance)

    def _idle(self, instance: Instance) -> None:
        instance.idle_since = self._now
        self._serve()
        if instance.clip is None:
            self._at(self._now + self._grace, partial(self._maybe_end, instance, self._now))

    def _maybe_end(self, instance: Instance, since: float) -> None:
        unused = instance.clip is None and instance.idle_since == since
        if unused and self._now >= since + self._grace and instance.id in self._fleet:
            self._end(instance)
            self._desired -= 1

    def _end(self, instance: Instance) -> None:
        del self._fleet[instance.id]
        self._day.dollars += max(60.0, self._now - instance.since) * self._rate

    @property
    def _rate(self) -> float:
        assert self._settings is not None, "a fleet needs settings"
        return self._settings.money.instance_hour / 3600

    def _scale(self, desired: int) -> None:
        self._desired = min(desired, self._site.maximum)
        while len(self._fleet) < self._desired:
            instance = Instance(f"i-{next(self._names)}", self._now)
            self._fleet[instance.id] = instance
            self._day.launches += 1
            self._at(self._now + self._site.boot, partial(self._booted, instance))

    def _booted(self, instance: Instance) -> None:
        if instance.id in self._fleet:
            instance.ready = True
            self._idle(instance)

    # --- the hub ------------------------------------------------------------------------------------

    def _tick(self) -> None:
        assert self._settings is not None, "ticks belong to a policy"
        calm = not (self._waiting or self._aloft or self._fleet or self._desired)
        self._calm = self._calm + 1 if calm else 0
        if self._calm <= CALM:
            self._decide()
        if self._sampled:
            self._sample()
        if self._now < DAY or self._left or self._fleet:
            self._at(self._now + self._settings.tick, self._tick)

    def _decide(self) -> None:
        now = self._moment()
        machines = [Machine(item.id, self._now - item.since) for item in self._fleet.values()]
        seen = self._ledger.observe(machines, self._desired, now)
        for id in seen.end:
            self._terminate(self._fleet[id])
        if seen.desired is not None:
            self._desired = min(self._desired, seen.desired)
        decision = self._policy.decide(self._view(now))
        if decision.reserve is not None:
            paid = self._ledger.reserve(decision.reserve.instances, now, decision.reason)
            assert not isinstance(paid, Refused), f"the policy asked for what is not there: {paid.reason}"
        by_id = {clip.id: clip for clip in self._waiting}
        for id in decision.send:
            self._send(by_id[id])
        for id in decision.take_back:
            self._take_back(self._aloft[id])
        if decision.desired is not None:
            self._scale(decision.desired)

    def _terminate(self, instance: Instance) -> None:
        if instance.clip is not None:
            self._queue.insert(0, instance.clip)
            instance.clip = None
        self._end(instance)
        self._desired = max(0, self._desired - 1)

    def _take_back(self, clip: Clip) -> None:
        if clip.taken:
            return
        if clip in self._queue:
            self._queue.remove(clip)
        del self._aloft[clip.id]
        clip.attempts += 1
        self._day.taken_back += 1
        self._waiting.append(clip)
        self._waiting.sort(key=lambda other: other.came)
        self._work()

    def _view(self, now: Moment) -> World:
        site = self._site
        free = sorted([max(0.0, done - self._now) for done in self._home])
        free = [0.0] * (site.pis - len(free)) + free
        waiting: list[WaitingClip] = []
        for clip in self._waiting:
            free[0] += site.home_seconds
            waiting.append(
                WaitingClip(clip.id, self._now - clip.came, free[0], site.size, 5.0, attempts=clip.attempts)
            )
            free.sort()
        ages = tuple(self._now - item.since for item in self._fleet.values())
        return World(
            waiting=tuple(waiting),
            aloft=tuple(
                AloftClip(clip.id, self._now - clip.came, self._now - clip.sent, taken=clip.taken)
                for clip in self._aloft.values()
            ),
            cloud=CloudView(
                desired=self._desired,
                maximum=site.maximum,
                ages=ages,
                ready=sum(item.ready for item in self._fleet.values()),
                boot=site.boot,
                clip_seconds=site.cloud_seconds,
                upload_rate=site.upload_rate,
                queued=len(self._aloft),
            ),
            money=self._ledger.view(now),
            idle_at_home=len(self._home) < site.pis,
            home_seconds=site.home_seconds,
        )

    def _sample(self) -> None:
        running = sum(max(60.0, self._now - item.since) * self._rate for item in self._fleet.values())
        dollars = self._day.dollars + running
        waiting = len(self._waiting) + len(self._home)
        self._day.samples.append(Sample(self._now, waiting, len(self._aloft), len(self._fleet), dollars))
