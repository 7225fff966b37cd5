"""What an IMX500 (the AI camera) found on its sensor, as boxes in fractions of the picture.

The network's outputs ride in the metadata of every frame that the sensor has looked at. Networks of
object detection that end in boxes, scores and classes are read (`…_pp.rpk` of imx500-models).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from meerkat_contract.messages import Found, FrameFindings, ModelInfo
from meerkat_contract.vocabulary import normalise
from meerkat_devices.settings.picamera import Imx500Settings
from meerkat_devices.sources.source import SourceError

from .library import in_words

LEAST_SCORE = 0.2
"""Boxes below are noise, and there are a hundred of them in every frame."""

_WORD = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")

INSTALL = "sudo apt install imx500-all"


def open_imx500(settings: Imx500Settings, info: dict[str, Any], where: str) -> Any:
    """The sensor with its network loaded; before the camera is opened. Raises SourceError.

    The first time the network goes into the camera's own memory, which takes minutes.
    """
    if info.get("Model") != "imx500":
        raise SourceError(
            f"imx500 is set, and this camera is a {info.get('Model', 'different one')}",
            where=where,
            remedy="Take `imx500` out of the camera's `picamera`, or name the other camera's number",
        )
    if not Path(settings.network).is_file():
        raise SourceError("there is no such network", where=f"{where}, {settings.network}", remedy=INSTALL)
    try:
        from picamera2.devices.imx500 import IMX500

        sensor = IMX500(settings.network, camera_id=info["Id"])
        intrinsics = sensor.network_intrinsics
        if intrinsics is not None and intrinsics.preserve_aspect_ratio:
            sensor.set_auto_aspect_ratio()
    except (ImportError, RuntimeError, OSError, ValueError) as error:
        raise in_words(error, where, "take its network") from error
    return sensor


def findings(
    sensor: Any, picam2: Any, metadata: dict[str, Any], settings: Imx500Settings
) -> FrameFindings | None:
    """What the sensor found in the frame of `metadata`; None when it has not looked at this one.

    Raises ValueError when the network's outputs are not boxes, scores and classes.
    """
    outputs = sensor.get_outputs(metadata, add_batch=True)
    if outputs is None:
        return None
    if len(outputs) < 3:
        raise ValueError(f"the network has {len(outputs)} outputs; boxes, scores and classes are wanted")
    boxes, scores, classes = outputs[0][0], outputs[1][0], outputs[2][0]
    intrinsics = sensor.network_intrinsics
    labels = settings.labels or tuple(getattr(intrinsics, "labels", None) or ())
    if getattr(intrinsics, "bbox_normalization", False):
        boxes = boxes / sensor.config["input_tensor_size"][1]
    if getattr(intrinsics, "bbox_order", None) == "xy":
        boxes = boxes[:, [1, 0, 3, 2]]
    width, height = picam2.camera_configuration()["main"]["size"]
    found = []
    for box, score, number in zip(boxes, scores, classes, strict=False):
        if score < LEAST_SCORE or not 0 <= int(number) < len(labels):
            continue
        left, top, wide, high = sensor.convert_inference_coords(tuple(box), metadata, picam2)
        x, y = _within(left / width), _within(top / height)
        across, down = _within((left + wide) / width) - x, _within((top + high) / height) - y
        label = normalise(labels[int(number)])
        if across > 0 and down > 0 and _WORD.fullmatch(label):  # gaps in the lists are "-"
            box_of = tuple(round(value, 4) for value in (x, y, across, down))
            found.append(Found(label=label, score=round(min(float(score), 1.0), 4), box=box_of))
    found.sort(key=lambda one: -one.score)
    model = ModelInfo(name=Path(settings.network).stem, engine="imx500")
    return FrameFindings(task="detect_objects", model=model, found=tuple(found))


def _within(value: float) -> float:
    return min(max(float(value), 0.0), 1.0)
