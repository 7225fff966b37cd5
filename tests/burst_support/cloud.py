"""A cloud that misbehaves, and a meter of its own: what machines cost by the second, by true days."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from meerkat_cloud_burst.policy.clocks import Period

LEAST = 60.0


@dataclass
class Order:
    clip: str
    token: int
    until: float
    visible_at: float


@dataclass
class Instance:
    id: str
    since: float
    ready_at: float
    rate: float
    """Dollars a second, as billed."""
    ends_at: float = float("inf")
    order: Order | None = None
    done_at: float = 0.0
    idle_since: float = 0.0


@dataclass
class Cloud:
    """Times are true ones. Everything that a machine does happens in `step`, without the hub."""

    random: Random
    boot: float
    clip_seconds: float
    grace: float
    maximum: int
    interruptions: float
    """Of each machine, a second."""
    desired: int = 0
    fleet: dict[str, Instance] = field(default_factory=dict)
    queue: list[Order] = field(default_factory=list)
    results: list[tuple[str, int]] = field(default_factory=list)
    bills: list[tuple[float, float, float]] = field(default_factory=list)
    """(since, until, dollars a second) of machines that have ended."""
    stated: float = 0.0
    """Dollars a second at most, for machines launched now."""
    scarce_until: float = 0.0
    launched: int = 0

    def step(self, now: float, seconds: float) -> None:
        for machine in list(self.fleet.values()):
            if now >= machine.ends_at or self.random.random() < self.interruptions * seconds:
                interrupted = now < machine.ends_at
                self._end(machine, now)
                if interrupted:
                    self.scarce_until = now + self.random.choice((0, 30, 300))
            elif now >= machine.ready_at:
                self._work(machine, now)
        if now >= self.scarce_until and len(self.fleet) < self.desired:
            self._launch(now)

    def terminate(self, id: str, now: float) -> None:
        """With decrement, as hub and workers do."""
        if id in self.fleet:
            self._end(self.fleet[id], now)
            self.desired = max(0, self.desired - 1)

    def set_desired(self, count: int) -> None:
        self.desired = min(count, self.maximum)

    def _launch(self, now: float) -> None:
        self.launched += 1
        slow = self.random.choice((0.5, 1.0, 1.0, 1.5, 3.0))
        rate = self.stated * self.random.choice((0.4, 1.0, 1.0))
        machine = Instance(f"i-{self.launched}", now, now + slow * self.boot, rate)
        machine.idle_since = machine.ready_at
        self.fleet[machine.id] = machine
        if self.random.random() < 0.15:
            self.scarce_until = now + self.random.uniform(0, 300)

    def _end(self, machine: Instance, now: float) -> None:
        if machine.order is not None:
            machine.order.visible_at = now
            self.queue.append(machine.order)
        self.bills.append((machine.since, now, machine.rate))
        del self.fleet[machine.id]

    def _work(self, machine: Instance, now: float) -> None:
        if machine.order is not None:
            if now < machine.done_at:
                return
            self.results.append((machine.order.clip, machine.order.token))
            if self.random.random() < 0.03:
                self.results.append((machine.order.clip, machine.order.token))
            machine.order, machine.idle_since = None, now
        self.queue = [order for order in self.queue if now < order.until]
        for order in self.queue:
            if now >= order.visible_at:
                self.queue.remove(order)
                machine.order = order
                machine.done_at = now + self.clip_seconds * self.random.uniform(0.5, 2.0)
                return
        if now >= machine.idle_since + self.grace:
            self.terminate(machine.id, now)

    def costs(self, now: float) -> tuple[dict[float, float], dict[float, float]]:
        """Dollars by true days and months (keyed by their beginning)."""
        days: dict[float, float] = {}
        months: dict[float, float] = {}
        for since, until, rate in (*self.bills, *((m.since, now, m.rate) for m in self.fleet.values())):
            for sums, period in ((days, Period.day), (months, Period.month)):
                at = since
                while at < until:
                    stretch = period(at)
                    upto = min(until, stretch.end)
                    sums[stretch.begin] = sums.get(stretch.begin, 0.0) + (upto - at) * rate
                    at = upto
                last = period(until).begin
                sums[last] = sums.get(last, 0.0) + max(0.0, LEAST - (until - since)) * rate
        return days, months
