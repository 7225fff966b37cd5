from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_support.web_house import Served, WebHouse


@pytest.fixture
def house(tmp_path: Path) -> Iterator[WebHouse]:
    """A hub with its page, and nobody on the bus."""
    made = WebHouse(tmp_path / "house")
    yield made
    made.close()


@pytest.fixture
def web(house: WebHouse) -> Iterator[Served]:
    """The house's page, on a port of its own."""
    with house.served() as running:
        yield running
