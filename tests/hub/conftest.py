from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hub_support.core_driver import CoreDriver
from hub_support.peers import FakeDevice
from hub_support.posted import Start, starting
from hub_support.web_house import Served, WebHouse
from support.broker import Mosquitto
from support.media import make_clip


@pytest.fixture
def core() -> Iterator[CoreDriver]:
    """A hub's core on a clock that the test turns; its invariants are checked after every step."""
    driver = CoreDriver()
    yield driver
    driver.check()


@pytest.fixture
def start(broker: Mosquitto, tmp_path: Path) -> Iterator[Start]:
    """Start a hub that listens for posted pictures; what is given are settings of hub.websensor."""
    with ExitStack() as ends:
        yield starting(broker, tmp_path, ends)


@pytest.fixture(scope="session")
def clip_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A short clip as a device sends it."""
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    make_clip(path, seconds=1, fps=5, size=(160, 120))
    return path.read_bytes()


@pytest.fixture
def device(broker: Mosquitto) -> Iterator[FakeDevice]:
    """A device that sends what it is told to."""
    peer = FakeDevice(broker.connection)
    yield peer
    peer.stop()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[WebHouse]:
    """A hub with its page, and nobody on the bus."""
    made = WebHouse(tmp_path)
    yield made
    made.close()


@pytest.fixture
def web(house: WebHouse) -> Iterator[Served]:
    """The house's page, on a port of its own."""
    with house.served() as running:
        yield running
