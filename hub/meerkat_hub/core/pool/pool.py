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
over, and one that fails at everything after three jobs, for longer each time (`trust`). One that comes and
goes (or two that share an id) has to stay before it gets work again, and a try that ended with it counts
only if its process died.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

from meerkat_contract.messages import Result, WorkerState
from meerkat_hub.core.rules import ArrivalEstimate
from meerkat_hub.core.times import soonest

from .aside import Aside
from .attendance import PAUSE, Attendance, pause_of
from .copies import stragglers
from .crews import Crew, Crews, by_avoid
from .demand import Demand
from .fair_order import Key
from .lease_book import LeaseBook
from .members import Member
from .passing import NEXT, Passing
from .queues import Group, Queues, next_group
from .rulebook import Rulebook
from .settings import PoolSettings
from .trust import Trust
from .urgency import Urgency
from .work import NOTHING_PASSED, Answer, Dropped, Flow, Item, Lease, Passed, Priority, TryEnded

HEAD = 24
"""How many waiting items one plan looks at; those behind are counted. Thirty clips take 1.096 of the optimum
with this, 32 or 64, and 1.110 with 16 (median of 100 seeds; of 20: 1.056 and 1.109)."""

FREE_RETURNS = 4
"""An item may come back unbegun so often; then each return is a try that ended without a result."""

REPLAN = 0.02
"""Seconds. A plan may let work wait for a busy worker though another idles. It is made anew when the busy
one is overdue by so much, and then whenever it is overdue by a quarter more."""


class Pool:
    """Times are monotonic seconds and come with each call. Nothing here reads a clock."""

    def __init__(self, *, first_token: int = 0, settings: PoolSettings | None = None) -> None:
        self.settings = settings or PoolSettings()
        self.members: dict[str, Member] = {}
        self.queues = Queues(lambda group: self._crews.neighbours(group, self.queues.groups.values()))
        self._book = LeaseBook()
        self.leases: Mapping[str, list[Lease]] = self._book.by_item
        self._token = first_token
        self._demand = Demand(self.members)
        self._urgency = Urgency()
        self._crews = Crews(self.members, self._demand.usual_size)
        self._passing = Passing(self.queues, self._crews)
        self._paused: dict[str, Member] = {}
        self._attendance = Attendance()
        self._trust = Trust(self.members, self.queues, self._pause)
        self.aside = Aside()
        self._lost: list[Dropped] = []
        self._ended: list[TryEnded] = []
        """What `pass_time` has to tell."""
        self._rules = Rulebook(self.settings.rule)
        self._went_ahead = False
        """The last `dispatch` sent a job that goes ahead of others."""
        self._hedge_at: float | None = None
        self._replan_at: float | None = None
        self._dealing = False
        """Whether work may be sent: since the last `dispatch` the broker has not gone."""

    # --- what waits -----------------------------------------------------------------------------

    def open(self, flow: Flow) -> None:
        """Take items of this flow from now on; a flow of the same id is changed."""
        self.queues.open(flow)
        self._crews.changed()
        self._rules.keep(set(self.queues.groups.values()))

    def close(self, flow_id: str) -> tuple[list[Item], list[Lease]]:
        """The flow ends: what waited, and the leases on the rest, which are void."""
        waiting = self.aside.close(flow_id) + self.queues.close(flow_id)
        void = [lease for lease in self._book if lease.item.flow == flow_id]
        for lease in void:
            self._release(lease)
        return waiting, void

    def add(self, item: Item, now: float) -> list[Dropped]:
        """Let it wait; says what its flow had to drop for it. Raises KeyError for an unknown flow."""
        task = self.queues.flow_of(item).task
        if item.priority is Priority.URGENT:
            item = self._urgency.within(item, item.cost * self._demand.pool_seconds(task), now)
        self._demand.came(item, task, now)
        self._passing.came(item)
        return self.queues.put(item)

    def again(self, item: Item, *, tried: str | None = None) -> list[Dropped]:
        """An item whose try has ended waits again, before the others. `tried`: who failed at it."""
        if tried is not None:
            item = replace(item, attempts=item.attempts + 1, avoid=item.avoid | {tried})
        return self.queues.put(item, front=True)

    def remove(self, item_id: str) -> Item | None:
        """Forget an item, whether it waits or is leased; None when it is not here."""
        item = self.queues.waiting.get(item_id)
        if item is not None:
            self.queues.remove(item)
            return item
        if (item := self.aside.pop(item_id)) is not None:
            return item
        leases = list(self.leases.get(item_id, ()))
        for lease in leases:
            self._release(lease)
        return leases[0].item if leases else None

    def has(self, item_id: str) -> bool:
        return item_id in self.queues.waiting or item_id in self.leases or item_id in self.aside

    def _put_back(self, lease: Lease) -> None:
        """A lease is over that was not the item's fault: it waits again, and its flow has paid nothing."""
        if lease.item.id not in self.leases:
            self._lost += self.queues.put(lease.item, front=True, refund=lease.charge)

    def _returned(self, lease: Lease, now: float, reason: str) -> None:
        """It came back unbegun. Once may be; then it steps aside, for others can be done meanwhile."""
        item = lease.item = replace(lease.item, returns=lease.item.returns + 1)
        if item.id in self.leases:
            return
        if item.returns == 1:
            self._put_back(lease)
        elif item.returns > FREE_RETURNS:
            self._ended.append(TryEnded(item, lease.worker, reason))
        else:
            self.aside.put(item, now + pause_of(item.returns - 1, 2.0))

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
            if known.announce(state):
                self._staff_changed()
            if not known.greeted:
                known.greeted = True
                known.heard(now)
            self._crews.touched(known)
            return "", []
        member = self.members[state.worker] = Member.of(state, now)
        self._staff_changed()
        back = self._attendance.back(state.worker, state.incarnation, now)
        said = f"worker {state.worker} is there: {member.offers}{back.words}"
        if back.pause:
            self._pause(member, now + back.pause)
        if back.ended_at is not None:
            ended += self._blame(back.ended_at, member.id)
        return said, ended

    def _blame(self, item_id: str, worker: str) -> list[TryEnded]:
        """The worker's process ended in the middle of this item, which counts wherever it is now."""
        item = self.queues.waiting.get(item_id)
        if item is not None:
            self.queues.remove(item)
            return [TryEnded(item, worker, f"worker {worker} ended in the middle of it")]
        for lease in self.leases.get(item_id, ()):
            was = lease.item
            lease.item = replace(was, attempts=was.attempts + 1, avoid=was.avoid | {worker})
        return []

    def absent(self, worker: str, token: int | None, now: float) -> bool:
        """The broker had nobody for a job: forget the worker until it announces itself. No try counts.

        A `token` of None: whatever it holds. Whether it was here with that job.
        """
        member = self.members.get(worker)
        if member is None or not (token is None or any(lease.token == token for lease in member.leases)):
            return False
        self._leave(member, now, blame=False)
        return True

    def bus_down(self) -> None:
        """Jobs in flight when the broker went may be lost: all of them wait again."""
        self._dealing = False
        for member in self.members.values():
            member.met = member.greeted = False
        for lease in sorted(self._book, key=lambda lease: lease.token, reverse=True):
            self._release(lease)
            self._put_back(lease)

    def _leave(self, member: Member, now: float, *, blame: bool = True) -> int:
        """It is gone; what it held waits again. How many that were."""
        del self.members[member.id]
        self._paused.pop(member.id, None)
        self._staff_changed()
        held = list(member.leases)
        at = held[0].item.id if held else None
        died = blame and not self._attendance.is_shared(member.id)
        for lease in reversed(held):
            self._release(lease)
            if died and lease.item.id == at and lease.item.attempts and at not in self.leases:
                reason = f"worker {member.id} left in the middle of it, as others did"
                self._ended.append(TryEnded(lease.item, member.id, reason))
                at = None
            else:
                self._put_back(lease)
        if blame:
            at = at or ("" if held else None)
            self._attendance.left(member.id, member.incarnation, at, now, member.joined)
        return len(held)

    # --- answers --------------------------------------------------------------------------------

    def answer(self, worker: str, result: Result, now: float) -> Answer | None:
        """A worker's result; None when no lease stands behind it: too late, or not its own."""
        member = self.members.get(worker)
        lease = self._book.of(result.job, result.token)
        if member is None or member.incarnation != result.incarnation:
            return None
        if lease is None or lease.worker != worker or lease.incarnation != result.incarnation:
            self._late_answer(member, result, now)
            return None
        unbegun = result.state == "failed" and result.retry and not result.frames and not result.seconds
        if result.state == "done":
            member.learn(lease, result, now)
            if lease.task not in member.sound:
                self._trust.did(member, lease.task)
        member.answered(now)
        self._release(lease)
        others = tuple(self.leases.get(result.job, ()))
        if unbegun:
            self._pause(member, now + PAUSE)
            self._returned(lease, now, result.reason or f"worker {worker} handed it back")
            return Answer(lease, kept=True)
        if result.state == "failed" and result.retry:
            counts = self._trust.failed(member, lease, result.reason, now)
            if others:
                return Answer(lease, kept=True)
            if not counts:
                lease.item = replace(lease.item, avoid=lease.item.avoid | {worker})
                self._put_back(lease)
                return Answer(lease, kept=True)
        for other in others:
            self._release(other)
        return Answer(lease, void=others)

    def _late_answer(self, member: Member, result: Result, now: float) -> None:
        """Its lease is over and it counts for nothing; but it tells how slow the worker is."""
        lease = self._book.take_over(result.job, result.token)
        if lease is None or lease.worker != member.id or lease.incarnation != result.incarnation:
            return
        member.learn_late(lease, result, now)
        member.answered(now)
        member.heard(now)
        self._crews.touched(member)

    def not_sent(self, item_id: str, token: int, now: float, reason: str = "it could not be sent") -> None:
        """The job never left the hub: it waits on."""
        lease = self._book.of(item_id, token)
        if lease is None:
            return
        self._release(lease)
        self._returned(lease, now, reason)
        if (member := self.members.get(lease.worker)) is not None:
            self._pause(member, now + PAUSE)

    def _release(self, lease: Lease) -> None:
        self._book.remove(lease)
        member = self.members.get(lease.worker)
        if member is not None:
            member.drop(lease)
            self._crews.touched(member)

    def _pause(self, member: Member, until: float, *, silent: bool = False) -> None:
        member.pause(until, silent=silent)
        self._paused[member.id] = member
        self._crews.changed()

    def _staff_changed(self) -> None:
        self._demand.price_anew()
        self._crews.changed()

    # --- time -----------------------------------------------------------------------------------

    def pass_time(self, now: float) -> Passed:
        """Leases that ran out, and perishable items whose time is over."""
        ended, self._ended = self._ended, []
        end = self._book.next_end()
        over = self._run_out(now, ended) if end is not None and now >= end else []
        if self.aside:
            back, late = self.aside.over(now)
            for item in back:
                self._lost += self.queues.put(item, front=True)
            self._lost += [Dropped(item, "late") for item in late]
        lost, self._lost = self._lost, []
        lost += self.queues.late(now)
        news = self._urgency.news()
        if self._trust.untold:
            news += self._trust.news()
        if not (over or ended or lost or news):  # as nearly always
            return NOTHING_PASSED
        return Passed(tuple(over), tuple(ended), tuple(lost), news)

    def _run_out(self, now: float, ended: list[TryEnded]) -> list[Lease]:
        """The leases whose time is over; what has no other lease has ended a try."""
        over: list[Lease] = []
        for lease in self._book.run_out(now):
            over.append(lease)
            member = self.members.get(lease.worker)
            if member is not None:
                member.drop(lease)
                self._crews.touched(member)
            if lease.item.id not in self.leases:
                waited = lease.expires - lease.sent
                reason = f"worker {lease.worker} did not answer within {waited:.0f} s"
                ended.append(TryEnded(lease.item, lease.worker, reason))
        self._trust.ran_out(over, now)
        return over

    def wake_at(self) -> float | None:
        """When `pass_time` or `dispatch` may next have something to do by time alone."""
        times = [self._book.next_end(), self.queues.next_deadline()]
        if self.aside:
            times.append(self.aside.wake_at())
        if self._dealing:
            times += [self._hedge_at, self._replan_at]
            if self._paused and self.queues.waiting:
                times += [member.paused_until for member in self._paused.values()]
        return soonest(times)

    # --- dealing out ----------------------------------------------------------------------------

    def dispatch(self, now: float) -> list[Lease]:
        """The jobs to send now, in this order. Not to be called while the broker is away.

        A step sends one job that goes ahead of others, or deals out; what is left follows in the next.
        """
        self._dealing = True
        if self._paused:
            self._let_back_in(now)
        self._demand.pass_time(now)
        self._hedge_at = self._replan_at = None
        looks = self._passing.looks
        ahead = self._passing.next(now, self._demand.unit) if looks and not self._went_ahead else None
        if ahead is not None:
            charge = self.queues.take(ahead.item, self._demand.unit(ahead.task))
            self._went_ahead, self._replan_at = True, now + NEXT
            return [self._lend(ahead.item, ahead.member, now, charge, ahead.place)]
        if looks and (self._went_ahead or self._passing.left):
            self._replan_at = now + NEXT
        self._went_ahead = False
        sent: list[Lease] = []
        willing: dict[Group, Crew] = {}
        for group in self.queues.groups.values():
            if group.waiting and (crew := self._crews.of(group)).has_room():
                willing[group] = crew
        if not self._rules.may_give(willing):
            willing.clear()
        while willing:
            group, until = next_group(willing)
            if not self._deal(group, until, now, sent) or not group.waiting:
                crew = willing.pop(group)
                if group.waiting and crew.has_idle() and (overdue := crew.overdue_at()) is not None:
                    at = max(overdue + REPLAN, now + max(REPLAN, 0.25 * (now - overdue)))
                    self._replan_at = at if self._replan_at is None else min(self._replan_at, at)
        if self.settings.hedger is not None and self.leases and self._crews.somebody_idles():
            copies, self._hedge_at = stragglers(
                self.settings.hedger, self._book, self.queues, self._crews, now
            )
            sent += [self._lend(lease.item, m, now) for lease, m in copies]
        return sent

    def _let_back_in(self, now: float) -> None:
        for member in [member for member in self._paused.values() if now >= member.paused_until]:
            member.paused_until = 0.0
            del self._paused[member.id]
            self._crews.changed()

    def _deal(self, group: Group, until: Key | None, now: float, sent: list[Lease]) -> bool:
        """Ask the rule about the head of one group; whether more may follow."""
        unit = self._demand.unit(group.task)
        head = group.head(HEAD, unit, until=until) if group.waiting else []
        if not head:
            return False
        crew = self._crews.of(group)
        behind = float(group.waiting - len(head))
        if behind:
            behind *= sum([item.cost for item in head]) / len(head)
        arrivals = ArrivalEstimate(self._demand.rate(group.task, now), behind)
        rule = self._rules.of(group)
        left = len(head)
        for avoid, jobs in by_avoid(head).items():
            for assignment in rule.assign(jobs, crew.views_without(avoid), now, arrivals):
                item = self.queues.waiting[assignment.job]
                charge = self.queues.take(item, unit)
                sent.append(self._lend(item, self.members[assignment.worker], now, charge))
                left -= 1
        return left == 0

    def _lend(
        self, item: Item, member: Member, now: float, charge: float = 0.0, place: int | None = None
    ) -> Lease:
        self._token += 1
        flow = self.queues.flow_of(item)
        task = flow.task
        seconds = member.seconds(task)
        wait = member.held_seconds + item.cost * seconds + member.link.round_trip(item.size)
        left = item.deadline - now if flow.bound is not None else inf
        expires = now + self.settings.lease_seconds(wait, item.attempts, left)
        alone, copy = not member.leases, item.id in self.leases
        lease = Lease(
            item, task, member.id, member.incarnation, self._token, now, expires, charge, alone, copy
        )
        lease.unmet = not member.met
        member.take(lease, place)
        self._crews.touched(member)
        self._book.add(lease)
        return lease

    def another_may(self, item: Item, worker: str) -> bool:
        """Whether somebody else does such work now, who has not failed at this item."""
        group = self.queues.group(item.flow)
        return group is not None and self._crews.of(group).has_others({worker, *item.avoid})
