"""Who may connect, over what, and what a refusal says."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from meerkat_contract.connection import Connection
from meerkat_contract.errors import BrokerError, UsageError
from meerkat_contract.session import Session
from support.broker import Mosquitto
from support.wait import wait_for

Connect = Callable[..., Session]


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=60)


def failure(session: Session) -> str:
    """Why it does not connect, once that is known."""

    def known() -> str:
        try:
            session.wait_connected(0)
        except BrokerError as error:
            return "" if "no connection within" in str(error) else str(error)
        raise AssertionError("it is connected")

    return wait_for(known)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """Lets `porch` in with the password `secret`, who may use topics below `porch/` alone."""
    folder = tmp_path / "guarded"
    folder.mkdir()
    run("mosquitto_passwd", "-b", "-c", folder / "passwords", "porch", "secret")
    (folder / "acl").write_text("user porch\ntopic readwrite porch/#\n")
    settings = (
        "allow_anonymous false",
        f"password_file {folder / 'passwords'}",
        f"acl_file {folder / 'acl'}",
    )
    server = Mosquitto(folder, settings=settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority (ca.pem) and a certificate of it for localhost (server.pem, server.key)."""
    folder = tmp_path_factory.mktemp("certificates")
    if not shutil.which("openssl"):
        pytest.skip("needs the program openssl")
    run(
        *(
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=Test house",
        ),
        *("-addext", "keyUsage=keyCertSign", "-keyout", folder / "ca.key", "-out", folder / "ca.pem"),
    )
    run(
        *("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"),
        *("-keyout", folder / "server.key", "-out", folder / "server.csr"),
    )
    (folder / "names").write_text("subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\n")
    run(
        *("openssl", "x509", "-req", "-in", folder / "server.csr", "-CA", folder / "ca.pem", "-days", "2"),
        *("-CAkey", folder / "ca.key", "-CAcreateserial", "-extfile", folder / "names"),
        *("-out", folder / "server.pem"),
    )
    return folder


@pytest.fixture
def encrypted(tmp_path: Path, certificates: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(
        tmp_path / "encrypted",
        settings=(
            f"certfile {certificates / 'server.pem'}",
            f"keyfile {certificates / 'server.key'}",
            "allow_anonymous true",
        ),
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_user_and_password(connect: Connect, guarded: Mosquitto) -> None:
    session = connect(connection=replace(guarded.connection, username="porch", password="secret"))
    session.publish("porch/x", b"", qos=1).wait(20)
    with pytest.raises(
        BrokerError, match=r"^cellar/x: not authorised to publish here\. Allow it to this user"
    ):
        session.publish("cellar/x", b"", qos=1).wait(20)


def test_a_refused_subscription_is_told(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        session = connect(connection=Connection("127.0.0.1", server.getsockname()[1]), wait=False)
        session.subscribe("porch/#", print)
        peer, _ = server.accept()
        with peer:
            peer.settimeout(20)
            peer.recv(1000)
            peer.sendall(bytes([0x20, 3, 0, 0, 0]))
            request = peer.recv(1000)
            peer.sendall(bytes([0x90, 4, *request[2:4], 0, 0x87]))
            with pytest.raises(BrokerError, match="porch/#: not authorised to subscribe here"):
                session.wait_subscribed(20)


@pytest.mark.parametrize("password", [None, "wrong"])
def test_wrong_password(connect: Connect, guarded: Mosquitto, password: str | None) -> None:
    session = connect(connection=replace(guarded.connection, username="porch", password=password), wait=False)
    with pytest.raises(BrokerError, match="not authorised: wrong user or password") as error:
        session.wait_connected(60)
    assert not session.connected
    assert str(session.failure) == str(error.value)
    assert error.value.where == f"mqtt://porch@127.0.0.1:{guarded.port}"
    assert "connections.json" in error.value.remedy
    assert "wrong." not in str(error.value)
    assert session.counters["reconnects"] == 0


def test_tls_with_a_known_authority(connect: Connect, encrypted: Mosquitto, certificates: Path) -> None:
    got: list[bytes] = []
    session = connect(
        connection=Connection("localhost", encrypted.port, tls=True, ca_file=certificates / "ca.pem"),
        setup=lambda s: s.subscribe("x", lambda m: got.append(m.payload)),
    )
    clip = bytes(range(256)) * 8000
    for i in range(3):
        session.publish("x", clip + b"%d" % i, qos=1).wait(20)
    wait_for(lambda: got == [clip + b"0", clip + b"1", clip + b"2"])


def test_tls_without_its_authority(connect: Connect, encrypted: Mosquitto) -> None:
    session = connect(connection=Connection("localhost", encrypted.port, tls=True), wait=False)
    assert re.search(r"certificate is not trusted .*ca_file", failure(session))


def test_tls_under_another_name(connect: Connect, encrypted: Mosquitto, certificates: Path) -> None:
    connection = Connection("127.0.0.1", encrypted.port, tls=True, ca_file=certificates / "ca.pem")
    session = connect(connection=connection, wait=False)
    assert re.search(r"certificate is not trusted .*the host as the certificate does", failure(session))


def test_tls_on_a_port_without(connect: Connect, broker: Mosquitto) -> None:
    session = connect(connection=Connection("127.0.0.1", broker.port, tls=True), wait=False)
    assert re.search(r"(no TLS connection|cannot connect)", failure(session))


def test_no_tls_on_a_port_with(connect: Connect, encrypted: Mosquitto) -> None:
    session = connect(connection=Connection("127.0.0.1", encrypted.port), wait=False)
    assert re.search(r"does its port want TLS \(mqtts://\)", failure(session))


def test_an_authority_file_that_is_none(tmp_path: Path) -> None:
    for content in (None, "no certificate"):
        file = tmp_path / "ca.pem"
        if content:
            file.write_text(content)
        session = Session(Connection("localhost", 1, tls=True, ca_file=file), client_id="x")
        with pytest.raises(UsageError, match=str(file)):
            session.start()


def test_a_broker_of_mqtt_3_only(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        session = connect(connection=Connection("127.0.0.1", server.getsockname()[1]), wait=False)
        peer, _ = server.accept()
        with peer:
            peer.settimeout(20)
            peer.recv(1000)
            peer.sendall(bytes([0x20, 2, 0, 1]))  # MQTT 3.1.1: unacceptable protocol version
        with pytest.raises(BrokerError, match="the broker does not speak MQTT 5") as error:
            session.wait_connected(20)
        assert "Mosquitto" in error.value.remedy


def test_a_host_that_is_none(connect: Connect) -> None:
    session = connect(connection=Connection("no such host.invalid", 1883), wait=False)
    assert re.search(r"'no such host\.invalid' is not known", failure(session))


@pytest.mark.parametrize(
    ("setting", "words"),
    [("max_qos 0", "does not offer QoS 1"), ("retain_available false", "keeps no retained messages")],
)
def test_a_broker_that_lacks_what_we_need_is_told_at_once(setting: str, words: str, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, settings=["allow_anonymous true", setting])
    broker.start()
    connected: list[str] = []
    session = Session(broker.connection, client_id="one", on_connected=lambda: connected.append("up"))
    session.keep("x", "on")
    session.start()
    try:
        with pytest.raises(BrokerError, match=words):
            session.wait_connected(20)
        assert not connected
    finally:
        session.stop()
        broker.stop()
