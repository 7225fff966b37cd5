from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from meerkat_contract import session as session_module
from meerkat_contract.connection import Connection
from meerkat_contract.session import Session
from support.broker import Mosquitto

Connect = Callable[..., Session]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of the session holds for both of its clients."""
    name = metafunc.module.__name__.rpartition(".")[2]
    if name.startswith("test_session") and name != "test_session_own":
        metafunc.fixturenames.append("wire")
        metafunc.parametrize("wire", ["paho", "own"], indirect=True)


@pytest.fixture
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    monkeypatch.setattr(session_module, "DEFAULT_WIRE", name)
    return name


@pytest.fixture
def connect(broker: Mosquitto) -> Iterator[Connect]:
    """Makes connected sessions, with the broker of the test unless told otherwise, and stops them."""
    made: list[Session] = []

    def make(
        name: str = "one",
        *,
        connection: Connection | None = None,
        setup: Callable[[Session], None] | None = None,
        wait: bool = True,
        **options: Any,
    ) -> Session:
        session = Session(connection or broker.connection, client_id=name, **options)
        made.append(session)
        if setup:
            setup(session)
        session.start()
        if wait:
            session.wait_connected(20)
            session.wait_subscribed(20)
        return session

    yield make
    for session in made:
        session.stop(goodbye=False)
