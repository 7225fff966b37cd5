"""How a hub is found in the house's network: what it announces by multicast DNS (RFC 6763).

    _meerkat._tcp.local.   port: the MQTT broker's

    TXT  broker   mqtt[s]://host:port where the broker is on another machine; else it is on the hub's own
         page     port of the hub's page, where it is open to the network

No secrets: who finds the hub still needs the broker's user and password.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .connection import parse_broker_url
from .errors import UsageError

SERVICE_TYPE = "_meerkat._tcp.local."


@dataclass(frozen=True, slots=True)
class HubNotice:
    """What one hub says of itself."""

    host: str
    """The machine's name, without a domain."""
    addresses: tuple[str, ...]
    """At which the hub's machine answers."""
    port: int
    broker: str = ""
    """Address of a broker that is not on the hub's machine."""
    page_port: int | None = None

    @property
    def server(self) -> str:
        """A name of its own: `<host>.local` may be announced by the system already."""
        return f"meerkat-{self.host}.local."

    @property
    def text(self) -> dict[str, str]:
        """The TXT record."""
        page = {"page": str(self.page_port)} if self.page_port else {}
        return page | ({"broker": self.broker} if self.broker else {})

    def broker_at(self, host: str) -> str:
        """The broker's address, where `host` is how the hub's machine is called."""
        return self.broker or f"mqtt://{host}:{self.port}"

    def page_at(self, host: str) -> str:
        """The page's address; empty while it is closed to the network."""
        return f"http://{host}:{self.page_port}" if self.page_port else ""


def read_notice(
    server: str, addresses: Sequence[str], port: int, text: Mapping[bytes, bytes | None]
) -> HubNotice | None:
    """What was heard, or None when it is no hub's: anybody in the network may say anything."""
    told = {key: (value or b"").decode(errors="replace") for key, value in text.items()}
    broker, page = told.get(b"broker", ""), told.get(b"page", "")
    if broker:
        try:
            found = parse_broker_url(broker)
        except UsageError:
            return None
        if found.username or found.password:
            return None  # no hub of ours tells these
    if not addresses or not 1 <= port <= 65535:
        return None
    number = int(page) if page.isascii() and page.isdecimal() and 1 <= int(page) <= 65535 else None
    host = server.removesuffix(".").removesuffix(".local").removeprefix("meerkat-")
    return HubNotice(host, tuple(addresses), port, broker=broker, page_port=number)
