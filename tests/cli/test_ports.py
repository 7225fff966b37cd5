"""Ports are chosen once and kept."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from meerkat_cli import ports
from meerkat_contract.errors import UsageError
from support.broker import free_port


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_the_preferred_port_if_it_is_free(tmp_path: Path) -> None:
    port = free_port()
    assert ports.choose(tmp_path, "mqtt", preferred=port, requested=None) == port
    assert not (tmp_path / ports.PORTS_FILE).exists()


def test_another_one_is_chosen_once_and_kept(tmp_path: Path, taken: int) -> None:
    first = ports.choose(tmp_path, "mqtt", preferred=taken, requested=None)
    assert first != taken
    assert ports.choose(tmp_path, "mqtt", preferred=taken, requested=None) == first
    assert ports.choose(tmp_path, "mqtt", preferred=free_port(), requested=None) == first
    assert ports.choose(tmp_path, "http", preferred=taken, requested=None) != first


def test_a_kept_port_that_was_taken_since_is_replaced(tmp_path: Path, taken: int) -> None:
    (tmp_path / ports.PORTS_FILE).write_text(f'{{"mqtt": {taken}}}')
    port = ports.choose(tmp_path, "mqtt", preferred=free_port(), requested=None)
    assert port != taken
    assert ports.choose(tmp_path, "mqtt", preferred=1, requested=None) == port


def test_a_requested_port_is_taken_or_refused(tmp_path: Path, taken: int) -> None:
    port = free_port()
    assert ports.choose(tmp_path, "http", preferred=1, requested=port) == port
    with pytest.raises(UsageError, match=f"--http-port: port {taken} is taken by ") as caught:
        ports.choose(tmp_path, "http", preferred=1, requested=taken, where="--http-port")
    if sys.platform == "linux":
        assert "python" in str(caught.value) or "pytest" in str(caught.value)


def test_a_killed_run_is_given_time_to_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, False, True, True])
    monkeypatch.setattr(ports, "is_free", lambda port, host: next(answers))
    monkeypatch.setattr(ports.time, "sleep", lambda seconds: None)
    assert ports.choose(tmp_path, "http", preferred=8480, requested=None, patience=60) == 8480


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ports.PORTS_FILE).write_text("{")
    with pytest.raises(UsageError, match=r"ports\.json: cannot be read"):
        ports.choose(tmp_path, "http", preferred=8480, requested=None)


def test_another_port_than_the_usual_one_is_explained(taken: int) -> None:
    assert ports.why_another(taken).startswith(f"port {taken} is taken by ")
    port = free_port()
    assert ports.why_another(port) == f"port {port} was taken when it was chosen (ports.json)"
