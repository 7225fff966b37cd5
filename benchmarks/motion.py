"""Motion by vision beside four plain methods, on labelled footage, in one run.

    python benchmarks/motion.py [--json] [--media FOLDER]

Every method gets the same luma planes at the video's own rate and shrinks them with the same function,
which is inside its time; decoding is outside. Times are CPU of one thread. For the plain methods the
time covers shrink and mask only and their decision comes free; for Meerkat it covers everything.

The *picture* decision is made per frame: for Meerkat `area > 0`, for the others one connected spot of
at least the same least number of pixels. The *state* is what Meerkat publishes (`active`), held as its
settings say, and is counted against the same labels without any allowance. A ghost is motion in a frame
without anybody; a hit is motion in a frame in which somebody walks.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from footage.baselines import PLAIN, Masker, spotted
from footage.labels import FootageLabels, labels
from footage.video import luma_planes
from meerkat_devices.motion.detector import MotionDetector
from meerkat_devices.settings.motion import MotionSettings

VIDEOS = ("one-by-one-person-detection.mp4", "car-detection.mp4")
CHUNK = 100
Decision = Callable[[NDArray[np.uint8], float], "tuple[bool, bool | None, float]"]
"""Luma plane and media time → moves, state (None if it has none), CPU seconds."""


@dataclass(slots=True)
class Row:
    """One method on one video."""

    video: str
    method: str
    cpu_ms: float = 0.0
    ratio_to_mog2: float = 0.0
    ghosts: int = 0
    empty: int = 0
    hits: int = 0
    moving: int = 0
    state_ghosts: int | None = None
    state_hits: int | None = None


def plain(mask_of: Masker) -> Decision:
    """A method that makes a mask; only the mask is timed."""
    share = MotionSettings().minimum_area

    def decide(gray: NDArray[np.uint8], _at: float) -> tuple[bool, bool | None, float]:
        started = time.thread_time()
        mask = mask_of(gray)
        spent = time.thread_time() - started
        return spotted(mask, share * mask.size), None, spent

    return decide


def meerkat() -> Decision:
    detector = MotionDetector()

    def decide(gray: NDArray[np.uint8], at: float) -> tuple[bool, bool | None, float]:
        started = time.thread_time()
        reading = detector.step(gray, at)
        return reading.area > 0, reading.active, time.thread_time() - started

    return decide


def methods() -> dict[str, Decision]:
    """A fresh one of each."""
    return {"meerkat": meerkat(), **{name: plain(make()) for name, make in PLAIN.items()}}


def chunks(video: Path) -> Iterator[list[tuple[NDArray[np.uint8], float]]]:
    """Decoded frames, some at a time, so that decoding stays outside of what is timed."""
    held: list[tuple[NDArray[np.uint8], float]] = []
    for plane, at in luma_planes(video):
        held.append((plane.copy(), at))
        if len(held) == CHUNK:
            yield held
            held = []
    yield held


def measure(video: Path) -> list[Row]:
    truth: FootageLabels = labels(video)
    deciders = methods()
    rows = {name: Row(video.name, name) for name in deciders}
    frames = 0
    for chunk in chunks(video):
        frames += len(chunk)
        for name, decide in deciders.items():
            row = rows[name]
            for gray, at in chunk:
                moves, state, spent = decide(gray, at)
                row.cpu_ms += spent * 1000
                count(row, truth, at, moves, state)
    for row in rows.values():
        row.cpu_ms /= frames
    for row in rows.values():
        row.ratio_to_mog2 = row.cpu_ms / rows["MOG2"].cpu_ms
    return list(rows.values())


def count(row: Row, truth: FootageLabels, at: float, moves: bool, state: bool | None) -> None:
    empty, moving = truth.is_empty(at), truth.is_moving(at)
    row.empty += empty
    row.moving += moving
    row.ghosts += empty and moves
    row.hits += moving and moves
    if state is not None:
        row.state_ghosts = (row.state_ghosts or 0) + (empty and state)
        row.state_hits = (row.state_hits or 0) + (moving and state)


def table(rows: list[Row]) -> str:
    head = f"{'video':32} {'method':17} {'CPU ms':>7} {'×MOG2':>6} {'ghosts':>9} {'hits':>9}"
    lines = [f"{head} {'state: ghosts, hits':>20}"]
    for row in rows:
        state = "" if row.state_ghosts is None else f"{row.state_ghosts}, {row.state_hits}"
        lines.append(
            f"{row.video:32} {row.method:17} {row.cpu_ms:7.3f} {row.ratio_to_mog2:6.2f} "
            f"{f'{row.ghosts}/{row.empty}':>9} {f'{row.hits}/{row.moving}':>9} {state:>20}"
        )
    return "\n".join(lines)


def main() -> None:
    shared = os.environ.get("MEERKAT_SHARED") or Path(__file__).resolve().parents[2] / "shared"
    parser = argparse.ArgumentParser(description="Motion by vision beside four plain methods.")
    parser.add_argument("--media", type=Path, default=Path(shared) / "media", help="folder with the footage")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    missing = [name for name in VIDEOS if not (options.media / name).is_file()]
    if missing:
        parser.error(f"{options.media} lacks {', '.join(missing)}; name its folder with --media")
    rows = [row for name in VIDEOS for row in measure(options.media / name)]
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.json else table(rows))


if __name__ == "__main__":
    main()
