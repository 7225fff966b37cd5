"""Settings that change while the device runs: payloads, what is kept, what counts after a restart."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from meerkat_contract.errors import BadMessage, DeviceError
from meerkat_contract.messages import SettingInfo
from meerkat_contract.session import Incoming
from meerkat_contract.setting_values import Value, parse, payload
from meerkat_devices.tuning.tuning import Tuning
from support.frames import Station

SENSITIVITY = SettingInfo(name="sensitivity", kind="number", minimum=0, maximum=1)
ENABLED = SettingInfo(name="enabled", kind="switch")
LEVEL = SettingInfo(name="level", kind="select", options=("info", "debug"))
PRESS = SettingInfo(name="picture", kind="button")


class Yard:
    """A thing whose settings are offered, with the device's tuning around it."""

    def __init__(self, folder: Path, *, sensitivity: float = 0.5) -> None:
        self.station = Station()
        self.values: dict[str, Value] = {"sensitivity": sensitivity, "enabled": True, "level": "info"}
        self.pressed = 0
        self.broken = False
        self.file = folder / "settings.json"
        self.tuning = Tuning(self.file, station=self.station)
        self.tuning.leave("yard", "frames")
        for info in (SENSITIVITY, ENABLED, LEVEL):
            self.tuning.offer("yard", info, get=self._get(info.name), set_=self._set(info.name))
        self.tuning.offer("yard", PRESS, get=lambda: None, set_=self._press)
        self.tuning.restore()

    def _get(self, name: str) -> Callable[[], Value]:
        return lambda: self.values[name]

    def _set(self, name: str) -> Callable[[Value], None]:
        def apply(value: Value) -> None:
            if self.broken:
                raise DeviceError("it does not answer", remedy="Plug it in")
            self.values[name] = value

        return apply

    def _press(self, value: Value) -> None:
        assert value is None
        self.pressed += 1

    def send(self, setting: str, data: bytes | str, *, thing: str = "yard", retain: bool = False) -> None:
        topic = f"meerkat/device/pi/{thing}/{setting}/set"
        self.tuning.told(Incoming(topic, data.encode() if isinstance(data, str) else data, retain=retain))
        self.tuning.end()
        self.tuning.run(threading.Event())

    def state(self, setting: str) -> bytes | str | None:
        topic = f"meerkat/device/pi/yard/{setting}/state"
        return next((said for of, said in reversed(self.station.kept) if of == topic), None)


@pytest.mark.parametrize(
    ("info", "data", "value"),
    [
        (SENSITIVITY, b"0", 0.0),
        (SENSITIVITY, b"1", 1.0),
        (SENSITIVITY, b"1.0", 1.0),
        (SENSITIVITY, b"5e-1", 0.5),
        (ENABLED, b"ON", True),
        (ENABLED, b"OFF", False),
        (LEVEL, b"debug", "debug"),
        (PRESS, b"PRESS", None),
    ],
)
def test_a_payload_is_read_and_said_again(info: SettingInfo, data: bytes, value: Value) -> None:
    assert parse(info, data) == value
    assert parse(info, payload(info, value).encode()) == value


@pytest.mark.parametrize(
    ("info", "data"),
    [
        (SENSITIVITY, b"1.0000001"),
        (SENSITIVITY, b"-0.001"),
        (SENSITIVITY, b"nan"),
        (SENSITIVITY, b"inf"),
        (SENSITIVITY, b"1e99"),
        (SENSITIVITY, b" 0.5"),
        (SENSITIVITY, b"0,5"),
        (SENSITIVITY, b"\xff\xfe"),
        (SENSITIVITY, "٠".encode()),
        (ENABLED, b"on"),
        (ENABLED, b"1"),
        (LEVEL, b"loud"),
        (PRESS, b"ON"),
    ],
)
def test_what_is_no_such_value_is_refused_with_what_is_taken(info: SettingInfo, data: bytes) -> None:
    with pytest.raises(BadMessage, match="Send ") as refused:
        parse(info, data, where="there")
    assert refused.value.where == "there"


def test_what_is_set_counts_at_once_is_told_and_outlives_a_restart(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    assert yard.state("sensitivity") == "0.5"
    yard.send("sensitivity", "0.8")
    yard.send("enabled", "OFF")
    assert yard.values == {"sensitivity": 0.8, "enabled": False, "level": "info"}
    assert (yard.state("sensitivity"), yard.state("enabled")) == ("0.8", "OFF")
    again = Yard(tmp_path)
    assert again.values == yard.values
    assert (again.state("sensitivity"), again.state("enabled")) == ("0.8", "OFF")


@pytest.mark.parametrize("word", ["", "default"])
def test_default_takes_it_back_for_good(tmp_path: Path, word: str) -> None:
    yard = Yard(tmp_path)
    yard.send("sensitivity", "0.8")
    yard.send("sensitivity", word)
    assert (yard.values["sensitivity"], yard.state("sensitivity")) == (0.5, "0.5")
    assert json.loads(yard.file.read_text()) == {}
    assert Yard(tmp_path).values["sensitivity"] == 0.5


@pytest.mark.parametrize("configured", [0.123456789012345, 1.5])
def test_default_is_what_the_file_says_to_the_last_digit_and_beyond_the_bounds(
    tmp_path: Path, configured: float
) -> None:
    """A slider ends somewhere; what is written in meerkat.yaml need not."""
    yard = Yard(tmp_path, sensitivity=configured)
    yard.send("sensitivity", "0.8")
    yard.send("sensitivity", "default")
    assert yard.values["sensitivity"] == configured
    assert not yard.station.errors


def test_less_than_nothing_is_nothing(tmp_path: Path) -> None:
    yard = Yard(tmp_path, sensitivity=0.0)
    yard.send("sensitivity", "-0.0")
    assert yard.state("sensitivity") == "0"
    assert not yard.file.exists(), "it is what meerkat.yaml says"


def test_a_value_that_was_changed_in_the_file_since_counts_again(tmp_path: Path) -> None:
    Yard(tmp_path).send("sensitivity", "0.8")
    assert Yard(tmp_path, sensitivity=0.6).values["sensitivity"] == 0.6
    assert Yard(tmp_path, sensitivity=0.5).values["sensitivity"] == 0.5, "it was forgotten"


def test_what_is_refused_is_reported_and_changes_nothing(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.send("sensitivity", "2")
    yard.send("sensitivty", "0.7")
    yard.send("sensitivity", "0.7", thing="yrd")
    yard.send("sensitivity", "0.7", retain=True)
    yard.broken = True
    yard.send("enabled", "OFF")
    assert [(error.where, bool(error.remedy)) for error in yard.station.errors] == [
        ("meerkat/device/pi/yard/sensitivity/set", True),
        ("meerkat/device/pi/yard/sensitivty/set", True),
        ("meerkat/device/pi/yrd/sensitivity/set", True),
        ("meerkat/device/pi/yard/sensitivity/set", True),
        ("meerkat/device/pi/yard/enabled/set", True),
    ]
    assert "0 to 1" in yard.station.errors[0].remedy
    assert "sensitivity, enabled" in yard.station.errors[1].remedy
    assert (yard.values["sensitivity"], yard.values["enabled"]) == (0.5, True)
    assert (yard.state("sensitivity"), yard.state("enabled")) == ("0.5", "ON")
    assert not yard.file.exists()


def test_what_others_listen_for_is_left_to_them(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.send("frames", "2", retain=True)
    yard.send("light", "{}", thing="lamp")
    assert not yard.station.errors


def test_what_nobody_listens_for_is_told(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.send("capture", "PRESS", thing="watr")
    yard.send("capture", "PRESS")
    assert [error.what for error in yard.station.errors] == [
        "watr has no setting capture",
        "yard has no setting capture",
    ]
    assert "frames" in yard.station.errors[1].remedy


def test_a_button_is_pressed_and_not_kept(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.send("picture", "PRESS")
    assert yard.pressed == 1
    assert yard.state("picture") is None
    assert Yard(tmp_path).pressed == 0


def test_a_damaged_file_is_put_aside_and_told(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"yard": {"sens')
    yard = Yard(tmp_path)
    assert yard.values["sensitivity"] == 0.5
    assert yard.state("sensitivity") == "0.5"
    assert yard.station.errors[0].where.endswith("settings.json")
    assert (tmp_path / "settings.damaged").exists()


def test_a_value_that_is_no_longer_allowed_is_told_and_forgotten(tmp_path: Path) -> None:
    text = json.dumps({"yard": {"sensitivity": {"value": "7", "instead": "0.5"}}})
    (tmp_path / "settings.json").write_text(text)
    yard = Yard(tmp_path)
    assert yard.values["sensitivity"] == 0.5
    assert yard.station.errors
    assert not Yard(tmp_path).station.errors


def test_what_cannot_be_kept_counts_and_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.write_text("a file where the folder was")
    yard = Yard(folder)
    assert len(yard.station.errors) == 1, "it cannot be read"
    yard.send("sensitivity", "0.8")
    assert (yard.values["sensitivity"], yard.state("sensitivity")) == (0.8, "0.8")
    assert len(yard.station.errors) == 2
