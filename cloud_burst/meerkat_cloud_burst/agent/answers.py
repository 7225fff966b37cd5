"""Listens for results, and keeps what deletes their messages until the hub has committed them.

A message that is not deleted is offered again when its visibility ends: so a hub that is killed between
hearing and committing hears it again, and `Forget` of a duplicate deletes the duplicate.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from meerkat_cloud_burst.errors import CloudError, Gone
from meerkat_cloud_burst.messages import RECEIVES, Announced, Finished, Life, result_key
from meerkat_cloud_burst.news import Booted, CloudAnswered, CloudDead
from meerkat_contract.errors import BadMessage

from .line import Line, Ports
from .reach import Reach, unexpected

log = logging.getLogger("meerkat.cloud")

KEPT = 8
"""Receipts of one job; the older ones hold no longer anyway."""

PART = "results"

Mark = tuple[str, int]
"""A job and its token."""


class Receipts:
    """What deletes the messages of a job, by its token. Used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, list[tuple[int, str]]] = {}

    def hold(self, mark: Mark, receipt: str) -> None:
        job, token = mark
        with self._lock:
            held = self._held.setdefault(job, [])
            held.append((token, receipt))
            del held[:-KEPT]

    def of(self, marks: Iterable[Mark]) -> list[str]:
        """Those of these jobs, up to these tokens."""
        with self._lock:
            return [
                receipt for job, token in marks for held, receipt in self._held.get(job, ()) if held <= token
            ]

    def drop(self, receipts: Iterable[str]) -> None:
        """They were used."""
        used = set(receipts)
        with self._lock:
            for job, held in list(self._held.items()):
                left = [each for each in held if each[1] not in used]
                if left:
                    self._held[job] = left
                else:
                    del self._held[job]


class Answers:
    """`run` is the thread's; the rest may be called from any."""

    def __init__(
        self,
        line: Line,
        reach: Reach,
        tell: Callable[[CloudAnswered | CloudDead | Booted], None],
        heard: Callable[[str, str, str], None],
        *,
        poll: float,
    ) -> None:
        """`heard` is told the worker, `what` and `reason` of each Life. `poll`: seconds of a long poll."""
        self._line = line
        self._reach = reach
        self._tell = tell
        self._heard = heard
        self._poll = poll
        self._stopped = threading.Event()
        self._results = Receipts()
        self._graves = Receipts()
        self._booted: set[str] = set()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except CloudError as error:
                self._failed(error)
            except Exception as error:
                log.exception("An unexpected error while listening for results")
                self._failed(unexpected(error))

    def look_for_the_dead(self) -> None:
        """Tell of orders in the dead-letter queue. Raises CloudError."""
        ports = self._line.get()
        for letter in ports.orders.dead_letters():
            job = letter.order.job
            self._graves.hold((job.job, job.token), letter.receipt)
            reason = f"{RECEIVES} workers began this clip and none of them ended it; it may stop a worker"
            try:
                # A worker may have died just after writing its result.
                self._answered(_answer_to(_result(ports, job.job), job.token), "")
            except Gone:
                self._tell(CloudDead(job.job, job.token, reason))
            except BadMessage as error:
                self._tell(CloudDead(job.job, job.token, f"its result cannot be read: {error.what}"))

    def forget(self, marks: Iterable[Mark]) -> None:
        """Delete the messages of these. Raises CloudError; then it is to be called again."""
        marks = list(marks)
        ports = self._line.get()
        if receipts := self._results.of(marks):
            ports.results.delete(receipts)
            self._results.drop(receipts)
        for receipt in self._graves.of(marks):
            ports.orders.bury(receipt)
            self._graves.drop([receipt])

    def _failed(self, error: CloudError) -> None:
        if not self._stopped.is_set():
            self._line.failed(error)
            self._reach.failed(PART, error)
            self._reach.rest(PART)

    def _listen(self) -> None:
        ports = self._line.get()
        received = ports.results.receive(self._poll)
        if self._stopped.is_set():
            ports.results.give_back([receipt for _, receipt in received])
            return
        self._reach.works(PART)
        done: list[str] = []
        try:
            for message, receipt in received:
                if isinstance(message, Life):
                    self._life(message)
                    done.append(receipt)
                elif not self._announced(ports, message, receipt):
                    done.append(receipt)
        finally:
            if done:
                ports.results.delete(done)

    def _life(self, life: Life) -> None:
        self._heard(life.worker, life.what, life.reason)
        if life.what == "ready" and life.boot is not None:
            self._boot(life.worker, life.boot)
        elif life.reason:
            log.info("Cloud worker %s, %s: %s", life.worker, life.what, life.reason)

    def _boot(self, worker: str, seconds: float) -> None:
        if worker not in self._booted:
            self._booted.add(worker)
            self._tell(Booted(worker, seconds))

    def _announced(self, ports: Ports, message: Announced, receipt: str) -> bool:
        """False when its result is gone, because it was taken before."""
        try:
            finished = _result(ports, message.job)
        except Gone:
            log.debug("The result of %s was taken before", message.job)
            return False
        except BadMessage as error:
            self._results.hold((message.job, message.token), receipt)
            self._tell(CloudDead(message.job, message.token, f"its result cannot be read: {error.what}"))
        else:
            finished = _answer_to(finished, message.token)
            self._results.hold((message.job, finished.result.token), receipt)
            self._answered(finished, message.worker)
        return True

    def _answered(self, finished: Finished, announcer: str) -> None:
        worker = finished.worker or announcer
        self._heard(worker, "ready", "")
        if finished.boot is not None:
            self._boot(worker, finished.boot)
        self._tell(CloudAnswered(finished.result, worker, finished.annotated))


def _answer_to(finished: Finished, token: int) -> Finished:
    """As the answer to the order of this token, which found an earlier one's result in its way: that stays,
    as it is written once, and no other answer comes."""
    result = finished.result
    if result.token >= token:
        return finished
    return finished.model_copy(update={"result": result.model_copy(update={"token": token})})


def _result(ports: Ports, job: str) -> Finished:
    """Raises Gone, or BadMessage when what lies there is no result of this job."""
    finished = ports.store.result(result_key(job))
    if finished.result.job != job:
        raise BadMessage("it is of another job", where=result_key(job))
    return finished
