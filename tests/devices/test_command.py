"""`meerkat device` on the command line, its section of meerkat.yaml, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from meerkat_contract.errors import UsageError
from meerkat_devices.command import _with_options, device
from meerkat_devices.settings.device import CameraSettings, DevicesSettings, MeterSettings


def refused(*arguments: str) -> UsageError:
    result = CliRunner().invoke(device, [*arguments, "--broker", "mqtt://127.0.0.1:9"])
    assert isinstance(result.exception, UsageError), result.output
    return result.exception


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEERKAT_CONFIG", raising=False)


def test_a_name_that_cannot_be_one_suggests_another() -> None:
    assert "Write 'porch-pi'" in str(refused("--name", "Porch Pi", "--camera", "a=0"))
    assert "Write 'front-door'" in str(refused("--name", "pi", "--camera", "Front Door=scene:porch"))


def test_a_source_without_a_name() -> None:
    assert "Write --camera porch=…" in str(refused("--camera", "rtsp://cam/live?x=1"))


@pytest.mark.parametrize("option", ["--camera", "--meter"])
def test_a_missing_file_that_is_all_there_is(option: str) -> None:
    error = refused("--name", "pi", option, "porch=nothing.mp4")
    assert str(error) == "porch=nothing.mp4: there is no such file. Check the path"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--camera", "a=nothing.mp4", "--camera", "b=scene:porch"],
        ["--camera", "a=nothing.mp4", "--meter", "b=scene:meter"],
        ["--camera", "a=97"],
    ],
)
def test_what_may_come_yet_is_no_wrong_usage(arguments: list[str]) -> None:
    words = [arguments[n + 1] for n, word in enumerate(arguments) if word == "--camera"]
    meters = [arguments[n + 1] for n, word in enumerate(arguments) if word == "--meter"]
    assert _with_options("pi", DevicesSettings(), tuple(words), tuple(meters)).cameras["a"]


def test_neither_camera_nor_meter() -> None:
    assert "neither camera nor meter" in str(refused("--name", "pi"))


def test_one_name_for_two_things() -> None:
    arguments = ["--name", "pi", "--camera", "a=scene:porch", "--meter", "a=scene:meter"]
    assert "both a camera and a meter" in str(refused(*arguments))


def test_several_devices_in_the_file_need_a_name(tmp_path: Path) -> None:
    (tmp_path / "meerkat.yaml").write_text(
        "devices:\n  a: {cameras: {x: {source: scene:porch}}}\n  b: {cameras: {x: {source: scene:porch}}}\n"
    )
    assert "Say which one this is: a, b" in str(refused())


def test_of_several_devices_a_machine_is_the_one_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "Porch-Pi.lan")
    file = tmp_path / "house.yaml"
    file.write_text("devices: {gate: {}, porch-pi: {}}")
    assert "device 'porch-pi' has neither camera nor meter" in str(refused("--config", str(file)))


def test_the_file_and_the_options_together(tmp_path: Path) -> None:
    (tmp_path / "meerkat.yaml").write_text(
        "devices:\n  pi: {cameras: {yard: {source: gone.mp4, pre_roll: 7}}}\n"
    )
    assert str(refused("--camera", "yard=other.mp4")).startswith("yard=other.mp4: there is no such file")
    assert str(refused("--camera", "yard=")).startswith("--camera yard: the source is empty")


def test_settings_are_bounded_and_sources_checked() -> None:
    good = DevicesSettings.model_validate(
        {"pi": {"cameras": {"a": {"source": "rtsp://u:p@cam/s"}}, "meters": {"w": {"source": 0}}}}
    )
    assert good.root["pi"].cameras["a"].clip_seconds == 5
    assert "u:p" not in repr(good)
    bad = [
        (CameraSettings, {"source": "scene:attic"}, "no scene"),
        (CameraSettings, {"source": "0", "pre_roll": 99}, "less than or equal to 30"),
        (CameraSettings, {"source": "0", "preroll": 1}, "Extra inputs"),
        (MeterSettings, {"source": "0", "schedule": "every hour"}, "minute hour day month weekday"),
        (MeterSettings, {"source": "0", "schedule": "0 0 * * * *"}, "five fields"),
        (DevicesSettings, {"Porch Pi": {}}, "pattern"),
        (
            DevicesSettings,
            {"pi": {"cameras": {"a": {"source": "0"}}, "meters": {"a": {"source": "0"}}}},
            "both a camera and a meter",
        ),
        (
            DevicesSettings,
            {"pi": {"cameras": {"device": {"source": "0"}}}},
            "'device' names both the device itself",
        ),
    ]
    for model, values, words in bad:
        with pytest.raises(ValidationError, match=words):
            model.model_validate(values)


def test_importing_the_command_loads_nothing_heavy() -> None:
    heavy = "fastapi", "sqlalchemy", "cv2", "av", "numpy", "meerkat_hub", "onnxruntime"
    code = f"import sys, meerkat_devices.command; print([m for m in {heavy!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
