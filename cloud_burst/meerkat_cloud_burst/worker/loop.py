"""The life of a cloud worker: it opens its weights, takes one order after the other, and ends itself.

    opening ──▶ ready ──▶ taking ⇄ doing
       │                    │  the queue was empty for the idle grace, and once more ──▶ leaves the fleet
       │                    │  EC2 wants the machine back, or somebody asks for the end
       ▼                    ▼
    broken: why is told, the fleet is left, status 1          ended: the clip in hand is given back, status 0

    A fault of ours, and a detector that hangs, end with status 1 and do not leave: systemd starts it anew,
    and a clip that brings it about is a dead letter after three times.

Two threads: `orders` opens, takes and does; the one that calls `run()` waits for what is said to it by
signals, by EC2 and by the other thread, so that the end never waits for a network or a detector.
"""

from __future__ import annotations

import logging
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeVar

from meerkat_cloud_burst.errors import CloudError, Gone
from meerkat_cloud_burst.messages import LIFE_AGAIN, Life
from meerkat_cloud_burst.ports import Received
from meerkat_contract.errors import MeerkatError
from meerkat_contract.signals import told

from .doing import Doing
from .heartbeat import BEAT, VISIBILITY, Hand
from .metadata import Identity, Notice
from .patience import LATER, PASSING, SOON

POLL = 5.0
"""Seconds of a long poll on a rented machine, which must be able to end soon…"""
POLL_STAYING = 20.0
"""…and on one that waits for days: each poll is a request that costs."""
LAST_LOOK = 1.0
"""Seconds of the last look before the end: only a long poll asks all of SQS's servers."""
HAND_OVER = 1.5
"""Seconds that giving back and saying so may take at the end…"""
CALLED_OFF = 1.5
"""…and then the detector, to notice that its work is not wanted any more."""
RESERVE = 15.0
"""Seconds before an interruption within which nothing is finished any more."""
SURE = 1.5
"""A clip surely needs no longer than so many times the longest of the last ones."""
LONGEST = 1800.0
"""Seconds that a clip may take when its order does not say until when it is waited for…"""
HANGS = 60.0
"""…and so much later the detector is believed to hang: it did not see that nobody waits any more."""
WATCH = 5.0
"""Seconds between two looks at that."""
BOOT_LONGEST = 1800.0
"""A launch longer ago than this was no boot: the process was started again."""

T = TypeVar("T")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Over:
    """The thread `orders` has ended."""

    how: Literal["idle", "broken", "fault", "ended"]
    """idle, broken: no more is to be done here. fault: of ours; a new start may do."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Stop:
    """Somebody asks for the end."""

    reason: str


class CloudWorker:
    """`run()` until the queue is empty or the end is asked for. Construction does nothing."""

    def __init__(
        self,
        doing: Doing,
        *,
        idle_grace: float | None = 60.0,
        identity: Identity | None = None,
        visibility: float = VISIBILITY,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`idle_grace`: seconds without an order after which it ends; None: it stays.

        `visibility`: seconds for which a message in hand is kept from other workers.
        """
        self._doing = doing
        self._grace = idle_grace
        self._identity = identity
        self._visibility = visibility
        self._now = now
        self._said: queue.SimpleQueue[_Over | _Stop | Notice] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._hand: Hand | None = None
        self._begun = 0.0
        self._allowed = LONGEST
        self._took: deque[float] = deque(maxlen=20)
        self._away = False
        self._told = 0.0
        self._orders = threading.Thread(target=self._work, name="orders", daemon=True)

    @property
    def idle(self) -> bool:
        """Whether its threads have ended: else the process must, without clearing up."""
        return not self._orders.is_alive()

    def run(self) -> int:
        """The exit status: 0 when it ended as it should. On the main thread, for the signals' sake."""
        with told((signal.SIGTERM, signal.SIGINT), lambda number: self.end(signal.Signals(number).name)):
            self._orders.start()
            over = self._attend()
            self._ending.set()  # however it ended: a clip that hung and goes on after all is the last
            self._say(over)
            left = over.how in ("ended", "fault") or self._leave()
            return 0 if left and over.how in ("idle", "ended") else 1

    def end(self, reason: str) -> None:
        """Ask for the end. From any thread."""
        self._said.put(_Stop(f"asked to end ({reason})"))

    def notice(self, notice: Notice) -> None:
        """EC2 takes the machine back. From any thread."""
        self._said.put(notice)

    # --- the thread of run() --------------------------------------------------------------------

    def _attend(self) -> _Over:
        """Until the orders end, or the time that they have for it."""
        deadline: float | None = None
        why = _Over("ended")
        while True:
            left = WATCH if deadline is None else min(WATCH, deadline - self._now())
            try:
                said = self._said.get(timeout=max(0.0, left))
            except queue.Empty:
                if self._hangs():
                    return _Over(
                        "fault", f"a clip has kept it for {self._now() - self._begun:.0f} s: it hangs"
                    )
                if deadline is None or self._now() < deadline:
                    continue
                if not self._give_back():
                    return why
                deadline = self._now() + CALLED_OFF
                continue
            if isinstance(said, _Over):
                return why if self._ending.is_set() else said
            self._ending.set()
            if isinstance(said, _Stop):
                why = _Over("ended", said.reason)
                self._give_back()
                deadline = self._now() + CALLED_OFF
            else:
                why, deadline = self._interrupted(said), self._now() + self._finishing(said)

    def _hangs(self) -> bool:
        return self._hand is not None and self._now() - self._begun > self._allowed + HANGS

    def _interrupted(self, notice: Notice) -> _Over:
        left = (notice.at - datetime.now(UTC)).total_seconds()
        reason = f"EC2 takes the instance back in {max(0.0, left):.0f} s ({notice.action})"
        _logger.warning("%s", reason)
        life = Life(worker=self._doing.worker, what="interrupted", reason=reason)
        _within(HAND_OVER, lambda: self._tell(life))
        return _Over("ended", reason)

    def _finishing(self, notice: Notice) -> float:
        """Seconds that the clip in hand still gets; it is given back at once if that may not do."""
        left = (notice.at - datetime.now(UTC)).total_seconds() - RESERVE
        hand = self._hand
        if hand is None:  # what a poll that is under way may still bring is given back
            return POLL_STAYING + CALLED_OFF
        elapsed = self._now() - self._begun
        expected = SURE * max(self._took) - elapsed if self._took else left
        if 0 < expected < left:
            _logger.info("The clip in hand is finished first: it needs about %.0f s", expected)
            return left
        # What is being answered in this moment is not given back, and has the time for it.
        return CALLED_OFF if self._give_back() else max(left, CALLED_OFF)

    def _give_back(self) -> bool:
        """Whether there was something to give back."""
        hand = self._hand
        if hand is None or hand.given_back:
            return False
        return _within(HAND_OVER, hand.give_back) is not False

    def _say(self, over: _Over) -> None:
        """The last words, in the log and to the hub."""
        words = {
            "idle": "The queue is empty: the worker ends",
        }.get(over.how, f"The worker ends: {over.reason}")
        _logger.log(logging.ERROR if over.how in ("broken", "fault") else logging.INFO, "%s", words)
        reason = over.reason or "the queue is empty"
        life = Life(worker=self._doing.worker, what="ending", reason=reason[:500])
        _within(HAND_OVER, lambda: self._tell(life))

    def _leave(self) -> bool:
        """Take this instance out of the fleet; whether that is done, where there is a fleet."""
        leave = self._doing.cloud.leave
        if leave is None:
            return True
        pauses = self._doing.pauses.anew()
        deadline = self._now() + SOON
        while True:
            try:
                leave()
            except Gone:
                _logger.info("No group counts this machine: whoever started it ends it")
                return True
            except CloudError as error:
                _logger.error("This instance could not end itself: %s", error)
                if self._now() > deadline or error.cause not in PASSING:
                    return False
                time.sleep(next(pauses))
            else:
                _logger.info("This instance has ended itself, and the group holds one less")
                return True

    # --- the thread `orders` --------------------------------------------------------------------

    def _work(self) -> None:
        over = _Over("fault", "a fault in Meerkat; the log has the details")
        try:
            if self._persist(self._doing.models.open, "The model cannot be fetched") is not None:
                self._ready()
            over = self._take()
        except MeerkatError as error:
            over = _Over("broken", str(error))
        except Exception:
            _logger.critical("This is a fault in Meerkat; please report it with these lines", exc_info=True)
        finally:
            self._said.put(over)

    def _ready(self) -> None:
        """The weights are open: say so, and how long the machine took to come that far."""
        identity, boot = self._identity, None
        if identity is not None and identity.launched is not None:
            boot = round((datetime.now(UTC) - identity.launched).total_seconds(), 3)
            boot = boot if 0 <= boot <= BOOT_LONGEST else None
        self._doing.boot = boot
        info = self._doing.models.open().info
        _logger.info(
            "Ready: %s on %s%s",
            info.name,
            info.engine,
            "" if boot is None else f", {boot:.0f} s after its launch",
            extra={"worker": self._doing.worker},
        )
        self._tell_ready(boot)

    def _tell_ready(self, boot: float | None = None) -> None:
        self._told = self._now()
        self._tell(Life(worker=self._doing.worker, what="ready", boot=boot))

    def _take(self) -> _Over:
        """Order after order until the end."""
        quiet = self._now()
        poll = POLL_STAYING if self._grace is None else POLL
        while not self._ending.is_set():
            if self._doing.cloud.leave is None and self._now() - self._told >= LIFE_AGAIN:
                self._tell_ready()  # no group counts this machine: the hub knows it by this alone
            left = None if self._grace is None else self._grace - (self._now() - quiet)
            received = self._receive(poll if left is None else min(poll, max(LAST_LOOK, left)))
            if self._away:  # the cloud's silence says nothing of the queue
                self._away, quiet = False, self._now()
            elif received is None and self._grace is not None and self._now() - quiet >= self._grace:
                received = self._receive(LAST_LOOK)
                if received is None and not self._ending.is_set():
                    return _Over("idle")
            if received is not None:
                self._do(received)
                quiet = self._now()
        return _Over("ended")

    def _do(self, received: Received) -> None:
        self._begun = self._now()
        self._allowed = self._doing.allowed(received.order, LONGEST)
        visible = self._visibility
        with Hand(self._doing.cloud.orders, received, visibility=visible, beat=visible * BEAT) as hand:
            self._hand = hand
            try:
                if self._ending.is_set():  # it came while the end was asked for
                    hand.give_back()
                    return
                self._doing.do(hand)
            finally:
                self._hand = None
        self._took.append(self._now() - self._begun)

    def _receive(self, wait: float) -> Received | None:
        """The next order; None when there is none, or the end is near. Raises CloudError at last."""
        return self._persist(lambda: self._doing.cloud.orders.receive(wait), "No orders can be had")

    def _persist(self, action: Callable[[], T], trouble: str) -> T | None:
        """What it returns, tried as long as the cloud may still come round; None when the end is near."""
        begin = self._now()
        pauses: Iterator[float] = self._doing.pauses.anew()
        said = ""
        while not self._ending.is_set():
            try:
                found = action()
            except CloudError as error:
                lasts = self._now() - begin
                passing = error.cause in PASSING
                if lasts > (LATER if passing else SOON) and not (passing and self._grace is None):
                    raise
                if str(error) != said:
                    _logger.warning("%s: %s", trouble, error)
                said, self._away = str(error), True
                self._ending.wait(next(pauses))
            else:
                if said:
                    _logger.info("The cloud answers again")
                return found
        return None

    def _tell(self, life: Life) -> None:
        """To the hub, as far as that is possible."""
        try:
            self._doing.cloud.results.announce(life)
        except CloudError as error:
            _logger.warning("The hub is not told (%s): %s", life.what, error)


def _within(seconds: float, action: Callable[[], object]) -> object:
    """What it returns; None when it takes longer: it then goes on beside, and ends with the process."""
    answer: list[object] = []
    thread = threading.Thread(target=lambda: answer.append(action()), name="last-words", daemon=True)
    thread.start()
    thread.join(seconds)
    return answer[0] if answer else None
