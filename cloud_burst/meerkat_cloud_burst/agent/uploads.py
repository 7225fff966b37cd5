"""Sends clips out: hash, upload, order; two at a time, since a house's upload is one narrow line.

    waiting ──► uploading ──► ordered ──► Sent
       │            │
       └────────────┴──► withdrawn (asked back, or forgotten), or NotSent

A clip is ordered only after it is up. Being up or ordered twice is harmless (same key, same job), so a hub
that was killed in between simply sends again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from meerkat_cloud_burst.errors import Cause, CloudError, Gone
from meerkat_cloud_burst.messages import Order, result_key
from meerkat_cloud_burst.news import NotSent, SendOut, Sent
from meerkat_contract.errors import BadMessage, MeerkatError

from .line import Line, Ports
from .reach import Reach, unexpected

log = logging.getLogger("meerkat.cloud")

THREADS = 2

PASSING: Collection[Cause] = ("network", "throttled", "other")
"""Causes that an upload outlasts by trying again; with the others the clip is better done at home at once."""

PART = "uploads"


@dataclass(slots=True, eq=False)
class _Upload:
    effect: SendOut
    asked: float
    state: Literal["waiting", "uploading", "ordered", "withdrawn"] = "waiting"

    @property
    def order(self) -> Order:
        return self.effect.order


class Uploads:
    """`send` and `withdraw` return at once."""

    def __init__(
        self,
        line: Line,
        reach: Reach,
        media: Callable[[str], Path],
        tell: Callable[[Sent | NotSent], None],
        *,
        clock: Callable[[], float],
        patience: float,
    ) -> None:
        """`patience`: seconds without any success after which a clip that cannot be sent stays at home."""
        self._line = line
        self._reach = reach
        self._media = media
        self._tell = tell
        self._clock = clock
        self._patience = patience
        self._changed = threading.Condition()
        self._waiting: deque[_Upload] = deque()
        self._known: dict[str, _Upload] = {}
        """By job: those that wait, are under way, or were ordered and not forgotten."""
        self._busy = 0
        self._last_success = clock()
        self._stopped = False

    @property
    def idle(self) -> bool:
        with self._changed:
            return not self._waiting and not self._busy

    def threads(self) -> list[threading.Thread]:
        """To be started by the caller; they end after `stop`."""
        return [
            threading.Thread(target=self._run, name=f"cloud-upload-{number}", daemon=True)
            for number in range(THREADS)
        ]

    def send(self, effect: SendOut) -> None:
        upload = _Upload(effect, self._clock())
        with self._changed:
            before = self._known.get(effect.order.job.job)
            if before is not None and before.state != "ordered":
                before.state = "withdrawn"  # this one is newer
            self._known[effect.order.job.job] = upload
            self._waiting.append(upload)
            self._changed.notify()

    def withdraw(self, job: str, token: int) -> bool:
        """Do not send it any more; False when it is ordered, or was by an earlier run of the hub."""
        with self._changed:
            upload = self._known.get(job)
            if upload is None or upload.order.job.token > token:
                return False
            del self._known[job]
            before, upload.state = upload.state, "withdrawn"
            return before in ("waiting", "uploading")

    def newer(self, job: str, token: int) -> bool:
        """Whether the clip is on its way again, under a later token."""
        with self._changed:
            upload = self._known.get(job)
            return upload is not None and upload.order.job.token > token

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    # --- on their threads -----------------------------------------------------------------------

    def _run(self) -> None:
        while (upload := self._next()) is not None:
            try:
                self._send(upload)
            except Exception as error:
                log.exception("An unexpected error while sending clip %s", upload.order.job.job)
                self._give_up(upload, "other", str(unexpected(error)))
            finally:
                with self._changed:
                    self._busy -= 1

    def _next(self) -> _Upload | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._waiting)
            if self._stopped:
                return None
            self._busy += 1
            return self._waiting.popleft()

    def _send(self, upload: _Upload) -> None:
        """Until it is ordered, withdrawn, given up, or the agent stops."""
        while self._goes_on(upload, "uploading"):
            trouble = self._reach.trouble(PART)
            if trouble is not None and self._out_of_patience(upload):
                self._give_up(upload, trouble.cause, str(trouble))
                return
            try:
                self._try(upload)
                return
            except CloudError as error:
                self._line.failed(error)
                self._reach.failed(PART, error)
                if error.cause not in PASSING or self._out_of_patience(upload):
                    self._give_up(upload, error.cause, str(error))
                    return
                self._reach.rest(PART)
            except (MeerkatError, OSError) as error:  # the clip itself cannot be read
                self._give_up(upload, "other", str(error))
                return

    def _try(self, upload: _Upload) -> None:
        began = self._clock()
        path = self._media(upload.effect.media)
        order = _measured(upload.order, path)
        ports = self._line.get()
        answered = _answered_before(ports, order)
        if not answered:
            ports.store.put_clip(order.key, path, upload.effect.content_type)
        if not self._goes_on(upload, "ordered"):
            if not self._stopping:
                ports.store.delete([order.key])
            return
        try:
            if not answered:
                ports.orders.send(order)
        except CloudError:
            self._goes_on(upload, "uploading")
            raise
        now = self._clock()
        self._reach.works(PART)
        with self._changed:
            self._last_success = now
            tell = upload.state == "ordered"
        if tell:
            self._tell(Sent(order.job.job, order.job.token, now - began, order.size))

    @property
    def _stopping(self) -> bool:
        with self._changed:
            return self._stopped

    def _goes_on(self, upload: _Upload, state: Literal["uploading", "ordered"]) -> bool:
        """Take the next step, unless it was withdrawn meanwhile or the agent stops."""
        with self._changed:
            if self._stopped or upload.state == "withdrawn":
                return False
            upload.state = state
            return True

    def _out_of_patience(self, upload: _Upload) -> bool:
        with self._changed:
            return self._clock() - max(upload.asked, self._last_success) > self._patience

    def _give_up(self, upload: _Upload, cause: Cause, reason: str) -> None:
        job = upload.order.job
        with self._changed:
            if self._stopped or upload.state == "withdrawn":
                return
            upload.state = "withdrawn"
            if self._known.get(job.job) is upload:
                del self._known[job.job]
        log.warning("Clip %s stays at home: %s", job.job, reason)
        self._tell(NotSent(job.job, job.token, cause, reason))


def _measured(order: Order, path: Path) -> Order:
    """With the size and the hash of what is sent. The second reading, while uploading, is from memory."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return order.model_copy(update={"size": file.tell(), "sha256": digest})


def _answered_before(ports: Ports, order: Order) -> bool:
    """Whether its result lies there already, as an earlier run of the hub sent the same order.

    The result of an earlier token is deleted: it is written once, and would stand in the new one's way.
    """
    key = result_key(order.job.job)
    try:
        if ports.store.result(key).result.token == order.job.token:
            return True
    except Gone:
        return False
    except BadMessage as error:
        log.warning("An unreadable result is deleted: %s", error)
    ports.store.delete([key])
    return False
