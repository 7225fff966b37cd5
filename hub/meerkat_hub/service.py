"""The hub at work: whoever is awake gathers what happened and turns the core with it.

The hub's own thread turns with whatever happens, and it alone writes to the database and reads files.
While a commit is under way the next inputs gather, so that commits group themselves under load and come
at once when all is quiet.

Most messages are frames and answers to them, of which nothing is written. To hand each to another
thread, and what follows from it back to the network, costs more than to decide upon it. So while the
hub's thread sleeps, the thread that heard them turns the core itself. What turns out to be work for the
disk it leaves to the hub's thread.

Whatever goes wrong (the disk refuses, or a fault of ours), nothing of the batch was promised: the
hub is loaded from the database again, see turn.py.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field

from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.errors import MeerkatError
from meerkat_contract.ids import new_id
from meerkat_contract.values import Around

from .adapters.frames import FrameStore
from .adapters.ingest import Arrived
from .adapters.live import Live
from .adapters.media import MediaFolder
from .adapters.store import Store
from .clock import now
from .core.inputs import Input
from .core.meter_records import ConfiguredMeter, MeterKey
from .core.records import Now
from .core.workflow_records import Policy, WorkflowSpec
from .core.workflows.recognition import Recogniser
from .patience import Patience
from .settings import HubSettings
from .turn import BATCH, Actions, Turn, Work

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
    confirmed: int = 0
    stop: bool = False


@dataclass(slots=True)
class _Left:
    """What another thread has decided and the hub's is to finish; or what went wrong there."""

    arrived: list[Arrived]
    work: Work | None
    error: MeerkatError | None = None


_Happened = Arrived | _Confirmed | _Stop


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
        meters: Mapping[MeterKey, ConfiguredMeter] | None = None,
        burst: BurstSettings | None = None,
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
            meters=meters,
            burst=burst,
        )
        self._clock = clock
        self._actions: Actions | None = None
        self._waiting: deque[_Happened] = deque()
        """For the hub's thread."""
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._rung = False
        """The hub's thread was called and has not looked yet; nobody else turns the core then."""
        self._turning = threading.Lock()
        """Held by whoever turns the core, looks into it, or touches what follows."""
        self._left: _Left | None = None
        self._wakes_at = 0.0
        """When the hub's thread wakes by itself."""
        self._ear = 0
        """The thread within `hearing`, and what it heard."""
        self._heard: list[Arrived | _Confirmed] = []
        self._hearing = Around(self._hear, self._deal)
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
        self._waiting.append(_Stop())
        self._ring()
        self._thread.join(10)

    @property
    def ended(self) -> bool:
        """Whether its thread was started and runs no more."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def give(self, arrived: Arrived) -> None:
        self._put(arrived)

    def happened(self, happened: Input) -> None:
        self._put(Arrived(happened))

    def confirm(self, seq: int, error: MeerkatError | None) -> None:
        """Of an announcement: the broker has it, or why not."""
        self._put(_Confirmed(seq, error))

    def hearing(self) -> AbstractContextManager[None]:
        """What the calling thread says happened within it is dealt with as one, at its end; by that thread
        itself if it is little, and the hub's thread sleeps. Of one thread at a time."""
        return self._hearing

    def _hear(self) -> None:
        self._ear = threading.get_ident()

    def _deal(self) -> None:
        self._ear = 0
        if heard := self._heard:
            self._heard = []
            if not self._deal_here(heard):
                self._waiting.extend(heard)
                self._ring()

    def _put(self, item: Arrived | _Confirmed) -> None:
        if threading.get_ident() == self._ear:
            self._heard.append(item)
        else:
            self._waiting.append(item)
            self._ring()

    def _ring(self) -> None:
        if not self._rung:
            self._rung = True
            self._bell.put(None)

    # --- on the thread that heard it --------------------------------------------------------------

    def _deal_here(self, heard: list[Arrived | _Confirmed]) -> bool:
        """Decide upon it here and now; whether that was possible."""
        if self._rung or not self._turning.acquire(blocking=False):
            return False
        try:
            if self._waiting or self._left is not None or self.turn.core is None:
                return False
            arrived: list[Arrived] = []
            confirmed: list[_Confirmed] = []
            for item in heard:
                if isinstance(item, Arrived):
                    arrived.append(item)
                else:
                    confirmed.append(item)
            if not self.turn.is_light(arrived):
                return False
            self._turn_here(arrived, confirmed)
            return True
        finally:
            self._turning.release()

    def _turn_here(self, arrived: list[Arrived], confirmed: list[_Confirmed]) -> None:
        moment = self._clock()
        try:
            for item in confirmed:
                self.turn.confirm(item.seq, item.error)
            work = self.turn.decided(arrived, moment) if arrived else Work()
            if self.turn.needs_disk(work, moment):
                self._left = _Left(arrived, work)
            else:
                self.turn.finish(work, moment)
        except MeerkatError as error:  # the hub's thread begins anew
            self._left = _Left(arrived, None, error)
        except Exception as error:
            log.exception("a fault in the hub; it loads its database again and goes on")
            self._left = _Left(arrived, None, _fault(error))
        if self._left is not None or moment.mono + self.turn.sleep(moment.mono) < self._wakes_at:
            self._ring()

    # --- the hub's thread -----------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with suppress(queue.Empty):
                self._bell.get(timeout=max(self._wakes_at - self._clock().mono, 0.0))
            self._rung = True  # whoever woke it: it is its turn
            with self._turning:
                self._rung = False
                batch = _Batch()
                try:
                    self._turn(batch)
                except MeerkatError as error:
                    self._recover(error, batch)
                except Exception as error:  # a fault of ours must not leave the hub deaf
                    log.exception("a fault in the hub; it loads its database again and goes on")
                    self._recover(_fault(error), batch)
                if batch.stop or self.turn.core is None:
                    return
                self._wakes_at = self._next()

    def _turn(self, batch: _Batch) -> None:
        """What was left for it and what waits, up to BATCH of it; or what is due."""
        left, self._left = self._left, None
        if left is not None:
            batch.arrived += left.arrived
            if left.error is not None:
                raise left.error
        gathered = self._gather(batch)
        now = self._clock()
        if left is not None or gathered or batch.confirmed or self.turn.is_due(now.mono):
            work = left.work if left is not None else None
            if gathered or work is None:
                work = self.turn.decided(gathered, now, work)
            self.turn.finish(work, now)

    def _gather(self, batch: _Batch) -> list[Arrived]:
        """Take what waits, up to BATCH of it."""
        gathered: list[Arrived] = []
        while self._waiting and len(gathered) < BATCH:
            match self._waiting.popleft():
                case Arrived() as arrived:
                    gathered.append(arrived)
                    batch.arrived.append(arrived)
                case _Confirmed(seq=seq, error=error):
                    batch.confirmed += 1
                    self.turn.confirm(seq, error)
                case _Stop():
                    batch.stop = True
        return gathered

    def _next(self) -> float:
        """When to wake without being called."""
        now = self._clock().mono
        return now if self._waiting else now + self.turn.sleep(now)

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


def _fault(error: Exception) -> MeerkatError:
    return MeerkatError(f"a fault in the hub ({error!r})", remedy="The log has the details")
