"""Whether workers are there: who is known by hearsay is called, and the broker says whether somebody listens.

A broker that is killed publishes no will, and keeps what was retained: a worker that died with it, or came
back under another name, is `online` there for ever. So each worker whose state was kept as online is sent a
job that means nothing (ROLL_CALL), and so is each for whom a job found nobody. What counts is the broker's
answer: whether anybody has subscribed to the worker's jobs. How slow the worker is has no part in it.

    kept as online ──┐            ┌── nobody: the hub says offline in its place, as its will would have
    a job to nobody ─┴─► called ──┤
                                  └── somebody, and it was given up: the hub says online again

The hub's word may reach the broker just after the worker's own, and a worker may subscribe just after it has
said that it is there. So who was given up is called again when the hub hears its own word, and once more a
little later (`core.missing`). What the hub says in a worker's place carries the property BY.

Somebody else may listen to a worker's jobs, as a monitor of all topics does. So a worker whose state says
`roll_call` has to answer the call itself: it is given up after PATIENCE seconds, and back with its first
answer. Of others the broker's word is all there is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from meerkat_contract.messages import ROLL_CALL, Job, WorkerState
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Delivery, Incoming, Session
from meerkat_contract.topics import WorkerTopic
from meerkat_hub.core.inputs import WorkerAbsent
from meerkat_hub.core.records import Now

BY = ("said-by", "hub")

CALL = "00000000-0000-7000-8000-000000000000"
"""The id of the job of every call."""

PATIENCE = 30.0
"""Seconds for which the answer of a worker that answers calls is waited for. It answers at once."""


@dataclass(slots=True)
class _Known:
    """One worker that has said that it is there."""

    state: WorkerState
    """As it said then."""
    words: int = 0
    """Counts what was heard of it: the answer to a call from before the last is out of date."""
    given_up: bool = False
    """The hub has said offline, or is about to, and has not heard of it since."""
    stands: bool = False
    """The hub's offline is what the broker keeps."""
    dropped: bool = False
    """A job found nobody: the core does not count on it."""
    asked: float | None = None
    """Since when it has been silent, though somebody listens (monotonic); None: it is not waited for."""


class WorkerCalls:
    """`call` and `look` may be called on any thread, all else on the network thread."""

    def __init__(
        self, session: Session, absent: Callable[[WorkerAbsent], None], clock: Callable[[], Now]
    ) -> None:
        """`absent` hears of those that are not there."""
        self._session = session
        self._absent = absent
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}

    def heard(self, state: WorkerState, message: Incoming) -> bool:
        """A worker's state, and whether to believe it: not the hub's own word, if the worker spoke since."""
        ours = BY in message.properties
        with self._lock:
            known = self._known.get(state.worker)
            if state.online:
                known = self._known.setdefault(state.worker, _Known(state))
                known.state, known.given_up, known.stands, known.dropped = state, False, False, False
                known.asked = None
                believed, calls = True, ours or message.retain
            elif not ours:
                if known is not None and known.state.incarnation == state.incarnation:
                    del self._known[state.worker]
                return True
            elif known is None:  # an earlier run of the hub has said so, and may have ended too soon
                there = state.model_copy(update={"online": True})
                known = self._known[state.worker] = _Known(there, given_up=True, stands=True)
                believed, calls = True, True
            else:
                believed, calls = known.given_up, not known.stands
                known.stands = True
            known.words += 1
        if calls:
            self.call(state.worker)
        return believed

    def forgotten(self, worker: str) -> None:
        """Its state was cleared."""
        with self._lock:
            self._known.pop(worker, None)

    def nobody(self, worker: str) -> None:
        """The broker had nobody for a job, and the core has heard of it."""
        with self._lock:
            known = self._known.get(worker)
            if known is None:
                return
            known.dropped = True
        self.call(worker)

    def call(self, worker: str) -> None:
        """Ask the broker whether anybody listens to its jobs."""
        with self._lock:
            known = self._known.get(worker)
            words = known.words if known is not None else 0
        if known is None:
            return
        at = self._clock().wall
        job = Job(
            job=CALL,
            token=0,
            task=ROLL_CALL,
            device="hub",
            camera="none",
            media=CALL,
            content_type="image/jpeg",
            captured_at=at,
            lease=PATIENCE,
        )
        delivery = self._session.publish(
            WorkerTopic(worker, "jobs"),
            b"",
            qos=1,
            metadata=Metadata(id=CALL, captured_at=at, content_type=job.content_type),
            properties=[("job", job.to_json().decode())],
        )
        delivery.add_done_callback(lambda delivery: self._answered(worker, words, delivery))

    def _answered(self, worker: str, words: int, delivery: Delivery) -> None:
        """The broker's answer."""
        if delivery.error is not None:
            return  # after the next connection its state comes anew
        with self._lock:
            known = self._known.get(worker)
            if known is None or known.words != words:
                return  # it has said something since
            if known.state.roll_call and not delivery.nobody:
                if known.asked is None and not known.given_up:
                    known.asked = self._clock().mono
                return
            known.asked = None
        self._settle(worker, known, gone=delivery.nobody)

    def spoke(self, worker: str, incarnation: str) -> None:
        """It answers a call itself."""
        with self._lock:
            known = self._known.get(worker)
            if known is None or known.state.incarnation != incarnation:
                return
            known.asked = None
        self._settle(worker, known, gone=False)

    def look(self, now: Now) -> None:
        """Give up those that should have answered a call."""
        if not self._session.connected:
            return  # after the next connection they are called anew
        with self._lock:
            silent = [
                (worker, known)
                for worker, known in self._known.items()
                if known.asked is not None and now.mono >= known.asked + PATIENCE
            ]
            for _, known in silent:
                known.asked = None
        for worker, known in silent:
            self._settle(worker, known, gone=True)

    def _settle(self, worker: str, known: _Known, *, gone: bool) -> None:
        """Say how it is where that is news."""
        with self._lock:
            if known.given_up if gone else not (known.stands or known.dropped):
                return
            known.words += 1
            known.stands = known.dropped = False
            state = known.state
            if gone:
                known.given_up = True
                state = state.offline()
        if gone:
            self._absent(WorkerAbsent(worker, CALL, None))
        topic = WorkerTopic(worker, "state")
        self._session.publish(topic, state.to_json(), qos=1, retain=True, properties=[BY])
