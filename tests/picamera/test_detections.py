"""What the AI camera found, through an autospec of the real IMX500."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest

from meerkat_devices.clock import SystemClock
from meerkat_devices.settings.picamera import Imx500Settings, PicameraSettings
from meerkat_devices.sources.picamera.board import Boards
from meerkat_devices.sources.picamera.detections import findings
from meerkat_devices.sources.picamera.source import PicameraSource
from meerkat_devices.sources.source import SourceError
from support.libcamera_stub import SensorStub
from support.wait import wait_for

pytestmark = [
    pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The metaschema specified:DeprecationWarning"),
]

Connect = Callable[..., list[SensorStub]]
COCO = ["person", "bicycle", "-", "Traffic Light", "cat"]
METADATA = {"CnnOutputTensor": (1.0,)}


def outputs(*found: tuple[tuple[float, float, float, float], float, int]) -> list[Any]:
    """As `get_outputs(add_batch=True)` gives them: boxes (1, N, 4), scores (1, N), classes (1, N), count."""
    boxes = np.array([[box for box, _, _ in found]], np.float32).reshape(1, -1, 4)
    scores = np.array([[score for _, score, _ in found]], np.float32)
    classes = np.array([[number for _, _, number in found]], np.float32)
    return [boxes, scores, classes, np.array([[len(found)]], np.float32)]


@pytest.fixture
def sensor(picamera2: Any) -> Any:
    """Boxes are y0, x0, y1, x1 in fractions; the picture is 1280×720, all of what the sensor sees."""
    from picamera2.devices.imx500 import IMX500, NetworkIntrinsics

    made = create_autospec(IMX500, instance=True)
    made.network_intrinsics = NetworkIntrinsics(
        {"task": "object detection", "classes": {"labels": COCO}, "cpu": {"bbox_order": "yx"}}
    )
    made.config = {"input_tensor_size": (320, 320)}

    def convert(box: Any, metadata: Any, picam2: Any, stream: str = "main") -> tuple[int, int, int, int]:
        y0, x0, y1, x1 = box
        return round(x0 * 1280), round(y0 * 720), round((x1 - x0) * 1280), round((y1 - y0) * 720)

    made.convert_inference_coords.side_effect = convert
    return made


@pytest.fixture
def picam2(picamera2: Any) -> Any:
    made = create_autospec(picamera2.Picamera2, instance=True)
    made.camera_configuration.return_value = {"main": {"size": (1280, 720)}}
    return made


def test_boxes_become_fractions_with_the_houses_words(sensor: Any, picam2: Any) -> None:
    sensor.get_outputs.return_value = outputs(
        ((0.25, 0.5, 0.75, 1.0), 0.5, 3), ((0.1, 0.1, 0.2, 0.2), 0.9, 0), ((0, 0, 1, 1), 0.1, 4)
    )
    seen = findings(sensor, picam2, METADATA, Imx500Settings(network="/models/ssd_pp.rpk"))
    assert seen is not None
    assert seen.model is not None
    assert (seen.task, seen.model.name, seen.model.engine) == ("detect_objects", "ssd_pp", "imx500")
    assert [(found.label, found.score) for found in seen.found] == [("person", 0.9), ("traffic_light", 0.5)]
    assert seen.found[1].box == (0.5, 0.25, 0.5, 0.5)
    sensor.get_outputs.assert_called_once_with(METADATA, add_batch=True)


def test_a_frame_that_the_sensor_did_not_look_at_is_not_an_empty_one(sensor: Any, picam2: Any) -> None:
    sensor.get_outputs.return_value = None
    assert findings(sensor, picam2, {}, Imx500Settings()) is None
    sensor.get_outputs.return_value = outputs()
    seen = findings(sensor, picam2, METADATA, Imx500Settings())
    assert seen is not None
    assert seen.found == ()


def test_pixels_and_the_other_order_are_read_as_the_network_says(sensor: Any, picam2: Any) -> None:
    sensor.network_intrinsics.bbox_normalization = True
    sensor.network_intrinsics.bbox_order = "xy"
    sensor.get_outputs.return_value = outputs(((160, 80, 320, 240), 0.8, 0))
    seen = findings(sensor, picam2, METADATA, Imx500Settings())
    assert seen is not None
    assert seen.found[0].box == (0.5, 0.25, 0.5, 0.5)


def test_a_gap_in_the_labels_and_an_unknown_class_are_no_finding(sensor: Any, picam2: Any) -> None:
    sensor.get_outputs.return_value = outputs(((0, 0, 1, 1), 0.8, 2), ((0, 0, 1, 1), 0.8, 77))
    seen = findings(sensor, picam2, METADATA, Imx500Settings())
    assert seen is not None
    assert seen.found == ()
    own = findings(sensor, picam2, METADATA, Imx500Settings(labels=("a", "b", "Meter Cover")))
    assert own is not None
    assert [found.label for found in own.found] == ["meter_cover"]


def test_boxes_stay_within_the_picture(sensor: Any, picam2: Any) -> None:
    sensor.get_outputs.return_value = outputs(((-0.5, 0.5, 0.5, 1.5), 0.8, 0), ((0.2, 1.2, 0.4, 1.5), 0.8, 0))
    seen = findings(sensor, picam2, METADATA, Imx500Settings())
    assert seen is not None
    assert [found.box for found in seen.found] == [(0.5, 0.0, 0.5, 0.5)]


def test_a_network_of_another_kind_is_told(sensor: Any, picam2: Any) -> None:
    sensor.get_outputs.return_value = outputs()[:1]
    with pytest.raises(ValueError, match="1 outputs; boxes, scores and classes are wanted"):
        findings(sensor, picam2, METADATA, Imx500Settings())


def settings(tmp_path: Path) -> PicameraSettings:
    network = tmp_path / "net_pp.rpk"
    network.touch()
    return PicameraSettings(
        width=320,
        height=180,
        lores_width=160,
        lores_height=88,
        imx500=Imx500Settings(network=str(network)),
    )


def test_its_findings_come_with_the_frames(
    connect: Connect, boards: Boards, sensor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from picamera2.devices import imx500

    made = create_autospec(imx500.IMX500, return_value=sensor)
    monkeypatch.setattr(imx500, "IMX500", made)
    (camera,) = connect("imx500")
    answers = iter([outputs(((0, 0, 0.5, 0.5), 0.9, 0)), None])
    sensor.get_outputs.side_effect = lambda metadata, add_batch: next(answers, None)
    with PicameraSource(0, settings(tmp_path), clock=SystemClock(), boards=boards) as source:
        assert source._board.picam2.camera_configuration()["raw"], "the sensor's coordinates want it"
        made.assert_called_once_with(str(tmp_path / "net_pp.rpk"), camera_id=camera.id)
        samples = source.samples(threading.Event())
        shots = []
        for at in (0, 66, 700):
            wait_for(lambda at=at: camera.tick(10**9 + at * 10**6))
            while not (sample := next(samples)).shots:
                pass
            shots += sample.shots
    found = [shot.found and [one.label for one in shot.found.found] for shot in shots]
    assert found == [["person"], ["person"], None], "the sensor skips a frame; half a second later it is old"


def test_imx500_settings_on_another_camera_are_refused(
    connect: Connect, boards: Boards, tmp_path: Path
) -> None:
    (camera,) = connect("imx219")
    with pytest.raises(SourceError, match="imx500 is set, and this camera is a imx219"):
        PicameraSource(0, settings(tmp_path), clock=SystemClock(), boards=boards)
    connect("imx500")
    missing = PicameraSettings(imx500=Imx500Settings(network="/no/such.rpk"))
    with pytest.raises(SourceError, match=r"no such network.*apt install imx500-all"):
        PicameraSource(0, missing, clock=SystemClock(), boards=boards)
    assert not camera.taken
