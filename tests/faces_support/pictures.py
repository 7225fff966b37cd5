"""Pictures of faces for the tests. None is part of the repository."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

PORTRAIT_BOX = (0.342, 0.201, 0.352, 0.366)
"""Where the face is in `portrait()`, as YuNet finds it."""


def portrait_path() -> Path:
    """A portrait that Matplotlib ships (Grace Hopper, US Navy, public domain), or skip the test."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        pytest.skip("needs the portrait that matplotlib ships (extra experiments)")
    path = Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    if not path.is_file():
        pytest.skip("this matplotlib ships no portrait")
    return path


def portrait() -> NDArray[np.uint8]:
    """(600, 512, 3) BGR"""
    picture = cv2.imread(str(portrait_path()))
    assert picture is not None
    return np.asarray(picture, np.uint8)


def painted(seed: int, side: int = 200) -> NDArray[np.uint8]:
    """A soft picture of colours, sharp enough to be described; another one for each seed."""
    random = np.random.default_rng(seed)
    small = random.integers(30, 226, (6, 6, 3), dtype=np.uint8)
    large = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    grain = np.random.default_rng(1).integers(-12, 13, (side, side, 1), dtype=np.int16)
    return np.clip(large + grain, 0, 255).astype(np.uint8)
