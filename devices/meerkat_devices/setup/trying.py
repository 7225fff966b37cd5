"""See a camera, a lamp and a motion sensor work, before they are written down."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from meerkat_devices import areas
from meerkat_devices.clock import Clock
from meerkat_devices.pins.board import Board, open_board
from meerkat_devices.pins.mock import FILE, MockBoard
from meerkat_devices.settings.pins import LightSettings, PinChoice, SensorSettings

LIT_SECONDS = 2.0
"""A lamp is on for so long before the picture: a camera finds its exposure."""

WAVE_SECONDS = 20.0

DIFFERENCE = 0.05
"""Of the picture's brightness, black 0 and white 1: less is what clouds and noise do, too."""

Shoot = Callable[[], Any]


def save(picture: Any, file: Path) -> str:
    """Write it as JPEG; in words, what it is. Raises MediaError."""
    areas.save(picture, file, remedy="Name a folder with --pictures")
    height, width = picture.shape[:2]
    return f"{width}×{height}, {bright(picture):.0%} bright"


def bright(picture: Any) -> float:
    """Mean brightness, from 0 (black) to 1 (white)."""
    return float(picture[::4, ::4].mean() / 255)


def open_pins(choice: PinChoice, folder: Path) -> Board:
    """This machine's pins, or played ones. Raises DeviceError."""
    return MockBoard(folder / FILE) if choice == "mock" else open_board()


def try_lamp(board: Board, settings: LightSettings, shoot: Shoot, clock: Clock) -> tuple[Any, Any]:
    """A picture without and one with the lamp, which is off afterwards. Raises DeviceError, SourceError."""
    hertz = settings.pwm_hertz if settings.dimmable else None
    output = board.output(settings.gpio, hertz=hertz, active_high=settings.active_high)
    try:
        output.write(0.0)
        dark = shoot()
        output.write(settings.brightness)
        clock.wait(threading.Event(), LIT_SECONDS)
        return dark, shoot()
    finally:
        try:
            output.write(0.0)
        finally:
            output.close()


def lamp_verdict(dark: Any, lit: Any) -> str:
    """In words, what the lamp does to the picture."""
    before, after = bright(dark), bright(lit)
    told = f"{before:.0%} bright without it, {after:.0%} with it"
    if after - before >= DIFFERENCE:
        return f"{told}: it lights what the camera sees"
    return (
        f"{told}: it makes no difference. By day that may be so; else look at the wiring, and whether the "
        "camera sees infrared light at all"
    )


def try_sensor(
    board: Board, settings: SensorSettings, clock: Clock, *, seconds: float = WAVE_SECONDS
) -> float | None:
    """Seconds until the sensor told something, 0 when it did at once; None when it never did.

    Raises DeviceError.
    """
    on = settings.on_level == "high"
    seen = threading.Event()

    def changed(high: bool) -> None:
        if high == on:
            seen.set()

    samples = settings.sample_rate if settings.kind == "motion" else None
    start = clock.monotonic()
    pin = board.input(settings.gpio, pull=settings.resistor, samples=samples, changed=changed)
    try:
        if pin.high() == on:
            return 0.0
        return clock.monotonic() - start if clock.wait(seen, seconds) else None
    finally:
        pin.close()
