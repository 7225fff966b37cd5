"""ONNX files and Darknet's cfg + weights on OpenCV's own network module, on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_inference.engine import TensorInfo

from .darknet_files import check_darknet
from .tensors import check_inputs


class OpenCvEngine:
    """A network that OpenCV has read. Its outputs are those of the network's last layers, in order."""

    name = "opencv"
    device = "cpu"

    def __init__(self, net: Any, inputs: tuple[TensorInfo, ...], *, where: str) -> None:
        self._net = net
        self._where = where
        self.inputs = inputs
        self.outputs: tuple[str, ...] = tuple(net.getUnconnectedOutLayersNames())
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        net.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)
        cv2.setNumThreads(1)

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        if self._net is None:
            raise ModelError("the engine is closed", where=self._where)
        check_inputs(self.inputs, inputs, where=self._where)
        try:
            for info, array in zip(self.inputs, inputs, strict=True):
                self._net.setInput(array, info.name)
            return [np.array(output) for output in self._net.forward(self.outputs)]
        except cv2.error as error:
            raise ModelError(f"opencv failed: {_reason(error)}", where=self._where) from error

    def close(self) -> None:
        self._net = None


def open_onnx(path: Path, *, device: str = "cpu") -> OpenCvEngine:
    """Read an .onnx file with one float32 input. Raises ModelError when OpenCV cannot."""
    _cpu_only(device, path)
    try:
        net = cv2.dnn.readNetFromONNX(np.fromfile(path, np.uint8))
    except (cv2.error, OSError) as error:
        raise ModelError(
            f"opencv cannot read it: {_reason(error)}",
            where=str(path),
            remedy="Install onnxruntime (extra worker), or fetch the file again",
        ) from error
    return OpenCvEngine(net, (TensorInfo("", (), "float32"),), where=path.name)


def open_darknet(weights: Path, config: Path, *, device: str = "cpu") -> OpenCvEngine:
    """Read a Darknet pair after checking that they belong together (darknet_files).

    The input is RGB, (1, 3, height, width), float32 of 0..1. Each output is one [yolo] layer: rows of
    centre x, centre y, width, height (fractions of the input), objectness, and a score per class that
    is already multiplied by the objectness.
    """
    _cpu_only(device, weights)
    files = check_darknet(weights, config)
    try:
        net = cv2.dnn.readNetFromDarknet(
            np.frombuffer(files.config, np.uint8), np.memmap(files.weights, np.uint8, mode="r")
        )
    except (cv2.error, OSError) as error:
        raise ModelError(
            f"opencv cannot read it: {_reason(error)}", where=str(config), remedy="Convert the model to ONNX"
        ) from error
    network = files.network
    shape = (1, network.channels, network.height, network.width)
    return OpenCvEngine(net, (TensorInfo("", shape, "float32"),), where=weights.name)


def _cpu_only(device: str, path: Path) -> None:
    if device not in ("cpu", "auto"):
        raise ModelError(
            f"engine opencv runs on the cpu, not on {device!r}", where=str(path), remedy="Set device: cpu"
        )


def _reason(error: Exception) -> str:
    return str(getattr(error, "err", "") or error).strip().partition("\n")[0]
