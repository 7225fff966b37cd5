"""Look for hubs in the house's network."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence

from zeroconf import InterfaceChoice, ServiceBrowser, ServiceListener, Zeroconf

from meerkat_contract.errors import DeviceError
from meerkat_contract.neighbourhood import SERVICE_TYPE, HubNotice, read_notice

SECONDS = 4.0
"""To listen: answers come within one or two; a sleepy wireless network takes longer."""

MORE_SECONDS = 0.7
"""To wait for a second hub, once there is one."""


class _Ears(ServiceListener):
    """Hubs by the names they announce; called on zeroconf's thread."""

    def __init__(self) -> None:
        self.heard = threading.Event()
        self.names: set[str] = set()

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:  # noqa: ARG002 - zeroconf's signature
        self.names.add(name)
        self.heard.set()

    update_service = add_service

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:  # noqa: ARG002
        self.names.discard(name)


def find_hubs(*, seconds: float = SECONDS, interfaces: Sequence[str] | None = None) -> list[HubNotice]:
    """The hubs that announce themselves, by name; none where nothing is heard.

    `interfaces`: addresses to listen at, instead of all. Raises DeviceError when this machine cannot listen.
    """
    try:
        zeroconf = Zeroconf(interfaces=list(interfaces) if interfaces else InterfaceChoice.All)
    except (OSError, RuntimeError) as error:
        raise DeviceError(
            f"the network cannot be asked for a hub ({error})",
            where="multicast DNS",
            remedy="Is this machine in the house's network? Name the broker by --broker",
        ) from error
    ears = _Ears()
    try:
        browser = ServiceBrowser(zeroconf, SERVICE_TYPE, ears)
        if ears.heard.wait(seconds):
            time.sleep(MORE_SECONDS)
        browser.cancel()
        found = [notice for name in sorted(ears.names) if (notice := _ask(zeroconf, name))]
    finally:
        zeroconf.close()
    return found


def _ask(zeroconf: Zeroconf, name: str) -> HubNotice | None:
    info = zeroconf.get_service_info(SERVICE_TYPE, name, timeout=2000)
    if info is None or info.port is None:
        return None
    return read_notice(info.server or "", info.parsed_addresses(), info.port, info.properties)


def reachable_as(hub: HubNotice, resolve: Callable[[str], object] = socket.gethostbyname) -> str:
    """How to call the hub's machine: by its name, which stays, if it can be looked up; else by address."""
    name = hub.server.removesuffix(".")
    try:
        resolve(name)
    except OSError:
        return hub.addresses[0]
    return name
