"""The demonstration's meter in its dark basement, with the truth of each of its pictures."""

from __future__ import annotations

from datetime import datetime

from meerkat_devices.scenes.meter import BasementMeter, needle_positions, wheel_positions
from meerkat_training.arrays import Bytes

from .face import Truth


def basement_picture(at: datetime, meter: BasementMeter | None = None) -> tuple[Bytes, Truth]:
    """What the demonstration's camera sees at ``at``, (h, w, 3) uint8 BGR, lit by its lamp."""
    meter = meter or BasementMeter()
    return meter.render(at), basement_truth(at, meter)


def basement_truth(at: datetime, meter: BasementMeter) -> Truth:
    """What that picture shows; the needles have no play."""
    reading = meter.reading(at)
    return Truth(
        layout=meter.layout(),
        reading=reading,
        wheels=tuple(wheel_positions(reading)),
        needles=tuple(needle_positions(reading)),
    )
