"""`meerkat device areas`: a picture to read coordinates off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from meerkat_contract.errors import UsageError
from meerkat_devices import areas
from meerkat_devices.command import device
from meerkat_devices.settings.device import CameraSettings

DRIVE = [[0.15, 0.55], [0.45, 0.55], [0.45, 0.85], [0.15, 0.85]]


def settings(**more: object) -> CameraSettings:
    return CameraSettings.model_validate({"source": "scene:porch", **more})


def grey() -> Any:
    return np.full((360, 640, 3), 120, np.uint8)


def test_what_is_written_is_drawn_where_it_is() -> None:
    drawn = areas.draw(grey(), settings(zones={"drive": DRIVE}, masks=[[[0.55, 0], [0.85, 0], [0.85, 0.2]]]))
    drawn = drawn.astype(int)
    green, red = drawn[int(0.65 * 360), int(0.35 * 640)], drawn[int(0.05 * 360), int(0.75 * 640)]
    assert green[1] > green[2] + 20
    assert red[2] > red[1] + 20
    empty = areas.draw(grey(), settings())
    assert (empty[180, 300] > 150).all(), "a line of the grid"
    assert (empty[int(0.65 * 360), int(0.35 * 640)] == 120).all()


def test_it_is_described() -> None:
    own = settings(
        zones={"drive": DRIVE}, masks=[DRIVE, DRIVE], frames={"region": [0, 0, 0.5, 0.5]}, clips=False
    )
    assert areas.describe(grey(), own) == "640×360, 2 masks, 1 zone, a region"
    assert areas.describe(grey(), settings()) == "640×360, nothing is drawn in yet"


def test_the_command_takes_a_picture_of_the_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("meerkat.yaml").write_text(
        "devices: {pi: {cameras: {front: {source: 'scene:porch', zones: {drive: "
        "[[0.1, 0.5], [0.6, 0.45], [0.7, 1], [0, 1]]}}}}}"
    )
    runner = CliRunner()
    done = runner.invoke(device, ["areas", "front", "--config", "meerkat.yaml"], catch_exceptions=False)
    assert done.output.startswith("areas-front.jpg: ")
    assert "1 zone" in done.output
    shown = cv2.imread("areas-front.jpg")
    assert shown is not None
    arguments = [
        "areas",
        "front",
        "--config",
        "meerkat.yaml",
        "--picture",
        "areas-front.jpg",
        "--out",
        "b.jpg",
    ]
    assert "b.jpg" in runner.invoke(device, arguments, catch_exceptions=False).output
    with pytest.raises(UsageError, match="no camera 'back'") as refused:
        runner.invoke(device, ["areas", "back", "--config", "meerkat.yaml"], catch_exceptions=False)
    assert refused.value.remedy == "It has front"
    with pytest.raises(UsageError, match="no picture"):
        areas.load(Path("meerkat.yaml"))
