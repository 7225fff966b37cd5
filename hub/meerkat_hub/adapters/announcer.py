"""Publishing what was committed, in order, until the broker has confirmed it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable

from meerkat_contract.session import Session

from .store import Waiting

log = logging.getLogger("meerkat.hub")

WINDOW = 64
"""Announcements under way at a time."""


class Announcer:
    """Used by the hub's thread alone; `confirm` is called back on the network thread."""

    def __init__(
        self,
        session: Session,
        read_picture: Callable[[str], bytes | None],
        confirm: Callable[[int, bool], None],
    ) -> None:
        self._session = session
        self._read_picture = read_picture
        self._confirm = confirm
        self._waiting: deque[Waiting] = deque()
        self._under_way: dict[int, Waiting] = {}

    def add(self, announcements: Iterable[Waiting]) -> None:
        self._waiting.extend(announcements)

    def confirmed(self, seq: int, delivered: bool) -> None:
        """The broker has it, or the connection went: then it is sent again, in its order."""
        item = self._under_way.pop(seq, None)
        if item is not None and not delivered:
            self._waiting.appendleft(item)
            self._waiting = deque(sorted(self._waiting, key=lambda w: w.seq))

    def pump(self) -> None:
        """Send as many as the window allows."""
        while self._waiting and len(self._under_way) < WINDOW and self._session.connected:
            item = self._waiting.popleft()
            self._under_way[item.seq] = item
            self._send(item)

    def _send(self, item: Waiting) -> None:
        announce = item.announce
        payload: bytes | None = announce.payload
        if announce.event_picture is not None:
            payload = self._read_picture(announce.event_picture)
            if payload is None:
                log.warning("event %s: its picture is gone and is not published", announce.event_picture)
                self._confirm(item.seq, True)
                return
        delivery = self._session.publish(
            announce.topic,
            payload or b"",
            qos=1,
            retain=announce.retain,
            content_type=announce.content_type,
            properties=[("id", announce.event_picture)] if announce.event_picture else (),
        )
        delivery.add_done_callback(lambda done, seq=item.seq: self._confirm(seq, done.error is None))  # type: ignore[misc]
