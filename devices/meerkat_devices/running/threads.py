"""The threads of a device: whatever goes wrong on one is told, and it goes on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext

from meerkat_contract.errors import MeerkatError
from meerkat_devices.backoff import Backoff
from meerkat_devices.station import Station

from .heartbeat import Heartbeats

_log = logging.getLogger("meerkat.device")

Run = Callable[[threading.Event], None]
"""What a thread does until the event is set, or it has nothing more to do."""


class Threads:
    """All begin by `start` and end with `stop`."""

    def __init__(self, stop: threading.Event, *, heartbeats: Heartbeats, station: Station) -> None:
        self._stop = stop
        self._heartbeats = heartbeats
        self._station = station
        self._threads: dict[str, threading.Thread] = {}

    def start(self, name: str, run: Run, *, watched: bool = True) -> None:
        """Run on a thread of its own; what it does not expect is reported, and it runs again.

        One that waits for others without the clock is not `watched`.
        """

        def seen() -> None:
            with self._heartbeats.watched(name) if watched else nullcontext():
                self._again_and_again(name, run)

        thread = threading.Thread(target=seen, name=name, daemon=True)
        self._threads[name] = thread
        thread.start()

    def runs(self, name: str) -> bool:
        """Of one that was started."""
        return self._threads[name].is_alive()

    @property
    def any_run(self) -> bool:
        return any(thread.is_alive() for thread in self._threads.values())

    def join(self, *, each: float, deadline: float) -> Iterator[str]:
        """Wait for all that were told to stop, `each` at most so many seconds, until `deadline` (monotonic);
        the names of those that have not ended by then."""
        for name, thread in self._threads.items():
            thread.join(max(0.0, min(each, deadline - time.monotonic())))
            if thread.is_alive():
                yield name

    def _again_and_again(self, name: str, run: Run) -> None:
        backoff = Backoff(first=1.0, longest=60.0)
        while not self._stop.is_set():
            try:
                run(self._stop)
                return
            except MeerkatError as error:
                self._station.report(error, about=name)
            except Exception as error:  # noqa: BLE001 - logged, published, and tried again
                _log.exception("%s failed", name)
                self._station.report(
                    MeerkatError(
                        f"an error in the program: {type(error).__name__}: {error}",
                        where=name,
                        remedy="It is started again; please report it with the lines of the log",
                    ),
                    about=name,
                )
            if self._heartbeats.wait(self._stop, backoff.next()):
                return
