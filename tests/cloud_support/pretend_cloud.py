"""A cloud in memory for a worker's tests: the ports of the burst, and what was done to them.

Visibility does not lapse by itself: what is taken stays taken until it is given back or deleted.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from meerkat_cloud_burst.errors import CloudError, Gone
from meerkat_cloud_burst.messages import HOME, Announced, Finished, Life, Order, clip_key
from meerkat_cloud_burst.ports import QueueState, Received
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Job

Faults = dict[str, list[CloudError]]
"""By the name of a method: what its next calls raise."""


def order_of(payload: bytes, *, annotated: bool = False, model: str = "", **job: object) -> Order:
    """An order for that clip, as the hub sends it."""
    made = Job.model_validate(
        {
            "job": new_id(),
            "token": 0,
            "device": HOME,
            "camera": HOME,
            "media": new_id(),
            "captured_at": datetime.now(UTC),
            "lease": 600.0,
            **job,
        }
    )
    return Order(
        job=made,
        key=clip_key(made.job, made.token),
        size=len(payload),
        sha256=hashlib.sha256(payload).hexdigest(),
        sent_at=datetime.now(UTC),
        annotated=annotated,
        model=model,
    )


@dataclass
class PretendStore:
    objects: dict[str, bytes] = field(default_factory=dict)
    faults: Faults = field(default_factory=dict)
    results: dict[str, Finished] = field(default_factory=dict)

    def _fail(self, name: str) -> None:
        if waiting := self.faults.get(name):
            raise waiting.pop(0)

    def put_clip(self, key: str, path: Path, content_type: str) -> None:
        self.objects.setdefault(key, path.read_bytes())

    def fetch_clip(self, key: str, path: Path) -> None:
        self._fail("fetch_clip")
        if key not in self.objects:
            raise Gone("it is not there", where=key)
        path.write_bytes(self.objects[key])

    def put_result(self, key: str, finished: Finished) -> bool:
        self._fail("put_result")
        if key in self.results:
            return False
        self.results[key] = finished
        return True

    def put_annotated(self, key: str, path: Path) -> None:
        self._fail("put_annotated")
        self.objects[key] = path.read_bytes()

    def result(self, key: str) -> Finished:
        return self.results[key]

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)


@dataclass
class PretendOrders:
    """`prolonged`: receipts with their seconds; `on_receive` is called before each receive."""

    waiting: list[Order] = field(default_factory=list)
    taken: dict[str, Order] = field(default_factory=dict)
    prolonged: list[tuple[str, float]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    faults: Faults = field(default_factory=dict)
    on_receive: Callable[[], None] = lambda: None
    receives: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def _fail(self, name: str) -> None:
        if waiting := self.faults.get(name):
            raise waiting.pop(0)

    def send(self, order: Order) -> None:
        self.waiting.append(order)

    def receive(self, wait: float) -> Received | None:
        self.on_receive()
        self.waits.append(wait)
        self._fail("receive")
        with self._lock:
            if not self.waiting:
                return None
            self.receives += 1
            order = self.waiting.pop(0)
            receipt = f"receipt-{self.receives}"
            self.taken[receipt] = order
            return Received(order, receipt, 1)

    def prolong(self, receipt: str, seconds: float) -> None:
        self._fail("prolong")
        with self._lock:
            self.prolonged.append((receipt, seconds))
            if seconds == 0 and receipt in self.taken:
                self.waiting.append(self.taken.pop(receipt))

    def delete(self, receipt: str) -> None:
        self._fail("delete")
        with self._lock:
            self.deleted.append(receipt)
            self.taken.pop(receipt, None)

    def look(self) -> QueueState:
        return QueueState(len(self.waiting), len(self.taken))

    def dead_letters(self, limit: int = 10) -> Sequence[Received]:
        return ()

    def bury(self, receipt: str) -> None:
        raise AssertionError("a worker buries nothing")


@dataclass
class PretendResults:
    said: list[Announced | Life] = field(default_factory=list)
    faults: Faults = field(default_factory=dict)

    def announce(self, message: Announced | Life) -> None:
        if waiting := self.faults.get("announce"):
            raise waiting.pop(0)
        self.said.append(message)

    def receive(self, wait: float, limit: int = 10) -> Sequence[tuple[Announced | Life, str]]:
        raise AssertionError("a worker reads no results")

    def delete(self, receipts: Sequence[str]) -> None:
        raise AssertionError("a worker reads no results")

    def give_back(self, receipts: Sequence[str]) -> None:
        raise AssertionError("a worker reads no results")

    @property
    def lives(self) -> list[Life]:
        return [said for said in self.said if isinstance(said, Life)]

    @property
    def announced(self) -> list[Announced]:
        return [said for said in self.said if isinstance(said, Announced)]
