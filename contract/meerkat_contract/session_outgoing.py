"""What waits to go out, in order and bounded, and what is under way.

Callers on any thread `offer`; the network thread alone hands over to the client (`pump`). At a lost
connection everything here fails: nothing is kept for later, since durable things have an outbox.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from .errors import BrokerError, MeerkatError, MessageTooLarge
from .metadata import Metadata
from .parts import MAXIMUM_PARTS, split
from .session_reasons import is_failure, publish_refused
from .session_transport import Transport
from .session_values import Delivery
from .session_wire import check_topic, pack_properties, packet_size

QUEUE_LIMIT = 64 * 1024 * 1024
"""Bytes that may wait; what comes on top fails at once. One message alone may be larger."""

WRITE_AHEAD = 4 * 1024 * 1024
"""Bytes of QoS 0 handed to the client and not yet taken by the socket, above which we wait."""

NO_MATCHING_SUBSCRIBERS = 0x10
"""Reason code of a PUBACK (MQTT 5.0, 3.4.2.1): the broker took the message and nobody wanted it."""


@dataclass(slots=True)
class Packet:
    """One PUBLISH."""

    topic: str
    payload: bytes | bytearray | memoryview
    qos: int
    retain: bool
    properties: bytes
    delivery: Delivery = field(default_factory=Delivery)


class Outgoing:
    """The way out of one session."""

    def __init__(self) -> None:
        self.window = 20
        """QoS 1 messages under way at a time: the broker's Receive Maximum."""
        self._lock = threading.Lock()
        self._open = False
        self._queue: deque[Packet] = deque()
        self._queued = 0
        self._under_way: dict[int, Packet] = {}
        self._unwritten: deque[tuple[object, Packet]] = deque()
        self._unwritten_bytes = 0

    @property
    def idle(self) -> bool:
        return not (self._queue or self._under_way or self._unwritten)

    def open(self, window: int) -> None:
        """A connection is there."""
        with self._lock:
            self.window = window
            self._open = True

    def offer(self, packets: Sequence[Packet]) -> MeerkatError | None:
        """Queue packets, all or none; the error says why not. From any thread."""
        if len(packets) == 1:
            size = len(packets[0].payload)
        else:
            size = sum([len(packet.payload) for packet in packets])
        with self._lock:
            if not self._open:
                return offline()
            if self._queued and self._queued + size > QUEUE_LIMIT:
                return BrokerError(
                    f"{self._queued:,} bytes wait for the network already",
                    remedy="Publish less, or look at the network's speed",
                )
            self._queue.extend(packets)
            self._queued += size
        return None

    def pump(self, client: Transport) -> bool:
        """Hand over to the client what there is room for; whether there was anything. Network thread only."""
        queue, some, taken = self._queue, False, 0
        while queue:
            packet = queue[0]
            topic, payload, qos = packet.topic, packet.payload, packet.qos
            if qos:
                if len(self._under_way) >= self.window:
                    break
            elif self._unwritten_bytes >= WRITE_AHEAD:
                break
            queue.popleft()
            size = len(payload)
            some, taken = True, taken + size
            ticket = client.publish(topic, payload, qos, packet.retain, packet.properties)
            if ticket is None:
                packet.delivery.finish(offline())
            elif qos:
                assert isinstance(ticket, int)
                self._under_way[ticket] = packet
            else:
                self._unwritten.append((ticket, packet))
                self._unwritten_bytes += size
        if some:
            with self._lock:
                self._queued -= taken
        return some

    def written(self, client: Transport) -> None:
        """Settle the QoS 0 messages that have left for the network."""
        unwritten, is_written = self._unwritten, client.is_written
        while unwritten and is_written(unwritten[0][0]):
            packet = unwritten.popleft()[1]
            self._unwritten_bytes -= len(packet.payload)
            packet.delivery.finish()

    def acknowledged(self, mid: int, code: int) -> None:
        """Settle a QoS 1 message on its PUBACK."""
        packet = self._under_way.pop(mid, None)
        if packet is None:
            return
        packet.delivery.nobody = code == NO_MATCHING_SUBSCRIBERS
        packet.delivery.finish(publish_refused(packet.topic, code) if is_failure(code) else None)

    def close(self, error: BrokerError) -> None:
        """The connection is lost: everything fails with `error`."""
        with self._lock:
            self._open = False
            lost = [*self._under_way.values(), *(packet for _, packet in self._unwritten), *self._queue]
            self._under_way.clear()
            self._unwritten.clear()
            self._queue.clear()
            self._queued = self._unwritten_bytes = 0
        for packet in lost:
            packet.delivery.finish(error)


def as_bytes(payload: bytes | bytearray | memoryview | str) -> bytes | bytearray | memoryview:
    """The payload, with len() in bytes; copied only if it has to be."""
    if isinstance(payload, str):
        return payload.encode()
    if isinstance(payload, memoryview) and not (payload.c_contiguous and payload.nbytes == len(payload)):
        return payload.tobytes()
    return payload


def offline() -> BrokerError:
    return BrokerError("not connected to the broker", remedy="It is tried again all the time; see the log")


def make_packets(
    topic: str,
    payload: bytes | bytearray | memoryview,
    maximum: int,
    *,
    qos: int,
    retain: bool,
    metadata: Metadata | None,
    content_type: str,
    extra: Sequence[tuple[str, str]],
    expiry: int | None,
) -> list[Packet]:
    """A message as one packet, or in parts where the broker's `maximum` bytes of a packet ask for it.

    Raises MessageTooLarge (retained state and what has no metadata cannot go in parts) or BadMessage.
    """
    _checked(topic)
    if metadata is not None:
        block = _with_metadata(metadata, extra, content_type, expiry, topic)
    elif extra:
        block = pack_properties(extra, content_type=content_type, expiry=expiry, topic=topic)
    else:
        block = _packed(content_type, expiry)
    if len(payload) + len(block) + 4 * len(topic) + _FRAMING <= maximum:  # whatever it is exactly
        return [Packet(topic, payload, qos, retain, block)]
    size = packet_size(topic, block, len(payload), qos)
    if size <= maximum:
        return [Packet(topic, payload, qos, retain, block)]
    if metadata is None or retain:
        raise _too_large(topic, size, maximum)
    widest = {"part": MAXIMUM_PARTS, "parts": MAXIMUM_PARTS, "size": len(payload), "sha256": "0" * 64}
    head = _with_metadata(metadata.model_copy(update=widest), extra, content_type, expiry, topic)
    room = maximum - packet_size(topic, head, 0, qos) - _LENGTH_GROWTH
    if room < 1:
        raise _too_large(topic, size, maximum)
    return [
        Packet(topic, data, qos, retain, _with_metadata(part, extra, content_type, expiry, topic))
        for part, data in split(payload, metadata, room)
    ]


def _with_metadata(
    metadata: Metadata, extra: Sequence[tuple[str, str]], content_type: str, expiry: int | None, topic: str
) -> bytes:
    pairs = [*metadata.to_properties(), *extra]
    kind = content_type or metadata.content_type
    return pack_properties(pairs, content_type=kind, expiry=expiry, topic=topic)


_FRAMING = 10
"""Bytes of a PUBLISH at most beside its topic, properties and payload."""

_LENGTH_GROWTH = 3
"""Bytes by which a packet's length field may grow once it has a payload."""


def _too_large(topic: str, size: int, maximum: int) -> MessageTooLarge:
    return MessageTooLarge(
        f"{size:,} bytes, and the broker takes {maximum:,} at most",
        where=topic,
        remedy="Raise max_packet_size in the broker's configuration",
    )


@lru_cache(maxsize=1024)
def _checked(topic: str) -> None:
    check_topic(topic)


@lru_cache(maxsize=256)
def _packed(content_type: str, expiry: int | None) -> bytes:
    return pack_properties((), content_type=content_type, expiry=expiry)
