"""Scripts that post pictures to /websensor: unchanged but for the address, against a real hub and broker."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub_support.posted import PICTURE, Running, Start
from meerkat_contract.errors import StorageError, UsageError
from meerkat_contract.messages import DeviceInfo
from meerkat_contract.session import Incoming, Session
from meerkat_hub.application import build_hub
from meerkat_hub.settings import HubSettings
from meerkat_hub.web.websensor import ACK, NACK, NOTHING_YET, posted_pictures
from support.broker import Mosquitto, free_port
from support.http_camera import picture
from support.processes import Program
from support.wait import wait_for

SCRIPT = """
import sys, urllib.request
address, name = sys.argv[1:]
with open(name, "rb") as file:
    body = file.read()
post = urllib.request.Request(address, data=body, headers={"Content-Type": "application/octet-stream"})
with urllib.request.urlopen(post) as answer:
    print(name, answer.read().decode())
"""
"""What a Pi's crontab runs after it has taken a picture: it posts the file and prints the answer."""


def post_by_script(address: str, file: Path) -> str:
    command = [sys.executable, "-c", SCRIPT, address, str(file)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


class Heard:
    """What somebody on the bus hears of the posted pictures' device."""

    def __init__(self, broker: Mosquitto) -> None:
        self.messages: list[Incoming] = []
        self.session = Session(broker.connection, client_id="subscriber")
        self.session.subscribe("meerkat/device/#", self.messages.append)
        self.session.start()
        self.session.wait_subscribed(10)

    def last(self, topic: str) -> Incoming | None:
        found = [m for m in self.messages if m.topic == f"meerkat/device/websensor/{topic}"]
        return found[-1] if found else None


@pytest.fixture
def heard(broker: Mosquitto) -> Iterator[Heard]:
    subscriber = Heard(broker)
    yield subscriber
    subscriber.session.stop()


def test_a_script_posts_and_everybody_gets_it_also_after_a_restart(
    broker: Mosquitto, heard: Heard, tmp_path: Path
) -> None:
    port, page = free_port(), free_port()
    config = tmp_path / "meerkat.yaml"
    config.write_text(f"hub:\n  websensor: {{enabled: true, host: 127.0.0.1, port: {port}}}\n")
    file = tmp_path / "2026-11-20_0900.jpg"
    file.write_bytes(PICTURE)
    address = f"http://127.0.0.1:{port}/websensor"
    arguments = ["hub", "--data", str(tmp_path / "data"), "--http-port", str(page), "--config", str(config)]
    hub = Program("hub", arguments, connection=broker.connection, folder=tmp_path)

    def text() -> str:
        assert hub.running, hub.text()
        try:
            return httpx.get(address, timeout=5).text
        except httpx.TransportError:
            return ""

    try:
        hub.start()
        assert wait_for(text, seconds=60, what="the listener") == NOTHING_YET
        assert post_by_script(address, file) == f"{file} {{X-ACK}}\n"
        assert wait_for(lambda: heard.last("meter/picture"), what="the picture").payload == PICTURE
        hub.kill()  # right after the answer: what was acknowledged is durable
        hub.start()
        wait_for(text, seconds=60, what="the listener")
        answer = httpx.get(address, timeout=10)
        assert answer.content == PICTURE
        assert answer.headers["content-type"] == "image/jpeg"
        late = Heard(broker)  # it is retained, for who comes later
        try:
            assert wait_for(lambda: late.last("meter/picture"), what="the picture").payload == PICTURE
        finally:
            late.session.stop()
        api = f"http://127.0.0.1:{page}/api"

        def devices() -> list[dict[str, Any]]:
            """The page opens after the listener, and the bus has to tell of the device's meter first."""
            try:
                told = httpx.get(f"{api}/devices", timeout=10).json()
            except httpx.TransportError:
                return []
            return told if all(one["meters"] for one in told) else []

        (device,) = wait_for(devices, what="the device")
        assert (device["device"], device["meters"][0]["name"]) == ("websensor", "meter")
        assert device["meters"][0]["latest"]["size"] == len(PICTURE)
        assert httpx.get(f"{api}/meters/websensor/meter/picture", timeout=10).content == PICTURE
        assert hub.stop() == 0
        assert "Traceback" not in hub.text()
    finally:
        hub.kill()


def test_off_unless_enabled(broker: Mosquitto, tmp_path: Path) -> None:
    settings = HubSettings()
    hub = build_hub(tmp_path, broker.connection, settings)
    try:
        assert hub.websensor is None
        with posted_pictures(hub, settings) as address:
            assert address == ""
    finally:
        hub.engine.dispose()


def test_it_is_a_device_like_any_other(start: Start, heard: Heard) -> None:
    running = start(meters={"water": {"label": "Basement"}, "gas": {"kind": "gas"}})
    info = json.loads(wait_for(lambda: heard.last("info"), what="the info").payload)
    assert [(meter["name"], meter["kind"]) for meter in info["meters"]] == [
        ("water", "water"),
        ("gas", "gas"),
    ]
    wait_for(lambda: (word := heard.last("availability")) and word.payload == b"online", what="online")
    assert running.post().text == ACK
    message = wait_for(lambda: heard.last("water/picture"), what="the picture")
    assert message.payload == PICTURE
    metadata = message.metadata()
    assert (metadata.content_type, metadata.trigger) == ("image/jpeg", "schedule")
    assert running.hub.store.known([metadata.id])
    receipt = wait_for(lambda: heard.last("receipt"), what="the hub to hear itself")
    assert json.loads(receipt.payload)["id"] == metadata.id
    assert running.stored() == 1, "heard again on the bus, stored once"
    assert running.get("/websensor/gas").text == NOTHING_YET
    other = picture(0.5)
    assert running.post(other, "/websensor/gas").text == ACK
    assert running.get("/websensor/gas").content == other
    assert running.get("/websensor").content == running.get("/websensor/water").content == PICTURE
    unknown = running.post(path="/websensor/heat")
    assert (unknown.status_code, unknown.text) == (404, NACK)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "nothing was posted"),
        (b"<html>", "do not begin like a JPEG"),
        (picture(suffix=".png"), "a PNG. Let the camera's program write a JPEG"),
        (PICTURE[:-20], "a JPEG that is cut off"),
        (b"\xff\xd8\xff\xd9", "header does not state a size"),
    ],
)
def test_what_is_no_picture_is_refused_and_told(start: Start, heard: Heard, body: bytes, reason: str) -> None:
    running = start()
    wait_for(lambda: heard.last("info"), what="the info")
    answer = running.post(body)
    assert (answer.status_code, answer.text) == (415, NACK)
    assert reason in answer.headers["x-reason"]
    assert running.get().text == NOTHING_YET
    assert running.stored() == 0
    error = json.loads(wait_for(lambda: heard.last("error"), what="the error").payload)
    assert error["where"] == "meerkat/device/websensor/meter/picture"
    assert error["remedy"]


def test_what_is_too_large_is_never_held(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    running = start(max_picture_megabytes=0.1)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 50_000_000:
            sent += 10_000
            yield b"\xff\xd8" * 5_000

    announced = running.post(PICTURE + bytes(150_000))
    assert (announced.status_code, announced.text) == (413, NACK)
    assert "0.1 MB" in announced.headers["x-reason"]
    # A sender that does not say how much it is: what is beyond the limit is read and dropped for a while.
    chunks = iter([PICTURE, bytes(150_000)])
    assert running.post(chunks).text == NACK
    try:
        assert running.post(endless()).status_code == 413
    except httpx.TransportError:
        assert sent < 50_000_000, "cut off in the middle"
    assert running.stored() == 0


def test_half_a_picture_of_a_sender_that_hangs_up_is_not_taken(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    running = start()
    with socket.create_connection(running.place, timeout=20) as gone:
        gone.sendall(b"POST /websensor HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000\r\n\r\n" + PICTURE[:500])
    wait_for(lambda: any("hung up" in line for line in caplog.messages), what="the hub to see it")
    assert running.get().text == NOTHING_YET


def test_a_token_is_asked_for_in_the_address_or_in_a_header(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    running = start(token="s3cret")
    for wrong in ("/websensor", "/websensor?token=", "/websensor?token=s3cre", "/websensor?token=é"):
        answer = running.post(path=wrong)
        assert (answer.status_code, answer.text) == (401, NACK)
        assert running.get(wrong).status_code == 401
    assert running.post(path="/websensor?token=s3cret").text == ACK
    assert running.post(**{"X-Token": "s3cret"}).text == ACK
    assert running.get(Authorization="Bearer s3cret").content == PICTURE
    assert running.stored() == 2
    assert "s3cre" not in caplog.text


def test_who_is_refused_may_finish_sending_and_hears_it(start: Start) -> None:
    running = start(token="s3cret")
    for _ in range(3):
        with socket.create_connection(running.place, timeout=20) as sender:
            body = PICTURE + bytes(8_000_000)
            head = f"POST /websensor HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(body)}\r\n\r\n"
            sender.sendall(head.encode() + body)
            answer = b""
            while not answer.endswith(NACK.encode()) and (more := sender.recv(4096)):
                answer += more
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert answer.endswith(NACK.encode())


@pytest.mark.parametrize("first", ["the device", "the listener"])
def test_a_device_that_has_the_same_name_is_told_once(
    start: Start, broker: Mosquitto, caplog: pytest.LogCaptureFixture, first: str
) -> None:
    info = DeviceInfo(device="websensor", model="Raspberry Pi 4 Model B", software="meerkat").to_json()
    device = Session(broker.connection, client_id="meerkat-device-websensor")

    def told() -> list[str]:
        return [line for line in caplog.messages if "another device has this name (Raspberry Pi 4" in line]

    def online() -> None:
        device.start()
        wait_for(lambda: device.connected, what="the device's connection")

    try:
        if first == "the device":
            online()
            device.publish("meerkat/device/websensor/info", info, qos=1, retain=True).wait(20)
        start()
        if first == "the listener":
            online()
        for _ in range(2):
            device.publish("meerkat/device/websensor/info", info, qos=1, retain=True).wait(20)
        wait_for(told, what="it to be told")
    finally:
        device.stop()
    assert len(told()) == 1


def test_a_form_is_told_what_to_send(start: Start) -> None:
    running = start()
    answer = httpx.post(running.base + "/websensor", files={"file": PICTURE}, timeout=30)
    assert (answer.status_code, answer.text) == (415, NACK)
    assert "--data-binary" in answer.headers["x-reason"]


def test_a_page_of_another_site_may_not_post(start: Start) -> None:
    running = start()
    foreign = running.post(Origin="http://evil.example")
    assert (foreign.status_code, foreign.text) == (403, NACK)
    for strange in ("null", "http://[::1", ""):
        assert running.post(Origin=strange).text == NACK
    assert running.post(Origin=running.base).text == ACK


def test_without_a_broker_it_is_stored_and_published_later(
    start: Start, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    broker.stop()
    running = start()
    older, newer = picture(0.2), picture(0.7)
    assert [running.post(body).text for body in (older, newer)] == [ACK, ACK]
    assert running.get().content == newer
    broker.start()
    later = Heard(broker)
    try:
        message = wait_for(lambda: later.last("meter/picture"), seconds=60, what="the picture")
        assert message.payload == newer
    finally:
        later.session.stop()


def test_what_the_disk_refuses_is_not_acknowledged(
    start: Start, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start()

    def full(payload: bytes, final: Path | None = None) -> Path:
        raise StorageError("it cannot be written: the disk is full", where="media", remedy="Free some space")

    with monkeypatch.context() as patch:
        patch.setattr(running.hub.media, "receive", full)
        answer = running.post()
    assert (answer.status_code, answer.text) == (503, NACK)
    assert answer.headers["x-reason"].endswith("the disk is full. Free some space")
    assert "the disk is full" in json.loads(wait_for(lambda: heard.last("error"), what="it").payload)["what"]
    assert running.post().text == ACK


def test_what_the_database_refuses_is_not_acknowledged(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    running = start()
    refused: list[str] = []

    def refuse(*_: object, **__: object) -> None:
        refused.append("once")
        raise StorageError("the database refused a write (locked)", where="hub.db")

    with monkeypatch.context() as patch:
        patch.setattr(running.hub.store, "commit", refuse)
        answer = running.post()
    assert refused
    assert (answer.status_code, answer.text) == (503, NACK)
    assert running.get().text == NOTHING_YET
    wait_for(lambda: running.post().text == ACK, what="the hub to have recovered")


def test_a_fault_of_the_hub_is_no_acknowledgement_either(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start()
    assert running.hub.websensor is not None
    with monkeypatch.context() as patch:
        patch.setattr(running.hub.websensor, "_check", lambda *_: 1 / 0)
        answer = running.post()
    assert (answer.status_code, answer.text) == (500, NACK)


def test_a_commit_that_takes_too_long_is_not_acknowledged(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meerkat_hub.adapters.websensor.COMMIT_SECONDS", 0.1)
    running = start()
    with monkeypatch.context() as patch:
        patch.setattr(running.hub.ingest, "take", lambda message: None)
        answer = running.post()
    assert (answer.status_code, answer.text) == (503, NACK)


def test_a_picture_too_large_for_the_broker_is_kept_and_the_trouble_told(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker", settings=("allow_anonymous true", "max_packet_size 20000"))
    broker.start()
    settings = HubSettings.model_validate(
        {"websensor": {"enabled": True, "host": "127.0.0.1", "port": free_port()}}
    )
    hub = build_hub(tmp_path / "data", broker.connection, settings)
    heard = Heard(broker)
    try:
        hub.start()
        with posted_pictures(hub, settings) as address:
            running = Running(hub, address)
            wait_for(lambda: heard.last("availability"), what="the broker")
            assert running.post(PICTURE).text == ACK
            assert running.get().content == PICTURE
            error = json.loads(wait_for(lambda: heard.last("error"), what="the error").payload)
            assert "the broker takes 20,000 at most" in error["what"]
    finally:
        heard.session.stop()
        hub.stop()
        broker.stop()


def test_a_taken_port_is_named_with_its_setting(broker: Mosquitto, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = HubSettings.model_validate(
            {"websensor": {"enabled": True, "host": "127.0.0.1", "port": port}}
        )
        hub = build_hub(tmp_path, broker.connection, settings)
        try:
            with pytest.raises(UsageError, match=f"port {port} is taken") as refused:
                posted_pictures(hub, settings).__enter__()
            assert "hub.websensor" in refused.value.remedy
        finally:
            hub.engine.dispose()
