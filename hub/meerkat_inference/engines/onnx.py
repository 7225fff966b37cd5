"""ONNX files on ONNX Runtime: CPU, CUDA or TensorRT."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_inference.engine import TensorInfo

from .tensors import check_inputs

_log = logging.getLogger(__name__)

_PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
_DEVICES = {providers[0]: device for device, providers in _PROVIDERS.items()}
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


class OnnxEngine:
    """An .onnx file. `device` tells where it runs, which is not always where it was asked to.

    ONNX Runtime falls back to the CPU without an error when a GPU's libraries are missing; the
    providers of the loaded session are compared with those asked for, and a warning names both.
    """

    name = "onnxruntime"

    def __init__(self, path: Path, *, device: str = "cpu") -> None:
        if device not in _PROVIDERS:
            raise ModelError(
                f"onnxruntime does not run on {device!r}",
                where=str(path),
                remedy=f"Set device to {', '.join(_PROVIDERS)}",
            )
        try:
            import onnxruntime as ort
        except (ImportError, OSError) as error:
            raise ModelError(
                f"onnxruntime cannot be loaded: {error}", remedy="Install onnxruntime (extra worker)"
            ) from error
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # its own warnings are about graph details nobody can act on
        available = set(ort.get_available_providers())
        providers = [provider for provider in _PROVIDERS[device] if provider in available]
        try:
            self._session: Any = ort.InferenceSession(str(path), sess_options=options, providers=providers)
        except Exception as error:  # its exceptions share no base below Exception
            raise ModelError(
                f"onnxruntime cannot load it: {_first_line(error)}",
                where=str(path),
                remedy="`meerkat models pull` fetches a sound copy",
            ) from error
        self._where = path.name
        self.device = _DEVICES.get(self._session.get_providers()[0], "cpu")
        if self.device != device:
            _log.warning(
                "%s: asked to run on %s, onnxruntime gave %s. Install the GPU build and its libraries, "
                "or set device: %s",
                path.name,
                device,
                self.device,
                self.device,
            )
        self.inputs: tuple[TensorInfo, ...] = tuple(
            _describe(tensor) for tensor in self._session.get_inputs()
        )
        self.outputs: tuple[str, ...] = tuple(tensor.name for tensor in self._session.get_outputs())

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        if self._session is None:
            raise ModelError("the engine is closed", where=self._where)
        check_inputs(self.inputs, inputs, where=self._where)
        feed = {info.name: array for info, array in zip(self.inputs, inputs, strict=True)}
        try:
            outputs: list[NDArray[Any]] = self._session.run(None, feed)
        except Exception as error:  # see above
            raise ModelError(f"onnxruntime failed: {_first_line(error)}", where=self._where) from error
        return outputs

    def close(self) -> None:
        self._session = None


def _describe(tensor: Any) -> TensorInfo:
    shape = tuple(size if isinstance(size, int) else 0 for size in tensor.shape)
    return TensorInfo(tensor.name, shape, _DTYPES.get(tensor.type, tensor.type))


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
