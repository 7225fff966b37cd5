"""Open a network file with the runtime that suits it, the first that is installed:

    .tflite              litert (ai-edge-litert), then tflite_runtime (extra coral-legacy)
    .onnx                onnxruntime, then opencv
    .weights with .cfg   opencv; by name also libdarknet and darknet, Debian's package (far slower)

A runtime is imported only when a file is opened with it.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from meerkat_contract.errors import ModelError

from .engine import EDGE_TPU_LIBRARY, Engine

_KINDS: dict[str, tuple[str, ...]] = {
    ".tflite": ("litert", "tflite_runtime"),
    ".onnx": ("onnxruntime", "opencv"),
    ".weights": ("opencv", "libdarknet", "darknet"),
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
    "libdarknet": "Install Debian's package darknet, or name the library in $MEERKAT_LIBDARKNET",
    "darknet": "Install Debian's package darknet, or name the program in $MEERKAT_DARKNET",
}
ENGINES = tuple(_REMEDIES)
"""Every runtime that a file can be opened with by name."""
_BY_NAME = ("libdarknet", "darknet")
"""Used only when somebody names them: they are many times slower, and the second starts a program."""
_LIBDARKNET = ("/usr/lib/darknet/libdarknet.so", "/usr/local/lib/libdarknet.so")


def installed(kind: str) -> bool:
    """Whether the runtime is there. Does not import it."""
    if kind == "libdarknet":
        return darknet_library() is not None
    if kind == "darknet":
        return darknet_program() is not None
    return find_spec(_MODULES[kind]) is not None


def check_installed(kind: str) -> None:
    """Raises ModelError with the remedy for a runtime that is not there. Does not import it."""
    if not installed(kind):
        raise ModelError(f"{kind} is not installed", where="engine", remedy=_REMEDIES[kind])


def darknet_library() -> Path | None:
    """Darknet's library: that of $MEERKAT_LIBDARKNET, else Debian's."""
    named = os.environ.get("MEERKAT_LIBDARKNET", "")
    places = (named,) if named else _LIBDARKNET
    return next((Path(place) for place in places if Path(place).is_file()), None)


def darknet_program() -> Path | None:
    """Darknet's program: that of $MEERKAT_DARKNET, else the one on the path."""
    found = shutil.which(os.environ.get("MEERKAT_DARKNET", "") or "darknet")
    return Path(found) if found else None


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
    wanted = tuple(each for each in able if each not in _BY_NAME) if kind is None else (kind,)
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
    return _open_darknet(path, config or path.with_suffix(".cfg"), kind, device)


def _open_darknet(weights: Path, config: Path, kind: str, device: str) -> Engine:
    if kind == "opencv":
        from .engines.opencv import open_darknet

        return open_darknet(weights, config, device=device)
    if device not in ("cpu", "auto"):
        raise ModelError(
            f"engine {kind} runs on the cpu, not on {device!r}", where=str(weights), remedy="Set device: cpu"
        )
    library, program = darknet_library(), darknet_program()
    if kind == "libdarknet" and library is not None:
        from .engines.libdarknet import open_libdarknet

        return open_libdarknet(weights, config, library)
    if kind == "darknet" and program is not None:
        from .engines.darknet_program import open_darknet_program

        return open_darknet_program(weights, config, program)
    raise ModelError(f"engine {kind} is not installed", where=str(weights), remedy=_REMEDIES[kind])
