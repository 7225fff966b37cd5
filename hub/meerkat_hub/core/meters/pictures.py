"""Meters' pictures on their way to a worker and back.

    kept      the meter has no layout: nobody knows yet where to look
    waiting ──send──► leased ──result──► done
       ▲                │  └──refused──► failed
       └── try again ◄──┘       (lease over, worker ended, retry asked: MAX_TRIES at most)
    waiting for `expire_after` ────────► expired

Durable: each that waits ends exactly once, and whoever made this is told. Beside them are questions: a
picture that somebody wants to have read now, at the page, with a layout of his own or none. They are
answered or dropped, and leave no trace.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from meerkat_contract.messages import Job, MeterOrder, Result
from meerkat_hub.core.meter_records import AnswerMeter, PictureTried, SendPicture
from meerkat_hub.core.outputs import Decision
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.pool.work import Answer, Dropped, Flow, Item, Lease, Priority, TryEnded
from meerkat_hub.core.records import MeterPicture, Now
from meerkat_hub.core.second_opinion import ask_another, may_be_read

METERS, ASKED = "meters", "meters-asked"
"""Their flows in the pool: pictures, and questions."""

FLOWS = frozenset({METERS, ASKED})
TASK = "read_meter"
MAX_TRIES = 3

WEIGHT = 0.25
"""Their share of the pool beside clips and workflows, which have 1 each: a reading takes little."""

MOST_QUESTIONS = 8
"""That wait at a time."""

PATIENCE = 30.0
"""Seconds in which a question is answered, or its answer is worthless."""

SENT_LATE = 60.0
"""Seconds after it was taken at which a picture that arrives was kept back by its device."""

GRACE = 600.0
"""Seconds that a picture may wait at least after a restart: that the hub was off is not its fault."""

NO_WORKER = "no worker that reads meters is there"
HELP = "Start a worker: `meerkat worker`, on any machine of the house"


@dataclass(frozen=True, slots=True)
class Ended:
    """A picture that waited has come to its end."""

    picture: MeterPicture
    state: str
    """done | failed | expired"""
    reason: str = ""
    result: Result | None = None
    worker: str = ""


@dataclass(slots=True)
class _Question:
    ticket: str
    picture: MeterPicture
    order: MeterOrder
    tries: int = 0
    unreadable_by: str = ""


class Pictures:
    """Those that wait for a worker. `order_of` says what is to be read on a meter's picture."""

    def __init__(
        self,
        pool: Pool,
        *,
        expire_after: float,
        order_of: Callable[[MeterPicture], MeterOrder],
        ended: Callable[[Ended, Decision], None],
    ) -> None:
        self.unfinished: dict[str, MeterPicture] = {}
        self._attempts: dict[str, int] = {}
        self._unreadable_by: dict[str, str] = {}
        """Who said of a picture that it cannot be read, since the hub began."""
        self._pool = pool
        self._expire_after = expire_after
        self._order_of = order_of
        self._ended = ended
        self._ageing: deque[tuple[float, str]] = deque()
        self._aged: set[str] = set()
        """Too old to wait again: a worker has had them since before that."""
        self._questions: OrderedDict[str, _Question] = OrderedDict()
        pool.open(Flow(METERS, TASK, weight=WEIGHT))
        pool.open(Flow(ASKED, TASK, bound=MOST_QUESTIONS))

    def load(self, waiting: Iterable[tuple[MeterPicture, int]], now: Now) -> None:
        """Take over what the database holds: pictures that wait, with the tries that they had."""
        for picture, attempts in waiting:
            age = (now.wall - picture.received_at).total_seconds()
            self.add(picture, now, attempts=attempts, may_wait=max(GRACE, self._expire_after - age))

    def knows(self, item_id: str) -> bool:
        """Whether a picture or a question of this id waits, or is with a worker."""
        return item_id in self.unfinished or item_id in self._questions

    @property
    def waiting(self) -> Mapping[tuple[str, str], int]:
        """How many wait or are being read, by device and meter."""
        counts: dict[tuple[str, str], int] = {}
        for picture in self.unfinished.values():
            key = (picture.device, picture.meter)
            counts[key] = counts.get(key, 0) + 1
        return counts

    # --- in -------------------------------------------------------------------------------------

    def add(
        self, picture: MeterPicture, now: Now, *, attempts: int = 0, may_wait: float | None = None
    ) -> None:
        """Let it wait for a worker."""
        self.unfinished[picture.id] = picture
        self._attempts[picture.id] = attempts
        self._ageing.append((now.mono + (self._expire_after if may_wait is None else may_wait), picture.id))
        self._pool.add(self._item(picture, now, attempts), now.mono)

    def again(self, device: str, meter: str, now: Now) -> None:
        """What is to be read on this meter has changed: what a worker has begun does not count."""
        for picture in [p for p in self.unfinished.values() if (p.device, p.meter) == (device, meter)]:
            self._pool.remove(picture.id)
            self._pool.add(self._item(picture, now, self._attempts[picture.id]), now.mono)

    def withdraw(self, device: str, meter: str) -> list[MeterPicture]:
        """The meter's pictures are not to be read any more: those that waited."""
        gone = [p for p in self.unfinished.values() if (p.device, p.meter) == (device, meter)]
        for picture in gone:
            self.settled(picture.id)
        return gone

    def settled(self, picture_id: str) -> MeterPicture | None:
        """Somebody else has read it: it waits no more. None when it did not."""
        picture = self.unfinished.pop(picture_id, None)
        if picture is not None:
            self._pool.remove(picture_id)
            del self._attempts[picture_id]
            self._unreadable_by.pop(picture_id, None)
            self._aged.discard(picture_id)
        return picture

    def ask(self, ticket: str, picture: MeterPicture, order: MeterOrder, now: Now, out: Decision) -> None:
        """Have it read now, with this order; the answer is for `ticket`."""
        if not any(member.does(TASK) for member in self._pool.members.values()):
            out.effects.append(AnswerMeter(ticket, "nobody", f"{NO_WORKER}. {HELP}"))
            return
        self._questions[ticket] = _Question(ticket, picture, order)
        item = Item(
            ticket,
            ASKED,
            cost=1,
            size=picture.size,
            arrived=now.mono,
            deadline=now.mono + PATIENCE,
            priority=Priority.URGENT,
        )
        self.dropped(self._pool.add(item, now.mono), out)

    def _item(self, picture: MeterPicture, now: Now, attempts: int) -> Item:
        late = (picture.received_at - picture.captured_at).total_seconds() > SENT_LATE
        return Item(
            picture.id,
            METERS,
            cost=1,
            size=picture.size,
            arrived=now.mono,
            priority=Priority.BACKLOG if late else Priority.LIVE,
            source=f"{picture.device}/{picture.meter}",
            attempts=attempts,
        )

    # --- with a worker --------------------------------------------------------------------------

    def job(self, lease: Lease, now: Now) -> SendPicture:
        """What to send for a lease on a picture or a question."""
        question = self._questions.get(lease.item.id)
        picture = question.picture if question is not None else self.unfinished[lease.item.id]
        job = Job(
            job=lease.item.id,
            token=lease.token,
            task=lease.task,
            device=picture.device,
            camera=picture.meter,
            media=picture.id,
            content_type="image/jpeg",
            captured_at=picture.captured_at,
            lease=lease.expires - now.mono,
            ahead=lease.ahead,
            meter=question.order if question is not None else self._order_of(picture),
        )
        return SendPicture(lease.worker, job, picture)

    def answered(self, answer: Answer, result: Result, now: Now, out: Decision) -> None:
        """A worker's word on a picture or a question; its lease is over."""
        item, worker = answer.lease.item, answer.lease.worker
        reason = result.reason or "the worker gave no reason"
        if result.state == "done" and result.meter is None:
            reason = f"worker {worker} answered without a reading; it may be of another version"
        elif result.state == "done" or not (result.retry or self._is_unsure(item, worker, now)):
            self._end(item.id, result, worker, out)
            return
        self.try_ended(TryEnded(item, worker, reason), now, out)

    def _is_unsure(self, item: Item, worker: str, now: Now) -> bool:
        """This worker says that it cannot be read: whether another is to be asked."""
        question = self._questions.get(item.id)
        if question is not None:
            said = question.unreadable_by = question.unreadable_by or worker
        else:
            said = self._unreadable_by.setdefault(item.id, worker)
        return said == worker and may_be_read(self._pool, item.flow, worker, now.mono)

    def _again(self, tried: TryEnded, unreadable_by: str, now: Now) -> list[Dropped]:
        if unreadable_by:
            return ask_another(self._pool, tried, unreadable_by, now.mono)
        return self._pool.again(tried.item, tried=tried.worker)

    def _end(self, item_id: str, result: Result, worker: str, out: Decision) -> None:
        question = self._questions.pop(item_id, None)
        if question is not None:
            done = result.state == "done"
            out.effects.append(
                AnswerMeter(question.ticket, "read" if done else "failed", result.reason, result.meter)
            )
            return
        picture = self.settled(item_id)
        assert picture is not None, "who has a lease is unfinished"
        self._ended(Ended(picture, result.state, result.reason, result, worker), out)

    def try_ended(self, tried: TryEnded, now: Now, out: Decision) -> None:
        """A try ended without a result: another one, or the end."""
        question = self._questions.get(tried.item.id)
        if question is not None:
            question.tries += 1
            if question.tries < MAX_TRIES and now.mono < tried.item.deadline:
                self.dropped(self._again(tried, question.unreadable_by, now), out)
            else:
                del self._questions[question.ticket]
                out.effects.append(AnswerMeter(question.ticket, "failed", tried.reason))
            return
        picture = self.unfinished[tried.item.id]
        attempts = self._attempts[picture.id] = tried.item.attempts + 1
        if attempts >= MAX_TRIES:
            why = f"given up after {attempts} tries; the last: {tried.reason}"
            self._give_up(picture, "failed", why, out)
            return
        out.changes.append(PictureTried(picture.id, attempts, tried.reason))
        out.notes.append(
            f"{picture.device}/{picture.meter}: picture {picture.id} is read again: {tried.reason}"
        )
        if picture.id in self._aged:
            self._expire(picture, out)
        else:
            self._again(tried, self._unreadable_by.get(picture.id, ""), now)

    def media_lost(self, item_id: str, reason: str, out: Decision) -> None:
        """The picture's bytes are gone: nobody can read it."""
        question = self._questions.pop(item_id, None)
        if question is not None:
            self._pool.remove(item_id)
            out.effects.append(AnswerMeter(question.ticket, "gone", reason))
        elif (picture := self.unfinished.get(item_id)) is not None:
            self._give_up(picture, "failed", reason, out)

    def dropped(self, dropped: Iterable[Dropped], out: Decision) -> None:
        """Questions that nobody will answer."""
        words = {
            "late": f"no worker read it within {PATIENCE:g} s",
            "full": f"more than {MOST_QUESTIONS} such questions wait",
        }
        for one in dropped:
            if (question := self._questions.pop(one.item.id, None)) is not None:
                reason = words.get(one.reason, one.reason)
                out.effects.append(AnswerMeter(question.ticket, "late", reason))

    # --- time -----------------------------------------------------------------------------------

    def pass_time(self, now: Now, out: Decision) -> None:
        while self._ageing and now.mono >= self._ageing[0][0]:
            picture_id = self._ageing.popleft()[1]
            if picture_id in self.unfinished:
                self._aged.add(picture_id)
        for picture_id in [one for one in self._aged if one not in self._pool.leases]:
            self._expire(self.unfinished[picture_id], out)

    def wake_at(self) -> float | None:
        while self._ageing and self._ageing[0][1] not in self.unfinished:
            self._ageing.popleft()
        return self._ageing[0][0] if self._ageing else None

    def _expire(self, picture: MeterPicture, out: Decision) -> None:
        why = f"no worker could read it within {self._expire_after / 3600:g} h. {HELP}"
        self._give_up(picture, "expired", why, out)

    def _give_up(self, picture: MeterPicture, state: str, reason: str, out: Decision) -> None:
        self.settled(picture.id)
        out.notes.append(f"{picture.device}/{picture.meter}: picture {picture.id} ended as {state}: {reason}")
        self._ended(Ended(picture, state, reason), out)
