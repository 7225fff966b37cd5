"""The hub at work: one thread that gathers what happened and turns the core with it.

The thread owns the core and the database's writes. While a commit is under way the next inputs
gather, so that commits group themselves under load and come at once when all is quiet.

Whatever goes wrong (the disk refuses, or a fault of ours), nothing of the batch was promised: the
hub is loaded from the database again, see turn.py.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from meerkat_contract.errors import MeerkatError
from meerkat_contract.ids import new_id

from .adapters.frames import FrameStore
from .adapters.ingest import Arrived
from .adapters.live import Live
from .adapters.media import MediaFolder
from .adapters.store import Store
from .clock import now
from .core.inputs import Input
from .core.recognition import Recogniser
from .core.records import Now
from .core.workflow_records import Policy, WorkflowSpec
from .patience import Patience
from .settings import HubSettings
from .turn import BATCH, Actions, Turn

log = logging.getLogger("meerkat.hub")

RETRY = 1.0
"""Seconds before the first attempt to load the database again after it refused; then longer, see Patience."""


@dataclass(frozen=True, slots=True)
class _Confirmed:
    seq: int
    error: MeerkatError | None


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


@dataclass(slots=True)
class _Batch:
    arrived: list[Arrived] = field(default_factory=list)
    stop: bool = False


class HubService:
    def __init__(
        self,
        store: Store,
        media: MediaFolder,
        live: Live,
        settings: HubSettings,
        clock: Callable[[], Now] = now,
        *,
        frames: FrameStore | None = None,
        recogniser: Recogniser | None = None,
        workflows: Mapping[str, WorkflowSpec] | None = None,
        policy: Policy | None = None,
    ) -> None:
        """The keywords are those of Turn."""
        self.turn = Turn(
            store,
            media,
            live,
            settings,
            new_id,
            frames=frames,
            recogniser=recogniser,
            workflows=workflows,
            policy=policy,
        )
        self._clock = clock
        self._actions: Actions | None = None
        self._queue: queue.SimpleQueue[Arrived | _Confirmed | _Stop] = queue.SimpleQueue()
        self._patience = Patience(RETRY)
        self._thread = threading.Thread(target=self._run, name="hub", daemon=True)
        self._stopping = threading.Event()
        self.failure: MeerkatError | None = None
        """Set while the database refuses, or after a fault, until the hub is loaded again."""

    # --- from other threads ---------------------------------------------------------------------

    def start(self, actions: Actions) -> None:
        """Load the database and begin. Raises StorageError."""
        self._actions = self.turn.actions = actions
        self.turn.load(self._clock())
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._queue.put(_Stop())
        self._thread.join(10)

    @property
    def ended(self) -> bool:
        """Whether its thread was started and runs no more."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def give(self, arrived: Arrived) -> None:
        self._queue.put(arrived)

    def happened(self, happened: Input) -> None:
        self._queue.put(Arrived(happened))

    def confirm(self, seq: int, error: MeerkatError | None) -> None:
        """Of an announcement: the broker has it, or why not."""
        self._queue.put(_Confirmed(seq, error))

    # --- the hub's thread -----------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            batch = _Batch()
            try:
                self._gather(batch)
                self.turn.process(batch.arrived, self._clock())
            except MeerkatError as error:
                self._recover(error, batch)
            except Exception as error:  # a fault of ours must not leave the hub deaf
                log.exception("a fault in the hub; it loads its database again and goes on")
                fault = MeerkatError(f"a fault in the hub ({error!r})", remedy="The log has the details")
                self._recover(fault, batch)
            if batch.stop or self.turn.core is None:
                return

    def _gather(self, batch: _Batch) -> None:
        """What waits, up to BATCH of it; when nothing does, what comes first, or nothing in time."""
        if self._queue.empty():
            timeout = self.turn.sleep(self._clock().mono)
            with suppress(queue.Empty):
                self._take(self._queue.get(timeout=timeout), batch)
        while len(batch.arrived) < BATCH:
            try:
                self._take(self._queue.get_nowait(), batch)
            except queue.Empty:
                break

    def _take(self, item: Arrived | _Confirmed | _Stop, batch: _Batch) -> None:
        match item:
            case Arrived():
                batch.arrived.append(item)
            case _Confirmed(seq=seq, error=error):
                self.turn.confirm(seq, error)
            case _Stop():
                batch.stop = True

    def _recover(self, error: MeerkatError, batch: _Batch) -> None:
        self.failure = error
        log.error("%s", error)
        self.turn.abandon(batch.arrived)
        while self.turn.core is None and not self._stopping.wait(self._patience.failed(self._clock().mono)):
            try:
                self.turn.load(self._clock())
            except MeerkatError as again:
                self.failure = again
                log.error("%s", again)
            except Exception:
                log.exception("a fault while the hub loaded its database; it tries again")
            else:
                self.failure = None
                if self._actions is not None:
                    self._actions.recovered()
