"""The server as a process: its port, and its end."""

from __future__ import annotations

import json
import logging
import signal
import socket
from pathlib import Path

import httpx
import pytest

from hub_support.web_house import WebHouse
from meerkat_contract.errors import UsageError
from meerkat_hub.web.server import listen
from support.broker import Mosquitto, free_port
from support.processes import Program
from support.wait import wait_for


def test_a_taken_port_is_named_with_the_option_to_change_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError) as refused:
            listen("127.0.0.1", port)
    assert f"port {port} is taken" in refused.value.what
    assert "--http-port" in refused.value.remedy


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(UsageError, match="--http-host"):
        listen("192.0.2.1", free_port())


def hub(broker: Mosquitto, folder: Path, port: int) -> Program:
    arguments = ["hub", "--data", str(folder / "data"), "--http-port", str(port)]
    program = Program("hub", arguments, connection=broker.connection, folder=folder)
    program.start()
    return program


def test_a_hub_on_a_taken_port_ends_with_status_2(broker: Mosquitto, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        program = hub(broker, tmp_path, other.getsockname()[1])
        assert program.wait(30) == 2
    assert "is taken by another program" in program.text()
    assert "Traceback" not in program.text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_hub_in_order_although_pages_are_open(
    broker: Mosquitto, tmp_path: Path, number: signal.Signals
) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    program = hub(broker, tmp_path, port)

    def well() -> bool:
        assert program.running, program.text()
        try:
            return httpx.get(f"{base}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(well, seconds=40, what="the hub")
        with httpx.stream("GET", f"{base}/api/stream", timeout=20) as stream:
            lines = stream.iter_lines()
            first = [next(lines) for _ in range(3)]
            assert any(json.loads(line[6:])["connected"] for line in first if line.startswith("data: "))
            assert program.process is not None
            program.process.send_signal(number)
            assert program.wait(15) == 0, program.text()
        assert "Traceback" not in program.text()
        assert "ERROR" not in program.text()
    finally:
        program.kill()


def test_answers_are_not_held_back_by_nagle_s_algorithm() -> None:
    """asyncio sets TCP_NODELAY only where the socket's protocol is named."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_download_that_stands_still_does_not_hold_up_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house = WebHouse(tmp_path)
    clip = house.clip(payload=bytes(30_000_000))
    try:
        with socket.socket() as reader, house.served() as web:
            reader.connect(("127.0.0.1", int(web.base.rpartition(":")[2])))
            reader.sendall(f"GET /api/clips/{clip}/media HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert reader.recv(12) == b"HTTP/1.1 200"
            # The server has ended with the download open.
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    finally:
        house.close()
