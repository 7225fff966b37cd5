"""A fleet that nobody launches: other PCs of the owner that pull the same queue.

They are known by what they say of themselves (Life) and by their results. It costs nothing, so nothing of
it is scaled or ended from here: whoever started such a worker ends it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from meerkat_cloud_burst.messages import LIFE_AGAIN
from meerkat_cloud_burst.ports import FleetState, Instance

log = logging.getLogger("meerkat.cloud")

SILENT = 3 * LIFE_AGAIN
"""Seconds without a word after which a worker counts no longer."""


class ExternalFleet:
    """The port Fleet. May be used by several threads."""

    def __init__(self, maximum: int, *, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self._maximum = maximum
        self._clock = clock
        self._lock = threading.Lock()
        self._heard: dict[str, tuple[float, datetime]] = {}

    def heard(self, worker: str, what: str) -> None:
        """`worker` said something of itself (`Life.what`), or sent a result (`ready`)."""
        with self._lock:
            if what == "ready":
                _, since = self._heard.get(worker, (0.0, datetime.now(UTC)))
                self._heard[worker] = (self._clock(), since)
            else:
                self._heard.pop(worker, None)

    def look(self) -> FleetState:
        with self._lock:
            oldest = self._clock() - SILENT
            self._heard = {worker: said for worker, said in self._heard.items() if said[0] >= oldest}
            instances = tuple(
                Instance(worker, "running", since) for worker, (_, since) in sorted(self._heard.items())
            )
        return FleetState(desired=len(instances), maximum=self._maximum, instances=instances)

    def set_desired(self, count: int) -> None:
        log.debug("Nothing is launched for %d instances: the fleet is external", count)

    def end(self, instances: Sequence[str]) -> None:
        log.info("The workers %s are yours to end: the fleet is external", ", ".join(instances))
