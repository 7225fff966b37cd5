"""Takes off the bus what is over for good: cameras that were removed on the page, and the ended demo.

What a device says of itself is retained by the broker and outlives it. So the page and Home Assistant would
show it for ever, offline. When a device, or one of its cameras, is over and silent, all that is retained of
it is cleared, its info first: with that Home Assistant lets go of it. What it recorded stays.

What is over follows from the cameras' file, and is looked at again at each start: a power cut loses nothing.
"""

from __future__ import annotations

import logging
import platform
import threading
import time
from collections.abc import Callable, Iterable

from meerkat_contract.added_cameras import AddedCameras, unsent
from meerkat_contract.connection import Connection
from meerkat_contract.errors import MeerkatError

from .live import Change, Live
from .page_cameras import PageCameras
from .retained import AFTERWARDS, StillThere, clear, clear_things

log = logging.getLogger("meerkat.hub")

LOOK_EVERY = 30.0
"""Seconds; it looks at once when a device says something of itself."""
SILENT = 10.0
"""Seconds after the start in which a device has been heard of, or is not there."""
STOP_SECONDS = 1.0
"""It touches nothing that the hub closes."""


class Farewell:
    """`over`: devices of the demo that were drawn once and are not now."""

    def __init__(
        self,
        connection: Connection,
        live: Live,
        cameras: PageCameras,
        *,
        over: Iterable[str] = (),
        host: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._live = live
        self._cameras = cameras
        self._over = frozenset(over)
        self._host = host or platform.node()
        self._clock = clock
        self._begun = clock()
        self._cleared: frozenset[str] | None = None
        """The page's cameras at the last clearing; None before the first one."""
        self._again = float("inf")
        """When to clear once more."""
        self._wake, self._ended = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="farewell", daemon=True)
        self._forget_listener: Callable[[], None] = lambda: None

    def start(self) -> None:
        self._forget_listener = self._live.listen(self._told)
        self._thread.start()

    def stop(self) -> None:
        self._forget_listener()
        self._ended = True
        self._wake.set()
        self._thread.join(STOP_SECONDS)

    def look(self) -> None:
        """Soon: something was removed."""
        self._wake.set()

    def _told(self, change: Change) -> None:
        if change.kind == "device":
            self._wake.set()

    def _run(self) -> None:
        while not self._ended:
            try:
                self._look()
            except StillThere as error:
                log.info("%s again, and not cleared away", error.what)
            except MeerkatError as error:
                log.warning("what was removed is not cleared away yet: %s", error)
            self._wake.wait(LOOK_EVERY)
            self._wake.clear()

    def _look(self) -> None:
        """Raises MeerkatError."""
        if not self._live.connected:
            return
        with self._cameras.lock:
            added = self._cameras.all()
            over = {*self._over, *(self._cameras.demo if added.cameras else ())}
            if not added.cameras:
                over.add(added.device)
            once_more = self._clock() >= self._again
            if once_more:
                self._again = float("inf")
            for device in sorted(over):
                if self._is_gone(device, drawn=device != added.device):
                    self._clear(device)
                    log.info("device %s is over, and cleared from the bus", device)
                    self._again = self._clock() + AFTERWARDS
                elif once_more and device not in self._live.devices:
                    self._clear(device)
            self._look_at_cameras(added, once_more=once_more)

    def _look_at_cameras(self, added: AddedCameras, *, once_more: bool) -> None:
        """Clear what is there of cameras that were removed, once their device tells of them no longer."""
        names = frozenset(added.cameras)
        told = self._live.devices.get(added.device)
        if not names or told is None or not {camera.name for camera in told.cameras} <= names:
            return
        if once_more or self._cleared is None or not self._cleared <= names:
            clear_things(self._connection, added.device, besides=names)
        if self._cleared is not None and not self._cleared <= names:
            self._again = self._clock() + AFTERWARDS
        self._cleared = names

    def _is_gone(self, device: str, *, drawn: bool) -> bool:
        """It was a device of this machine, and nobody speaks for it any more.

        `drawn`: it is one of the demo only if nothing but scenes was before its cameras.
        """
        info = self._live.devices.get(device)
        if info is None or info.host != self._host:
            return False
        if drawn and any(camera.source != "scene" for camera in info.cameras):
            return False
        if not drawn and unsent(self._cameras.file.parent, device):
            return False  # it comes once more, to hand that over
        word = self._live.availability.get(device, "")
        return word == "offline" or (not word and self._clock() - self._begun > SILENT)

    def _clear(self, device: str) -> None:
        """Raises MeerkatError."""
        clear(self._connection, device, says=lambda: self._live.availability.get(device, ""))
