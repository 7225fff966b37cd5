"""TensorFlow Lite files, on LiteRT or on the older tflite_runtime: one adapter, the same Interpreter."""

from __future__ import annotations

import ctypes
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_inference.engine import EDGE_TPU_LIBRARY, TensorInfo, is_edge_tpu

from .quiet import quietly
from .tensors import check_inputs, dequantise

_MODULES = {"litert": "ai_edge_litert.interpreter", "tflite_runtime": "tflite_runtime.interpreter"}


EDGE_TPU_OP = b"edgetpu-custom-op"
"""Stands in a file that was compiled for the Edge TPU, in the place of what runs there."""


class LiteRtEngine:
    """A .tflite file on the CPU, one thread, with the runtime's own optimised kernels (XNNPACK).

    Or on an Edge TPU: `device` is then usb:0, pci:0 and so on, and `library` the delegate's.
    """

    def __init__(
        self, path: Path, *, kind: str = "litert", device: str = "cpu", library: str = EDGE_TPU_LIBRARY
    ) -> None:
        if device not in ("cpu", "auto") and not is_edge_tpu(device):
            raise ModelError(
                f"engine {kind} runs on the cpu or an Edge TPU (usb:0, pci:0), not on {device!r}",
                where=str(path),
                remedy="Set device: cpu",
            )
        self.name = kind
        self._where = path.name
        module = runtime(kind)
        self._delegate: Any = None
        self.device = "cpu"
        if is_edge_tpu(device):
            self.device = f"edgetpu {device}"
            _compiled_only(path)
            self._delegate = load_edge_tpu(module, device, library)
        try:
            with quietly():
                self._interpreter: Any = module.Interpreter(
                    model_path=str(path),
                    num_threads=1,
                    experimental_delegates=[self._delegate] if self._delegate else None,
                )
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            raise ModelError(
                f"{kind} cannot load it: {_first_line(error)}",
                where=str(path),
                remedy=_remedy(str(error), device),
            ) from error
        details = self._interpreter.get_input_details()
        self.inputs: tuple[TensorInfo, ...] = tuple(_describe(detail) for detail in details)
        self._input_indices = [detail["index"] for detail in details]
        details = self._interpreter.get_output_details()
        described = [_describe(detail) for detail in details]
        self.outputs: tuple[str, ...] = tuple(info.name for info in described)
        self._reads = [
            (detail["index"], info.scale, info.zero_point)
            for detail, info in zip(details, described, strict=True)
        ]

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        interpreter = self._interpreter
        if interpreter is None:
            raise ModelError("the engine is closed", where=self._where)
        check_inputs(self.inputs, inputs, where=self._where)
        try:
            for index, array in zip(self._input_indices, inputs, strict=True):
                interpreter.set_tensor(index, array)
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{self.name} failed: {_first_line(error)}", where=self._where) from error
        return [dequantise(interpreter.get_tensor(i), scale, zero) for i, scale, zero in self._reads]

    def close(self) -> None:
        self._interpreter = None
        self._delegate = None  # after the interpreter, which uses it


def load_edge_tpu(module: Any, device: str, library: str = EDGE_TPU_LIBRARY) -> Any:
    """The Edge TPU's delegate for one device. Raises ModelError: no library, no device, or another library.

    A library of another build than the runtime's can end the process: see coral.probe.
    """
    try:
        # Looked at beforehand: a delegate that fails half-way complains once more when it is let go.
        _ = ctypes.PyDLL(library).tflite_plugin_create_delegate
        return module.load_delegate(library, {"device": device})
    except OSError as error:
        raise ModelError(
            f"the Edge TPU runtime cannot be loaded: {_first_line(error)}",
            where=library,
            remedy="Install a libedgetpu that is built for this runtime (docs/how-to/workers.md, Coral), or "
            "name its file with worker.coral_library",
        ) from error
    except ValueError as error:
        detail = " ".join(str(error).split())
        raise ModelError(
            f"no Edge TPU answers as {device} ({detail})",
            where=library,
            remedy="Plug it in, into a USB 3 port; check that this user may open it (group plugdev) and "
            "that no other process has it",
        ) from error
    except AttributeError as error:
        raise ModelError(
            f"this library is no TensorFlow Lite delegate: {_first_line(error)}",
            where=library,
            remedy="Name the Edge TPU's library with coral_library",
        ) from error


def _compiled_only(path: Path) -> None:
    """A file that is not compiled for the Edge TPU would run on the CPU without a word."""
    if EDGE_TPU_OP not in path.read_bytes():
        raise ModelError(
            "this file is not compiled for the Edge TPU and would run on the CPU",
            where=str(path),
            remedy="Use one whose name ends in _edgetpu.tflite (coral.ai/models), or edgetpu_compiler",
        )


def _remedy(error: str, device: str) -> str:
    if EDGE_TPU_OP.decode() in error and not is_edge_tpu(device):
        return "This file is compiled for the Edge TPU and runs nowhere else"
    if is_edge_tpu(device):
        return "Update libedgetpu: it may be older than the file's compiler, or built for another runtime"
    return "`meerkat models pull` fetches a sound copy"


def runtime(kind: str) -> Any:
    """The runtime's module. NumPy 2 under tflite_runtime dies at load with a puzzling message."""
    if kind == "tflite_runtime" and int(np.__version__.split(".")[0]) > 1:
        raise ModelError(
            f"tflite_runtime needs NumPy 1, {np.__version__} is installed",
            remedy="Install the extra coral-legacy in its own environment, or use ai-edge-litert",
        )
    try:
        return import_module(_MODULES[kind])
    except (ImportError, OSError) as error:
        raise ModelError(
            f"{kind} cannot be loaded: {_first_line(error)}",
            remedy="Install the extra coral-legacy"
            if kind == "tflite_runtime"
            else "Install ai-edge-litert (extra worker); it needs a 64-bit system",
        ) from error


def _describe(detail: dict[str, Any]) -> TensorInfo:
    scale, zero_point = detail["quantization"]
    return TensorInfo(
        name=str(detail["name"]),
        shape=tuple(int(size) for size in detail["shape"]),
        dtype=np.dtype(detail["dtype"]).name,
        scale=float(scale),
        zero_point=int(zero_point),
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
