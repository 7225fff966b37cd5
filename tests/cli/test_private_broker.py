"""The private broker: a real Mosquitto believes our files, and keeps each user in its place."""

from __future__ import annotations

import base64
import logging
import os
import platform
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from meerkat_cli import private_broker
from meerkat_cli.private_broker import PrivateBroker, translate
from meerkat_contract.connection import Connection
from meerkat_contract.errors import UsageError
from support.broker import accepts, free_port
from support.wait import wait_for


class Client:
    """A bare MQTT 5 client: what it was told, and what came of what it sent."""

    def __init__(self, connection: Connection) -> None:
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.username_pw_set(connection.username, connection.password)
        self.connected: list[str] = []
        self.received: list[str] = []
        self.sizes: list[int] = []
        self.published: dict[int, int] = {}
        self.subscribed = threading.Event()
        self.client.on_connect = lambda *a: self.connected.append(str(a[3]))
        self.client.on_message = lambda *a: self._take(a[2])
        self.client.on_publish = self._on_publish
        self.client.on_subscribe = lambda *a: self.subscribed.set()
        self.client.connect("127.0.0.1", connection.port)
        self.client.loop_start()
        wait_for(lambda: self.connected, what="an answer to the connection")

    def _take(self, message: mqtt.MQTTMessage) -> None:
        self.received.append(message.topic)
        self.sizes.append(len(message.payload))

    def _on_publish(self, *arguments: object) -> None:
        _, _, mid, reason, _ = arguments
        assert isinstance(reason, ReasonCode)
        assert isinstance(mid, int)
        self.published[mid] = reason.value

    def subscribe(self, topic: str) -> None:
        self.subscribed.clear()
        self.client.subscribe(topic, 1)
        assert self.subscribed.wait(10)

    def may_publish(self, topic: str) -> bool:
        """0x87 is "not authorized"; 0x10 "nobody listens"."""
        mid = self.client.publish(topic, b"x", 1).mid
        return wait_for(lambda: mid in self.published and [self.published[mid]])[0] != 0x87

    def end(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    data = tmp_path_factory.mktemp("data")
    prepared = private_broker.prepare(data, devices=["porch", "shed"], port=free_port())
    environment = {**os.environ, **prepared.environment}
    with subprocess.Popen(
        prepared.argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    ) as process:
        try:
            wait_for(lambda: accepts(prepared.port), what="the broker accepts")
            yield prepared
        finally:
            process.terminate()
            process.communicate(timeout=10)


@pytest.fixture
def connect(server: PrivateBroker) -> Iterator[Callable[[str], Client]]:
    clients: list[Client] = []

    def connect(role: str) -> Client:
        clients.append(Client(server.connection(role)))
        assert clients[-1].connected == ["Success"]
        return clients[-1]

    yield connect
    for client in clients:
        client.end()


def test_nobody_is_let_in_without_the_right_password(server: PrivateBroker) -> None:
    for connection in (
        Connection("127.0.0.1", server.port),
        Connection("127.0.0.1", server.port, username="hub", password="guess"),
        Connection("127.0.0.1", server.port, username="nobody", password="guess"),
    ):
        client = Client(connection)
        try:
            assert client.connected[0] == "Not authorized"
        finally:
            client.end()


@pytest.mark.parametrize(
    ("role", "allowed", "forbidden"),
    [
        (
            "device-porch",
            [
                "meerkat/device/porch/info",
                "meerkat/device/porch/front/clip",
                "meerkat/device/porch/front/frame",
                "meerkat/device/porch/front/frames/state",
            ],
            [
                "meerkat/device/shed/info",
                "meerkat/device/shed/front/frame",
                "meerkat/device/shed/front/clip",
                "meerkat/hub/state",
                "homeassistant/x",
            ],
        ),
        (
            "worker",
            ["meerkat/worker/w1/state", "meerkat/worker/w1/results"],
            ["meerkat/worker/w1/jobs", "meerkat/device/porch/front/clip", "meerkat/camera/porch/front/event"],
        ),
        (
            "client",
            ["meerkat/device/porch/front/clip", "meerkat/device/porch/front/detect/set"],
            [
                "meerkat/device/porch/info",
                "meerkat/camera/porch/front/event",
                "homeassistant/device/x/config",
            ],
        ),
        (
            "homeassistant",
            ["homeassistant/device/x/config", "meerkat/device/porch/front/detect/set"],
            ["meerkat/device/porch/front/clip", "meerkat/hub/state"],
        ),
        ("hub", ["meerkat/hub/state", "meerkat/device/porch/receipt"], ["homeassistant/x", "elsewhere"]),
    ],
)
def test_who_may_publish_what(
    connect: Callable[[str], Client], role: str, allowed: list[str], forbidden: list[str]
) -> None:
    client = connect(role)
    assert {topic: client.may_publish(topic) for topic in (*allowed, *forbidden)} == {
        **dict.fromkeys(allowed, True),
        **dict.fromkeys(forbidden, False),
    }


def test_a_device_sees_its_own_receipts_and_commands_and_no_pictures(
    connect: Callable[[str], Client],
) -> None:
    porch, shed, hub = connect("device-porch"), connect("device-shed"), connect("hub")
    porch.subscribe("#")
    assert shed.may_publish("meerkat/device/shed/front/picture")
    assert shed.may_publish("meerkat/device/shed/front/clip")
    for topic in ("receipt", "front/detect/set", "front/frames/set", "front/picture"):
        assert hub.may_publish(f"meerkat/device/porch/{topic}")
        assert hub.may_publish(f"meerkat/device/shed/{topic}")
    # Mosquitto delivers in order: when this one is here, everything before it has been decided.
    assert hub.may_publish("meerkat/hub/state")
    wait_for(lambda: "meerkat/hub/state" in porch.received)
    assert porch.received == [
        "meerkat/device/porch/receipt",
        "meerkat/device/porch/front/detect/set",
        "meerkat/device/porch/front/frames/set",
        "meerkat/hub/state",
    ]


def test_large_packets_pass(connect: Callable[[str], Client]) -> None:
    """Mosquitto 2.1 would stop at 2,000,000 bytes if it were not told otherwise."""
    hub, porch = connect("hub"), connect("device-porch")
    hub.subscribe("meerkat/device/porch/front/clip")
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("id", "1")]
    porch.client.publish("meerkat/device/porch/front/clip", bytes(5_000_000), 1, properties=properties)
    wait_for(lambda: hub.sizes, what="5 MB arrive")
    assert hub.sizes == [5_000_000]


def test_files_are_the_owners_alone_and_passwords_stay(tmp_path: Path) -> None:
    first = private_broker.prepare(tmp_path, devices=["porch"], port=1)
    second = private_broker.prepare(tmp_path, devices=["shed"], port=1)
    assert second.passwords.items() >= first.passwords.items()
    assert set(second.passwords) == {*private_broker.ROLES, "device-porch", "device-shed"}
    assert len(set(second.passwords.values())) == len(second.passwords)
    for file in (tmp_path / "broker").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert "secret" not in repr(first)
    assert first.passwords["hub"] not in repr(first)


def test_a_password_file_that_is_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / "passwords.json").write_text("[")
    with pytest.raises(UsageError, match="passwords cannot be read"):
        private_broker.prepare(tmp_path, devices=[], port=1)


def test_only_root_asks_to_stay_root_and_only_open_lan_listens_to_it() -> None:
    def lines(**more: bool) -> list[str]:
        settings = {"open_lan": False, "as_root": False, **more}
        return private_broker.configuration_text(Path("/d"), port=1883, **settings).splitlines()

    assert "user root" in lines(as_root=True)
    assert not any(line.startswith("user ") for line in lines())
    assert "listener 1883 127.0.0.1" in lines()
    assert "listener 1883" in lines(open_lan=True)
    assert "allow_anonymous false" in lines(open_lan=True)


def test_the_hash_is_mosquittos() -> None:
    """The reference was made by mosquitto_passwd 2.0.11 for the password `secret`."""
    reference = (
        "$7$101$Yqqi/PQ7oINYTUnB$pKQlzXo574wl3d78TrPhK1UcWdM83I2rTlQYIBECeuroTI"
        "QbAs1fXQx1hBXFnyV9RUAoUTge25teQqalNDK81Q=="
    )
    salt = base64.b64decode(reference.split("$")[3])
    assert private_broker.hash_password("secret", salt=salt) == reference


_MEMORY = """
import ctypes
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype, libc.free.argtypes, libc.mallinfo2.restype = ctypes.c_void_p, [ctypes.c_void_p], Info
before = libc.mallinfo2()
clips = [libc.malloc(2_000_000) for _ in range(4)]
during = libc.mallinfo2()
for clip in clips:
    libc.free(clip)
print(during.hblks - before.hblks, libc.mallinfo2().arena - before.arena)
"""
"""Prints how many of four clips were mapped each by itself, and how much memory is kept without them."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_memory_for_pictures_and_clips_is_kept_at_hand() -> None:
    def told(environment: Mapping[str, str]) -> tuple[int, int]:
        clean = {name: text for name, text in os.environ.items() if not name.startswith("MALLOC_")}
        said = subprocess.check_output([sys.executable, "-c", _MEMORY], env={**clean, **environment})
        mapped, kept = said.split()
        return int(mapped), int(kept)

    mapped, kept = told(private_broker.ENVIRONMENT)
    assert mapped == 0
    assert kept > 2_000_000
    assert told({})[0] > 0  # so that it can be told from what glibc does by itself


def test_without_mosquitto_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_broker.shutil, "which", lambda *a, **k: None)
    with pytest.raises(UsageError, match="install mosquitto"):
        private_broker.find_mosquitto()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "Client porch disconnected, not authorised.",
            (30, "porch was refused: unknown user or wrong password"),
        ),
        (
            "Client <unknown> disconnected, not authorised.",
            (30, "somebody was refused: unknown user or wrong password"),
        ),
        (
            "Outgoing messages are being dropped for client hub.",
            (30, "Messages for hub are dropped: it does not keep up"),
        ),
        ("Client hub has exceeded timeout, disconnecting.", (30, "hub went silent and was disconnected")),
        ("Error: Address already in use", (logging.ERROR, "Address already in use")),
        ("Warning: Mosquitto should not be run as root/administrator.", None),
        ("New connection from 127.0.0.1:40000 on port 1883.", None),
        ("New client connected from 127.0.0.1:40000 as hub (p5, c0, k60, u'hub').", None),
    ],
)
def test_its_log_in_words(line: str, expected: tuple[int, str] | None) -> None:
    assert translate(line) == expected
