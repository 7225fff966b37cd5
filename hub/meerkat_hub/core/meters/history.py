"""One meter's history: every picture and every word of the owner, in order of time, and what is believed.

What becomes of a picture, and who moves it on:

    state          means                                         moved by
    ─────────────  ────────────────────────────────────────────  ─────────────────────────────────────────
    accepted       on the chain that explains most pictures      later pictures that agree with each other
                   (`chain`), and sure or confirmed               and not with it → implausible, held
    held           it may be right: unusual flow, an unsure      a later picture that goes with it →
                   picture, near zero as a new meter is           accepted; one that does not → implausible;
                                                                  one that is surer → stays held, for good
    implausible    it shows what cannot be: behind the one       a second picture that agrees with it and
                   before, more than can have flowed              not with those before → accepted
    unreadable     it shows no reading                           the owner
    corrected      accepted, with source `owner`: every chain    the owner: another value, no reading at
                   leads through it                               all, or the picture's own again

Every row is in exactly one of them. The state follows from the rows alone, not from the order in which
they came: a picture that comes late takes its place, and all after it are judged again. So is the total:

    total = value + offset; the offset changes at a rollover by the span, and at an exchange of the
    meter by what the old one showed last minus what the new one began with

An owner who tells of no exchange is asked; two sure pictures near zero are taken for one, and what
flowed between the old meter's last picture and the new one's first is missing until the owner says it.

Nothing here does input or output or reads a clock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import islice

from meerkat_contract.errors import MeerkatError
from meerkat_contract.meter_messages import MeterReading, MeterVerdict

from .chain import BEHIND, Front, Link, advance, scale_of
from .flow import wrong_with
from .rows import Learnt, Outcome, PictureSeen, ReadingRow, Source, parts
from .settings import MeterSettings, Rules
from .verdicts import RUN, accepted, confirmed, set_aside

KEEP = 1000
"""Rows held in mind: 40 days of hourly pictures. The database has all."""
SLACK = 200
TOO_LATE = "it came so late that the readings after it are settled"


class UnknownReading(MeerkatError):
    """The owner speaks of a picture that the history does not hold."""


class MeterHistory:
    """Of one counter of one meter of one device.

    rows: the stored ones, in any order; the newest KEEP are enough. `loaded` is what this version of the
    rules makes of them otherwise than what is stored; usually nothing.
    """

    def __init__(
        self,
        device: str,
        meter: str,
        settings: MeterSettings,
        rows: Iterable[ReadingRow] = (),
        laid_out: str = "",
    ) -> None:
        """`laid_out`: the unit that the layout gives, for what is said before the first picture."""
        self.device, self.meter, self.settings = device, meter, settings
        self.laid_out = laid_out
        self._rows: list[ReadingRow] = sorted(rows, key=lambda row: row.place)[-KEEP:]
        self._ids = {row.id for row in self._rows}
        self._fronts: list[Front] = []
        """After each row."""
        self._base = Front()
        """Before the first."""
        self._chain: list[Link] = []
        self._now: datetime | None = None
        self._told: tuple[MeterReading | None, MeterVerdict | None] = (None, None)
        if len(self._rows) >= KEEP:
            self._begin_at(self._root())
        self.loaded = self._again(0)

    # --- what is told ---------------------------------------------------------------------------

    def saw(self, picture: PictureSeen) -> Outcome:
        """A picture has been read; the same one again replaces what was seen before."""
        by_device = picture.source == "device"
        row = ReadingRow(
            picture.id, picture.at, source=picture.source, by_device=by_device, seen=picture.seen
        )
        known = self._find(picture.id)
        if known is not None:
            old = self._rows[known]
            if old.at == picture.at:
                return self._put(known, replace(old, seen=picture.seen))
            row = replace(row, told=old.told, refused=old.refused, source=old.source, revision=old.revision)
        elif self._base.best is not None and row.place <= _place(self._base.best):
            return Outcome((self._too_late(row),), late=True)
        return self._insert(row, known)

    def corrected(self, id: str, value: float | None) -> Outcome:
        """The owner says what a picture shows, in the meter's own unit; None: it shows no reading."""
        index = self._known(id)
        row = replace(self._rows[index], source="owner", told=value, refused=value is None)
        return self._noting(self._put(index, row), id)

    def uncorrected(self, id: str) -> Outcome:
        """The owner takes a correction back: the picture speaks for itself again."""
        index = self._known(id)
        row = self._rows[index]
        source: Source = "device" if row.by_device else "picture"
        return self._put(index, replace(row, source=source, told=None, refused=False))

    def shows(self, id: str, at: datetime, value: float) -> Outcome:
        """The owner has looked at the meter, and says what it showed then. Raises UnknownReading."""
        self._check_settled(at, id)
        row = ReadingRow(id, at, kind="owner", source="owner", told=value)
        return self._noting(self._insert(row, self._find(id)), id)

    def exchanged(
        self, id: str, at: datetime, *, last: float | None = None, first: float | None = 0.0
    ) -> Outcome:
        """The owner has put in another meter.

        last: what the old one showed at the end; without it, its last accepted reading.
        first: what the new one began with; None: whatever its first picture shows. Raises UnknownReading.
        """
        self._check_settled(at, id)
        row = ReadingRow(id, at, kind="exchange", source="owner", told=first, told_last=last)
        return self._noting(self._insert(row, self._find(id)), id)

    def removed(self, id: str) -> Outcome:
        """The owner takes back what he said at `shows` or `exchanged`. The row itself is to be deleted."""
        index = self._known(id)
        if self._rows[index].kind == "picture":
            raise UnknownReading(
                f"{id} is a picture, nothing that the owner said", remedy="Correct it instead"
            )
        self._ids.discard(id)
        del self._rows[index], self._fronts[index]
        return self._again(index)

    def changed(self, settings: MeterSettings) -> Outcome:
        """The owner has other settings: everything in mind is judged again."""
        self.settings = settings
        return self._again(0)

    def reached(self, now: datetime) -> Outcome:
        """Time has gone on, with or without pictures."""
        self._now = now
        return self._outcome(())

    # --- what is known --------------------------------------------------------------------------

    @property
    def rows(self) -> tuple[ReadingRow, ...]:
        """What is held in mind, in order of time."""
        return tuple(self._rows)

    @property
    def last(self) -> ReadingRow | None:
        """The latest accepted reading."""
        return next((row for row in reversed(self._rows) if row.verdict == "accepted"), None)

    @property
    def unit(self) -> str:
        """The meter's own."""
        seen = (row.seen.unit for row in reversed(self._rows) if row.seen is not None)
        return next(seen, self.laid_out)

    # --- how ------------------------------------------------------------------------------------

    def _find(self, id: str) -> int | None:
        if id not in self._ids:
            return None
        return next((i for i in range(len(self._rows) - 1, -1, -1) if self._rows[i].id == id), None)

    def _known(self, id: str) -> int:
        index = self._find(id)
        if index is None:
            raise UnknownReading(
                f"no reading {id} among the last {len(self._rows)}",
                where=f"meter {self.device}/{self.meter}",
                remedy="Say what the meter shows now instead",
            )
        return index

    def _check_settled(self, at: datetime, id: str) -> None:
        """What is no longer held in mind cannot be judged again."""
        if self._base.best is not None and (at, id) <= _place(self._base.best):
            raise UnknownReading(
                f"the readings of {at:%Y-%m-%d %H:%M} are settled: {KEEP} have come since then",
                where=f"meter {self.device}/{self.meter}",
                remedy="Say what the meter shows now instead",
            )

    def _too_late(self, row: ReadingRow) -> ReadingRow:
        seen = row.seen
        if seen is None or seen.value is None or seen.verdict == "unreadable":
            reason = seen.reason if seen is not None else ""
            return replace(row, verdict="unreadable", reason=reason, revision=1)
        return replace(
            row, verdict="held", reason=TOO_LATE, value=seen.value, confidence=seen.confidence, revision=1
        )

    def _insert(self, row: ReadingRow, instead_of: int | None) -> Outcome:
        if instead_of is not None:
            del self._rows[instead_of], self._fronts[instead_of]
        index = bisect_left(self._rows, row.place, key=lambda known: known.place)
        self._rows.insert(index, row)
        self._ids.add(row.id)
        self._fronts.insert(index, self._base)
        return self._again(index if instead_of is None else min(index, instead_of), touched=row.id)

    def _put(self, index: int, row: ReadingRow) -> Outcome:
        self._rows[index] = row
        return self._again(index, touched=row.id)

    def _again(self, index: int, touched: str | None = None) -> Outcome:
        """Judge the rows from `index` on, and those before whose neighbours have changed."""
        rules = Rules(self.settings, self.settings.limits(self.unit))
        del self._fronts[index:]
        front = self._fronts[-1] if self._fronts else self._base
        for row in islice(self._rows, index, None):
            front = advance(front, row, rules)
            self._fronts.append(front)
        first = min(index, self._relink(front.best))
        changes = self._judge(first, rules, touched)
        outcome = self._outcome(changes)
        self._forget()
        return outcome

    def _relink(self, best: Link | None) -> int:
        """Make `_chain` end with `best`; the first row that this may concern."""
        new: list[Link] = []
        link = best
        while link is not None:
            while self._chain and (self._chain[-1].at, self._chain[-1].id) > (link.at, link.id):
                self._chain.pop()
            if self._chain and self._chain[-1] is link:
                break
            new.append(link)
            link = link.parent
        if link is None:
            self._chain.clear()
        since = self._chain[-RUN - 1] if len(self._chain) > RUN else None
        self._chain += reversed(new)
        if since is None:
            return 0
        return bisect_left(self._rows, (since.at, since.id), key=lambda row: row.place)

    def _judge(self, first: int, rules: Rules, touched: str | None) -> tuple[ReadingRow, ...]:
        """What becomes of the rows from `first` on; those that are not as they were, in order of time."""
        chain = self._chain
        since = (
            bisect_left(chain, self._rows[first].place, key=_place) if first < len(self._rows) else len(chain)
        )
        while since > 0 and not confirmed(chain, since - 1):
            since -= 1
        before = chain[since - 1] if since else None
        if before is not None:
            first = min(first, bisect_right(self._rows, _place(before), key=lambda row: row.place))
        else:
            first = 0
        sure = {chain[i].id: chain[i] for i in range(since, len(chain)) if confirmed(chain, i)}
        believed = {link.id for link in islice(chain, since, None)}
        next_sure = iter(sure.values())
        after = next(next_sure, None)
        changes = []
        for index in range(first, len(self._rows)):
            row = self._rows[index]
            if row.id in sure:
                new = accepted(row, sure[row.id], before, rules)
                before, after = sure[row.id], next(next_sure, None)
            else:
                new = set_aside(row, row.id in believed, before, after, rules)
            if new != row or row.id == touched:
                new = replace(new, revision=row.revision + 1)
                changes.append(new)
                self._rows[index] = new
        return tuple(changes)

    # --- what is published ----------------------------------------------------------------------

    def _outcome(self, changes: tuple[ReadingRow, ...]) -> Outcome:
        reading, verdict = self._reading(), self._verdict()
        before, self._told = self._told, (reading, verdict)
        return Outcome(
            changes,
            reading if reading != before[0] else None,
            verdict if verdict != before[1] else None,
            withdrawn=reading is None and before[0] is not None,
        )

    def _reading(self) -> MeterReading | None:
        row = self.last
        if row is None or row.value is None or row.total is None:
            return None
        factor, unit = self._published()
        return MeterReading(
            id=row.id, device=self.device, meter=self.meter, at=row.at, value=_times(row.value, factor),
            total=_times(row.total, factor), unit=unit,
            flow=None if row.flow is None else _times(row.flow, factor), last_reset=row.last_reset,
            confidence=row.confidence, source=row.source, revision=max(1, row.revision),
        )  # fmt: skip

    def _verdict(self) -> MeterVerdict | None:
        row = next((row for row in reversed(self._rows) if row.kind == "picture"), None)
        if row is None:
            return None
        factor, unit = self._published()
        expected = None if row.expected is None else tuple(_times(bound, factor) for bound in row.expected)
        now = self._rows[-1].at if self._now is None else max(self._now, self._rows[-1].at)
        leak, alarm = wrong_with(self._chain, self.settings, self.unit, now)
        return MeterVerdict(
            id=row.id, device=self.device, meter=self.meter, at=row.at, verdict=row.verdict,
            reason=row.reason, confidence=row.confidence,
            value=None if row.value is None else _times(row.value, factor),
            expected=None if expected is None else (expected[0], expected[1]),
            unit=unit, leak=leak, alarm=alarm,
        )  # fmt: skip

    def _published(self) -> tuple[Decimal, str]:
        """What one of the meter's units is in the published one, and which that is.

        Settings are checked when they are saved; a device that reads by itself may still name any unit, or
        another one. Then the meter's own is published, and says so itself.
        """
        unit = self.unit
        try:
            return self.settings.conversion(unit), self.settings.unit or unit
        except ValueError:
            return Decimal(1), unit

    def _noting(self, outcome: Outcome, id: str) -> Outcome:
        """What the owner's word contradicts."""
        index = next((i for i, link in enumerate(self._chain) if link.id == id), None)
        if index is None:
            return outcome
        notes = []
        if self._chain[index].broken:
            notes.append(
                "This cannot follow from any reading before: the total is put right with it. If the meter"
                " has been exchanged, say that instead."
            )
        later = [row for row in self._rows if row.place > _place(self._chain[index])]
        against = [row for row in later if row.verdict == "implausible"]
        if against and not any(row.verdict == "accepted" for row in later):
            notes.append(f"All {len(against)} readings after it say otherwise: is it right?")
        return replace(outcome, notes=tuple(notes))

    # --- what is forgotten ----------------------------------------------------------------------

    def _root(self) -> Link | None:
        """The first stored reading that a chain can begin at."""
        for index, row in enumerate(self._rows):
            if row.verdict == "accepted" and row.learnt is not None and row.value is not None:
                root = _stored(row)
                self._ids.difference_update(known.id for known in self._rows[: index + 1])
                del self._rows[: index + 1]
                return root
        return None

    def _begin_at(self, root: Link | None) -> None:
        if root is not None:
            root.parent = root.guessed = None
            self._base = Front((root,), root)
            self._chain = [root, *(link for link in self._chain if _place(link) > _place(root))]

    def _forget(self) -> None:
        """Keep the newest KEEP rows: the chain begins at an accepted reading before them."""
        if len(self._rows) < KEEP + SLACK:
            return
        limit = self._rows[-KEEP].place
        index = bisect_left(self._chain, limit, key=_place) - 1
        while index > 0 and (self._chain[index].open or not confirmed(self._chain, index)):
            index -= 1
        if index <= 0:
            return
        root = self._chain[index]
        keep = bisect_right(self._rows, _place(root), key=lambda row: row.place)
        self._ids.difference_update(row.id for row in self._rows[:keep])
        del self._rows[:keep], self._fronts[:keep]
        self._begin_at(root)


def _place(link: Link) -> tuple[datetime, str]:
    return link.at, link.id


def _stored(row: ReadingRow) -> Link:
    """An accepted row as the beginning of a chain, too good to be given up."""
    value, total, learnt = parts(row.value or 0.0), parts(row.total or 0.0), row.learnt or Learnt()
    span, jitter = scale_of(row)
    return Link(
        row.at, row.id, value, total - value, BEHIND + 1, None, True, row.confidence, learnt, span, jitter,
        row.flow or 0.0, row.last_reset,
    )  # fmt: skip


def _times(value: float, factor: Decimal) -> float:
    """Exact in decimals: 0.1 m³ are 100 L."""
    return float(Decimal(repr(value)) * factor)
