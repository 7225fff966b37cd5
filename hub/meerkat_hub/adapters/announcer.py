"""Publishing what was committed, in order, until the broker has confirmed it."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable

from meerkat_contract.errors import BadMessage, MeerkatError, MessageTooLarge
from meerkat_contract.session import Session

from .store import Waiting

log = logging.getLogger("meerkat.hub")

WINDOW = 64
"""Announcements under way at a time."""

ATTEMPTS = 5
"""Times that the broker may refuse an announcement while it is connected, before it is given up."""

LONGEST_PAUSE = 16.0
"""Seconds; after a refusal the announcer rests for 1 s, 2 s, 4 s, … so long at most."""


EVENT, PICTURE = "/event", "/picture"
"""Ends of the topics: a camera's picture is told at `…/event/picture`, then the event at `…/event`."""

GAP = 0.05
"""Seconds between an event and the next event's picture of the same camera. Home Assistant shows a camera's
last picture: who is told of an event and fetches it at once gets this event's own (measured with 2026.11:
back to back 224 of 599 had been replaced, at a distance of 20 ms none of 20)."""

FLOOD = 16
"""When so many wait, they go without a gap: a picture may be missed rather than everything be late."""


class Announcer:
    """Used by the hub's thread alone; `confirm` is called back on the network thread."""

    def __init__(
        self,
        session: Session,
        read_picture: Callable[[str], bytes | None],
        confirm: Callable[[int, MeerkatError | None], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._read_picture = read_picture
        self._confirm = confirm
        self._now = now
        self._waiting: deque[Waiting] = deque()
        self._under_way: dict[int, Waiting] = {}
        self._refusals: dict[int, int] = {}
        self._rests_until = 0.0
        self._told: dict[str, float] = {}
        """When each camera's last event was sent, by its topic."""

    def add(self, announcements: Iterable[Waiting]) -> None:
        self._waiting.extend(announcements)

    def reset(self, announcements: Iterable[Waiting]) -> None:
        """Begin anew with these; what is under way counts no more."""
        self._under_way.clear()
        self._waiting = deque(announcements)

    def confirmed(self, seq: int, error: MeerkatError | None) -> bool:
        """The fate of one: whether it is over. It is sent again, in its order, when the connection went."""
        item = self._under_way.pop(seq, None)
        if error is None or item is None:
            self._refusals.pop(seq, None)
            return error is None
        if isinstance(error, BadMessage | MessageTooLarge) or self._is_refused(seq):
            self._refusals.pop(seq, None)
            log.error("%s cannot be announced and is given up: %s", item.announce.topic, error)
            return True
        self._waiting = deque(sorted([item, *self._waiting], key=lambda waiting: waiting.seq))
        return False

    def _is_refused(self, seq: int) -> bool:
        """Count a refusal by a broker that is there, and rest a little."""
        if not self._session.connected:
            return False
        self._refusals[seq] = self._refusals.get(seq, 0) + 1
        self._rests_until = self._now() + min(2.0 ** (self._refusals[seq] - 1), LONGEST_PAUSE)
        return self._refusals[seq] >= ATTEMPTS

    def pump(self) -> float | None:
        """Send as many as the window allows. When to be called again, at the latest, if time alone holds
        the next one back: seconds of `now`."""
        if not self._waiting:
            return None
        if self._now() < self._rests_until:
            return self._rests_until
        while self._waiting and len(self._under_way) < WINDOW and self._session.connected:
            if (until := self._held_until(self._waiting[0])) is not None:
                return until
            item = self._waiting.popleft()
            self._under_way[item.seq] = item
            self._send(item)
        return None

    def _held_until(self, item: Waiting) -> float | None:
        """Until when a picture waits, so that the one before it can be fetched."""
        announce = item.announce
        if announce.event_picture is None or len(self._waiting) >= FLOOD:
            return None
        told = self._told.get(announce.topic.removesuffix(PICTURE))
        until = (told or 0.0) + GAP
        return until if told is not None and self._now() < until else None

    def _send(self, item: Waiting) -> None:
        announce = item.announce
        payload: bytes | None = announce.payload
        if announce.event_picture is not None:
            payload = self._read_picture(announce.event_picture)
            if payload is None:
                log.warning("event %s: its picture is gone and is not published", announce.event_picture)
                self._confirm(item.seq, None)
                return
        if announce.topic.endswith(EVENT):
            self._told[announce.topic] = self._now()
        delivery = self._session.publish(
            announce.topic,
            payload or b"",
            qos=1,
            retain=announce.retain,
            content_type=announce.content_type,
            properties=[("id", announce.event_picture)] if announce.event_picture else (),
        )
        delivery.add_done_callback(lambda done, seq=item.seq: self._confirm(seq, done.error))  # type: ignore[misc]
