"""MQTT 5 packets as bytes, to and from (MQTT 5.0, chapters 2 and 3); no I/O.

Only what the bus uses: QoS 0 and 1, no topic aliases, no authentication packets. What a broker must
not send raises Malformed.
"""

from __future__ import annotations

import struct

from .session_transport import Accepted, Acknowledged, Ended, Event, Granted, Hello, Message
from .session_wire import variable_length

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"

_UNSUPPORTED_VERSION = 0x84
_CONTENT_TYPE, _IDENTIFIER, _USER = 0x03, 0x0B, 0x26
_SESSION_EXPIRY, _KEEP_ALIVE, _RECEIVE_MAXIMUM = 0x11, 0x13, 0x21
_MAXIMUM_QOS, _RETAIN, _PACKET_SIZE, _IDENTIFIERS = 0x24, 0x25, 0x27, 0x29

# How many bytes a property has after its name, by its type (section 2.2.2.2).
_FIXED = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
_STRINGS = frozenset({0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F})


class Malformed(Exception):
    """What came is no MQTT 5."""


# --- out ------------------------------------------------------------------------------------------


def connect(hello: Hello) -> bytes:
    """CONNECT"""
    will, connection = hello.will, hello.connection
    flags = 0 if hello.session_expiry else 0x02
    body = [_text(hello.client_id)]
    if will:
        flags |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
        body += [b"\0", _text(str(will.topic)), _data(will.payload)]
    if connection.username is not None:
        flags |= 0x80
        body.append(_text(connection.username))
        if connection.password is not None:
            flags |= 0x40
            body.append(_text(connection.password))
    said = struct.pack("!BH", _RECEIVE_MAXIMUM, hello.receive_maximum)
    if hello.session_expiry:
        said += struct.pack("!BI", _SESSION_EXPIRY, hello.session_expiry)
    head = struct.pack("!6sBBHB", b"\0\4MQTT", 5, flags, hello.keep_alive, len(said))
    return _packet(0x10, head + said + b"".join(body))


def publish_head(topic: bytes, properties: bytes, size: int, qos: int, mid: int, *, retain: bool) -> bytes:
    """Everything of a PUBLISH before its payload of `size` bytes. `properties` with their length."""
    properties = properties or b"\0"
    rest = 2 + len(topic) + (2 if qos else 0) + len(properties) + size
    first = 0x30 | qos << 1 | retain
    head = b"%c%b%b%b" % (first, variable_length(rest), len(topic).to_bytes(2, "big"), topic)
    return head + mid.to_bytes(2, "big") + properties if qos else head + properties


def puback(mid: int) -> bytes:
    return b"\x40\x02" + mid.to_bytes(2, "big")


def subscribe(mid: int, topic: str, *, qos: int, no_local: bool, identifier: int | None) -> bytes:
    said = b"" if identifier is None else b"%c%b" % (_IDENTIFIER, variable_length(identifier))
    options = qos | (0x04 if no_local else 0)
    return _packet(0x82, b"%b%c%b%b%c" % (mid.to_bytes(2, "big"), len(said), said, _text(topic), options))


def unsubscribe(mid: int, topic: str) -> bytes:
    return _packet(0xA2, mid.to_bytes(2, "big") + b"\0" + _text(topic))


def _packet(first: int, body: bytes) -> bytes:
    return b"%c%b%b" % (first, variable_length(len(body)), body)


def _text(text: str) -> bytes:
    return _data(text.encode())


def _data(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


# --- in -------------------------------------------------------------------------------------------


def read_length(data: memoryview, at: int, end: int) -> tuple[int, int] | None:
    """A Variable Byte Integer at `at` and where it ends; None when bytes are missing before `end`."""
    value = shift = 0
    while at < end:
        digit = data[at]
        at += 1
        value |= (digit & 0x7F) << shift
        if digit < 0x80:
            return value, at
        shift += 7
        if shift > 21:
            raise Malformed("a length of more than four bytes")
    return None


def read_packet(first: int, data: memoryview) -> Event | None:
    """What the packet says to the session; None for one that says nothing to it.

    `first` is its first byte, `data` all that follows its length.
    """
    kind = first >> 4
    try:
        if kind == 3:
            return _publish(first, data)
        match kind:
            case 4:
                return Acknowledged(_number(data, 0), data[2] if len(data) > 2 else 0)
            case 9:
                after = _skip(data, 2)
                return Granted(_number(data, 0), data[after])
            case 2:
                return _connack(bytes(data))
            case 14:
                return Ended(data[0] if data else 0)
            case 11 | 13:
                return None
    except (IndexError, struct.error):
        raise Malformed(f"a packet of type {kind} that ends too early") from None
    raise Malformed(f"a packet of type {kind}, which was not asked for")


def _publish(first: int, data: memoryview) -> Message:
    size = data[0] << 8 | data[1]
    at = 2 + size
    try:
        topic: str | None = str(data[2:at], "utf-8")
    except UnicodeDecodeError:
        topic = None
    qos = first >> 1 & 3
    mid = 0
    if qos:
        if qos > 1:
            raise Malformed("a message of QoS 2, which was not asked for")
        mid = data[at] << 8 | data[at + 1]
        at += 2
    length = data[at]
    at += 1
    if length >= 0x80:
        length, at = _length(data, at - 1)
    end = at + length
    if end > len(data):
        raise Malformed("properties that are longer than their packet")
    user: list[tuple[str, str]] = []
    identifiers: list[int] = []
    content_type = ""
    if length:
        content_type = _read_properties(bytes(data[at:end]), user, identifiers)
    return Message(topic, bytes(data[end:]), user, content_type, identifiers, bool(first & 1), qos, mid)


def _read_properties(block: bytes, user: list[tuple[str, str]], identifiers: list[int]) -> str:
    """Those of a PUBLISH: fills in `user` and `identifiers`, and returns the content type."""
    content_type = ""
    at, end = 0, len(block)
    while at < end:
        name = block[at]
        if name == _USER:
            key = at + 3 + (block[at + 1] << 8 | block[at + 2])
            value = key + 2 + (block[key] << 8 | block[key + 1])
            user.append(
                (
                    block[at + 3 : key].decode("utf-8", "replace"),
                    block[key + 2 : value].decode("utf-8", "replace"),
                )
            )
            at = value
        elif name == _IDENTIFIER:
            at += 1
            identifier = shift = 0
            while (digit := block[at]) >= 0x80 and shift < 21:
                identifier |= (digit & 0x7F) << shift
                shift += 7
                at += 1
            if digit >= 0x80:
                raise Malformed("an identifier of more than four bytes")
            identifiers.append(identifier | digit << shift)
            at += 1
        elif name == _CONTENT_TYPE:
            value = at + 3 + (block[at + 1] << 8 | block[at + 2])
            content_type = _string(block[at + 3 : value])
            at = value
        else:
            at = _beyond(block, at)
    if at != end:
        raise Malformed("properties that end too early")
    return content_type


def _string(data: bytes) -> str:
    """A property a broker let through although it is no UTF-8 must not end the connection."""
    return data.decode("utf-8", "replace")


def _beyond(block: bytes, at: int) -> int:
    """Where a property ends that we do not look at."""
    name = block[at]
    if name in _FIXED:
        return at + 1 + _FIXED[name]
    if name in _STRINGS:
        return at + 3 + (block[at + 1] << 8 | block[at + 2])
    if name == _USER:
        key = at + 3 + (block[at + 1] << 8 | block[at + 2])
        return key + 2 + (block[key] << 8 | block[key + 1])
    raise Malformed(f"an unknown property 0x{name:02X}")


def _connack(data: bytes) -> Accepted:
    code = data[1]
    if len(data) == 2:  # of a broker that speaks MQTT 3 only, where 1 is "unacceptable protocol version"
        return Accepted(_UNSUPPORTED_VERSION if code == 1 else code)
    found: dict[int, int] = {}
    length, at = _length(memoryview(data), 2)
    end = at + length
    while at < end:
        name, after = data[at], _beyond(data, at)
        if name in _FIXED:
            found[name] = int.from_bytes(data[at + 1 : after], "big")
        at = after
    return Accepted(
        code,
        receive_maximum=found.get(_RECEIVE_MAXIMUM, 65_535),
        maximum_packet_size=found.get(_PACKET_SIZE),
        maximum_qos=found.get(_MAXIMUM_QOS, 2),
        retain_available=bool(found.get(_RETAIN, 1)),
        identifiers_available=bool(found.get(_IDENTIFIERS, 1)),
        keep_alive=found.get(_KEEP_ALIVE),
    )


def _number(data: memoryview, at: int) -> int:
    return data[at] << 8 | data[at + 1]


def _length(data: memoryview, at: int) -> tuple[int, int]:
    found = read_length(data, at, len(data))
    if found is None:
        raise Malformed("a length that ends too early")
    return found


def _skip(data: memoryview, at: int) -> int:
    """Past a block of properties."""
    length, at = _length(data, at)
    return at + length
