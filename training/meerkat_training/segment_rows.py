"""Whole rendered displays with their layout and reading."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from meerkat_contract.meter_layout import MeterLayout, PixelBox

from .arrays import Bytes, Random, between, chance
from .camera import degrade
from .segments import BLANK, DisplayStyle, cell, point, put, random_display, shine_through


def random_row(rng: Random, strength: float = 1.0) -> tuple[Bytes, MeterLayout, float]:
    """A picture (height, width, 3) RGB of a display of 5 to 8 digits, where they are, and what it reads."""
    places = int(rng.integers(5, 9))
    decimals = int(rng.integers(0, 4))
    count = int(rng.integers(0, 10 ** int(rng.integers(decimals + 1, places + 1))))
    style = random_display(rng)
    style = replace(style, point=style.point or between(rng, 0.035, 0.085))
    tall = round(between(rng, 24, 72))
    shown = places_of(count, places, decimals, zeros=chance(rng, 0.5))
    picture, boxes = paint_row(style, shown, decimals, tall, rng)
    layout = MeterLayout(digits=boxes, integer_digits=places - decimals, display="segments", unit="kWh")
    return degrade(picture, rng, strength, tall), layout, float(f"{count / 10**decimals:.12g}")


def places_of(count: int, places: int, decimals: int, *, zeros: bool) -> list[int]:
    """The digits of `count`, those on the left BLANK unless `zeros`."""
    digits = [int(digit) for digit in f"{count:0{places}d}"]
    if not zeros:
        for index in range(places - decimals - 1):
            if digits[index]:
                break
            digits[index] = BLANK
    return digits


def paint_row(
    style: DisplayStyle, shown: list[int], decimals: int, tall: int, rng: Random
) -> tuple[np.ndarray[tuple[int, int, int], np.dtype[np.float32]], tuple[PixelBox, ...]]:
    """Digits `tall` pixels high, float RGB 0..1, and their boxes."""
    step = style.pitch * tall
    height, width = 2 * tall, round((len(shown) + 1.2) * step)
    lit = np.zeros((height, width), np.uint8)
    wide, high = min(style.face.room * 1.2 * tall, 1.1 * step), 1.25 * tall
    boxes: list[PixelBox] = []
    for index, one in enumerate(shown):
        aside = round((index - (len(shown) - 1) / 2) * step)
        put(lit, cell(style, one, tall, rng), aside)
        boxes.append((width // 2 + aside - wide / 2, height / 2 - high / 2, wide, high))
        if decimals and index == len(shown) - decimals - 1:
            point(lit, style, (width / 2 + aside + step / 2, height / 2), tall, rng, on=True)
    return shine_through(style, lit, tall, rng).astype(np.float32, copy=False), tuple(boxes)
