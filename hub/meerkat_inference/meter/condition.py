"""Why a picture cannot be read: too dark, burnt out, blank, blurred.

This gives reasons. Whether a picture is read at all is for the networks to say: they read the dark and the
infrared ones that any rule on brightness would refuse. Only boxes with nothing in them are refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DARK, _BRIGHT = 30.0, 225.0
"""Mean grey levels, 0 to 255."""
_BURNT = 250
_BLANK = 6.0
"""Grey levels between the darker and the brighter parts: sensor noise and JPEG make as many of nothing."""
_FAINT = 20.0
_SOFT = 0.035
"""Steepest steps beside the contrast, between pixels of a crop; a sharp digit has 0.2 and more."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Of one crop, in grey levels 0 to 255."""

    mean: float
    contrast: float
    """between the 2nd and the 98th percentile"""
    burnt: float
    """share of pixels that are white"""
    sharpness: float
    """the 95th percentile of steps between neighbours, beside the contrast"""

    @property
    def blank(self) -> bool:
        return self.contrast < _BLANK


def condition(crop: NDArray[np.uint8]) -> Condition:
    """Of a crop (height, width, 3)."""
    grey = crop.astype(np.float32) @ np.array((0.299, 0.587, 0.114), np.float32)
    low, high = np.percentile(grey, (2, 98))
    contrast = float(high - low)
    steps = np.concatenate((np.abs(np.diff(grey, axis=0)).ravel(), np.abs(np.diff(grey, axis=1)).ravel()))
    return Condition(
        mean=float(grey.mean()),
        contrast=contrast,
        burnt=float((grey >= _BURNT).mean()),
        sharpness=float(np.percentile(steps, 95)) / max(contrast, 1.0),
    )


def blank(conditions: Sequence[Condition]) -> bool:
    """Whether half of the crops or more show nothing at all."""
    return 2 * sum(one.blank for one in conditions) >= len(conditions)


def why(conditions: Sequence[Condition]) -> str:
    """What ails the crops, and the remedy; empty when nothing in their light or sharpness does."""
    if not conditions:
        return ""
    mean = float(np.median([one.mean for one in conditions]))
    contrast = float(np.median([one.contrast for one in conditions]))
    burnt = float(np.median([one.burnt for one in conditions]))
    if mean < _DARK and contrast < 2 * _FAINT:
        return "too dark: light the meter while its picture is taken, or expose longer"
    if burnt > 0.6 or (mean > _BRIGHT and contrast < _FAINT):
        return "burnt out: dim the light or move it aside, or expose shorter"
    if contrast < _FAINT:
        return "no contrast: is the glass fogged or dirty, or something before it?"
    if float(np.median([one.sharpness for one in conditions])) < _SOFT:
        return "blurred: focus the lens on the meter, and hold the camera still"
    return ""
