"""Errors told to people: in the log, and on the device's error topic.

The topic is not retained, and a hub may come later than the error. So what stands (a camera that is
not there) is told again to a hub that comes, and so is what was told while there was none. That what
stood is over is told too: a report without a `what`, of the same place.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from datetime import UTC, datetime

from meerkat_contract.errors import MeerkatError
from meerkat_contract.messages import ErrorReport
from meerkat_contract.session import Session
from meerkat_contract.topics import DeviceTopic

from .clock import Clock

_log = logging.getLogger("meerkat.device")

REPEAT_SECONDS = 300.0
"""The same error is not told twice within this time."""

HELD = 20
"""How many reports wait for a connection or a hub; the oldest go first."""


class Reports:
    """Every method may be called on any thread."""

    def __init__(self, device: str, session: Session, clock: Clock) -> None:
        self._topic = DeviceTopic(device, "error")
        self._session = session
        self._clock = clock
        self._told: dict[str, float] = {}
        self._held: deque[ErrorReport] = deque(maxlen=HELD)  # told to nobody yet
        self._unheard: deque[ErrorReport] = deque(maxlen=HELD)  # published while the hub was not there
        self._standing: dict[str, ErrorReport] = {}
        self._said: set[ErrorReport] = set()  # published on this connection, and may be told again
        self._hub_here = False
        self._lock = threading.Lock()

    def report(self, error: MeerkatError, *, about: str = "") -> None:
        """Log it and publish it, now or once connected. `about`: whose trouble it is, until `well`."""
        now = self._clock.monotonic()
        text = str(error)
        with self._lock:
            report = ErrorReport(what=error.what, where=error.where, remedy=error.remedy, at=self._now())
            self._told = {said: at for said, at in self._told.items() if now - at < REPEAT_SECONDS}
            moved = self._stands(about, report) if about else False
            known = text in self._told
            if known and not moved:
                return
            if not known:
                self._told[text] = now
                _log.error("%s", text)
            self._held.append(report)
        self.flush()

    def well(self, about: str) -> None:
        """The trouble of `about` is over: a hub that is there hears so, and one that comes hears nothing."""
        with self._lock:
            stood = self._standing.pop(about, None)
            if stood is None:
                return
            self._leave(stood.where)
        self.flush()

    def _stands(self, about: str, report: ErrorReport) -> bool:
        """The trouble of `about` is this now; whether nothing of it stood at that place."""
        stood = self._standing.get(about)
        if stood is None or (stood.what, stood.where) != (report.what, report.where):
            self._standing[about] = report
        if stood is None:
            return True
        if stood.where == report.where:
            return False
        self._leave(stood.where)
        return True

    def _leave(self, where: str) -> None:
        """A trouble at this place is over; should another stand there, it is told in its stead."""
        others = [other for other in self._standing.values() if other.where == where]
        self._held.append(others[-1] if others else ErrorReport(what="", where=where, at=self._now()))

    def _now(self) -> datetime:
        return self._clock.now().astimezone(UTC)

    def flush(self) -> None:
        """Publish what waits, if there is a connection."""
        with self._lock:
            while self._held and self._session.connected:
                report = self._held.popleft()
                if not self._hub_here:
                    self._unheard.append(report)
                self._publish(report)

    def disconnected(self) -> None:
        """Who is there is not known without a connection."""
        with self._lock:
            self._hub_here = False
            self._said.clear()

    def hub_is(self, *, here: bool, news: bool) -> None:
        """What the hub's availability says; `news`: just now, and not kept by the broker from before.

        One that comes hears what was told while it was not there, and what stands. One that was there
        before we were has heard what we published on this connection.
        """
        with self._lock:
            came = here and (news or not self._hub_here)
            self._hub_here = here
            if not came:
                return
            for report in dict.fromkeys((*self._unheard, *self._standing.values())):
                if news or report not in self._said:
                    self._publish(report)
            self._unheard.clear()

    def _publish(self, report: ErrorReport) -> None:
        self._said.add(report)
        self._said.intersection_update((*self._unheard, *self._standing.values()))
        self._session.publish(self._topic, report.to_json(), qos=1, content_type="application/json")
