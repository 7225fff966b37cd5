"""Errors told to people: in the log, and on the device's error topic."""

from __future__ import annotations

import logging
import threading
from collections import deque
from datetime import UTC

from meerkat_contract.errors import MeerkatError
from meerkat_contract.messages import ErrorReport
from meerkat_contract.session import Session
from meerkat_contract.topics import DeviceTopic

from .clock import Clock

_log = logging.getLogger("meerkat.device")

REPEAT_SECONDS = 300.0
"""The same error is not told twice within this time."""

HELD = 20
"""How many reports wait for a connection; the oldest go first."""


class Reports:
    """Every method may be called on any thread."""

    def __init__(self, device: str, session: Session, clock: Clock) -> None:
        self._topic = DeviceTopic(device, "error")
        self._session = session
        self._clock = clock
        self._told: dict[str, float] = {}
        self._held: deque[ErrorReport] = deque(maxlen=HELD)
        self._lock = threading.Lock()

    def report(self, error: MeerkatError) -> None:
        """Log it and publish it, now or once connected."""
        now = self._clock.monotonic()
        text = str(error)
        with self._lock:
            self._told = {said: at for said, at in self._told.items() if now - at < REPEAT_SECONDS}
            if text in self._told:
                return
            self._told[text] = now
            at = self._clock.now().astimezone(UTC)
            self._held.append(ErrorReport(what=error.what, where=error.where, remedy=error.remedy, at=at))
        _log.error("%s", text)
        self.flush()

    def flush(self) -> None:
        """Publish what waits, if there is a connection."""
        with self._lock:
            while self._held and self._session.connected:
                message = self._held.popleft().to_json()
                self._session.publish(self._topic, message, qos=1, content_type="application/json")
