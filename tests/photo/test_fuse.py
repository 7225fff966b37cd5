"""Several exposures make a better picture than one, and never one that none of them saw."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
import pytest

from meerkat_devices.photo.condition import measure
from meerkat_devices.photo.fuse import fuse, sharpest
from meerkat_devices.scenes.meter import BasementMeter
from meerkat_devices.stills import Still
from photo_support import TAKEN
from photo_support.degrade import Picture, exposed, noisy, unfocused


@cache
def clean() -> Picture:
    """The lit meter, its own grain taken out."""
    return cv2.medianBlur(BasementMeter(width=960, height=540).render(TAKEN), 3).astype(np.uint8)


def stills(pictures: Sequence[Picture], *, exposure: float | None = 0.01) -> list[Still]:
    gain = 2.0 if exposure else None
    return [Still(picture, TAKEN, exposure, gain, exposure is not None) for picture in pictures]


def error(picture: Picture, truth: Picture, part: tuple[slice, slice] = (slice(None), slice(None))) -> float:
    """Root of the mean square, levels."""
    difference = picture[part].astype(np.float32) - truth[part].astype(np.float32)
    return float(np.sqrt((difference**2).mean()))


def moved(picture: Picture, x: float, y: float) -> Picture:
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
    size = picture.shape[1::-1]
    return cv2.warpAffine(
        picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.uint8)


@pytest.mark.parametrize(("count", "gain"), [(2, 1.35), (3, 1.6), (5, 2.0)])
def test_noise_falls_with_the_root_of_their_number(count: int, gain: float) -> None:
    pictures = [noisy(clean(), 8, seed=seed) for seed in range(count)]
    fused, used = fuse(stills(pictures), 0)
    assert used == count
    assert error(fused, clean()) < error(pictures[0], clean()) / gain


def test_light_is_averaged_not_levels() -> None:
    """A sensor's noise is even in light: the mean of levels would be too dark, here by 3 levels."""
    random = np.random.default_rng(1)
    light = (60 / 255) ** 2.2 + 0.02 * random.standard_normal((16, 120, 160, 1))
    levels = np.clip(255 * np.clip(light, 0, 1) ** (1 / 2.2), 0, 255).round().astype(np.uint8)
    pictures = [np.repeat(one, 3, axis=2) for one in levels]
    fused, _ = fuse(stills(pictures), 0)
    assert fused.mean() == pytest.approx(60, abs=1)
    assert np.mean(pictures) < 58


def test_a_camera_that_shakes_a_little_is_held() -> None:
    pictures = [noisy(moved(clean(), 2.3 * step, -1.4 * step), 6, seed=step) for step in range(3)]
    middle = (slice(20, -20), slice(20, -20))
    fused, used = fuse(stills(pictures), 0)
    assert used == 3
    assert error(fused, clean(), middle) < 0.75 * error(pictures[0], clean(), middle)
    plain = np.mean(pictures, axis=0).astype(np.uint8)
    assert error(plain, clean(), middle) > 1.5 * error(pictures[0], clean(), middle)


def test_a_needle_that_turns_leaves_no_ghost() -> None:
    pictures = []
    for step in range(3):
        turned = clean().copy()
        tip = (round(420 + 46 * np.sin(step * 0.8)), round(364 - 46 * np.cos(step * 0.8)))
        cv2.line(turned, (420, 364), tip, (20, 20, 20), 7, cv2.LINE_AA)
        pictures.append(turned)
    dial = (slice(310, 420), slice(365, 475))
    seen = [noisy(picture, 3, seed=seed) for seed, picture in enumerate(pictures)]
    fused, used = fuse(stills(seen), 0)
    assert used == 3
    assert error(fused, pictures[0], dial) <= error(seen[0], pictures[0], dial)
    ghosts = np.mean(seen, axis=0).astype(np.uint8)
    assert error(ghosts, pictures[0], dial) > 5 * error(seen[0], pictures[0], dial)


def test_another_view_is_left_out() -> None:
    elsewhere = moved(clean(), 90, 40)
    fused, used = fuse(stills([clean(), elsewhere]), 0)
    assert used == 1
    assert np.array_equal(fused, clean())


def test_pictures_of_another_size_are_left_out() -> None:
    half = cv2.resize(clean(), (480, 270)).astype(np.uint8)
    assert fuse(stills([clean(), half]), 0)[1] == 1


def test_one_is_given_back_as_it_is() -> None:
    assert fuse(stills([clean()]), 0)[0] is clean()


def test_exposures_that_differ_show_both_ends() -> None:
    long, middle, short = (exposed(clean(), times) for times in (4, 1, 0.25))
    taken = [
        Still(picture, TAKEN, 0.01 * times, 2.0, True)
        for picture, times in ((long, 4.0), (middle, 1.0), (short, 0.25))
    ]
    fused, used = fuse(taken, 1)
    assert used == 3
    got, had = measure(fused), measure(long)
    assert got.burnt_out < 0.1 * had.burnt_out
    assert got.dark < measure(short).dark
    assert got.sharpness >= measure(middle).sharpness - 0.05


def test_what_a_silent_camera_does_with_its_exposure_is_seen() -> None:
    """Without metadata, the pixels tell that these are no equals to be averaged."""
    fused, used = fuse(stills([clean(), exposed(clean(), 4)], exposure=None), 0)
    assert used == 2
    assert measure(fused).burnt_out < 0.5 * measure(exposed(clean(), 4)).burnt_out


def test_the_sharpest_is_taken_and_a_good_one_goes_before() -> None:
    blurred, dark = unfocused(clean(), 1.5), exposed(clean(), 1 / 300)
    assert sharpest(stills([blurred, clean(), unfocused(clean(), 1)])) == 1
    assert sharpest(stills([dark, blurred])) == 1
    assert sharpest(stills([clean(), clean()])) == 0
