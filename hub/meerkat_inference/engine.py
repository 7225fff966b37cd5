"""One face for every inference runtime: a loaded network that takes arrays and returns arrays.

`opening` picks the runtime for a file, `engines` holds one adapter for each.

An engine does one thing at a time on one thread (measured: two threads gained nothing for the small
networks of a house; a second process does). It belongs to the thread that uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from numpy.typing import NDArray

EDGE_TPU_LIBRARY = "libedgetpu.so.1"
"""The Edge TPU's runtime, as its packages install it."""


def is_edge_tpu(device: str) -> bool:
    """Whether a device is an Edge TPU by its bus and number there: usb:0, pci:1."""
    return device.startswith(("usb:", "pci:"))


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a network wants at one of its inputs.

    `shape` has 0 where the file leaves a dimension open, and is empty when the runtime does not tell
    (OpenCV with ONNX files). `scale` is 0 for a tensor that is not quantised; otherwise
    real value = scale * (stored value - zero_point).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0


class Engine(Protocol):
    """A loaded network. `device` is what it truly runs on, whatever was asked for."""

    @property
    def name(self) -> str:
        """litert | tflite_runtime | onnxruntime | opencv | libdarknet | darknet"""
        ...

    @property
    def device(self) -> str: ...

    @property
    def inputs(self) -> tuple[TensorInfo, ...]: ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs' names, in the order in which `run` returns them (OpenCV's is its own)."""
        ...

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """One forward pass: an array per input, in the type and shape that `inputs` states.

        Quantised inputs are given as stored (a uint8 picture goes in as it is). Quantised outputs come
        back as real float32 values, all others as they are; the arrays belong to the caller. Raises
        ModelError when an input does not fit or the runtime fails.
        """
        ...

    def close(self) -> None:
        """Give the memory back. Running a closed engine raises ModelError."""
        ...


@runtime_checkable
class BatchEngine(Engine, Protocol):
    """An engine that starts anew for each call, and so had better be given several pictures at once."""

    at_once: int
    """Pictures for one call at most."""

    def run_many(self, pictures: Sequence[NDArray[Any]]) -> list[list[NDArray[Any]]]:
        """What `run` gives, for each of them."""
        ...
