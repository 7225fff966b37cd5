"""The pool: who gets which piece of work, and what becomes of it.

    waiting ──dispatch──► leased ──answer──► ended (whoever submitted it decides what follows)
       ▲                   │  │
       │◄──never begun─────┘  └──lease over──► a try has ended (TryEnded): again, or given up
       └◄──worker or broker gone──────────────

Work is never lost here: what is taken in is waiting, leased, or was handed out again by a method of
this class. A lease is void at a restart of the hub. A result counts only with the lease's token and
the worker's incarnation. Of an item that was given out twice (hedging) the first answer counts.

Nobody is harmed by a bad worker but itself. One that is slow wins less in the plan. One that lies about
its speed is found out by the time between its answers. One that hangs is left out when its lease is
over, for longer each time. One that comes and goes (or two that share an id) has to stay before it gets
work again, and a try that ended with it counts only if its process died.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from meerkat_contract.messages import Result, WorkerState

from .crews import Crew, Crews
from .members import STEADY, Member
from .queues import Group, Key, Queues
from .rules import ArrivalEstimate, ArrivalWindow, EctStar, Hedger, Rule
from .work import Answer, Dropped, Flow, Item, Lease, Passed, TryEnded

HEAD = 64
"""How many waiting items one plan looks at."""

PAUSE = 1.0
"""Seconds without work for a worker that handed some back unbegun (its window is full, it is ending)."""

LEASE_FLOOR = 30.0
LEASE_FACTOR = 10.0
"""A lease lasts this many times the predicted time until the answer, and never less than the floor."""

LONGEST_PAUSE = 600.0

REPLAN = 0.02
"""Seconds. A plan may let work wait for a busy worker though another idles. It is made anew when the busy
one is overdue by so much, and then whenever it is overdue by a quarter more."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    rule: Callable[[], Rule] = EctStar
    hedger: Hedger | None = field(default_factory=Hedger)
    lease_floor: float = LEASE_FLOOR


class Pool:
    """Times are monotonic seconds and come with each call. Nothing here reads a clock."""

    def __init__(self, *, first_token: int = 0, settings: PoolSettings | None = None) -> None:
        self.settings = settings or PoolSettings()
        self.queues = Queues()
        self.members: dict[str, Member] = {}
        self.leases: dict[str, list[Lease]] = {}
        """By item."""
        self._token = first_token
        self._crews = Crews(self.members, self._usual_size)
        self._units: dict[str, float] = {}
        """Seconds for one unit of cost, by task; made anew when the workers change."""
        self._paused: dict[str, Member] = {}
        self._in_flight: dict[str, int] = {}
        """Leases by flow."""
        self._copied: set[str] = set()
        self._expiries: list[tuple[float, int, Lease]] = []
        self._gone: dict[str, tuple[str, str, int]] = {}
        """Worker that left with work in its hands → its incarnation, what it was at, how often lately."""
        self._rules: dict[Group, Rule] = {}
        self._arrivals: dict[str, ArrivalWindow] = {}
        self._sizes: dict[str, float] = {}
        self._hedge_at: float | None = None
        self._replan_at: float | None = None
        self._dealing = False
        """Whether work may be sent: since the last `dispatch` the broker has not gone."""

    # --- what waits -----------------------------------------------------------------------------

    def open(self, flow: Flow) -> None:
        """Take items of this flow from now on; a flow of the same id is changed."""
        self.queues.open(flow)
        self._crews.changed()
        self._rules = {group: rule for group, rule in self._rules.items() if group in self._groups()}

    def close(self, flow_id: str) -> tuple[list[Item], list[Lease]]:
        """The flow ends: what waited, and the leases on the rest, which are void."""
        waiting = self.queues.close(flow_id)
        held = [leases for leases in self.leases.values() if leases[0].item.flow == flow_id]
        void = [lease for leases in held for lease in leases]
        for lease in void:
            self._release(lease)
        return waiting, void

    def add(self, item: Item, now: float) -> list[Dropped]:
        """Let it wait; says what its flow had to drop for it. Raises KeyError for an unknown flow."""
        task = self._task(item)
        if self.members:  # else nobody asks how much came lately
            self._arrivals.setdefault(task, ArrivalWindow()).arrive(now, item.cost)
        old = self._sizes.get(task)
        self._sizes[task] = item.size if old is None else old + 0.1 * (item.size - old)
        return self.queues.put(item)

    def again(self, item: Item, *, tried: str | None = None) -> list[Dropped]:
        """An item whose lease is over waits again, before the others. `tried`: who failed at it."""
        if tried is not None:
            item = replace(item, attempts=item.attempts + 1, avoid=item.avoid | {tried})
        return self.queues.put(item, front=True, unit=self._unit(self._task(item)))

    def remove(self, item_id: str) -> Item | None:
        """Forget an item, whether it waits or is leased; None when it is not here."""
        item = self.queues.waiting.get(item_id)
        if item is not None:
            self.queues.remove(item)
            return item
        leases = list(self.leases.get(item_id, ()))
        for lease in leases:
            self._release(lease)
        return leases[0].item if leases else None

    def has(self, item_id: str) -> bool:
        return item_id in self.queues.waiting or item_id in self.leases

    # --- workers --------------------------------------------------------------------------------

    def seen(self, state: WorkerState, now: float) -> tuple[str, list[TryEnded]]:
        """A worker's state as published: what to say of it (often nothing), and tries that ended."""
        known = self.members.get(state.worker)
        ended: list[TryEnded] = []
        if known is not None and known.incarnation != state.incarnation:
            if not state.online:
                return "", []  # the will of an earlier start, later than the new one's greeting
            self._leave(known, now)
            known = None
        elif known is not None and not state.online:
            held = self._leave(known, now)
            again = f"; {held} job{'s wait' if held > 1 else ' waits'} again" if held else ""
            return f"worker {state.worker} is gone{again}", []
        if not state.online:
            return "", []
        if known is not None:
            known.announce(state)
            self._staff_changed()
            return "", []
        member = self.members[state.worker] = Member.of(state, now)
        self._staff_changed()
        said = f"worker {state.worker} is there: {_offers(member)}"
        if (left := self._gone.get(state.worker)) is not None:
            incarnation, item_id, times = left
            member.departures = times
            if times > 1:
                self._pause(member, now + min(LONGEST_PAUSE, PAUSE * 2 ** (times - 1)))
                said += f"; it left {times} times with work in its hands, and gets none for a while"
            if incarnation != state.incarnation and item_id in self.queues.waiting:
                item = self.queues.waiting[item_id]
                self.queues.remove(item)
                ended.append(TryEnded(item, member.id, f"worker {member.id} ended in the middle of it"))
        return said, ended

    def absent(self, worker: str, token: int, now: float) -> None:
        """The broker had nobody for a job: forget the worker until it announces itself. No try counts."""
        member = self.members.get(worker)
        if member is not None and any(lease.token == token for lease in member.leases):
            self._leave(member, now, blame=False)

    def bus_down(self) -> None:
        """Jobs in flight when the broker went may be lost: all of them wait again."""
        self._dealing = False
        every = [lease for leases in self.leases.values() for lease in leases]
        for lease in sorted(every, key=lambda lease: lease.token, reverse=True):
            self._release(lease)
            if lease.item.id not in self.leases:
                self.again(lease.item)

    def _leave(self, member: Member, now: float, *, blame: bool = True) -> int:
        """It is gone; what it held waits again. How many that were."""
        del self.members[member.id]
        self._paused.pop(member.id, None)
        self._staff_changed()
        held = list(member.leases)
        for lease in reversed(held):
            self._release(lease)
            if lease.item.id not in self.leases:
                self.again(lease.item)
        if held and blame:
            steady = now - member.joined >= STEADY
            times = 1 if steady else member.departures + 1
            self._gone[member.id] = (member.incarnation, held[0].item.id, times)
        elif blame:
            self._gone.pop(member.id, None)
        return len(held)

    # --- answers --------------------------------------------------------------------------------

    def answer(self, worker: str, result: Result, now: float) -> Answer | None:
        """A worker's result; None when no lease stands behind it: too late, or not its own."""
        member = self.members.get(worker)
        lease = self._lease(result.job, result.token)
        if (
            member is None
            or lease is None
            or lease.worker != worker
            or lease.incarnation != result.incarnation
        ):
            return None
        unbegun = result.state == "failed" and result.retry and not result.frames and not result.seconds
        if result.state == "done":
            member.learn(lease, result, now)
        member.answered(now)
        self._crews.touched(member)
        if unbegun:
            self._pause(member, now + PAUSE)
        self._release(lease)
        others = tuple(self.leases.get(result.job, ()))
        if result.state == "failed" and result.retry and others:
            return Answer(lease, elsewhere=True)
        for other in others:
            self._release(other)
        return Answer(lease, void=others)

    def not_sent(self, item_id: str, token: int, now: float) -> None:
        """The job never left the hub: it waits on, and no try is counted."""
        lease = self._lease(item_id, token)
        if lease is None:
            return
        self._release(lease)
        if item_id not in self.leases:
            self.again(lease.item)
        if (member := self.members.get(lease.worker)) is not None:
            self._pause(member, now + PAUSE)

    def _lease(self, item_id: str, token: int) -> Lease | None:
        return next((lease for lease in self.leases.get(item_id, ()) if lease.token == token), None)

    def _release(self, lease: Lease) -> None:
        leases = self.leases[lease.item.id]
        leases.remove(lease)
        if not leases:
            del self.leases[lease.item.id]
            self._copied.discard(lease.item.id)
        flow = lease.item.flow
        self._in_flight[flow] -= 1
        if not self._in_flight[flow]:
            del self._in_flight[flow]
        member = self.members.get(lease.worker)
        if member is not None:
            member.drop(lease)
            self._crews.touched(member)

    def _pause(self, member: Member, until: float) -> None:
        member.pause(until)
        self._paused[member.id] = member
        self._crews.changed()

    def _staff_changed(self) -> None:
        self._units.clear()
        self._crews.changed()

    # --- time -----------------------------------------------------------------------------------

    def pass_time(self, now: float) -> Passed:
        """Leases that ran out, and perishable items whose time is over."""
        over: list[Lease] = []
        ended: list[TryEnded] = []
        while self._expiries and (now >= self._expiries[0][0] or not self._stands(self._expiries[0][2])):
            _, _, lease = heappop(self._expiries)
            if not self._stands(lease):
                continue
            self._release(lease)
            over.append(lease)
            member = self.members.get(lease.worker)
            if member is not None:
                member.silent += 1
                self._pause(member, now + min(LONGEST_PAUSE, PAUSE * 5**member.silent))
            if lease.item.id not in self.leases:
                waited = lease.expires - lease.sent
                reason = f"worker {lease.worker} did not answer within {waited:.0f} s"
                ended.append(TryEnded(lease.item, lease.worker, reason))
        return Passed(tuple(over), tuple(ended), tuple(self.queues.late(now)))

    def _stands(self, lease: Lease) -> bool:
        return lease in self.leases.get(lease.item.id, ())

    def wake_at(self) -> float | None:
        """When `pass_time` or `dispatch` may next have something to do by time alone."""
        while self._expiries and not self._stands(self._expiries[0][2]):
            heappop(self._expiries)
        times = [self._expiries[0][0] if self._expiries else None, self.queues.next_deadline()]
        if self._dealing:
            times += [self._hedge_at, self._replan_at]
        if self._dealing and self.queues.waiting:
            times += [member.paused_until for member in self._paused.values()]
        return min((at for at in times if at is not None), default=None)

    # --- dealing out ----------------------------------------------------------------------------

    def dispatch(self, now: float) -> list[Lease]:
        """The jobs to send now, in this order. Not to be called while the broker is away."""
        self._dealing = True
        for member in [member for member in self._paused.values() if now >= member.paused_until]:
            member.paused_until = 0.0
            del self._paused[member.id]
            self._crews.changed()
        self._hedge_at = self._replan_at = None
        sent: list[Lease] = []
        willing: dict[Group, Crew] = {}
        for group in self.queues.groups.values():
            if group.waiting and (crew := self._crews.of(group)).has_room():
                willing[group] = crew
        while willing:
            group, until = self._next_group(willing)
            if not self._deal(group, until, now, sent) or not group.waiting:
                crew = willing.pop(group)
                if group.waiting and crew.has_idle() and (overdue := crew.overdue_at()) is not None:
                    at = max(overdue + REPLAN, now + max(REPLAN, 0.25 * (now - overdue)))
                    self._replan_at = at if self._replan_at is None else min(self._replan_at, at)
        if self.settings.hedger is not None and self.leases:
            self._hedge(self.settings.hedger, now, sent)
        return sent

    def _next_group(self, willing: Iterable[Group]) -> tuple[Group, Key | None]:
        """Whose turn it is, and up to which key it may go before it is another's."""
        groups = list(willing)
        if len(groups) == 1:
            return groups[0], None
        keys = sorted(((group.head_key(), n) for n, group in enumerate(groups)))
        return groups[keys[0][1]], keys[1][0]

    def _deal(self, group: Group, until: Key | None, now: float, sent: list[Lease]) -> bool:
        """Ask the rule about the head of one group; whether more may follow."""
        unit = self._unit(group.task)
        head = group.head(HEAD, unit, until=until) if group.waiting else []
        if not head:
            return False
        avoid = head[0].avoid
        count = next((n for n, item in enumerate(head) if item.avoid != avoid), len(head))
        views = self._crews.of(group).views_without(avoid)
        rule = self._rules.get(group)
        if rule is None:
            rule = self._rules[group] = self.settings.rule()
        jobs = head[:count]
        rate = self._arrivals.setdefault(group.task, ArrivalWindow()).estimate(now).rate
        behind = (group.waiting - count) * sum([job.cost for job in jobs]) / count
        arrivals = ArrivalEstimate(rate, behind)
        chosen = rule.assign(jobs, views, now, arrivals)
        for assignment in chosen:
            item = self.queues.waiting[assignment.job]
            self.queues.take(item, unit)
            sent.append(self._lend(item, group.task, self.members[assignment.worker], now))
        return len(chosen) == count

    def _lend(self, item: Item, task: str, member: Member, now: float, *, copy: bool = False) -> Lease:
        self._token += 1
        seconds = member.seconds(task)
        wait = member.held_seconds + item.cost * seconds + member.link.round_trip(item.size)
        expires = now + max(self.settings.lease_floor, LEASE_FACTOR * wait)
        lease = Lease(item, task, member.id, member.incarnation, self._token, now, expires, copy)
        member.take(lease)
        self._crews.touched(member)
        self._in_flight[item.flow] = self._in_flight.get(item.flow, 0) + 1
        self.leases.setdefault(item.id, []).append(lease)
        heappush(self._expiries, (expires, lease.token, lease))
        return lease

    def _hedge(self, hedger: Hedger, now: float, sent: list[Lease]) -> None:
        """Copies of stragglers, where nothing waits and a worker idles."""
        wakes: list[float] = []
        for group in self._groups_in_flight():
            if group.waiting:
                continue
            crew = self._crews.of(group)
            if not (crew.has_idle() and crew.has_busy()):
                continue
            hedge = hedger.hedge(crew.views, self._copied, now)
            for copy in hedge.copies:
                lease = self.leases[copy.job][0]
                if self._may_copy(lease, group, copy.worker, now):
                    self._copied.add(copy.job)
                    sent.append(self._lend(lease.item, lease.task, self.members[copy.worker], now, copy=True))
            if hedge.wake_at is not None:
                wakes.append(max(hedge.wake_at, now + 0.001))
        self._hedge_at = min(wakes, default=None)

    def _may_copy(self, lease: Lease, group: Group, worker: str, now: float) -> bool:
        item = lease.item
        return (
            self.queues.group(item.flow) is group
            and worker not in item.avoid
            and now < item.deadline
            and item.id not in self._copied
        )

    def _groups_in_flight(self) -> list[Group]:
        groups = (self.queues.group(flow_id) for flow_id in self._in_flight)
        return list(dict.fromkeys(group for group in groups if group is not None))

    def _usual_size(self, task: str) -> float:
        return self._sizes.get(task, 0.0)

    def _groups(self) -> set[Group]:
        return set(self.queues.groups.values())

    def _task(self, item: Item) -> str:
        flow = self.queues.flow(item.flow)
        if flow is None:
            raise KeyError(item.flow)
        return flow.task

    def _unit(self, task: str) -> float:
        """Seconds that the pool needs for one unit of cost, so that flows of unlike tasks compare."""
        unit = self._units.get(task)
        if unit is None:
            seconds = [member.seconds(task) for member in self.members.values() if task in member.tasks]
            unit = self._units[task] = sum(seconds) / len(seconds) if seconds else 1.0
        return unit


def _offers(member: Member) -> str:
    said = [f"{task.task} {task.frames_per_second:.1f} frames a second" for task in member.tasks.values()]
    return ", ".join(said) or "it offers no task"
