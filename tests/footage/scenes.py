"""Drawn scenes for motion by vision: functions of media time, so that any frame rate can look at them.

Each scene is a function `at -> luma plane (H, W) uint8`. Lengths are pixels of the 240 x 427 plane.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 240, 427
Gray = NDArray[np.uint8]
Plane = NDArray[np.float32]
Scene = Callable[[float], Gray]
Gain = Callable[[float], float]


def frames(scene: Scene, seconds: float, fps: float, *, start: float = 0.0) -> Iterator[tuple[Gray, float]]:
    """The scene looked at `fps` times a second."""
    for index in range(round(seconds * fps)):
        at = start + index / fps
        yield scene(at), at


def yard(seed: int = 1) -> Plane:
    """A still background: soft patches, fine texture, a fence and a path. Float grey levels."""
    random = np.random.default_rng(seed)
    coarse = cv2.resize(random.uniform(60, 150, (6, 10)).astype(np.float32), (WIDTH, HEIGHT))
    fine = cv2.GaussianBlur(random.normal(0, 24, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.5)
    picture = coarse + fine
    picture[150:156, :] -= 30
    for x in range(10, WIDTH, 40):
        picture[100:150, x : x + 5] += 35
    return np.clip(picture, 5, 235).astype(np.float32)


def camera(picture: Plane, *, gain: float = 1.0, noise: float = 1.0, at: float = 0.0) -> Gray:
    """What a sensor makes of it: gain, noise of its own in every frame (the same for the same time)."""
    random = np.random.default_rng(round(at * 1000) + 7)
    grain = random.standard_normal(picture.shape, dtype=np.float32) * np.float32(noise)
    return np.clip(picture * np.float32(gain) + grain, 0, 255).astype(np.uint8)


def person(picture: Plane, x: float, *, foot: float = 220, tall: float = 110, grey: float = 35) -> None:
    """Draw someone, upright, at x (centre). A head, a body, and clothes with a little texture."""
    wide = tall * 0.3
    canvas = picture
    body = (round(x), round(foot - tall * 0.42)), (round(wide / 2), round(tall * 0.42))
    cv2.ellipse(canvas, body[0], body[1], 0, 0, 360, grey, -1)
    cv2.line(canvas, (round(x), round(foot - tall * 0.7)), (round(x), round(foot - tall * 0.2)), grey + 25, 3)
    cv2.circle(canvas, (round(x), round(foot - tall * 0.9)), round(tall * 0.1), grey + 70, -1)


def branch(picture: Plane, at: float, *, strength: float = 1.0) -> None:
    """Leaves at the upper right that swing with a period of about 1.7 s, in gusts."""
    random = np.random.default_rng(3)
    gust = 0.6 + 0.4 * math.sin(at / 4.1)
    for index in range(60):
        x, y = 330 + random.uniform(0, 90), random.uniform(0, 90)
        phase, grey = random.uniform(0, 1.5), random.uniform(20, 90)
        shift = strength * gust * 7 * math.sin(2 * math.pi * at / 1.7 + phase)
        cv2.circle(picture, (round(x + shift), round(y + shift / 3)), 5 + index % 4, grey, -1)


def rain(picture: Plane, at: float, *, drops: int = 60) -> None:
    """Bright streaks, somewhere else in every frame."""
    random = np.random.default_rng(round(at * 1000) + 11)
    for x, y in random.uniform((0, 0), (WIDTH, HEIGHT), (drops, 2)):
        cv2.line(picture, (round(x), round(y)), (round(x + 2), round(y + 14)), 190, 1)


def lamp(picture: Plane) -> Plane:
    """A lamp at the left wall: bright near it, with the hard shadow of a post."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    light = 1 + 1.2 * np.exp(-((x - 80) ** 2 + (y - 60) ** 2) / (2 * 110**2))
    light[120:, 150:165] = 1.0
    return np.clip(picture * light, 0, 255).astype(np.float32)
