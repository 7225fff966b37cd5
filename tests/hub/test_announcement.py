"""What a hub tells the network of itself, and that a real listener hears it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from meerkat_contract.connection import Connection
from meerkat_contract.neighbourhood import HubNotice, read_notice
from meerkat_hub.adapters import announcement
from meerkat_hub.adapters.announcement import announced, machine_addresses, notice
from support.broker import Mosquitto, free_port
from support.wait import wait_for

HERE = ["127.0.0.1", "192.168.1.7", "10.0.0.7"]


def told(connection: Connection, *, page: str = "0.0.0.0", open_at: set[str]) -> HubNotice | None:
    return notice(
        connection,
        page=(page, 8480),
        addresses=HERE,
        probe=lambda address, port: address in open_at and port == connection.port,
        host="attic.lan",
    )


def test_a_broker_that_is_open_to_this_machine_alone_is_not_announced() -> None:
    assert told(Connection("127.0.0.1", 1883), open_at={"127.0.0.1"}) is None
    assert told(Connection("localhost", 1883), open_at=set()) is None


def test_an_opened_one_is_announced_at_the_addresses_where_it_answers() -> None:
    found = told(Connection("127.0.0.1", 1884, username="hub", password="secret"), open_at={"192.168.1.7"})
    assert found == HubNotice("attic", ("192.168.1.7",), 1884, page_port=8480)
    assert found.broker_at("192.168.1.7") == "mqtt://192.168.1.7:1884"
    assert found.page_at("192.168.1.7") == "http://192.168.1.7:8480"
    assert found.text == {"page": "8480"}


def test_somebody_elses_broker_is_named_and_a_closed_page_is_not() -> None:
    other = Connection("homeassistant.local", 8883, tls=True, username="hub", password="secret")
    found = told(other, page="127.0.0.1", open_at=set())
    assert found == HubNotice("attic", tuple(HERE[1:]), 8883, broker="mqtts://homeassistant.local:8883")
    assert found.page_at("x") == ""
    assert found.text == {"broker": "mqtts://homeassistant.local:8883"}  # without user and password


@pytest.mark.parametrize(
    "text",
    [{b"broker": b"ftp://x"}, {b"broker": b"mqtt://user:secret@x"}, {b"broker": b"mqtt://x:99999"}],
)
def test_what_is_no_hubs_word_is_passed_over(text: dict[bytes, bytes | None]) -> None:
    assert read_notice("x.local.", ["10.0.0.1"], 1883, text) is None
    assert read_notice("x.local.", [], 1883, {}) is None
    assert read_notice("x.local.", ["10.0.0.1"], 0, {}) is None
    assert read_notice("x.local.", ["10.0.0.1"], 1, {b"page": "²".encode()}) == HubNotice(
        "x", ("10.0.0.1",), 1
    )


@pytest.fixture
def open_broker(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """One that answers "from outside"; the announcement stays on this machine."""
    monkeypatch.setattr(announcement, "machine_addresses", lambda: ["127.0.0.1", "192.0.2.9"])
    monkeypatch.setattr(announcement, "answers", lambda address, port: address == "192.0.2.9")
    return broker.connection


def test_a_listener_hears_the_hub_and_its_goodbye(
    open_broker: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zeroconf import ServiceBrowser, ServiceListener, Zeroconf

    service_type = f"_mk{os.getpid()}._tcp.local."  # which no other run on this machine announces
    monkeypatch.setattr(announcement, "SERVICE_TYPE", service_type)

    class Listener(ServiceListener):
        def __init__(self) -> None:
            self.names: set[str] = set()

        def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            self.names.add(name)

        def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            self.names.add(name)

        def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            self.names.discard(name)

    ears = Zeroconf(interfaces=["127.0.0.1"])
    listener = Listener()
    ServiceBrowser(ears, service_type, listener)
    try:
        with announced(open_broker, page=("0.0.0.0", 8480), interfaces=["127.0.0.1"]):
            (name,) = wait_for(lambda: [each for each in list(listener.names) if "Meerkat on" in each])
            info = ears.get_service_info(service_type, name)
            assert info is not None
            found = read_notice(info.server or "", info.parsed_addresses(), info.port or 0, info.properties)
            assert found is not None
            assert found.addresses == ("192.0.2.9",)
            assert found.broker_at("h") == f"mqtt://h:{open_broker.port}"
            assert found.page_port == 8480
        wait_for(lambda: name not in listener.names, what="the goodbye")
    finally:
        ears.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "announcement"]


def test_the_machine_knows_its_addresses_and_who_answers() -> None:
    assert "127.0.0.1" in machine_addresses()
    assert not announcement.answers("127.0.0.1", free_port())
