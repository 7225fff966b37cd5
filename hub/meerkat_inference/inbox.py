"""The jobs a worker holds: the one that runs and those that wait, together at most its window.

The network thread puts in, the job thread takes out. Every job that was accepted leaves in one way:
it is taken and answered, or it is handed back (cancelled, superseded, of a task that is no longer
loaded, or the worker ends).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, Literal

from meerkat_contract.messages import Cancel, Deploy, Job

MEASURE: Final = "measure"
"""What `take()` gives out in quiet times that were asked for."""


@dataclass(slots=True, eq=False)
class Assignment:
    """One job in the worker's hands. `received` is the monotonic second its lease counts from."""

    job: Job
    payload: bytes
    received: float
    arrived: float
    """The monotonic second at which it came; unlike `received` it stays when the job is renewed."""
    stale: bool = False
    """The hub has taken it back since: the connection was lost, or the hub came again."""
    settled: bool = False
    """Its answer is being given: it can no longer be renewed."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def call_off(self) -> None:
        self._stop.set()

    @property
    def called_off(self) -> bool:
        return self._stop.is_set()

    def late(self, now: float) -> bool:
        """Whether the hub has given it to somebody else by now."""
        return now - self.received >= self.job.lease


class Inbox:
    """Bounded in jobs and in bytes, safe between threads. In order of arrival, jobs marked `ahead` first."""

    def __init__(
        self,
        window: int,
        *,
        now: Callable[[], float],
        most_bytes: int = 64_000_000,
        beside: Collection[str] = (),
    ) -> None:
        """`most_bytes`: of the payloads together. One job is always accepted, however large.

        `beside`: tasks that stay loaded whatever the worker is told to serve.
        """
        self._window = window
        self._beside = frozenset(beside)
        self._most_bytes = most_bytes
        self._now = now
        self._order: Deploy | None = None
        self._only: str | None = None
        self._switching = False
        self._measure = False
        self._changed = threading.Condition()
        self._waiting: deque[Assignment] = deque()
        self._running: Assignment | None = None
        self._closed = False
        self._seen: deque[tuple[str, int]] = deque(maxlen=4 * window + 64)

    def put(self, job: Job, payload: bytes) -> str:
        """Accept a job: empty when it waits or is here already, else the reason why not.

        A job that comes again (at least once is the bus's promise) is accepted once. One that comes
        with a newer token renews its older self: the work goes on and is answered with the new token.
        Jobs that were taken back make room when the window is full.
        """
        key = (job.job, job.token)
        with self._changed:
            if self._closed:
                return "the worker is ending"
            if key in self._seen:
                return ""
            if not self._renewed(job):
                if reason := self._no_room(job, len(payload)):
                    return reason
                now = self._now()
                self._line_up(Assignment(job, payload, now, now))
            self._seen.append(key)
            self._changed.notify_all()
            return ""

    def taken_back(self) -> None:
        """The hub has taken back all its jobs: what is held goes on, but gives way to what comes next."""
        with self._changed:
            for held in self._all():
                held.stale = True

    def deploy(self, order: Deploy) -> list[Assignment]:
        """From now on only jobs of the order's task are accepted (of any, when it names none).

        Returns the jobs that waited for another task, to be handed back. `take()` gives the order out
        before the next job; of two orders that wait the later one counts.
        """
        with self._changed:
            self._order = order
            self._only = order.task or None
            others = [held for held in self._waiting if not self._is_accepted(held.job.task)]
            for held in others:
                self._waiting.remove(held)
            self._changed.notify_all()
            return others

    def deployed(self, serving: str | None) -> list[Assignment]:
        """The order that was taken has been carried out, or has failed; `serving` is loaded now.

        Returns the jobs that waited for a task that is not loaded, to be handed back.
        """
        with self._changed:
            self._switching = False
            if self._order is None:  # else a newer order says what is accepted
                self._only = serving
            others = [held for held in self._waiting if not self._is_accepted(held.job.task)]
            for held in others:
                self._waiting.remove(held)
            self._changed.notify_all()
            return others

    def measure(self) -> None:
        """Let the job thread measure when nothing else is to be done."""
        with self._changed:
            self._measure = True
            self._changed.notify_all()

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to be taken."""
        with self._changed:
            return not (self._waiting or self._order or self._closed)

    def take(self) -> Assignment | Deploy | Literal["measure"] | None:
        """The next job, which then runs until `done()`, or an order, which is due until `deployed()`.

        Waits for one. None when the inbox is closed. MEASURE is due until `deployed()` too.
        """
        with self._changed:
            while not (self._waiting or self._order or self._closed or self._measure):
                self._changed.wait()
            if self._closed:
                return None
            if self._order is not None:
                order, self._order = self._order, None
                self._switching = True
                return order
            if not self._waiting:
                self._measure, self._switching = False, True
                return MEASURE
            self._running = self._waiting.popleft()
            return self._running

    def settle(self) -> Job:
        """The taken job is done; from now on it cannot be renewed. Returns it as it is to be answered."""
        with self._changed:
            assert self._running is not None, "settle() follows take()"
            self._running.settled = True
            return self._running.job

    def done(self) -> None:
        """The job that was taken has been answered."""
        with self._changed:
            self._running = None
            self._changed.notify_all()

    def cancel(self, cancel: Cancel) -> Assignment | None:
        """Call a job off. Returns one that waited, to be answered here; one that runs answers itself."""
        with self._changed:
            for held in self._all():
                if (held.job.job, held.job.token) == (cancel.job, cancel.token):
                    held.call_off()
                    if held is self._running:
                        return None
                    self._waiting.remove(held)
                    return held
        return None

    def close(self) -> list[Assignment]:
        """Take no more; returns the jobs that waited. The running one goes on."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = list(self._waiting), deque()
            self._changed.notify_all()
            return waiting

    def wait_idle(self, seconds: float) -> bool:
        """Wait until nothing runs and nothing is being loaded; false when it still is by then."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._running is None and not self._switching, timeout=seconds
            )

    def call_off_running(self) -> None:
        with self._changed:
            if self._running is not None:
                self._running.call_off()

    def _is_accepted(self, task: str) -> bool:
        """Whether a job of this task may come, by what the worker is told to serve."""
        return self._only in (None, task) or task in self._beside

    def _counting(self) -> list[Assignment]:
        """The jobs that count against the bounds.

        One whose answer is given does not: the hub may have it, and send the next, before this side has
        put the job away. Nor does one that was called off to make room.
        """
        running = self._running
        if running is None or running.settled or (running.stale and running.called_off):
            return list(self._waiting)
        return [running, *self._waiting]

    def _no_room(self, job: Job, size: int) -> str:
        """Why the job cannot be held; empty when it can."""
        if not self._is_accepted(job.task):
            return f"task {job.task!r} is not loaded: this worker was told to serve {self._only!r}"
        while True:
            counting = self._counting()
            held = sum(len(each.payload) for each in counting)
            if len(counting) >= self._window:
                reason = f"window full: the worker holds {len(counting)} of {self._window} jobs"
            elif counting and held + size > self._most_bytes:
                reason = (
                    f"memory full: the worker holds {held / 1e6:.1f} of {self._most_bytes / 1e6:.1f} MB, "
                    f"and this job has {size / 1e6:.1f} MB"
                )
            else:
                return ""
            if not self._make_room():
                return reason

    def _all(self) -> list[Assignment]:
        return [*([self._running] if self._running else []), *self._waiting]

    def _line_up(self, held: Assignment) -> None:
        """One to be done ahead goes before those that are not; what runs goes on."""
        if held.job.ahead:
            before = sum(1 for other in self._waiting if other.job.ahead)
            self._waiting.insert(before, held)
        else:
            self._waiting.append(held)

    def _renewed(self, job: Job) -> bool:
        """Whether an older self of the job was here and carries the new token now.

        To be done ahead does not make it another job: one that waits is then lined up anew.
        """
        for held in self._all():
            older = held.job
            if held.settled or held.called_off or older.token >= job.token:
                continue
            news = {"token": job.token, "lease": job.lease, "ahead": job.ahead}
            if older.model_copy(update=news) == job:
                held.job, held.received, held.stale = job, self._now(), False
                if older.ahead != job.ahead and held is not self._running:
                    self._waiting.remove(held)
                    self._line_up(held)
                return True
        return False

    def _make_room(self) -> bool:
        """Drop one job that was taken back; the running one only when none of those waits."""
        for held in self._waiting:
            if held.stale:
                self._waiting.remove(held)
                return True
        running = self._running
        if running is not None and running.stale and not running.called_off:
            running.call_off()
            return True
        return False
