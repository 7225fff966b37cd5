"""Forgets a device that is gone for good, when somebody asks for it.

What it said of itself is retained by the broker: without this it would be shown for ever, offline. Should it
ever come back it introduces itself anew.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from meerkat_contract.connection import Connection
from meerkat_contract.errors import BrokerError, MeerkatError

from .live import Change, Live
from .retained import AFTERWARDS, check_silent, clear

log = logging.getLogger("meerkat.hub")

HEARD_SECONDS = 5.0
"""Until the hub hears from the broker itself that the device is no more."""


class Forgetting:
    """Every method may be called on any thread."""

    def __init__(
        self, connection: Connection, live: Live, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._live = live
        self._clock = clock
        self._lock = threading.Lock()
        self._again: dict[str, float] = {}
        """When to clear once more."""

    def forget(self, device: str) -> None:
        """Returns when it is gone from broker, page and database; what it recorded stays.

        Raises LookupError for one that is not known, StillThere, BrokerError.
        """
        if device not in self._live.devices:
            raise LookupError(device)
        check_silent(device, self._says(device))
        if not self._live.connected:
            raise BrokerError(
                "the hub is not connected to the broker, which remembers the device",
                where=f"device {device}",
                remedy="Try again when it is connected",
            )
        with self._heard(device) as gone:
            clear(self._connection, device, says=partial(self._says, device))
            gone.wait(HEARD_SECONDS)
        log.info("device %s is forgotten, as somebody asked for; what it recorded stays", device)
        with self._lock:
            self._again[device] = self._clock() + AFTERWARDS

    def look(self) -> None:
        """Called now and then: clear once more what the last clips have brought."""
        now = self._clock()
        with self._lock:
            due = [device for device, at in self._again.items() if now >= at]
        for device in due if self._live.connected else ():
            try:
                if device not in self._live.devices:  # else it came back
                    clear(self._connection, device, says=partial(self._says, device))
            except MeerkatError as error:
                log.warning("what the last clips of device %s brought is not cleared yet: %s", device, error)
                continue
            with self._lock:
                self._again.pop(device, None)

    def _says(self, device: str) -> str:
        return self._live.availability.get(device, "")

    @contextmanager
    def _heard(self, device: str) -> Iterator[threading.Event]:
        """Set as soon as the hub knows nothing of the device any more."""
        gone = threading.Event()

        def told(change: Change) -> None:
            if change.kind == "device" and device not in self._live.devices:
                gone.set()

        end = self._live.listen(told)
        try:
            yield gone
        finally:
            end()
