"""The camera's view: a pinhole 1.5 m above the ground that looks level, and an infrared lamp beside it."""

from __future__ import annotations

from .paint import Points

WIDTH, HEIGHT = 960, 540
"""The design's size; pictures are painted at a multiple of it."""

FOCAL, HORIZON, EYE = 700.0, 230.0, 1.5
"""Focal length and horizon in design pixels; the camera's height in metres."""

LAMP_REACH = 3.6
"""Metres within which the lamp saturates what it meets."""


def project(x: float, y: float, z: float) -> tuple[float, float]:
    """Design pixel of a point in metres: x to the right, y above the ground, z away from the camera."""
    return WIDTH / 2 + FOCAL * x / z, HORIZON + FOCAL * (EYE - y) / z


def lamp(z: float, reflectance: float) -> float:
    """What comes back of the lamp's light from ``z`` metres, 0 to 1."""
    return float(reflectance * min(1.0, (LAMP_REACH / z) ** 1.5))


def strip(near: float, far: float) -> Points:
    """The ground between two distances, over the whole width."""
    low, high = project(0, 0, near)[1], project(0, 0, far)[1]
    return [(-2, high), (WIDTH + 2, high), (WIDTH + 2, low), (-2, low)]


def slab(x0: float, x1: float, near: float, far: float) -> Points:
    """A rectangle that lies on the ground."""
    return [project(x0, 0, far), project(x1, 0, far), project(x1, 0, near), project(x0, 0, near)]
