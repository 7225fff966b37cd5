"""`meerkat device init`: a real broker, a scene as camera, mock pins; answered by keys and by options."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from meerkat_contract.configfile import section
from meerkat_contract.connection import BrokerSettings, find_connection
from meerkat_contract.errors import BrokerError, DeviceError, MeerkatError, UsageError
from meerkat_contract.neighbourhood import HubNotice
from meerkat_devices import areas
from meerkat_devices.command import device
from meerkat_devices.pins.board import Pull
from meerkat_devices.settings.device import DevicesSettings
from meerkat_devices.settings.pins import LightSettings, SensorSettings
from meerkat_devices.setup import connecting, finding, hub_search, trying
from meerkat_devices.setup.file import Draft
from meerkat_devices.setup.finding import Found, usb_cameras
from meerkat_devices.setup.hub_search import find_hubs, reachable_as
from meerkat_devices.setup.questions import Questions
from meerkat_devices.setup.walk import Walk, Wishes
from meerkat_hub.adapters import announcement
from support.broker import Mosquitto, free_port
from support.pins import HandClock, Pin
from support.stand_in_hub import StandInHub


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trying, "LIT_SECONDS", 0.0)
    monkeypatch.setattr(connecting, "HUB_SECONDS", 0.5)
    monkeypatch.setattr("platform.node", lambda: "Porch-Pi.lan")
    monkeypatch.delenv("MEERKAT_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets in `device-porch-pi` alone, with the password `sesame`."""
    passwords = tmp_path / "passwords"
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", passwords, "device-porch-pi", "sesame"],
        check=True,
        capture_output=True,
    )
    passwords.chmod(0o644)
    settings = ("allow_anonymous false", f"password_file {passwords}")
    server = Mosquitto(tmp_path / "guarded", settings=settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def own_service(monkeypatch: pytest.MonkeyPatch) -> str:
    """A kind of service that no other run on this machine announces or looks for."""
    own = f"_mk{os.getpid()}._tcp.local."
    monkeypatch.setattr(announcement, "SERVICE_TYPE", own)
    monkeypatch.setattr(hub_search, "SERVICE_TYPE", own)
    return own


class Board:
    """Its motion sensor sees somebody at once; its lamps remember."""

    name = "test"

    def __init__(self) -> None:
        self.outputs: dict[int, Pin] = {}
        self.closed = False

    def output(self, gpio: int, *, hertz: int | None, active_high: bool) -> Pin:
        self.outputs[gpio] = Pin()
        return self.outputs[gpio]

    def input(self, gpio: int, *, pull: Pull, samples: float | None, changed: Callable[[bool], None]) -> Pin:
        threading.Timer(0.05, changed, [True]).start()
        return Pin()

    def close(self) -> None:
        self.closed = True


def by_options(broker: Mosquitto, *arguments: str) -> Result:
    return CliRunner().invoke(
        device, ["init", "--yes", "--broker", broker.connection.url, *arguments], catch_exceptions=True
    )


def by_keys(keys: list[str], **parts: Any) -> Result:
    """A walk in which somebody types."""
    wishes = Wishes(config=Path("meerkat.yaml"), pictures=Path(), **parts.pop("wishes", {}))

    @click.command()
    def walk() -> None:
        Walk(wishes, Questions(yes=False), **parts).go()

    return CliRunner().invoke(walk, input="".join(f"{key}\n" for key in keys))


def test_a_script_answers_everything_by_options(broker: Mosquitto, tmp_path: Path) -> None:
    wired = ("--light", "ir=18", "--pir", "hall=17", "--pins", "mock")
    done = by_options(broker, "--camera", "porch=scene:porch", *wired)
    assert done.exit_code == 0, done
    assert "lets this device in, but no hub is there yet" in done.output
    assert "without it" in done.output  # and the lamp was tried
    assert "Sensor hall (GPIO 17): not tried" in done.output
    file = tmp_path / "meerkat.yaml"
    own = section(file, "devices", DevicesSettings).root["porch-pi"]
    assert own.cameras["porch"].source == "scene:porch"
    assert (own.sensors["hall"].gpio, own.lights["ir"].gpio, own.pins) == (17, 18, "mock")
    assert section(file, "broker", BrokerSettings).url == broker.connection.url
    picture = cv2.imread(str(tmp_path / "meerkat-porch.jpg"))
    assert picture is not None
    assert picture.mean() > 10


def test_a_person_answers_and_sees_what_works(
    guarded: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandInHub(connecting.with_login(guarded.connection, "device-porch-pi", "sesame"))
    hub.start()
    board = Board()
    shown = np.full((90, 160, 3), 20, np.uint8)
    monkeypatch.setattr(
        areas, "shoot", lambda *_: shown + np.uint8(board.outputs[18].level * 100 if board.outputs else 0)
    )
    notice = HubNotice("attic", ("127.0.0.1",), guarded.port, page_port=8480)
    try:
        done = by_keys(
            [
                "Porch Pi",  # which cannot be its name: it is asked again
                "",
                "",  # the broker that was found: it refuses
                "",  # user device-porch-pi
                "sesame",
                "2",  # the second camera
                "front",
                "GPIO17",
                "17",  # PIR
                "18",  # lamp
            ],
            find_hubs=lambda: [notice],
            find_cameras=lambda: ([Found("picamera:0", "imx708"), Found("0", "HD Webcam")], []),
            open_pins=lambda choice, folder: board,
        )
    finally:
        hub.stop()
    assert done.exit_code == 0, (done.output, done.exception)
    for line in (
        "Error: 'Porch Pi' cannot be a name. Write 'porch-pi'\nName of this device [porch-pi]:",
        "Error: 'GPIO17' is no GPIO. Write its number, 0 to 27",
        "Found the hub on attic, 127.0.0.1",
        f"MQTT broker [mqtt://127.0.0.1:{guarded.port}]:",
        "User there [device-porch-pi]:",
        f"mqtt://device-porch-pi@127.0.0.1:{guarded.port} lets this device in, and the hub is online",
        "  1  picamera:0 (imx708)\n  2  /dev/video0 (HD Webcam)\n",
        "160×90, 8% bright. Look at it: " + str(tmp_path / "meerkat-front.jpg"),
        "8% bright without it, 47% with it: it lights what the camera sees",
        "wave at it ...\n  seen after 0.",
        "Written: meerkat.yaml. It holds a password: only its owner can read it.",
        "The page:   http://127.0.0.1:8480",
    ):
        assert line in done.output, line
    assert "sesame" not in done.output
    assert board.outputs[18].levels == [0.0, 0.0, 1.0, 0.0]
    assert board.outputs[18].closed
    assert board.closed
    file = tmp_path / "meerkat.yaml"
    assert file.stat().st_mode & 0o777 == 0o600
    found = find_connection("device-porch-pi", settings=section(file, "broker", BrokerSettings))
    assert connecting.try_broker(found)  # it gets in with what was written


def test_why_the_broker_refuses_is_said_and_nothing_is_written(guarded: Mosquitto, tmp_path: Path) -> None:
    done = by_options(guarded, "--camera", "porch=scene:porch")
    assert isinstance(done.exception, BrokerError)
    assert "password" in str(done.exception)
    assert not (tmp_path / "meerkat.yaml").exists()


def test_a_broker_that_is_not_there_is_asked_for_again(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "try_broker", _with_patience(1.0))
    done = by_keys(
        ["", f"mqtt://127.0.0.1:{free_port()}", broker.connection.url, "4", "", "23"],
        find_hubs=list,
        find_cameras=lambda: ([Found("0", "a"), Found("1", "b")], []),
        open_pins=lambda choice, folder: Board(),
    )
    assert done.exit_code == 0, (done.output, done.exception)
    assert "None was heard. Is it open to the network" in done.output
    assert "no broker listens there" in done.output
    assert "lets this device in" in done.output
    assert "Lamp lamp (GPIO 23): without a camera nothing sees whether it lights" in done.output
    assert "username" not in (tmp_path / "meerkat.yaml").read_text()


def _with_patience(seconds: float) -> Callable[..., bool]:
    real = connecting.try_broker
    return lambda connection: real(connection, seconds=seconds)


def test_one_brokers_password_is_not_told_to_another(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    monkeypatch.setattr(connecting, "try_broker", lambda connection: told.append(connection) or True)
    file = tmp_path / "meerkat.yaml"
    file.write_text("broker: {url: 'mqtt://house.lan', username: pi, password: sesame}\n")
    for address in ("mqtt://house.lan", "mqtt://elsewhere.lan"):
        arguments = ["init", "--yes", "--broker", address, "--camera", "porch=scene:porch", "--overwrite"]
        assert CliRunner().invoke(device, arguments).exit_code == 0
    assert [(each.host, each.password) for each in told] == [("house.lan", "sesame"), ("elsewhere.lan", None)]
    # A login that is left over must not stay with the new address.
    assert section(file, "broker", BrokerSettings).password is None


def test_what_the_file_says_stays_with_its_comments(broker: Mosquitto, tmp_path: Path) -> None:
    file = tmp_path / "house.yaml"
    file.write_text(
        "# our house\n"
        "hub: {retention: {days: 3}}   # three are enough\n"
        "devices:\n"
        "  gate: {cameras: {gate: {source: 'rtsp://gate/1'}}}\n"
        "  porch-pi:\n"
        "    label: Porch   # the old one\n"
    )
    file.chmod(0o640)
    arguments = ("--config", str(file), "--name", "porch-pi", "--camera", "porch=scene:porch")
    assert by_options(broker, *arguments).exit_code == 0
    text = file.read_text()
    assert text.startswith("# our house\nhub: {retention: {days: 3}}   # three are enough\n")
    assert "label: Porch   # the old one\n    cameras:\n      porch:\n        source: scene:porch\n" in text
    assert "gate: {cameras: {gate: {source: 'rtsp://gate/1'}}}" in text
    assert file.stat().st_mode & 0o777 == 0o640
    again = by_options(broker, *arguments)
    assert again.exit_code == 0  # nothing differs
    assert file.read_text() == text


def test_what_the_file_says_otherwise_is_changed_only_when_somebody_says_so(
    broker: Mosquitto, tmp_path: Path
) -> None:
    file = tmp_path / "meerkat.yaml"
    before = "devices: {porch-pi: {cameras: {porch: {source: '0'}}}}\n"
    file.write_text(before)
    done = by_options(broker, "--camera", "porch=scene:porch")
    assert isinstance(done.exception, UsageError)
    assert "devices.porch-pi.cameras.porch.source: 0 → scene:porch" in done.output
    assert file.read_text() == before
    assert by_options(broker, "--camera", "porch=scene:porch", "--overwrite").exit_code == 0
    assert "scene:porch" in file.read_text()


def test_a_camera_that_does_not_work_is_not_written(broker: Mosquitto, tmp_path: Path) -> None:
    done = by_options(broker, "--camera", "front=/dev/video97")
    assert isinstance(done.exception, MeerkatError)
    assert "camera front" in str(done.exception)
    assert list(tmp_path.glob("*.yaml")) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--name", "Porch Pi"], "cannot be a name"),
        (["--camera", "scene:porch"], "no name or no value"),
        (["--camera", "porch=scene:porch", "--pir", "hall=GPIO17"], "is no GPIO"),
        (["--camera", "porch=scene:porch", "--pir", "hall=40", "--pins", "mock"], "'40' is no GPIO"),
        (["--camera", "porch=scene:porch", "--pir", "hall=3", "--pins", "mock"], "GPIO 3 is pulled up"),
    ],
)
def test_what_cannot_be_is_said(broker: Mosquitto, arguments: list[str], says: str) -> None:
    done = by_options(broker, *arguments)
    assert isinstance(done.exception, UsageError)
    assert says in str(done.exception)


def test_a_lamp_goes_off_also_when_the_camera_fails() -> None:
    board, calls = Board(), []

    def shoot() -> Any:
        calls.append(board.outputs[18].level)
        if len(calls) == 2:
            raise DeviceError("gone")
        return None

    with pytest.raises(DeviceError):
        trying.try_lamp(board, LightSettings(gpio=18), shoot, HandClock())
    assert calls == [0.0, 1.0]
    assert board.outputs[18].level == 0.0
    assert board.outputs[18].closed


def test_a_lamp_that_nobody_sees_and_a_sensor_that_sees_nobody() -> None:
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert "makes no difference" in trying.lamp_verdict(grey, grey + np.uint8(5))
    assert "it lights" in trying.lamp_verdict(grey, grey + np.uint8(20))

    class Still(Board):
        def input(self, gpio: int, **_: Any) -> Pin:
            return Pin()

    assert trying.try_sensor(Still(), SensorSettings(kind="motion", gpio=17), HandClock()) is None


def test_cameras_on_usb_are_told_from_encoders_and_metadata(tmp_path: Path) -> None:
    def node(number: int, device: str, index: int, name: str) -> None:
        folder = tmp_path / "class" / f"video{number}"
        folder.mkdir(parents=True)
        real = tmp_path / "devices" / device
        real.mkdir(parents=True, exist_ok=True)
        (folder / "device").symlink_to(real)
        (folder / "index").write_text(f"{index}\n")
        (folder / "name").write_text(f"{name}\n")

    node(0, "usb1/1-1/1-1:1.0", 0, "HD Webcam")
    node(1, "usb1/1-1/1-1:1.0", 1, "HD Webcam")
    node(2, "usb1/1-2/1-2:1.0", 0, "Doorcam")
    node(11, "platform/bcm2835-codec", 0, "bcm2835-codec-encode")
    assert usb_cameras(tmp_path / "class") == [Found("0", "HD Webcam"), Found("2", "Doorcam")]
    found, troubles = finding.find_cameras(system=tmp_path / "class", board=tmp_path / "no Pi")
    assert (len(found), troubles) == (2, [])


def test_on_a_pi_without_picamera2_that_is_said(tmp_path: Path) -> None:
    board = tmp_path / "model"
    board.write_text("Raspberry Pi Zero 2 W Rev 1.0\0")
    found, (trouble,) = finding.find_cameras(system=tmp_path, board=board)
    assert found == []
    assert "sudo apt install python3-picamera2" in trouble


def test_a_real_hub_is_found_in_the_network(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, own_service: str
) -> None:
    monkeypatch.setattr(announcement, "machine_addresses", lambda: ["192.0.2.9"])
    monkeypatch.setattr(announcement, "answers", lambda address, port: True)
    lo = ["127.0.0.1"]
    with announcement.announced(broker.connection, page=("0.0.0.0", 8480), interfaces=lo):
        found = [hub for hub in find_hubs(seconds=10, interfaces=lo) if hub.port == broker.port]
    assert [hub.addresses for hub in found] == [("192.0.2.9",)]
    assert reachable_as(found[0], lambda name: None) == f"meerkat-{found[0].host}.local"

    def unknown(name: str) -> None:
        raise OSError(name)

    assert reachable_as(found[0], unknown) == "192.0.2.9"


def test_where_no_hub_is_the_silence_is_no_error(own_service: str) -> None:
    assert find_hubs(seconds=0.1, interfaces=["127.0.0.1"]) == []


def test_a_file_that_is_no_yaml_is_named_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "meerkat.yaml"
    file.write_text("devices:\n\t- x\n")
    with pytest.raises(UsageError, match=r"meerkat\.yaml:2:1: a tab stands here"):
        Draft(file)
    file.write_text("# nothing yet\n")
    draft = Draft(file)
    draft.set(("devices", "pi"), {})
    draft.save()
    assert json.loads(section(file, "devices", DevicesSettings).model_dump_json())["pi"]["cameras"] == {}
