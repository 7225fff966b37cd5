"""A message above the broker's packet limit travels in parts, and is joined at the other end.

Every part carries the metadata of the whole with `part`, `parts`, `size` and `sha256`. Parts may
arrive in any order and more than once. The joiner holds a bounded number of bytes and forgets what
stays incomplete; it reads no clock: the caller gives the time, in monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from .errors import BadMessage, MessageTooLarge
from .metadata import Metadata

MAXIMUM_PARTS = 10_000
"""As in Metadata.parts."""

MESSAGE_LIMIT = 64 * 1024 * 1024
"""Bytes of the largest whole a joiner accepts unless told otherwise: ten minutes of 720p."""

MEMORY_LIMIT = 128 * 1024 * 1024
"""Bytes a joiner holds of incomplete messages unless told otherwise."""

TIMEOUT = 60.0
"""Seconds without a new part after which an incomplete message is forgotten."""

_OVERHEAD = 256
"""Bytes counted for a part beside its payload, so that empty parts cannot fill the memory either."""


def split(
    payload: bytes | bytearray | memoryview, metadata: Metadata, limit: int
) -> Iterator[tuple[Metadata, memoryview]]:
    """Cut `payload` in parts of at most `limit` bytes, as even as they come; no byte is copied.

    One part with the metadata as it is when the payload fits. Raises MessageTooLarge when it would
    take more than 10,000 parts.
    """
    if limit < 1:
        raise ValueError(f"a part of {limit} bytes carries nothing")
    whole = memoryview(payload).cast("B")
    if len(whole) <= limit:
        yield metadata, whole
        return
    parts = -(-len(whole) // limit)
    if parts > MAXIMUM_PARTS:
        raise MessageTooLarge(
            f"{len(whole):,} bytes in parts of {limit:,} bytes would take {parts:,} parts, "
            f"at most {MAXIMUM_PARTS:,} are allowed",
            remedy="Raise the broker's max_packet_size, or make shorter clips",
        )
    digest = sha256(whole).hexdigest()
    for part in range(1, parts + 1):
        start, end = len(whole) * (part - 1) // parts, len(whole) * part // parts
        yield (
            metadata.model_copy(update={"part": part, "parts": parts, "size": len(whole), "sha256": digest}),
            whole[start:end],
        )


class NoRoom(BadMessage):
    """There is no memory for the part now. The message is sound: it may be sent again later."""


class Key(NamedTuple):
    """What a part belongs to."""

    topic: str
    id: str


class Lost(NamedTuple):
    """A message that was given up incomplete."""

    key: Key
    arrived: int
    parts: int


@dataclass(slots=True)
class _Open:
    """An incomplete message."""

    first: Metadata
    touched: float
    size: int = 0
    parts: dict[int, bytes] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        return self.size + _OVERHEAD * (len(self.parts) + 1)


class Joiner:
    """Joins parts to wholes; not safe for several threads.

    An incomplete message is one of three things later: whole (returned by `add`), refused (BadMessage
    from `add`), or forgotten after `timeout` seconds without a new part (returned by `expire`).
    """

    def __init__(
        self,
        *,
        message_limit: int = MESSAGE_LIMIT,
        memory_limit: int = MEMORY_LIMIT,
        timeout: float = TIMEOUT,
    ) -> None:
        self.message_limit = message_limit
        self.memory_limit = memory_limit
        self.timeout = timeout
        self.held = 0
        """Bytes held now, with an allowance for each part."""
        self._open: dict[Key, _Open] = {}
        self._turned_away: dict[Key, float] = {}

    def __len__(self) -> int:
        """Incomplete messages."""
        return len(self._open)

    def add(
        self, topic: str, metadata: Metadata, payload: bytes, now: float
    ) -> tuple[Metadata, bytes] | None:
        """The whole, once `payload` was its last missing part; else None.

        The whole's metadata is that of a message which never was in parts. A part that came before
        is passed over. A sender that starts the same message again, cut differently, begins anew.
        Raises BadMessage when a limit is broken, or when size or SHA-256 of the whole are wrong; the
        message is forgotten then, and may be sent again from its start. Raises NoRoom when others fill
        the memory; the rest of its parts is passed over, so that they do not fill it as well.
        """
        if metadata.parts == 1:
            return metadata, payload
        key = Key(topic, metadata.id)
        size = metadata.size or 0
        if size > self.message_limit:
            self.forget(key)
            raise BadMessage(
                f"announces {size:,} bytes, at most {self.message_limit:,} are taken",
                where=topic,
                remedy="Make shorter clips",
            )
        if metadata.part == 1:
            self._turned_away.pop(key, None)  # the sender tries again
        elif key in self._turned_away:
            return None
        entry = self._open.get(key)
        if entry is not None and _cut(entry.first) != _cut(metadata):
            self.forget(key)
            entry = None
        if entry is None:
            entry = self._open[key] = _Open(first=metadata, touched=now)
            self.held += entry.weight
        if metadata.part in entry.parts:
            return None
        entry.touched = now
        self._take(key, entry, metadata.part, payload)
        if len(entry.parts) < metadata.parts:
            return None
        self.forget(key)
        whole = b"".join(entry.parts[part] for part in range(1, metadata.parts + 1))
        if len(whole) != size or sha256(whole).hexdigest() != metadata.sha256:
            raise BadMessage(
                f"its {metadata.parts} parts do not join to the {size:,} bytes and the SHA-256 announced",
                where=topic,
                remedy="It was damaged before it was sent: send it again from the original file",
            )
        update = {"part": 1, "parts": 1, "size": None, "sha256": None}
        return entry.first.model_copy(update=update), whole

    def expire(self, now: float) -> list[Lost]:
        """Forget the messages of which no part came for `timeout` seconds."""
        late = [
            Lost(key, len(entry.parts), entry.first.parts)
            for key, entry in self._open.items()
            if now - entry.touched >= self.timeout
        ]
        for lost in late:
            self.forget(lost.key)
        self._turned_away = {key: at for key, at in self._turned_away.items() if now - at < self.timeout}
        return late

    def forget(self, key: Key) -> None:
        """Let go of an incomplete message, if there is one."""
        if entry := self._open.pop(key, None):
            self.held -= entry.weight

    def _take(self, key: Key, entry: _Open, part: int, payload: bytes) -> None:
        if entry.size + len(payload) > (entry.first.size or 0):
            self.forget(key)
            raise BadMessage(
                f"its parts are longer together than the {entry.first.size or 0:,} bytes announced",
                where=key.topic,
                remedy="The sender counts wrong: update its software",
            )
        if self.held + len(payload) + _OVERHEAD > self.memory_limit:
            self.forget(key)
            self._turned_away[key] = entry.touched
            raise NoRoom(
                f"no room for it beside {len(self._open)} other messages in parts "
                f"({self.held:,} of {self.memory_limit:,} bytes)",
                where=key.topic,
                remedy="Send it again later",
            )
        entry.parts[part] = payload
        entry.size += len(payload)
        self.held += len(payload) + _OVERHEAD


def _cut(metadata: Metadata) -> tuple[int, int | None, str | None]:
    return metadata.parts, metadata.size, metadata.sha256
