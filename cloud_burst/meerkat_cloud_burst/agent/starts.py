"""Machines that end before they were ever ready: told as the fleet's trouble, or they are rented on and on.

A machine that cannot set itself up (no package server, a wrong wheel, a model that does not fit) says why and
ends itself. The group has then launched it rightly, and only its own words tell that it was for nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.ports import FleetState

FAILED_LATELY = 300.0
"""Seconds for which it is told; then one more machine is tried."""


class Starts:
    """`heard` and `looked` may be called from several threads."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._excused: set[str] | None = None
        """Those that were there at the first look: what they said before is not known."""
        self._ready: set[str] = set()
        self._trouble: tuple[float, CloudError] | None = None

    def heard(self, worker: str, what: str, reason: str) -> None:
        """`what` as in Life; a worker that sends a result is `ready`."""
        with self._lock:
            if what != "ending":  # one that EC2 takes back early has not failed either
                self._ready.add(worker)
            elif self._excused is not None and worker not in self._excused | self._ready:
                self._trouble = (self._clock(), _failed(worker, reason))
            if what == "ready":
                self._trouble = None

    def looked(self, state: FleetState) -> FleetState:
        """With the trouble, unless the fleet has its own or a machine works."""
        with self._lock:
            there = {instance.id for instance in state.instances if instance.state != "ending"}
            if self._excused is None:
                self._excused = there | {instance.id for instance in state.orphans}
            if self._trouble is None or state.trouble is not None or there & self._ready:
                return state
            at, error = self._trouble
            if self._clock() - at > FAILED_LATELY:
                self._trouble = None
                return state
            return replace(state, trouble=error)


def _failed(worker: str, reason: str) -> CloudError:
    return CloudError(
        f"this machine ended before its first clip: {reason or 'it did not say why'}",
        where=f"instance {worker}",
        remedy="Its log lies in the bucket under logs/; docs/how-to/cloud-burst.md tells more",
    )
