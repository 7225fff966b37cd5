"""What the session asks of an MQTT client, and what it hears from it.

Two clients stand behind it: `session_paho` on the well-known library, and `session_own`, which speaks
MQTT 5 on the socket itself at about a fifth of the cost of a message. Both belong to the network
thread alone, and neither raises for what a broker or a network does: the socket is None then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from .connection import Connection
from .errors import BrokerError
from .session_values import Will

Wire = Literal["paho", "own"]
"""Which client a session uses."""


class Message(NamedTuple):
    """A PUBLISH from the broker."""

    topic: str | None
    """None when it is not UTF-8."""
    payload: bytes
    properties: list[tuple[str, str]]
    content_type: str
    identifiers: list[int]
    """Of the subscriptions that it matches; empty when the broker does not say."""
    retain: bool
    qos: int
    mid: int
    """Its packet identifier, to acknowledge it by; 0 at QoS 0."""


class Acknowledged(NamedTuple):
    """A PUBACK."""

    mid: int
    code: int


class Granted(NamedTuple):
    """A SUBACK, with the reason code of its only filter."""

    mid: int
    code: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """A CONNACK. `code` 0 is a welcome; the rest is what the broker can do (MQTT 5.0, 3.2.2.3)."""

    code: int
    receive_maximum: int = 65_535
    maximum_packet_size: int | None = None
    maximum_qos: int = 2
    retain_available: bool = True
    identifiers_available: bool = True
    keep_alive: int | None = None
    """Seconds, when the broker wants others than we said."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The broker's DISCONNECT."""

    code: int


Event = Message | Acknowledged | Granted | Accepted | Ended


@dataclass(frozen=True, slots=True)
class Hello:
    """What CONNECT says. Times in seconds."""

    connection: Connection
    client_id: str
    will: Will | None
    keep_alive: int
    session_expiry: int
    """0: the broker forgets the session with the connection."""
    receive_maximum: int
    connect_timeout: float
    send_buffer: int
    """Bytes that the kernel may hold."""


class Transport(Protocol):
    """One connection after another to the same broker."""

    events: deque[Event]
    """What came and nobody has looked at yet; the link empties it."""
    failure: BrokerError | None
    """Why the connection was given up, where the client itself knows it better than the link."""

    def open(self) -> None:
        """Connect the socket and send CONNECT. Raises OSError, or ValueError for a name that is none."""

    def close(self) -> None:
        """Close the socket, if there is one, and forget what was under way."""

    @property
    def socket(self) -> Any:
        """The socket while there is a connection, else None."""

    @property
    def blocked(self) -> bool:
        """Whether something waits until the socket can be written to."""

    def read(self) -> bool:
        """Take what has come; whether there was as much as fits, so that more is likely to be there."""

    def flush(self) -> bool:
        """Write what waits; whether all of it is out."""

    def check(self, now: float) -> None:
        """Send a ping if it is time, and give the connection up if the last one was not answered."""

    def subscribe(self, topic: str, *, qos: int, no_local: bool, identifier: int | None) -> int:
        """SUBSCRIBE; its packet identifier."""

    def unsubscribe(self, topic: str) -> None: ...

    def publish(
        self, topic: str, payload: bytes | bytearray | memoryview, qos: int, retain: bool, properties: bytes
    ) -> object:
        """PUBLISH with a packed property block. None without a connection; at QoS 1 its packet
        identifier; at QoS 0 what `is_written` wants to know it by."""

    def is_written(self, ticket: Any) -> bool:
        """Whether a message of QoS 0 has left for the network."""

    def acknowledge(self, mids: Sequence[int]) -> None:
        """PUBACKs."""

    def disconnect(self) -> None:
        """Say goodbye, behind everything that waits; the broker hangs up then."""
