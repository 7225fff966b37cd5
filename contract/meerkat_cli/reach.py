"""How commands that a person waits for reach the broker: at once, or with one line that says why not."""

from __future__ import annotations

import ipaddress
import logging
import socket

from meerkat_contract.connection import Connection
from meerkat_contract.errors import BrokerError
from meerkat_contract.session import Session


def connect(session: Session, seconds: float) -> None:
    """Start the session; returns once it is connected.

    Raises BrokerError that names the remedy: at once where nobody listens, else after `seconds`; the
    session has ended then. Its own warnings are left out meanwhile, since the error says the same.
    """
    check_listens(session.connection, seconds)
    log = logging.getLogger("meerkat.mqtt")
    log.addFilter(_no_warning)  # before it starts: a broker on this machine refuses within a millisecond
    try:
        session.start()
        session.wait_connected(seconds)
    except BrokerError:
        session.stop(timeout=1)  # its thread says the same, a moment after us
        raise
    finally:
        log.removeFilter(_no_warning)


def check_listens(connection: Connection, seconds: float) -> None:
    """Raise BrokerError if the broker's port is closed; whatever else is wrong is the session's to say."""
    try:
        socket.create_connection((connection.host, connection.port), timeout=seconds).close()
    except ConnectionRefusedError:
        here = _is_here(connection.host)
        raise BrokerError(
            "no broker listens there",
            where=connection.url,
            remedy="`meerkat up` starts it"
            if here
            else "`meerkat up` on that machine starts one; or check host and port",
        ) from None
    except OSError:
        return


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _no_warning(record: logging.LogRecord) -> bool:
    return record.levelno != logging.WARNING
