"""One order, from its clip to its answer.

fetch the clip → check it → look, as a worker of the house does → the annotated video, if it is wanted →
the result into the store → announce it → delete the message

Each step may be repeated: the result is written once by job id, and announced even when another was
there before, since a worker may have died between the two. What the cloud refuses for a moment is tried
again while the heartbeat keeps the message.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from meerkat_cloud_burst.errors import CloudError, Gone
from meerkat_cloud_burst.messages import Announced, Finished, Order, annotated_key, result_key
from meerkat_cloud_burst.ports import ClipStore, OrderQueue, ResultQueue
from meerkat_contract.errors import MediaError, MeerkatError, ModelError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Result
from meerkat_inference.looking import Looking
from meerkat_inference.tasks import Circumstances

from .annotate import annotate
from .heartbeat import Hand
from .models import TASK, Models
from .patience import PASSING, Pauses

INSIST_SECONDS = 300.0
"""How long a step is tried again before the message is left to another worker."""
FAILURES = 3
"""Orders that fail one after the other, and might succeed elsewhere, until this worker is called broken."""

T = TypeVar("T")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cloud:
    """The cloud as a worker has it. `leave` takes this machine out of the fleet; None where it is in none."""

    store: ClipStore
    orders: OrderQueue
    results: ResultQueue
    leave: Callable[[], None] | None = None


class _GivenBack(Exception):
    """The message is no longer ours."""


@dataclass(slots=True)
class Doing:
    """Does orders, one at a time, for the worker of that name."""

    cloud: Cloud
    models: Models
    worker: str
    now: Callable[[], float] = time.monotonic
    utc: Callable[[], datetime] = lambda: datetime.now(UTC)
    threads: int = 1
    insist_seconds: float = INSIST_SECONDS
    pauses: Pauses = field(default_factory=Pauses)
    boot: float | None = None
    """Told with the first result, once."""
    _incarnation: str = field(default_factory=new_id)
    _failures: int = 0

    def do(self, hand: Hand) -> None:
        """Answer the order in hand, unless it is given back meanwhile.

        Raises CloudError when the cloud refuses for good or for too long (the message comes back by
        itself), ModelError when the detector fails at everything.
        """
        with tempfile.TemporaryDirectory(prefix="meerkat-") as folder:
            try:
                self._do(hand, Path(folder))
            except _GivenBack:
                _logger.info("A clip is given back", extra={"job": hand.received.order.job.job})

    def _do(self, hand: Hand, folder: Path) -> None:
        order = hand.received.order
        about = {"job": order.job.job}
        begin = self.now()
        if self._late(order):
            self._drop(hand, "nobody waits for it any more")
            return
        if hand.received.receives > 1:
            _logger.info("A clip that was taken before (%d times)", hand.received.receives, extra=about)
        try:
            result, payload = self._look(hand, order, folder / "clip")
        except Gone:
            self._drop(hand, "its clip is gone, so it was taken back or answered")
            return
        if result.state == "failed" and self._late(order):
            self._drop(hand, "it took longer than anybody waits")
            return
        video = folder / "annotated.mp4" if order.annotated and result.state == "done" else None
        annotated = self._annotate(hand, payload, result, video) if video else ""
        if not hand.answer():
            raise _GivenBack
        finished = Finished(result=result, worker=self.worker, boot=self.boot, annotated=annotated)
        self._answer(hand, order, finished)
        took = round(self.now() - begin, 3)
        if result.state == "failed":
            _logger.warning("A clip failed: %s", result.reason, extra={**about, "seconds": took})
        else:
            found = ", ".join(sorted(track.label for track in result.tracks)) or "nothing"
            _logger.info(
                "Looked at %.1f s in %.2f s: %s",
                result.duration,
                result.seconds,
                found,
                extra={**about, "seconds": took},
            )
        self._doubt(result)

    def allowed(self, order: Order, longest: float) -> float:
        """Seconds that the order may take from now on; `longest` where it does not say."""
        return longest if order.until is None else max(0.0, (order.until - self.utc()).total_seconds())

    def _late(self, order: Order) -> bool:
        return order.until is not None and self.utc() > order.until

    def _drop(self, hand: Hand, why: str) -> None:
        _logger.info("An order is dropped: %s", why, extra={"job": hand.received.order.job.job})
        self._insist(hand, lambda: self.cloud.orders.delete(hand.received.receipt))

    # --- looking --------------------------------------------------------------------------------

    def _look(self, hand: Hand, order: Order, path: Path) -> tuple[Result, bytes]:
        """The result, failed or not, and the clip. Raises Gone when there is no clip."""
        payload = b""
        if order.job.task != TASK:
            return self._failed(order, f"a cloud worker does {TASK}, not {order.job.task}"), payload
        for _ in range(2):  # what was damaged on its way is whole the second time
            self._insist(hand, lambda: self.cloud.store.fetch_clip(order.key, path))
            payload = path.read_bytes()
            if hashlib.sha256(payload).hexdigest() == order.sha256:
                break
        else:
            what = f"the clip in the bucket is another one ({len(payload):,} bytes, {order.size:,} were sent)"
            return self._failed(order, f"{what}. Another try sends it again"), payload
        try:
            detector = self._insist(hand, lambda: self.models.open(order.model))
        except CloudError:
            raise
        except MeerkatError as error:
            return self._failed(order, str(error)), payload
        result = Looking(detector).do(
            order.job,
            payload,
            Circumstances(
                self._incarnation,
                cancelled=lambda: hand.given_back or self._late(order),
                now=self.now,
                threads=self.threads,
            ),
        )
        if hand.given_back:
            raise _GivenBack
        return result, payload

    def _failed(self, order: Order, reason: str) -> Result:
        """An answer for a clip that was not looked at; somebody else may do better."""
        return Result(
            job=order.job.job,
            token=order.job.token,
            incarnation=self._incarnation,
            state="failed",
            reason=reason[:500],
            retry=True,
        )

    def _annotate(self, hand: Hand, payload: bytes, result: Result, path: Path) -> str:
        """The key of the uploaded video; empty when it could not be made: the result counts without it."""
        key = annotated_key(result.job)
        try:
            if not annotate(payload, result, path, cancelled=lambda: hand.given_back):
                raise _GivenBack
            self._insist(hand, lambda: self.cloud.store.put_annotated(key, path))
        except (MediaError, CloudError) as error:
            _logger.warning("The annotated video is missing: %s", error, extra={"job": result.job})
            return ""
        return key

    def _doubt(self, result: Result) -> None:
        """A detector that fails at everything does not take more clips and fail them."""
        self._failures = self._failures + 1 if result.state == "failed" and result.retry else 0
        if self._failures >= FAILURES:
            raise ModelError(
                f"{FAILURES} clips failed one after the other: {result.reason}",
                where=result.model.name if result.model else "",
                remedy="`meerkat worker verify` looks for what is wrong",
            )

    # --- answering ------------------------------------------------------------------------------

    def _answer(self, hand: Hand, order: Order, finished: Finished) -> None:
        job, key = order.job.job, result_key(order.job.job)
        if not self._insist(hand, lambda: self.cloud.store.put_result(key, finished)):
            _logger.info("The clip was answered before: announced once more", extra={"job": job})
        announced = Announced(job=job, token=order.job.token, key=key, worker=self.worker)
        self._insist(hand, lambda: self.cloud.results.announce(announced))
        self.boot = None
        self._insist(hand, lambda: self.cloud.orders.delete(hand.received.receipt))

    def _insist(self, hand: Hand, action: Callable[[], T]) -> T:
        """Do it, again and again while the cloud cannot for a moment. Raises the last CloudError."""
        deadline = self.now() + self.insist_seconds
        pauses = self.pauses.anew()
        while True:
            if hand.given_back:
                raise _GivenBack
            try:
                return action()
            except CloudError as error:
                if error.cause not in PASSING or self.now() > deadline:
                    raise
                pause = next(pauses)
                _logger.warning("%s; again in %g s", error, pause, extra={"job": hand.received.order.job.job})
                hand.wait(pause)
