"""The ledger: no machine runs that is not paid for until it has surely ended, under both ceilings.

Every machine that runs or is asked for (a *slot*) has money set apart for `hold` seconds from the last
look at the fleet. So long it runs at most when nobody cares for it any more: an order says until when it is
wanted, then the queue is empty, then the worker's idle grace ends it. Each `observe`

    books what has run since (unwritten → a line of kind spent, at most every `CHUNK` seconds),
    tops up what is set apart to `hold` and a chunk more, as long as `available` allows it,
    names machines to be ended *before* that money is used up,
    and gives back what machines that ended, or were never launched, have left.

    available = min over day and month of (ceiling - spent) - reserved
    spent     = written lines + what runs and is not written yet
    reserved  = open reservations - what runs and is not written yet

Pure: times come in as a `Moment`, lines go out to be stored in the same transaction as the decision. A hub
that is started anew gives them back to `load`; the fleet's own ages then tell what has run meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import fsum, inf

from meerkat_cloud_burst.settings import BurstSettings

from .books import Books
from .clocks import Clocks, Moment, Period
from .forecast import forecast
from .making import idle_grace
from .view import LedgerEntry, MoneyView

LEAST_BILLED = 60.0
"""EC2 bills by the second, a minute at least."""

ENDING = 60.0
"""Seconds from asking that a machine be ended to its last billed second."""

CLOCK_ERROR = 300.0
"""The times in an order may be wrong by this: AWS serves nobody whose clock is further off."""

CHUNK = 120.0
"""Seconds for which money is topped up, and after which what has run is written."""

PATIENCE = 180.0
"""Seconds within which a launch that was paid for is asked of the cloud, or never."""

UNSEEN = 60.0
"""A machine lives longer than this: between looks that are no further apart none can come and go unseen."""

DUST = 1e-9


@dataclass(frozen=True, slots=True)
class Terms:
    """What machines cost, the ceilings, and how long one may run by itself. Dollars and seconds."""

    per_day: float
    per_month: float
    instance_hour: float
    """The most that an hour of a machine that is launched now may be billed."""
    hold: float
    """A machine that nobody cares for has surely ended after so long: it boots, works off what was ordered
    until that expires, at most a clip more, waits its idle grace and ends."""
    boot: float = 90.0

    @classmethod
    def of(cls, settings: BurstSettings) -> Terms:
        money = settings.money
        work = settings.timeout + CLOCK_ERROR + 2 * settings.clip_seconds
        hold = settings.boot + work + idle_grace(settings) + ENDING
        return cls(money.per_day, money.per_month, money.instance_hour, hold, settings.boot)

    @property
    def lead(self) -> float:
        """Seconds that must be paid before a launch: to boot, to be of use, and to end."""
        return self.hold + self.boot + 3 * CHUNK


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance as the fleet shows it: pending, running or ending. `age` in seconds since its launch."""

    id: str
    age: float


@dataclass(frozen=True, slots=True)
class Refused:
    """Why money could not be set apart."""

    needed: float
    available: float
    reason: str


@dataclass(frozen=True, slots=True)
class Observed:
    """Lines to store, and machines to end because the money for their next stretch is not there."""

    entries: tuple[LedgerEntry, ...] = ()
    end: tuple[str, ...] = ()
    desired: int | None = None
    """Ask for so many, as launches that are not there yet cannot be paid either."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """One day or month (UTC), in dollars. `spent` and `reserved` together never pass `ceiling`."""

    spent: float
    reserved: float
    ceiling: float
    forecast: float
    """What will be spent by its end at the present pace; never above the ceiling."""
    ends: float
    """Unix seconds."""


@dataclass(slots=True)
class _Account:
    """A machine that is seen. Seconds since its launch, as billed, and what of that is not written."""

    ahead: float
    """Seconds that are paid from now on."""
    seconds: float = 0.0
    unwritten: float = 0.0
    dollars: float = 0.0
    dropped: bool = False
    """It is being ended; nothing is topped up for it."""

    def begin(self, seconds: float, written: float, rate: float) -> None:
        self.seconds = seconds
        self.unwritten = max(0.0, max(LEAST_BILLED, seconds) - written)
        self.dollars = self.unwritten * rate

    def run(self, seconds: float, rate: float) -> None:
        before = max(LEAST_BILLED, self.seconds)
        self.seconds += seconds
        self.ahead = max(0.0, self.ahead - seconds)
        billed = max(LEAST_BILLED, self.seconds) - before
        self.unwritten += billed
        self.dollars += billed * rate


@dataclass(slots=True)
class _Fleet:
    """What the last look showed."""

    accounts: dict[str, _Account] = field(default_factory=dict)
    pending: int = 0
    """Slots without a machine."""
    hoped: int = 0
    """Slots that were paid for and may not show in the fleet's desired size yet ..."""
    hoped_until: float = -inf
    """... until then, by the steady clock."""
    blind: float = 0.0
    """The longest time between two looks while slots had no machine."""


class Ledger:
    def __init__(self, terms: Terms, new_id: Callable[[], str]) -> None:
        self._terms = terms
        self._rate = terms.instance_hour / 3600
        self._books = Books(new_id)
        self._clocks = Clocks()
        self._fleet = _Fleet()
        self._looked = False
        self._last_line: float | None = None
        """When an earlier run wrote last, by the wall clock."""

    @property
    def terms(self) -> Terms:
        return self._terms

    def load(self, entries: Iterable[LedgerEntry], now: Moment) -> None:
        """Take up the stored lines: those of the last 70 days are enough. Once, before anything else."""
        self._clocks.advance(now)
        self._books.load(entries, now, self._clocks)
        self._rate = max(self._rate, self._books.dearest)
        self._last_line = self._books.latest

    def reserve(self, machines: int, now: Moment, reason: str = "") -> tuple[LedgerEntry, ...] | Refused:
        """Pay for `machines` launches: store the lines, then ask the fleet, within PATIENCE seconds."""
        seconds = self._terms.lead
        needed = machines * seconds * self._rate
        available = self.available(now)
        if needed > available + DUST:
            each = f"{machines} x {seconds:.0f} s at ${self._rate * 3600:g}/h = ${needed:.4f}"
            return Refused(needed, available, f"{each} is more than the ${available:.4f} that are left")
        fleet = self._fleet
        hoped = fleet.hoped if now.steady < fleet.hoped_until else 0
        fleet.hoped = max(hoped, len(fleet.accounts) + fleet.pending) + machines
        fleet.hoped_until = now.steady + PATIENCE
        fleet.pending += machines
        return (self._books.reserve(needed, machines * seconds, now, reason),)

    def launch_failed(self) -> None:
        """The fleet refused what was paid for last; the next `observe` gives the money back."""
        self._fleet.hoped_until = -inf

    def observe(
        self, machines: Sequence[Machine], desired: int, now: Moment, instance_hour: float | None = None
    ) -> Observed:
        """Once a look: all machines that are billed, and how many the fleet is asked to hold.

        `instance_hour`: the price from now on, when it changes.
        """
        ran, leap = self._clocks.advance(now)
        entries = [self._books.leapt(leap, now)] if leap else []
        self._price(instance_hour)
        down = self._down(now)
        fleet = self._fleet
        appeared = self._follow(machines, ran, now, entries)
        for id, account in fleet.accounts.items():
            self._write(id, account, now, entries, every=CHUNK)
        hoped = fleet.hoped if now.steady < fleet.hoped_until else 0
        self._pend(max(0, max(desired, hoped) - len(machines)), appeared, ran, now, entries)
        if down is not None:
            self._settle_start(down, now, entries)
        self._looked = True
        end, cut = self._hold(now, entries)
        self._give_back(now, entries)
        self._books.forget_old(now)
        if not end and not cut:
            return Observed(tuple(entries))
        kept = sum(not account.dropped for account in fleet.accounts.values()) + fleet.pending - cut
        money = self._terms
        ceilings = f"${money.per_day:.2f} a day and ${money.per_month:.2f} a month"
        left = f"${self.available(now):.4f} are left under {ceilings}"
        reason = f"{left}: no machine runs on that is not paid for {money.hold:.0f} s ahead"
        return Observed(tuple(entries), end, kept, reason)

    def available(self, now: Moment) -> float:
        """Dollars that are neither spent nor set apart, under both ceilings."""
        day, month = self._spent(Period.day(now.wall), now), self._spent(Period.month(now.wall), now)
        room = min(self._terms.per_day - day, self._terms.per_month - month)
        return max(0.0, room - self._reserved(now))

    def view(self, now: Moment) -> MoneyView:
        return MoneyView(self.available(now), self._rate * 3600, self._terms.lead, self._runway(now))

    def _runway(self, now: Moment) -> float:
        """Seconds for which what runs and is not being ended can still be held."""
        accounts = self._fleet.accounts.values()
        slots = sum(not account.dropped for account in accounts) + self._fleet.pending
        if not slots:
            return 0.0 if accounts else inf
        kept = fsum(account.ahead for account in accounts if account.dropped)
        held = (slots * self._terms.hold + kept) * self._rate
        return max(0.0, (self._reserved(now) + self.available(now) - held) / (slots * self._rate))

    def today(self, now: Moment) -> Totals:
        return self._totals(Period.day(now.wall), self._terms.per_day, 86_400.0, now)

    def month(self, now: Moment) -> Totals:
        return self._totals(Period.month(now.wall), self._terms.per_month, 7 * 86_400.0, now)

    # --- sums ---------------------------------------------------------------------------------------

    def _unwritten(self, now: Moment) -> float:
        """Dollars that machines have run up since they were last written."""
        ran = self._clocks.progress(now)
        return fsum(account.dollars + ran * self._rate for account in self._fleet.accounts.values())

    def _spent(self, period: Period, now: Moment) -> float:
        return self._books.spent(period, now, self._clocks.doubt(now)) + self._unwritten(now)

    def _reserved(self, now: Moment) -> float:
        return max(0.0, self._books.reserved - self._unwritten(now))

    def _totals(self, period: Period, ceiling: float, pace: float, now: Moment) -> Totals:
        spent = self._spent(period, now)
        recent, reach = self._books.spent_within(pace, now)
        at_end = forecast(spent, recent + self._unwritten(now), reach, period.end - now.wall)
        return Totals(spent, self._reserved(now), ceiling, max(spent, min(ceiling, at_end)), period.end)

    # --- one look -----------------------------------------------------------------------------------

    def _price(self, instance_hour: float | None) -> None:
        """A dearer price holds at once; a lower one when no machine of the dearer time is left."""
        if instance_hour is not None:
            self._terms = replace(self._terms, instance_hour=instance_hour)
        stated = self._terms.instance_hour / 3600
        empty = not self._fleet.accounts and not self._fleet.pending and self._books.reserved <= DUST
        self._rate = stated if empty else max(stated, self._rate)

    def _follow(
        self, machines: Sequence[Machine], ran: float, now: Moment, entries: list[LedgerEntry]
    ) -> int:
        """Bring the accounts to now. Returns how many machines are new."""
        accounts = self._fleet.accounts
        seen = {machine.id for machine in machines}
        for id in [id for id in accounts if id not in seen]:
            account = accounts.pop(id)
            account.run(min(ran, self._terms.hold), self._rate)
            self._write(id, account, now, entries, every=0.0)
            self._books.forget(id)
        for account in accounts.values():
            account.run(ran, self._rate)
        new = [machine for machine in machines if machine.id not in accounts]
        for machine in new:
            age = self._age(machine, ran, now)
            accounts[machine.id] = _Account(self._terms.hold)
            accounts[machine.id].begin(age, self._books.recorded.get(machine.id, 0.0), self._rate)
        return len(new)

    def _age(self, machine: Machine, ran: float, now: Moment) -> float:
        """Seconds that a machine has run that was not there at the last look.

        A clock that has leapt says nothing of an age: then it has run ever since that look. At the first
        look of this run it has run as long as the fleet says, and at least since its last line.
        """
        doubtful = self._clocks.doubt(now) > 0
        if self._looked:
            return machine.age if 0 < machine.age <= ran + UNSEEN and not doubtful else max(ran, 1.0)
        written = self._books.recorded.get(machine.id, 0.0)
        since = max(0.0, now.wall - self._books.last_of.get(machine.id, now.wall))
        alone = self._terms.hold + CHUNK + UNSEEN if doubtful else since
        return max(machine.age, written + alone, 1.0)

    def _pend(self, pending: int, appeared: int, ran: float, now: Moment, entries: list[LedgerEntry]) -> None:
        """Slots without a machine. One that goes without having been seen may have run between two looks."""
        fleet = self._fleet
        fleet.blind = max(fleet.blind, ran) if fleet.pending else 0.0
        lost = max(0, fleet.pending - appeared - pending)
        fleet.pending = pending
        if not lost or fleet.blind <= UNSEEN:
            return
        each = max(LEAST_BILLED, min(fleet.blind, self._terms.hold))
        reason = f"{lost} never seen may have run, as nobody looked for {fleet.blind:.0f} s"
        entries += self._books.spend(lost * each * self._rate, lost * each, "", now, reason)

    def _down(self, now: Moment) -> float | None:
        """At the first look after a restart: how long the hub may have been away, inf if nobody knows."""
        if self._looked or self._last_line is None:
            return None
        return inf if self._clocks.doubt(now) else max(0.0, now.wall - self._last_line)

    def _settle_start(self, down: float, now: Moment, entries: list[LedgerEntry]) -> None:
        """What was set apart for machines that are gone: they may have run while the hub was down."""
        fleet, hold = self._fleet, self._terms.hold
        slots = len(fleet.accounts) + fleet.pending
        excess = self._books.reserved - self._unwritten(now) - slots * hold * self._rate
        if excess > DUST:
            dollars = excess * min(1.0, (down + CHUNK + UNSEEN) / hold)
            reason = "machines that have ended may have run while the hub was down"
            entries += self._books.spend(dollars, dollars / self._rate, "", now, reason)

    def _write(
        self, id: str, account: _Account, now: Moment, entries: list[LedgerEntry], *, every: float
    ) -> None:
        if account.dollars > 0 and account.unwritten >= every:
            ran = f"{id} has run {account.seconds:.0f} s"
            entries += self._books.spend(account.dollars, account.unwritten, id, now, ran)
            account.unwritten = account.dollars = 0.0

    def _hold(self, now: Moment, entries: list[LedgerEntry]) -> tuple[tuple[str, ...], int]:
        """Top up, or choose the youngest to be ended: (their ids, launches to be withdrawn)."""
        fleet, hold = self._fleet, self._terms.hold
        living = sorted(
            (id for id, account in fleet.accounts.items() if not account.dropped),
            key=lambda id: fleet.accounts[id].seconds,
        )
        ending = [id for id, account in fleet.accounts.items() if account.dropped]
        end: list[str] = []
        cut = 0
        while slots := len(living) + fleet.pending - cut:
            kept = sum(max(LEAST_BILLED, fleet.accounts[id].ahead) for id in (*end, *ending)) + cut * hold
            short = self._unwritten(now) + (slots * hold + kept) * self._rate - self._books.reserved
            room = self.available(now)
            going = bool(end or ending or cut)
            full = short + slots * CHUNK * self._rate
            if short <= 0:
                break
            if full <= room or (short <= room and (going or slots == 1)):
                amount = full if full <= room else short if going else room
                reason = f"{slots} machines for the next {hold:.0f} s and more"
                entries.append(self._books.reserve(amount, amount / self._rate, now, reason))
                break
            if cut < fleet.pending:
                cut += 1
            else:
                end.append(living.pop(0))
        for id in end:
            fleet.accounts[id].dropped = True
        for id in living:
            fleet.accounts[id].ahead = hold
        return (*ending, *end), cut

    def _give_back(self, now: Moment, entries: list[LedgerEntry]) -> None:
        """Release what is set apart beyond a full lead for each slot."""
        slots = len(self._fleet.accounts) + self._fleet.pending
        excess = self._books.reserved - self._unwritten(now) - slots * self._terms.lead * self._rate
        if excess > DUST:
            entries += self._books.release(excess, now, f"{slots or 'no'} machines run or are asked for")
