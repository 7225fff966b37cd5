"""Tells the house's network where the hub is, so that a new device finds it: see `neighbourhood`.

Nothing is announced that cannot be reached. With a broker on this machine, only the addresses count at which
it answers from outside: none while it is open to this machine alone, as `meerkat up` has it by itself.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from meerkat_contract.connection import Connection
from meerkat_contract.ids import slug
from meerkat_contract.neighbourhood import SERVICE_TYPE, HubNotice

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

_log = logging.getLogger("meerkat.hub")

LOOK_AGAIN = 60.0
"""Seconds between looks at the machine's addresses: a router gives others, a cable is plugged in."""

PROBE_SECONDS = 1.0

Probe = Callable[[str, int], bool]


def notice(
    connection: Connection, *, page: tuple[str, int], addresses: Sequence[str], probe: Probe, host: str
) -> HubNotice | None:
    """What there is to announce, or None. `page`: host and port it listens at; `addresses`: this machine's.

    `probe(address, port)` says whether something answers there.
    """
    outside = tuple(each for each in addresses if not ipaddress.ip_address(each).is_loopback)
    broker = ""
    if _is_here(connection.host):
        outside = tuple(each for each in outside if probe(each, connection.port))
    else:
        broker = f"mqtt{'s' if connection.tls else ''}://{connection.host}:{connection.port}"
    if not outside:
        return None
    page_host, page_port = page
    return HubNotice(
        host=slug(host.partition(".")[0] or "hub"),
        addresses=outside,
        port=connection.port,
        broker=broker,
        page_port=None if _is_here(page_host) else page_port,
    )


@contextmanager
def announced(
    connection: Connection, *, page: tuple[str, int], interfaces: Sequence[str] | None = None
) -> Iterator[None]:
    """Announce the hub while the block runs; `interfaces`: addresses to do it at, instead of all."""
    stop = threading.Event()
    thread = threading.Thread(
        target=_announce, args=(connection, page, interfaces, stop), name="announcement", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(3.0)


def _announce(
    connection: Connection, page: tuple[str, int], interfaces: Sequence[str] | None, stop: threading.Event
) -> None:
    """Until `stop`. What the network does not allow is told in the log, once, and tried again."""
    said: HubNotice | None = None
    troubled = False
    own: Zeroconf | None = None
    try:
        while not stop.is_set():
            found = notice(
                connection, page=page, addresses=machine_addresses(), probe=answers, host=socket.gethostname()
            )
            if found != said:
                if own:
                    own.close()  # which says goodbye for what it announced
                    own = None
                said = None
                try:
                    own = _open(found, interfaces) if found else None
                    said, troubled = found, False
                except (OSError, RuntimeError) as error:
                    if not troubled:
                        _log.warning("the hub cannot be announced in the network (%s)", error)
                    troubled = True
                if own and found:
                    _log.info("announced in the network: MQTT broker %s", found.broker_at(found.addresses[0]))
            stop.wait(LOOK_AGAIN)
    finally:
        if own:
            own.close()


def _open(found: HubNotice, interfaces: Sequence[str] | None) -> Zeroconf:
    """Raises OSError, or what zeroconf raises, all RuntimeErrors here."""
    from zeroconf import Error, InterfaceChoice, Zeroconf

    own = Zeroconf(interfaces=list(interfaces) if interfaces else InterfaceChoice.All)
    try:
        own.register_service(_service(found), allow_name_change=True)
    except Error as error:
        own.close()
        raise RuntimeError(f"{type(error).__name__} {error}".strip()) from error
    except BaseException:
        own.close()
        raise
    return own


def _service(found: HubNotice) -> ServiceInfo:
    from zeroconf import ServiceInfo

    return ServiceInfo(
        SERVICE_TYPE,
        f"Meerkat on {found.host}.{SERVICE_TYPE}",
        port=found.port,
        properties=found.text,
        server=found.server,
        parsed_addresses=list(found.addresses),
    )


def machine_addresses() -> list[str]:
    """This machine's IPv4 addresses."""
    import ifaddr

    return [
        str(address.ip) for adapter in ifaddr.get_adapters() for address in adapter.ips if address.is_IPv4
    ]


def answers(address: str, port: int) -> bool:
    """Whether something takes connections there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_SECONDS)
        return probe.connect_ex((address, port)) == 0


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
