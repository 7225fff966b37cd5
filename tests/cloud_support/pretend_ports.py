"""A cloud in memory for the agent's tests, in which single methods can be made to fail."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from meerkat_cloud_burst.errors import CloudError, Gone
from meerkat_cloud_burst.messages import Announced, Finished, Life, Order
from meerkat_cloud_burst.ports import FleetState, QueueState, Received


class PretendPorts:
    """The ports in one. `failing`: by the name of a method, what it raises until it is taken out."""

    def __init__(self) -> None:
        self.failing: dict[str, CloudError] = {}
        self.done: list[tuple[object, ...]] = []
        self.results_waiting: list[tuple[Announced | Life, str]] = []
        self.store = self.orders = self.results = self
        self.fleet = PretendFleet(self)
        self._arrived = threading.Event()

    def do(self, name: str, *what: object) -> None:
        if name in self.failing:
            raise self.failing[name]
        self.done.append((name, *what))

    def of(self, name: str) -> list[tuple[object, ...]]:
        return [what for did, *what in self.done if did == name]

    # --- ClipStore

    def put_clip(self, key: str, path: Path, content_type: str) -> None:
        self.do("put_clip", key)

    def result(self, key: str) -> Finished:
        raise Gone("nothing")

    # --- queues

    def look(self) -> QueueState:
        return QueueState()

    def send(self, order: Order) -> None:
        self.do("send", order.job.job)

    def receive(self, wait: float, limit: int = 10) -> Sequence[tuple[Announced | Life, str]]:
        self._arrived.wait(0.05)
        some, self.results_waiting = self.results_waiting[:limit], self.results_waiting[limit:]
        return some

    def delete(self, what: Sequence[str]) -> None:
        self.do("delete", *what)

    def give_back(self, receipts: Sequence[str]) -> None:
        self.do("give_back", *receipts)

    def dead_letters(self, limit: int = 10) -> Sequence[Received]:
        return []

    def bury(self, receipt: str) -> None:
        self.do("bury", receipt)


class PretendFleet:
    """`state` is what it looks like."""

    def __init__(self, ports: PretendPorts) -> None:
        self.state = FleetState()
        self._ports = ports

    def look(self) -> FleetState:
        if "look" in self._ports.failing:
            raise self._ports.failing["look"]
        return self.state

    def set_desired(self, count: int) -> None:
        self._ports.do("set_desired", count)

    def end(self, instances: Sequence[str]) -> None:
        self._ports.do("end", *instances)
