"""ONNX files on ONNX Runtime: CPU, CUDA or TensorRT."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_inference.engine import TensorInfo
from meerkat_inference.store import cache_folder

from .tensors import check_inputs

_log = logging.getLogger(__name__)

_PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
_ORDER = {
    "auto": ("tensorrt", "cuda", "cpu"),
    "tensorrt": ("tensorrt", "cuda", "cpu"),
    "cuda": ("cuda", "cpu"),
    "cpu": ("cpu",),
}
"""What is tried for each wish, until one proves itself."""
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

    ONNX Runtime falls back to the CPU without an error when a GPU's libraries are missing, and a build
    for another GPU lists its provider and fails at the first picture (no kernel image). So the
    providers of the loaded session are compared with those asked for, a GPU proves itself with one
    run, and a warning names what was asked for and what was given. With `auto` the best provider that
    passes is taken: tensorrt, cuda, cpu.
    """

    name = "onnxruntime"

    def __init__(self, path: Path, *, device: str = "cpu") -> None:
        if device not in _ORDER:
            raise ModelError(
                f"onnxruntime does not run on {device!r}",
                where=str(path),
                remedy=f"Set device to {', '.join(_ORDER)}",
            )
        self._where = path.name
        ort = _import()
        here = set(ort.get_available_providers())
        able = [name for name in _ORDER[device] if name == "cpu" or _PROVIDERS[name][0] in here]
        reasons = []
        if device not in ("auto", *able):
            reasons.append(f"{device}: this build of onnxruntime has no {_PROVIDERS[device][0]}")
        for name in able:
            try:
                self._open(ort, path, name, here)
                self._prove(name)
                break
            except _NotThere as error:
                reasons.append(str(error))
        if reasons:
            _log.warning(
                "%s: asked to run on %s, onnxruntime gave %s (%s). Install the GPU build that belongs to "
                "this JetPack or CUDA (docs/how-to/workers.md), or set device: %s",
                path.name,
                able[0] if device == "auto" else device,
                self.device,
                "; ".join(reasons),
                self.device,
            )

    def _open(self, ort: Any, path: Path, device: str, here: set[str]) -> None:
        """Load on `device`; raises _NotThere when it would run elsewhere, ModelError for a bad file."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # its own warnings are about graph details nobody can act on
        providers = [
            (provider, _options(provider)) if _options(provider) else provider
            for provider in _PROVIDERS[device]
            if provider in here
        ]
        try:
            self._session: Any = ort.InferenceSession(str(path), sess_options=options, providers=providers)
        except Exception as error:  # its exceptions share no base below Exception
            if device != "cpu":
                raise _NotThere(f"{device}: {_first_line(error)}") from error
            raise ModelError(
                f"onnxruntime cannot load it: {_first_line(error)}",
                where=str(path),
                remedy="`meerkat models pull` fetches a sound copy",
            ) from error
        self.device = _DEVICES.get(self._session.get_providers()[0], "cpu")
        if self.device != device:
            raise _NotThere(f"{device}: the provider's libraries could not be loaded")
        self.inputs: tuple[TensorInfo, ...] = tuple(
            _describe(tensor) for tensor in self._session.get_inputs()
        )
        self.outputs: tuple[str, ...] = tuple(tensor.name for tensor in self._session.get_outputs())

    def _prove(self, device: str) -> None:
        """Run once on a GPU. Raises _NotThere when it fails there."""
        if device == "cpu":
            return
        blanks = [np.zeros([size or 1 for size in info.shape], np.dtype(info.dtype)) for info in self.inputs]
        try:
            self.run(*blanks)
        except ModelError as error:
            raise _NotThere(f"{device}: {error.what}") from error

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


class _NotThere(Exception):
    """The device that was asked for does not do it."""


def _import() -> Any:
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        raise ModelError(
            f"onnxruntime cannot be loaded: {error}", remedy="Install onnxruntime (extra worker)"
        ) from error
    return onnxruntime


def _options(provider: str) -> dict[str, str]:
    """TensorRT builds an engine for this very GPU, which takes minutes: it is kept for the next start."""
    if provider != "TensorrtExecutionProvider":
        return {}
    folder = cache_folder() / "tensorrt"
    folder.mkdir(parents=True, exist_ok=True)
    _log.info("TensorRT prepares its engines, which can take minutes the first time; kept in %s", folder)
    return {"trt_engine_cache_enable": "True", "trt_engine_cache_path": str(folder)}


def _describe(tensor: Any) -> TensorInfo:
    shape = tuple(size if isinstance(size, int) else 0 for size in tensor.shape)
    return TensorInfo(tensor.name, shape, _DTYPES.get(tensor.type, tensor.type))


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
