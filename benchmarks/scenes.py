"""What the built-in scenes cost: CPU milliseconds of a frame, by part of the story, and of the start.

python benchmarks/scenes.py
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from time import process_time

import cv2

from meerkat_devices.scenes.meter import BasementMeter
from meerkat_devices.scenes.porch import Porch

PARTS = {
    "wind by day": (11.0, 18.5),
    "person by day": (3.0, 8.0),
    "dog": (20.0, 23.0),
    "car": (35.0, 37.0),
    "dusk": (50.5, 59.5),
    "wind in the dark": (77.5, 87.5),
    "person in the dark": (70.0, 75.0),
    "whole story": (0.0, 120.0),
}
"""Seconds of the story."""

FRAMES_PER_SECOND = 10


def milliseconds(work: Callable[[], object]) -> float:
    begin = process_time()
    work()
    return 1000 * (process_time() - begin)


def main() -> None:
    cv2.setNumThreads(1)
    scenes: list[Porch] = []
    start = milliseconds(lambda: scenes.append(Porch()))
    porch = scenes[0]
    rows: list[tuple[str, float, float]] = []
    times = [milliseconds(lambda at=number / FRAMES_PER_SECOND: porch.render(at)) for number in range(1200)]
    rows.append(("porch, first round (mean)", sum(times) / len(times), max(times)))
    for name, (begin, end) in PARTS.items():
        times = [
            milliseconds(lambda at=number / FRAMES_PER_SECOND: porch.render(at))
            for number in range(round(begin * FRAMES_PER_SECOND), round(end * FRAMES_PER_SECOND))
        ]
        rows.append((f"porch, {name}", median(times), max(times)))
    meter, noon = BasementMeter(), datetime(2026, 6, 1, 12, tzinfo=UTC)
    times = [milliseconds(lambda at=noon + timedelta(minutes=n): meter.render(at)) for n in range(40)]
    rows.append((f"meter, {meter.width} by {meter.height}", median(times), max(times)))
    print(f"{'CPU milliseconds of a frame':32} {'median':>8} {'worst':>8}")
    for name, middle, worst in rows:
        print(f"{name:32} {middle:8.2f} {worst:8.2f}")
    print(f"{'start of the porch':32} {start:8.0f}")
    print(f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
