"""Drawn scenes for motion by vision: functions of media time, so that any frame rate can look at them.

Each scene is a function `at -> luma plane (HEIGHT, WIDTH)`. Something happens from START on; before it
the picture is still, so that the background can be learnt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 200, 356
START = 6.0
Gray = NDArray[np.uint8]
Plane = NDArray[np.float32]
Scene = Callable[[float], Gray]

_MARGIN = 64
_GRAIN = np.random.default_rng(7).standard_normal((HEIGHT + _MARGIN, WIDTH + _MARGIN), dtype=np.float32)


def frames(scene: Scene, seconds: float, fps: float) -> Iterator[tuple[Gray, float]]:
    """The scene looked at `fps` times a second."""
    for index in range(round(seconds * fps)):
        at = index / fps
        yield scene(at), at


def _random(at: float, salt: int) -> np.random.Generator:
    """The same for the same instant, whatever the frame rate."""
    return np.random.default_rng(round(at * 1000) * 16 + salt)


def _yard() -> Plane:
    """A still background: soft patches, fine texture, a fence and a path. Grey levels."""
    random = np.random.default_rng(1)
    coarse = cv2.resize(random.uniform(60, 150, (6, 10)).astype(np.float32), (WIDTH, HEIGHT))
    fine = cv2.GaussianBlur(random.normal(0, 24, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.5)
    picture = coarse + fine
    picture[125:130, :] -= 30
    for x in range(10, WIDTH, 36):
        picture[84:125, x : x + 4] += 35
    return np.clip(picture, 5, 235).astype(np.float32)


YARD = _yard()


def sensor(picture: Plane, at: float, *, gain: float | Plane = 1.0, noise: float = 1.0) -> Gray:
    """What a sensor makes of it: its gain, and a noise of its own in every frame."""
    y, x = _random(at, 1).integers(0, _MARGIN, 2)
    grain = _GRAIN[y : y + HEIGHT, x : x + WIDTH] * np.float32(noise)
    return np.clip(picture * np.float32(gain) + grain, 0, 255).astype(np.uint8)


def draw_person(picture: Plane, x: float, *, foot: float = 185, tall: float = 92, grey: float = 35) -> None:
    """Somebody upright, x the middle: a body, a lighter stripe on it, a head."""
    middle = round(x)
    cv2.ellipse(
        picture,
        (middle, round(foot - tall * 0.42)),
        (round(tall * 0.15), round(tall * 0.42)),
        0,
        0,
        360,
        grey,
        -1,
    )
    cv2.line(picture, (middle, round(foot - tall * 0.7)), (middle, round(foot - tall * 0.2)), grey + 25, 2)
    cv2.circle(picture, (middle, round(foot - tall * 0.9)), round(tall * 0.1), grey + 70, -1)


def draw_branch(picture: Plane, at: float) -> None:
    """Leaves at the upper right that swing with a period of 1.7 s, in gusts."""
    random = np.random.default_rng(3)
    gust = 0.6 + 0.4 * math.sin(at / 4.1)
    for index in range(60):
        x, y = random.uniform(275, 345), random.uniform(0, 75)
        phase, grey = random.uniform(0, 1.5), random.uniform(20, 90)
        shift = gust * 6 * math.sin(2 * math.pi * at / 1.7 + phase)
        cv2.circle(picture, (round(x + shift), round(y + shift / 3)), 4 + index % 4, grey, -1)


# --- scenes in which nobody is ------------------------------------------------------------------


def still(at: float) -> Gray:
    return sensor(YARD, at)


def night_noise(at: float) -> Gray:
    """Infrared light, a noisy sensor."""
    return sensor(YARD * np.float32(0.5), at, noise=14)


def exposure_step(at: float) -> Gray:
    return sensor(YARD, at, gain=1.0 if at < START else 0.55)


def exposure_back(at: float) -> Gray:
    return sensor(YARD, at, gain=0.5 if at < START else 1.1)


def sunset(at: float) -> Gray:
    """From day to a sixth of its light, in a minute."""
    return sensor(YARD, at, gain=1 - 0.85 * min(1.0, at / 60))


def nightfall(at: float) -> Gray:
    """From day to a tenth of its light in 40 s, then dark; the sensor's noise stays as it is."""
    return sensor(YARD, at, gain=1 - 0.9 * min(1.0, at / 40), noise=6)


def breathing_light(at: float) -> Gray:
    return sensor(YARD, at, gain=1 + 0.15 * math.sin(2 * at))


def _lit() -> Plane:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    light = 1 + 1.2 * np.exp(-((x - 70) ** 2 + (y - 50) ** 2) / (2 * 95**2))
    light[100:, 125:138] = 1.0
    return np.clip(YARD * light, 0, 255).astype(np.float32)


LIT = _lit()


def lamp(at: float) -> Gray:
    """A lamp goes on at START: bright near it, with the hard shadow of a post."""
    return sensor(LIT if at >= START else YARD, at)


def lit_window(at: float) -> Gray:
    """It gets dark around a window that stays as bright as it is."""
    gain = np.full((HEIGHT, WIDTH), 1 - 0.7 * min(1.0, max(0.0, at - START) / 8), np.float32)
    gain[60:90, 200:240] = 1.0
    return sensor(YARD, at, gain=gain)


def cloud(at: float) -> Gray:
    """The soft edge of a cloud's shadow crosses the picture in about 6 s."""
    x = np.arange(WIDTH, dtype=np.float32)
    edge = (at - START) * 67 - 80
    return sensor(YARD, at, gain=(1 - 0.35 / (1 + np.exp((x - edge) / 25)))[None, :].astype(np.float32))


def wind(at: float) -> Gray:
    picture = YARD.copy()
    draw_branch(picture, at)
    return sensor(picture, at)


def rain(at: float) -> Gray:
    """Bright streaks, elsewhere in every frame."""
    picture = YARD.copy()
    for x, y in _random(at, 2).uniform((0, 0), (WIDTH, HEIGHT), (50, 2)):
        cv2.line(picture, (round(x), round(y)), (round(x + 2), round(y + 12)), 190, 1)
    return sensor(picture, at, noise=3)


def shaking(at: float) -> Gray:
    """The camera's mount trembles by up to a pixel."""
    dx, dy = _random(at, 3).uniform(-1, 1, 2)
    move = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    moved = cv2.warpAffine(YARD, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    return sensor(np.asarray(moved, np.float32), at)


# --- scenes with somebody, from START on --------------------------------------------------------

PACE = 60.0
"""Pixels per second of a walker."""
CROSSING = (WIDTH + 2 * 14) / PACE
"""Seconds from the first to the last pixel of a walker."""


def _crossing_x(at: float) -> float:
    return -14 + PACE * (at - START)


def walker(at: float) -> Gray:
    picture = YARD.copy()
    draw_person(picture, _crossing_x(at))
    return sensor(picture, at)


def walker_at_night(at: float) -> Gray:
    picture = YARD * np.float32(0.3)
    draw_person(picture, _crossing_x(at), grey=12)
    return sensor(picture, at, noise=10)


def walker_in_wind(at: float) -> Gray:
    picture = YARD.copy()
    draw_branch(picture, at)
    draw_person(picture, _crossing_x(at), foot=110)
    return sensor(picture, at)


def walker_and_lamp(at: float) -> Gray:
    """A lamp goes on while somebody walks."""
    picture = (LIT if at >= START + 2.5 else YARD).copy()
    draw_person(picture, _crossing_x(at))
    return sensor(picture, at)


def far_walker(at: float) -> Gray:
    """Somebody far away, 25 pixels tall and slow, in view from START to START + 10."""
    picture = YARD.copy()
    if START <= at < START + 10:
        draw_person(picture, 80 + 10 * (at - START), foot=117, tall=25)
    return sensor(picture, at)


def bright_car(at: float) -> Gray:
    """A white car that makes the camera close its iris, in view from START to START + 4."""
    picture = YARD.copy()
    x = -166 + 130 * (at - START)
    cv2.rectangle(picture, (round(x), 90), (round(x + 166), 175), 250, -1)
    cv2.rectangle(picture, (round(x + 40), 100), (round(x + 125), 125), 60, -1)
    covered = max(0.0, min(WIDTH, x + 166) - max(0.0, x)) / WIDTH
    return sensor(picture, at, gain=1 / (1 + 0.8 * covered))


def visitor(stay: float) -> Scene:
    """Somebody comes from the left, stands still for `stay` seconds, and leaves to the right."""
    arrived = START + (178 + 14) / PACE

    def scene(at: float) -> Gray:
        picture = YARD.copy()
        x = min(_crossing_x(at), 178.0)
        if at > arrived + stay:
            x = 178 + PACE * (at - arrived - stay)
        draw_person(picture, x)
        return sensor(picture, at)

    return scene
