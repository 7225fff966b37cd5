"""The hub's line to the cloud: opened at the first use, and anew when that may help."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from meerkat_cloud_burst.errors import Cause, CloudError
from meerkat_cloud_burst.ports import ClipStore, Fleet, OrderQueue, ResultQueue

ANEW: tuple[Cause, ...] = ("credentials", "missing", "region", "permission")
"""Causes that a person mends outside of the hub: credentials and the stack's names are then read again."""


class Ports(Protocol):
    """What is at the other end."""

    @property
    def fleet(self) -> Fleet: ...

    @property
    def store(self) -> ClipStore: ...

    @property
    def orders(self) -> OrderQueue: ...

    @property
    def results(self) -> ResultQueue: ...


class Line:
    """Used by all threads of the agent."""

    def __init__(self, open_ports: Callable[[], Ports]) -> None:
        self._open = open_ports
        self._lock = threading.Lock()
        self._ports: Ports | None = None

    def get(self) -> Ports:
        """Raises CloudError when it cannot be opened."""
        with self._lock:
            if self._ports is None:
                self._ports = self._open()
            return self._ports

    def failed(self, error: CloudError) -> None:
        """Open it anew at the next use, where the cause is one that this may mend."""
        if error.cause in ANEW:
            with self._lock:
                self._ports = None
