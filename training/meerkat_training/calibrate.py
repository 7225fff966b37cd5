"""How sure the reader must be: what each threshold accepts, right and wrong, on rendered meters.

    python -m meerkat_training.calibrate [--meters N] [--seed S]

Meters of any design in 640x480, with boxes as people draw them: a few hundredths off, a little large or
small, the picture turned a degree wrong. The table goes to docs/how-to/train-meter.md, what follows from it
to SURE in meerkat_inference/meter/verdict.py and SHARPER in mechanics.py. Without torch; a second a meter.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from meerkat_contract.meter_layout import CounterLayout, MeterLayout, PixelBox
from meerkat_inference.meter import verdict
from meerkat_inference.meter.decode import NEIGHBOURS
from meerkat_inference.meter.networks import Networks
from meerkat_inference.meter.reader import read
from meerkat_training.arrays import Bytes, Random
from meerkat_training.faces.face import mapped, turned_matrix
from meerkat_training.faces.meters import meters

SIZE = (640, 480)
THRESHOLDS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one picture: whether it would be accepted but for SURE, how sure it is, whether it is right."""

    shown: bool
    sure: float
    right: bool


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--meters", type=int, default=400)
    parser.add_argument("--seed", type=int, default=90_001)
    options = parser.parse_args(arguments)
    outcomes = measure(options.meters, options.seed)
    print("| SURE | accepted and right | accepted and wrong |\n|---|---|---|")
    for threshold in THRESHOLDS:
        right, wrong = shares(outcomes, threshold)
        print(f"| {threshold:g} | {100 * right:.1f} % | {100 * wrong:.1f} % |")


def measure(count: int, seed: int) -> list[Outcome]:
    networks, rng = Networks(), np.random.default_rng([seed, 1])
    usual, verdict.SURE = verdict.SURE, 0.0  # everything that the other rules let pass
    try:
        return [
            outcome(picture, hand_drawn(truth.layout, rng), truth.reading, networks)
            for picture, truth in meters(count, seed, size=SIZE)
        ]
    finally:
        verdict.SURE = usual


def outcome(picture: Bytes, layout: MeterLayout, reading: float, networks: Networks) -> Outcome:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
    seen = read(bytes(data), layout, networks).counters[0]
    if seen.verdict != "accepted" or seen.value is None:
        return Outcome(shown=False, sure=0.0, right=False)
    masses = [part.confidence for part in (*seen.wheels, *seen.needles)]
    sure = seen.confidence / float(np.mean(masses))
    return Outcome(shown=True, sure=sure, right=is_right(layout, seen.value, reading))


def is_right(layout: CounterLayout, value: float, reading: float) -> bool:
    """Within what no one could tell: a step of a last wheel, two of a last needle, and rounding."""
    needle = bool(layout.pointers) and layout.pointer_factors[-1] <= layout.step * 1.001
    off = (value - reading + layout.span / 2) % layout.span - layout.span / 2
    return abs(off) <= (NEIGHBOURS[needle] + 0.5) * layout.step


def shares(outcomes: Sequence[Outcome], threshold: float) -> tuple[float, float]:
    """Of all pictures: accepted and right, accepted and wrong."""
    accepted = [one for one in outcomes if one.shown and one.sure >= threshold]
    right = sum(one.right for one in accepted)
    return right / len(outcomes), (len(accepted) - right) / len(outcomes)


def hand_drawn(layout: MeterLayout, rng: Random) -> MeterLayout:
    """The layout as a person would draw it."""
    size = (layout.width, layout.height)
    rotation = round(layout.rotation_deg + float(rng.normal(0, 1.0)), 1)
    moved = turned_matrix(rotation, size) @ np.linalg.inv(turned_matrix(layout.rotation_deg, size))

    def drawn(boxes: Sequence[PixelBox]) -> tuple[PixelBox, ...]:
        together, scale = rng.uniform(-0.04, 0.04, 2), 1 + float(rng.uniform(-0.06, 0.06))
        found: list[PixelBox] = []
        for x, y, width, height in boxes:
            sides = scale * np.array((width, height))
            middle = mapped(moved, [(x + width / 2, y + height / 2)])[0]
            corner = middle + (together + rng.normal(0, 0.015, 2) - 0.5) * sides
            left, top, wide, high = (float(side) for side in np.round((*corner, *sides)))
            found.append((left, top, wide, high))
        return tuple(found)

    return layout.model_copy(
        update={
            "rotation_deg": rotation,
            "digits": drawn(layout.digits),
            "pointers": drawn(layout.pointers),
        }
    )


if __name__ == "__main__":
    main()
