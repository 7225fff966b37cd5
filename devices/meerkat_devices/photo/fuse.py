"""Several exposures of one meter become one picture: less noise, less glare, no ghosts.

    best = sharpest(stills)
    picture, count = fuse(stills, best)

Exposures that were locked alike are averaged in linear light, each laid on the sharpest one first. A needle
or a roller that turns meanwhile would leave ghosts, so a pixel counts only where its surroundings agree
with the sharpest one's. Exposures that differ are merged into the light that all of them tell of, which
brings back what one of them has burnt out.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_devices.stills import Still

from .condition import WIDTH, judge, looked_at, measure

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

GAMMA = 2.2
LINEAR = ((np.arange(256) / 255) ** GAMMA).astype(np.float32)

APART = 0.4
"""Stops. Exposures (seconds × gain) that differ by more are merged by their light, the others averaged."""

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

STRIP = 48
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
    stops = [_stops(still, reference) for still, _ in others]
    if max(map(abs, stops)) > APART:
        return _merged([reference.picture, *(laid for _, laid in others)], [0, *stops]), 1 + len(others)
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
    size = looked_at(width, height)
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


def _merged(pictures: Sequence[Picture], stops: Sequence[float]) -> Picture:
    """Their light, each level trusted the more the farther it is from black and white (Debevec 1997).

    What burnt out the shortest exposure, too, is left to that one.

    `stops`: how much more light each saw than the first. What is brighter than the first could show is
    brought into its range by a curve (Reinhard 2002) that leaves the dark as it is.
    """
    levels = np.arange(256, dtype=np.float32)
    rising = np.minimum(levels + 1, 128) / 128
    trusts = [rising * np.clip((250 - levels) / 100, 0, 1) for _ in pictures]
    trusts[int(np.argmin(stops))] = rising
    most = 2.0 ** -min(*stops, 0.0)
    result = np.empty_like(pictures[0])
    for top in range(0, result.shape[0], STRIP):
        light = np.zeros(result[top : top + STRIP].shape, np.float32)
        weights = np.zeros_like(light)
        for picture, more, trust in zip(pictures, stops, trusts, strict=True):
            strip = picture[top : top + STRIP]
            # A channel that is burnt out says nothing of the others' colour either.
            weight = trust[strip.max(axis=2)][..., None]
            light += _linear(strip) * (weight / np.float32(2.0**more))
            weights += weight
        light /= weights
        shown = light * (1 + light / np.float32(most**2)) / (1 + light) if most > 1 else light
        result[top : top + STRIP] = np.clip(cv2.pow(shown, 1 / GAMMA) * 255 + 0.5, 0, 255)
    return result


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
            light = _linear(there)
            light *= weight[..., None]
            total += light
            weights += weight
        total /= weights[..., None]
        mean = cv2.pow(total, 1 / GAMMA)
        result[top : top + STRIP] = np.clip(mean[own] * 255 + 0.5, 0, 255)
    return result


def _near(strip: Picture) -> Floats:
    """The grey of each pixel's surroundings, levels."""
    grey = cv2.cvtColor(strip, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return cv2.blur(grey, (NEAR, NEAR)).astype(np.float32)


def _linear(strip: Picture) -> Floats:
    """Light, 0 to 1."""
    return cv2.LUT(strip, LINEAR).astype(np.float32, copy=False)
