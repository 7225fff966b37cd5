"""What brokers, sockets and certificates say, in words for people, each with its remedy."""

from __future__ import annotations

import socket
import ssl

from .connection import Connection
from .errors import BrokerError
from .session_transport import Accepted


class Stopped(BrokerError):
    """Of what was published after we had said goodbye, or when we left without: no fault of anybody's."""


_LOGIN = (
    "not authorised: wrong user or password",
    "Check the user and password in mqtt://user:password@host, or in connections.json of the data folder",
)
_ACL = "Allow it to this user in the broker's access control list"
_OWN_LIMIT = ("the message is above the packet limit of the broker", "Raise the broker's max_packet_size")

# Reason codes of CONNACK and DISCONNECT (MQTT 5.0, sections 3.2.2.2 and 3.14.2.1).
_REASONS: dict[int, tuple[str, str]] = {
    0x82: ("the broker says that a message breaks the protocol", "Look into the broker's log"),
    0x84: (
        "the broker does not speak MQTT 5",
        "Use Mosquitto 1.6 or newer, or another broker with MQTT 5",
    ),
    0x85: ("the broker does not accept the client id", "Allow this client id in the broker's settings"),
    0x86: _LOGIN,
    0x87: _LOGIN,
    0x88: ("the broker is not available now", ""),
    0x89: ("the broker is busy", ""),
    0x8A: ("the broker has banned this client", "Lift the ban in the broker's settings"),
    0x8B: ("the broker shuts down", ""),
    0x8D: ("the broker heard nothing from us for too long", "Look at the network, or at this machine's load"),
    0x8E: (
        "another client took over the session: two programs use the same client id",
        "End one of the two, or give one of them another name",
    ),
    0x93: ("we had more messages under way than the broker takes", "Look into the broker's log"),
    0x95: _OWN_LIMIT,
    0x97: ("a quota of the broker is used up", "Raise the quota in the broker's settings"),
    0x98: ("the broker's administrator ended the connection", ""),
    0x9A: ("the broker keeps no retained messages", "Allow retained messages in the broker's settings"),
    0x9B: ("the broker does not offer QoS 1", "Allow QoS 1 in the broker's settings"),
    0x9F: ("the broker refuses so many connections in so short a time", ""),
}

# What waiting does not cure: `wait_connected` tells these at once.
LASTING = frozenset({0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x9A, 0x9B})

_FORBIDDEN = frozenset({0x86, 0x87})


def is_failure(code: int) -> bool:
    """Whether a reason code says no (MQTT 5.0, section 2.4)."""
    return code >= 0x80


def refusal(code: int, where: str) -> BrokerError:
    """Why the broker refused the connection (CONNACK) or ended it (DISCONNECT)."""
    unknown = (f"the broker says no with reason code 0x{code:02X}", "Look into the broker's log")
    what, remedy = _REASONS.get(code, unknown)
    return BrokerError(what, where=where, remedy=remedy)


def lacking(accepted: Accepted, where: str) -> BrokerError | None:
    """What we cannot do without and the broker says in its CONNACK that it has not (3.2.2.3).

    Going on would end in being thrown out at the first message, again after every reconnect.
    """
    for there, code in ((accepted.maximum_qos, 0x9B), (accepted.retain_available, 0x9A)):
        if not there:
            what, remedy = _REASONS[code]
            return BrokerError(what, where=where, remedy=remedy)
    return None


def unreachable(error: Exception, connection: Connection) -> BrokerError:
    """Why no connection came about, from the exception of the socket or of TLS."""
    where = connection.url
    if isinstance(error, ssl.SSLCertVerificationError):
        return BrokerError(
            f"the broker's certificate is not trusted ({error.verify_message})",
            where=where,
            remedy="Name the authority that signed it (ca_file, or MEERKAT_BROKER_CA), "
            "and the host as the certificate does",
        )
    if isinstance(error, ssl.SSLError):
        return BrokerError(
            f"no TLS connection ({error.reason or error})",
            where=where,
            remedy="Is this the broker's TLS port? Without TLS write mqtt:// instead of mqtts://",
        )
    if isinstance(error, socket.gaierror):
        return BrokerError(
            f"the host {connection.host!r} is not known", where=where, remedy="Check the broker's name"
        )
    if isinstance(error, ConnectionRefusedError):
        return BrokerError("no broker listens there", where=where, remedy="Start it, or check host and port")
    if isinstance(error, TimeoutError):
        return BrokerError(
            "the broker does not answer",
            where=where,
            remedy="Check the address, the network and the firewall",
        )
    return BrokerError(f"cannot connect ({error})", where=where, remedy="Check the address and the network")


def hung_up(connection: Connection) -> BrokerError:
    """The connection was closed before the broker answered."""
    remedy = (
        "Is this an MQTT broker?"
        if connection.tls
        else "Is this an MQTT broker, and does its port want TLS (mqtts://)?"
    )
    return BrokerError("the connection was closed without an answer", where=connection.url, remedy=remedy)


def lost(connection: Connection, client_id: str, times: int) -> BrokerError:
    """A connection that stood is gone without a word, `times` times in a row soon after it began.

    Mosquitto 2.0 says nothing when another client takes over the session, so the guess is ours.
    """
    if times < 2:
        return BrokerError("the connection was lost", where=connection.url)
    return BrokerError(
        f"the connection was lost soon after it began, {times} times in a row",
        where=connection.url,
        remedy=f"If the broker runs well, another program uses the same client id {client_id!r}: end one",
    )


def publish_refused(topic: str, code: int) -> BrokerError:
    """A PUBACK that says no."""
    if code in _FORBIDDEN:
        return BrokerError("not authorised to publish here", where=topic, remedy=_ACL)
    return BrokerError(
        f"the broker refused the message with reason code 0x{code:02X}",
        where=topic,
        remedy="Look into the broker's log",
    )


def subscription_refused(topic: str, code: int) -> BrokerError:
    """A SUBACK that says no."""
    if code in _FORBIDDEN:
        return BrokerError("not authorised to subscribe here", where=topic, remedy=_ACL)
    return BrokerError(
        f"the broker refused the subscription with reason code 0x{code:02X}",
        where=topic,
        remedy="Look into the broker's log",
    )
