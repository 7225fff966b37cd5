"""A worker in its process without the process: a cloud in memory, a clock that is moved by hand."""

from __future__ import annotations

import time
from collections.abc import Callable

from cloud_support.pretend_cloud import PretendOrders, PretendResults, PretendStore, order_of
from cloud_support.squares import OneModel, Squares
from meerkat_cloud_burst.worker.doing import Cloud, Doing
from meerkat_cloud_burst.worker.loop import CloudWorker
from meerkat_cloud_burst.worker.metadata import Identity
from meerkat_cloud_burst.worker.patience import Pauses


class Clock:
    """Monotonic, and moved by hand; where the wait itself is tried, also by itself."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.runs = False

    def __call__(self) -> float:
        return self.time + (time.monotonic() if self.runs else 0.0)


class Machine:
    """One worker in its process, without the process."""

    def __init__(self, clip: bytes, *, grace: float | None, identity: Identity | None = None) -> None:
        self.clip = clip
        self.clock = Clock()
        self.store, self.orders, self.results = PretendStore(), PretendOrders(), PretendResults()
        self.squares = Squares()
        self.models = OneModel(self.squares)
        self.left: list[str] = []
        self.leaving: Callable[[], None] = lambda: self.left.append("left")
        doing = Doing(
            Cloud(self.store, self.orders, self.results, self._leave),
            self.models,  # type: ignore[arg-type]
            "i-0123",
            now=self.clock,
            pauses=Pauses(0.001, 0.002),
        )
        self.worker = CloudWorker(doing, idle_grace=grace, identity=identity, now=self.clock)

    def _leave(self) -> None:
        self.leaving()

    def order(self) -> str:
        order = order_of(self.clip)
        self.store.objects[order.key] = self.clip
        self.orders.send(order)
        return order.job.job

    def lives(self) -> list[str]:
        return [life.what for life in self.results.lives]

    def empty_polls(self, seconds: float) -> None:
        """From now on each empty poll lasts that long."""

        def poll() -> None:
            if not self.orders.waiting:
                self.clock.time += seconds

        self.orders.on_receive = poll
