"""A picture is judged as one would by looking: the limits lie between what can be read and what cannot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial

import cv2
import numpy as np
import pytest

from meerkat_devices.photo.condition import judge, measure
from meerkat_devices.scenes.meter import BasementMeter
from photo_support.degrade import (
    Picture,
    compressed,
    exposed,
    fogged,
    lamp_in_the_glass,
    noisy,
    shaken,
    unfocused,
)
from support.shared import shared

MORNING = datetime(2026, 11, 20, 6, 50, tzinfo=UTC)


@cache
def basement(*, light: bool = True) -> Picture:
    return BasementMeter().render(MORNING, light=light)


READABLE: dict[str, Callable[[Picture], Picture]] = {
    "as it is": lambda picture: picture,
    "much compressed": partial(compressed, quality=30),
    "noisy": partial(noisy, levels=15),
    "half the light": partial(exposed, times=0.5),
    "a sixteenth of the light": partial(exposed, times=1 / 16),
    "twice the light": partial(exposed, times=2),
    "a little out of focus": partial(unfocused, pixels=1.5),
    "a little shaken": partial(shaken, pixels=4),
    "fogged": partial(fogged, share=0.6),
    "a small lamp in the glass": partial(lamp_in_the_glass, size=0.05, at=(0.8, 0.85)),
}

UNREADABLE: dict[str, tuple[str, Callable[[Picture], Picture]]] = {
    "a two-hundredth of the light": ("dark", partial(exposed, times=1 / 200)),
    "eight times the light": ("burnt_out", partial(exposed, times=8)),
    "sixteen times the light": ("burnt_out", partial(exposed, times=16)),
    "out of focus": ("blurred", partial(unfocused, pixels=3)),
    "out of focus and noisy": ("blurred", lambda picture: noisy(unfocused(picture, 3), 6)),
    "out of focus and dim": ("blurred", lambda picture: exposed(unfocused(picture, 3), 0.1)),
    "shaken": ("blurred", partial(shaken, pixels=16)),
    "shaken from corner to corner": ("blurred", partial(shaken, pixels=20, aslant=True)),
    "shaken along the other corners": ("blurred", lambda picture: shaken(picture[:, ::-1], 20, aslant=True)),
    "a lamp in the glass over the digits": ("burnt_out", partial(lamp_in_the_glass, size=0.15)),
}


@pytest.mark.parametrize("degraded", READABLE)
def test_what_can_be_read_is_good(degraded: str) -> None:
    assert judge(measure(READABLE[degraded](basement()))) == "good"


@pytest.mark.parametrize("degraded", UNREADABLE)
def test_what_cannot_be_read_is_said(degraded: str) -> None:
    verdict, degrade = UNREADABLE[degraded]
    assert judge(measure(degrade(basement()))) == verdict


@pytest.mark.parametrize("name", ["hwal.jpg", "nohn_8.jpg"])
def test_the_limits_hold_for_real_meters(name: str) -> None:
    real = cv2.imread(str(shared(f"meter/{name}")))
    assert real is not None
    for degraded, degrade in READABLE.items():
        assert judge(measure(degrade(real.astype(np.uint8)))) == "good", degraded
    for degraded, (verdict, degrade) in UNREADABLE.items():
        assert judge(measure(degrade(real.astype(np.uint8)))) == verdict, degraded


def test_the_basement_without_its_lamp_is_dark() -> None:
    measured = measure(basement(light=False))
    assert judge(measured) == "dark"
    assert measured.dark == 1
    assert measured.brightness < 0.02


def test_a_lamp_in_the_glass_is_glare() -> None:
    shiny = cv2.circle(basement().copy(), (200, 600), 60, (255, 255, 255), -1).astype(np.uint8)
    before, after = measure(basement()), measure(shiny)
    area = np.pi * 60**2 / (1280 * 720)
    assert after.glare == pytest.approx(area, rel=0.15)
    assert after.glare > before.glare
    assert judge(after) == "good", "the digits beside it can be read"


def test_a_glare_in_the_dark_is_not_a_picture() -> None:
    dark = cv2.circle(basement(light=False).copy(), (640, 300), 60, (255, 255, 255), -1).astype(np.uint8)
    assert judge(measure(dark)) == "dark"


@pytest.mark.parametrize(
    ("level", "verdict"), [(0, "dark"), (35, "dark"), (36, "blurred"), (120, "blurred"), (255, "burnt_out")]
)
def test_a_plain_wall(level: int, verdict: str) -> None:
    assert judge(measure(np.full((720, 1280, 3), level, np.uint8))) == verdict


def test_only_noise_is_no_sharpness() -> None:
    for levels in (3, 10, 25):
        noise = noisy(np.full((720, 1280, 3), 120), levels)
        assert judge(measure(noise)) == "blurred"


@pytest.mark.parametrize("levels", [3, 8, 20])
def test_noise_is_measured_in_levels(levels: float) -> None:
    flat = noisy(np.full((400, 600), 120), levels)
    assert measure(flat).noise == pytest.approx(levels, rel=0.1)
    assert measure(unfocused(basement(), 1)).noise < 1, "edges are no noise"


def test_it_does_not_depend_on_the_camera_s_size() -> None:
    half = cv2.resize(basement(), (640, 360), interpolation=cv2.INTER_AREA).astype(np.uint8)
    small, large = measure(half), measure(basement())
    for name in ("brightness", "dark", "burnt_out", "sharpness", "glare"):
        assert getattr(small, name) == pytest.approx(getattr(large, name), abs=0.02), name


def test_an_edge_has_the_sharpness_that_is_written() -> None:
    """sqrt((9.5 + b²) / (1.5 + b²)), of which 3 to 1 is made 1 to 0."""
    y, x = np.mgrid[0:480, 0:640]
    board = (((x // 40) + (y // 40)) % 2 * 200 + 20).astype(np.float32)
    for blur in (0.7, 1.0, 2.0, 3.0):
        edge = cv2.GaussianBlur(board, (0, 0), blur).astype(np.uint8)
        expected = (np.sqrt((9.5 + blur**2) / (1.5 + blur**2)) - 1) / 2
        assert measure(edge).sharpness == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 5000, 3), (5000, 3, 3), (2, 2), (1944, 2592, 3)])
def test_any_size_can_be_measured(shape: tuple[int, ...]) -> None:
    assert judge(measure(np.zeros(shape, np.uint8))) == "dark"
