"""Does the broker let this device in, and is there a hub?"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from meerkat_contract.connection import Connection
from meerkat_contract.ids import new_id
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import HubTopic

_silent = logging.getLogger("meerkat.init")
_silent.setLevel(logging.CRITICAL)  # what goes wrong is raised, and said once

SECONDS = 15.0
HUB_SECONDS = 2.0


def try_broker(connection: Connection, *, seconds: float = SECONDS) -> bool:
    """Whether a hub is online there. Raises BrokerError with the broker's own reason where it refuses."""
    online = threading.Event()

    def told(message: Incoming) -> None:
        if message.payload == b"online":
            online.set()

    # Under a name of its own, or it would throw out a device that runs.
    session = Session(connection, client_id=f"meerkat-init-{new_id()}", log=_silent)
    session.subscribe(HubTopic("availability"), told)
    session.start()
    try:
        session.wait_connected(seconds)
        session.wait_subscribed(seconds)
        return online.wait(HUB_SECONDS)
    finally:
        session.stop(timeout=1)


def with_login(connection: Connection, user: str, password: str) -> Connection:
    """The same broker, as this user."""
    return replace(connection, username=user or None, password=password or None)
