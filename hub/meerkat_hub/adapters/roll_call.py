"""Who was heard of when: devices, told on the bus now and then, and workers, forgotten after a long time.

    meerkat/device/<d>/heard    RFC 3339 time, retained

While a device is online (the broker hears of it, or says `offline` in its name) its time is told every
TELL_EVERY seconds, and once more when it goes.
"""

from __future__ import annotations

import logging
import threading

from meerkat_contract.ids import format_time
from meerkat_contract.session import Session
from meerkat_contract.topics import DeviceTopic, WorkerTopic
from meerkat_hub.core.records import Now

from .live import Live

log = logging.getLogger("meerkat.hub")

TELL_EVERY = 300.0
"""Seconds."""

FORGET_AFTER = 7 * 24 * 3600.0
"""Seconds away, as this hub has seen it, after which a worker's retained state is cleared."""


class RollCall:
    """`look` is called now and then on a thread of its own, all else on the network thread."""

    def __init__(self, session: Session, live: Live) -> None:
        self._session = session
        self._live = live
        self._lock = threading.Lock()
        self._heard: dict[str, Now] = {}
        self._tell_at: dict[str, float] = {}
        """Monotonic seconds."""
        self._away: dict[str, float] = {}
        """Workers that are away, and since when."""

    def told(self, device: str, word: str, now: Now, *, news: bool) -> None:
        """Its availability; `news` when it is said now, and was not kept by the broker.

        One that is online is heard of by the broker now. What was kept of one that sleeps, or is said in the
        name of one that is gone, is not heard from it.
        """
        with self._lock:
            if word == "online" or (news and word == "asleep"):
                self._heard[device] = now
            if word and (last := self._heard.get(device)) is not None:
                self._tell(device, last)

    def forgotten(self, device: str) -> None:
        """It was removed for good."""
        with self._lock:
            self._heard.pop(device, None)
            self._tell_at.pop(device, None)
        self._session.keep(DeviceTopic(device, "heard"), b"")

    def _tell(self, device: str, at: Now) -> None:
        self._tell_at[device] = at.mono + TELL_EVERY
        text = format_time(at.wall.replace(microsecond=0))
        self._session.keep(DeviceTopic(device, "heard"), text, content_type="text/plain")

    # --- workers --------------------------------------------------------------------------------

    def worker(self, worker: str, *, online: bool, now: Now) -> None:
        with self._lock:
            if online:
                self._away.pop(worker, None)
            else:
                self._away.setdefault(worker, now.mono)

    def worker_gone(self, worker: str) -> None:
        """Its state was cleared."""
        with self._lock:
            self._away.pop(worker, None)
        self._live.workers.pop(worker, None)

    def look(self, now: Now) -> None:
        """Tell who is online, and clear the state of workers that have been away for too long."""
        with self._lock:
            for device, word in list(self._live.availability.items()):
                if word == "online" and self._live.connected:
                    self._heard[device] = now
                    if now.mono >= self._tell_at.get(device, 0.0):
                        self._tell(device, now)
            over = [worker for worker, since in self._away.items() if now.mono - since >= FORGET_AFTER]
        for worker in over:
            log.info("worker %s has been away for %.0f days and is forgotten", worker, FORGET_AFTER / 86_400)
            self._session.publish(WorkerTopic(worker, "state"), b"", qos=1, retain=True)
