"""What a PUBLISH may say, and its properties packed (MQTT 5.0, section 3.3), for whichever client."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from .errors import BadMessage, MessageTooLarge

PROTOCOL_LIMIT = 268_435_455
"""The most that the length field of an MQTT packet can say, in bytes."""

_EXPIRY, _CONTENT_TYPE, _USER = 0x02, 0x03, 0x26
_STRING_LIMIT = 65_535
_KNOWN = 1024

# Brokers close the connection on these (section 1.5.4), which would take other messages with it.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_CONTROLS = bytes((*range(0x20), 0x7F))  # those of them that are ASCII


def pack_properties(
    user: Sequence[tuple[str, str]], *, content_type: str = "", expiry: int | None = None, topic: str = ""
) -> bytes:
    """The property block of a PUBLISH, its length in front. `expiry` in seconds.

    Raises BadMessage for a string the broker would hang up on, MessageTooLarge for one above 65,535 bytes.
    """
    block: list[bytes] = []
    if expiry is not None:
        block.append(struct.pack("!BI", _EXPIRY, min(max(expiry, 0), 0xFFFF_FFFF)))
    if content_type:
        block.append(_known.get((_CONTENT_TYPE, content_type)) or _named(_CONTENT_TYPE, content_type, topic))
    if user and not _is_plain("".join([value for _, value in user])):
        for name, value in user:
            _check(value, f"user property {name!r}", topic)
    for name, value in user:
        encoded = value.encode()
        named = _known.get((_USER, name)) or _named(_USER, name, topic)
        block += (named, len(encoded).to_bytes(2, "big"), encoded)
    packed = b"".join(block)
    return variable_length(len(packed)) + packed if packed else b""


_known: dict[tuple[int, str], bytes] = {}
"""Names of user properties, and content types, as they are packed: message after message has the same."""


def _named(kind: int, text: str, topic: str) -> bytes:
    _check(text, "name of a user property" if kind == _USER else "content type", topic)
    encoded = text.encode()
    packed = bytes((kind,)) + len(encoded).to_bytes(2, "big") + encoded
    if len(_known) < _KNOWN:
        _known[kind, text] = packed
    return packed


def _is_plain(text: str) -> bool:
    """Whether it surely passes `_check`, found out in a fifth of the time."""
    if not text.isascii() or len(text) > _STRING_LIMIT:
        return False
    return len(text.encode().translate(None, _CONTROLS)) == len(text)


def _check(text: str, what: str, topic: str) -> None:
    if found := _FORBIDDEN.search(text):
        raise BadMessage(
            f"{what} has the character U+{ord(found[0]):04X}, which brokers refuse",
            where=topic,
            remedy="Leave control characters and line breaks out",
        )
    if (size := len(text.encode())) > _STRING_LIMIT:
        raise MessageTooLarge(
            f"{what} has {size:,} bytes, at most {_STRING_LIMIT:,} fit",
            where=topic,
            remedy="Put it into the payload",
        )


def check_topic(topic: str) -> None:
    """Raises BadMessage for what cannot be published to."""
    if not topic or "+" in topic or "#" in topic or _FORBIDDEN.search(topic) or len(topic) > 16_000:
        raise BadMessage(
            "cannot be published to",
            where=repr(topic[:200]),
            remedy="A topic has a name on every level, and neither '+' nor '#'",
        )


def packet_size(topic: str, properties: bytes, payload: int, qos: int) -> int:
    """Bytes of the whole PUBLISH packet, as the broker's Maximum Packet Size counts them."""
    rest = 2 + len(topic.encode()) + (2 if qos else 0) + (len(properties) or 1) + payload
    return 1 + len(variable_length(rest)) + rest


def variable_length(value: int) -> bytes:
    """A Variable Byte Integer (section 1.5.5)."""
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    if value < 0x20_0000:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)
