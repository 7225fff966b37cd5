"""Sleeping devices on the bus: the hub says `offline` in the place of one that missed its wake."""

from __future__ import annotations

import logging
import threading
from datetime import UTC

from meerkat_contract.messages import DeviceInfo, ErrorReport
from meerkat_contract.session import Session
from meerkat_contract.topics import DeviceTopic
from meerkat_hub.core.asleep import Sleeper, Sleepers
from meerkat_hub.core.records import Now

from .live import Change, Live

log = logging.getLogger("meerkat.hub")


class SleepWatch:
    """Hears what devices say on the network thread; `look` is called now and then on another."""

    def __init__(self, session: Session, live: Live) -> None:
        self._session = session
        self._live = live
        self._lock = threading.Lock()
        self._sleepers = Sleepers()
        self._pending: set[str] = set()
        """Of whom we have said `offline`, and not heard it yet."""
        self._reports: dict[str, ErrorReport] = {}

    def described(self, info: DeviceInfo) -> None:
        with self._lock:
            self._sleepers.described(info)

    def forgotten(self, device: str) -> None:
        with self._lock:
            self._sleepers.forgotten(device)
            self._pending.discard(device)

    def told(self, device: str, word: str, now: Now) -> None:
        with self._lock:
            self._sleepers.told(device, word, now)
            crossed = device in self._pending and word == "online"
            self._pending.discard(device)
            report = self._reports.pop(device, None) if word == "online" else None
        if report:
            self._live.errors.remove(device, report)  # it is well again
        if crossed:  # it woke as we gave it up, and the broker may have our word as the last one
            self._say(device, b"online")

    def look(self, now: Now) -> None:
        """Give up who should have woken; say so on the bus, in the log and on the page."""
        with self._lock:
            missed = self._sleepers.missed(now)
            new = [sleeper for sleeper in missed if sleeper.device not in self._pending]
            self._pending.update(sleeper.device for sleeper in missed)
        for sleeper in new:
            self._tell(sleeper, now)
        for sleeper in missed:  # again while it is not heard: there may have been no broker
            with self._lock:  # so that `online` in answer to one that has come back cannot overtake it
                if sleeper.device in self._pending:
                    self._say(sleeper.device, b"offline")

    def _say(self, device: str, word: bytes) -> None:
        self._session.publish(DeviceTopic(device, "availability"), word, qos=1, retain=True)

    def _tell(self, sleeper: Sleeper, now: Now) -> None:
        when = f" at {sleeper.wake.astimezone():%H:%M}" if sleeper.wake else ""
        report = ErrorReport(
            what=f"was to wake{when}, and has not been heard of",
            where=f"device {sleeper.device}",
            remedy="Is its battery empty, or the network out of reach? What it has recorded is on its disk",
            at=now.wall.astimezone(UTC),
        )
        log.warning("%s %s. %s", report.where, report.what, report.remedy)
        self._reports[sleeper.device] = report
        self._live.errors.add(sleeper.device, report)
        self._live.tell(Change("device", sleeper.device))
