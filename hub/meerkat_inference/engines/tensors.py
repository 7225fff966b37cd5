"""What every runtime's adapter needs: fit the inputs, turn stored integers into real values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_inference.engine import TensorInfo


def check_inputs(expected: tuple[TensorInfo, ...], given: tuple[NDArray[Any], ...], *, where: str) -> None:
    """Raise ModelError that names the first input of the wrong number, type or shape."""
    if len(given) != len(expected):
        raise ModelError(f"the network takes {len(expected)} inputs, {len(given)} were given", where=where)
    for info, array in zip(expected, given, strict=True):
        if array.dtype != info.dtype:
            raise ModelError(f"input {info.name!r} is {info.dtype}, {array.dtype} was given", where=where)
        fits = len(array.shape) == len(info.shape) and all(
            want in (0, have) for want, have in zip(info.shape, array.shape, strict=True)
        )
        if info.shape and not fits:
            raise ModelError(
                f"input {info.name!r} has shape {info.shape}, {array.shape} was given", where=where
            )


def dequantise(stored: NDArray[Any], scale: float, zero_point: int) -> NDArray[Any]:
    """Real float32 values of a quantised tensor; a tensor without scale is returned as it is."""
    if not scale:
        return stored
    real = stored.astype(np.float32)
    real -= zero_point
    real *= scale
    return real
