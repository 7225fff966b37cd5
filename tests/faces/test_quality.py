"""What the quality takes for detail, and what it does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from faces_support.pictures import painted
from meerkat_inference.faces.embedder import GOOD, USABLE
from meerkat_inference.faces.quality import SIDE, judge


def smooth() -> np.ndarray:
    """A small picture that was enlarged: shades, and nothing sharp."""
    small = cv2.resize(painted(5), (12, 12), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("light", [1.0, 0.5, 0.3])
def test_a_blurred_face_is_no_sharper_in_the_dark(light: float) -> None:
    """Rounded to a few greys, shades become steps, which look like detail."""
    seen = judge((smooth() * light).astype(np.uint8), width=90, face=1)
    assert seen.value < USABLE
    assert seen.reason == "blurred"


def test_a_sharp_face_is_as_fit_by_half_the_light() -> None:
    sharp = cv2.resize(painted(5), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    assert judge(sharp, width=90, face=1).value > GOOD
    assert judge((sharp * 0.5).astype(np.uint8), width=90, face=1).value > GOOD
