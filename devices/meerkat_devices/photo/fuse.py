"""Several exposures of one meter become one picture: less noise, less glare, no ghosts.

    best = sharpest(stills)
    picture, count = fuse(stills, best)

Exposures that were locked alike are averaged in linear light, each laid on the sharpest one first. A needle
or a roller that turns meanwhile would leave ghosts, so a pixel counts only where its surroundings agree
with the sharpest one's. Exposures that differ are fused by how well each shows a place (Mertens 2007),
which brings back what one of them has burnt out.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_devices.stills import Still

from .condition import WIDTH, judge, measure

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

GAMMA = 2.2
LINEAR = ((np.arange(256) / 255) ** GAMMA).astype(np.float32)

APART = 0.4
"""Stops. Exposures (seconds × gain) that differ by more are fused by place, the others averaged."""

FARTHEST = 12.0
"""Pixels of 640 by which a picture may have moved to be laid on another; more is another view."""

MOVED = 0.15
"""Pixels of a shift that is worth moving a picture for, which blurs it a little."""

SURE = 0.15
"""The peak's share of a phase correlation (measured: 0.3 in the dimmest picture that shows anything, 0.04
in noise); below it nothing tells of a shift, and what does not agree is left out pixel by pixel anyway."""

AGREE = 3.0
"""Standard deviations of the noise by which surroundings may differ and count in full; at twice that, not."""

NEAR = 5
"""Pixels, across, of these surroundings."""

STRIP = 120
"""Rows at a time: the floats of a whole picture would be many times its size."""


def sharpest(stills: Sequence[Still]) -> int:
    """Which of them is best: a good one, and of these the sharpest."""
    measured = [measure(still.picture) for still in stills]
    return max(
        range(len(stills)), key=lambda at: (judge(measured[at]) == "good", measured[at].sharpness, -at)
    )


def fuse(stills: Sequence[Still], best: int) -> tuple[Picture, int]:
    """One picture of all that go with `stills[best]`, and of how many it is."""
    reference = stills[best]
    others = [
        (still, laid)
        for still in stills
        if still is not reference
        and still.picture.shape == reference.picture.shape
        and (laid := _laid_on(reference.picture, still.picture)) is not None
    ]
    if not others:
        return reference.picture, 1
    stops = [abs(_stops(still, reference)) for still, _ in others]
    if max(stops) > APART:
        chosen = [laid for (_, laid), apart in zip(others, stops, strict=True) if apart > APART]
        return _by_place([reference.picture, *chosen]), 1 + len(chosen)
    return _averaged(reference.picture, [laid for _, laid in others]), 1 + len(others)


def _stops(still: Still, reference: Still) -> float:
    """By how many stops it saw more light; by its pixels where the camera says nothing."""
    amounts = [one.exposure * one.gain if one.exposure and one.gain else None for one in (still, reference)]
    if amounts[0] is not None and amounts[1] is not None:
        return log2(amounts[0] / amounts[1])
    means = [((one.picture[::4, ::4].mean() + 1) / 256) ** GAMMA for one in (still, reference)]
    return log2(means[0] / means[1])


def _laid_on(reference: Picture, picture: Picture) -> Picture | None:
    """The picture moved to where the reference lies; None when it shows something else."""
    height, width = reference.shape[:2]
    scale = WIDTH / width
    size = (WIDTH, max(8, round(height * scale)))
    small = [
        cv2.resize(cv2.cvtColor(one, cv2.COLOR_BGR2GRAY), size, interpolation=cv2.INTER_AREA).astype(
            np.float32
        )
        for one in (reference, picture)
    ]
    window = cv2.createHanningWindow(small[0].shape[::-1], cv2.CV_32F)
    (x, y), peak = cv2.phaseCorrelate(small[0], small[1], window)
    if peak < SURE:
        return picture
    if max(abs(x), abs(y)) > FARTHEST:
        return None
    if max(abs(x), abs(y)) < MOVED * scale:
        return picture
    matrix = np.array([[1, 0, -x / scale], [0, 1, -y / scale]], np.float32)
    moved = cv2.warpAffine(
        picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return moved.astype(np.uint8)


def _by_place(pictures: Sequence[Picture]) -> Picture:
    # By contrast and exposure alone: under an infrared lamp nothing has a colour.
    merge = cv2.createMergeMertens(1.0, 0.0, 1.0)
    fused = merge.process(list(pictures))
    levels: Picture = np.clip(fused * 255 + 0.5, 0, 255).astype(np.uint8)
    return levels


def _averaged(reference: Picture, others: Sequence[Picture]) -> Picture:
    """The mean in linear light of what agrees with the reference."""
    noise = measure(reference).noise
    limit = max(1.5, AGREE * noise * sqrt(2) / NEAR)
    result = np.empty_like(reference)
    rows, rim = reference.shape[0], NEAR
    for top in range(0, rows, STRIP):
        first, last = max(0, top - rim), min(rows, top + STRIP + rim)
        own = slice(top - first, min(STRIP, rows - top) + top - first)
        here = reference[first:last]
        near = _near(here)
        total = _linear(here)
        weights = np.ones(here.shape[:2], np.float32)
        for other in others:
            there = other[first:last]
            weight = np.clip(2 - np.abs(_near(there) - near) / limit, 0, 1)
            weight = cv2.erode(weight, np.ones((NEAR, NEAR), np.uint8))
            total += _linear(there) * weight[..., None]
            weights += weight
        mean = cv2.pow(total / weights[..., None], 1 / GAMMA)
        result[top : top + STRIP] = np.clip(mean[own] * 255 + 0.5, 0, 255)
    return result


def _near(strip: Picture) -> Floats:
    """The grey of each pixel's surroundings, levels."""
    grey = cv2.cvtColor(strip, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return cv2.blur(grey, (NEAR, NEAR)).astype(np.float32)


def _linear(strip: Picture) -> Floats:
    """Light, 0 to 1."""
    return cv2.LUT(strip, LINEAR).astype(np.float32, copy=False)
