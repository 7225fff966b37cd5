"""Open a network file with the runtime that suits it, the first that is installed:

    .tflite              litert (ai-edge-litert), then tflite_runtime (extra coral-legacy)
    .onnx                onnxruntime, then opencv
    .weights with .cfg   opencv (Darknet)

A runtime is imported only when a file is opened with it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from meerkat_contract.errors import ModelError

from .engine import EDGE_TPU_LIBRARY, Engine

_KINDS: dict[str, tuple[str, ...]] = {
    ".tflite": ("litert", "tflite_runtime"),
    ".onnx": ("onnxruntime", "opencv"),
    ".weights": ("opencv",),
}
_MODULES = {
    "litert": "ai_edge_litert",
    "tflite_runtime": "tflite_runtime",
    "onnxruntime": "onnxruntime",
    "opencv": "cv2",
}
_REMEDIES = {
    "litert": "Install ai-edge-litert (extra worker)",
    "tflite_runtime": "Install tflite-runtime with Python 3.11 and NumPy 1 (extra coral-legacy)",
    "onnxruntime": "Install onnxruntime (extra worker)",
    "opencv": "Install opencv-python-headless (extra worker)",
}


def installed(kind: str) -> bool:
    """Whether the runtime's package is there. Does not import it."""
    return find_spec(_MODULES[kind]) is not None


def kinds_for(path: Path) -> tuple[str, ...]:
    """The runtimes that can read this type of file, best first. Raises ModelError for other types."""
    try:
        return _KINDS[path.suffix.lower()]
    except KeyError:
        raise ModelError(
            f"no engine reads {path.suffix or 'a file without a suffix'}",
            where=str(path),
            remedy=f"Give a file of type {', '.join(_KINDS)}",
        ) from None


def choose(path: Path, kind: str | None = None) -> str:
    """The runtime that will open `path`; raises ModelError with the remedy when none is installed."""
    able = kinds_for(path)
    if kind is not None and kind not in able:
        raise ModelError(
            f"engine {kind!r} does not read {path.suffix} files",
            where=str(path),
            remedy=f"Use {' or '.join(able)}",
        )
    wanted = able if kind is None else (kind,)
    for candidate in wanted:
        if installed(candidate):
            return candidate
    raise ModelError(
        f"no installed engine reads {path.suffix} files", where=str(path), remedy=_REMEDIES[wanted[0]]
    )


def open_engine(
    path: Path,
    *,
    kind: str | None = None,
    config: Path | None = None,
    device: str = "cpu",
    library: str = EDGE_TPU_LIBRARY,
) -> Engine:
    """Load a network file by its type, or with the runtime `kind`.

    `config` is the .cfg of a Darknet file (found beside the weights when not given). `device` is auto or
    cpu; for .onnx files also cuda or tensorrt: when the runtime falls back to the CPU a warning says so
    and the engine's `device` tells the truth; for .tflite files that were compiled for it an Edge TPU,
    usb:0 or pci:0, driven by `library`. Raises ModelError that names the file and the remedy.
    """
    if not path.is_file():
        raise ModelError(
            "the model's file is not there", where=str(path), remedy="`meerkat models pull` fetches models"
        )
    kind = choose(path, kind)
    if kind in ("litert", "tflite_runtime"):
        from .engines.litert import LiteRtEngine

        return LiteRtEngine(path, kind=kind, device=device, library=library)
    if kind == "onnxruntime":
        from .engines.onnx import OnnxEngine

        return OnnxEngine(path, device=device)
    if path.suffix.lower() == ".onnx":
        from .engines.opencv import open_onnx

        return open_onnx(path, device=device)
    from .engines.opencv import open_darknet

    return open_darknet(path, config or path.with_suffix(".cfg"), device=device)
