"""How often a layout proposed from one picture is right, on rendered meters of random design.

    python benchmarks/meter_propose.py [--meters 500] [--seed 5] [--sheet failures.png] [--json]

A meter counts as found when each of its wheels and dials has a box with an IoU of at least 0.6, and there is
no box besides. IoU is of the boxes' corners in the picture as the camera gave it: the proposal's rotation
and the true one may differ a little. What they count (decimal point, order of dials, direction) is counted
apart, among the meters that were found. Times are CPU of one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
from meerkat_contract.errors import MediaError
from meerkat_contract.meter_layout import MeterLayout, PixelBox
from meerkat_inference.meter.networks import Networks
from meerkat_inference.meter.propose.finder import FILE, Finder
from meerkat_inference.meter.propose.proposing import propose
from meerkat_training.faces.meters import meters

LEAST = 0.6
NO_METER = "no meter found"


@dataclass(frozen=True)
class Outcome:
    """Of one meter. `wrong` is empty when each box was found."""

    wrong: str
    least: float
    counts: bool
    seconds: float
    doubts: tuple[str, ...]


def corners(box: PixelBox, layout: MeterLayout, size: tuple[int, int]) -> NDArray[np.float32]:
    """(4, 2) in the picture as the camera gave it."""
    x, y, w, h = box
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), -layout.rotation_deg, 1)
    back = cv2.invertAffineTransform(turn)
    upright = np.array([[[x, y], [x + w, y], [x + w, y + h], [x, y + h]]])
    return np.asarray(cv2.transform(upright, back)[0], np.float32)


def iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    both, _ = cv2.intersectConvexConvex(one, other)
    whole = cv2.contourArea(one) + cv2.contourArea(other) - both
    return float(both / whole) if whole > 0 else 0.0


def paired(
    found: Sequence[NDArray[np.float32]], true: Sequence[NDArray[np.float32]]
) -> tuple[list[int], list[float]]:
    """For each true box the number of the best one found (-1: none) and their IoU."""
    numbers, shares = [], []
    for box in true:
        each = [iou(one, box) for one in found]
        best = int(np.argmax(each)) if each else -1
        numbers.append(best)
        shares.append(each[best] if each else 0.0)
    return numbers, shares


def judge(found: MeterLayout, true: MeterLayout, size: tuple[int, int]) -> tuple[str, float, bool]:
    """What is wrong, the least IoU, and whether it counts right as well."""
    causes = []
    least = 1.0
    orders = []
    for kind, boxes, wanted in (
        ("wheels", found.digits, true.digits),
        ("dials", found.pointers, true.pointers),
    ):
        ours = [corners(box, found, size) for box in boxes]
        theirs = [corners(box, true, size) for box in wanted]
        numbers, shares = paired(ours, theirs)
        orders.append(numbers)
        least = min([least, *shares])
        if len(ours) > len(theirs):
            causes.append(f"{kind} too many")
        elif len(ours) < len(theirs):
            causes.append(f"{kind} missing")
        elif min(shares, default=1.0) < LEAST:
            far = min(shares) < 0.2
            causes.append(f"{kind} elsewhere" if far else f"{kind} not close")
    counts = (
        not causes
        and orders[0] == list(range(len(true.digits)))
        and orders[1] == list(range(len(true.pointers)))
        and found.integer_digits == true.integer_digits
        and np.allclose(found.pointer_factors, true.pointer_factors)
        and found.directions == true.directions
    )
    return ", ".join(causes), least, bool(counts)


def drawn(
    picture: NDArray[np.uint8], layouts: Sequence[tuple[MeterLayout, tuple[int, int, int]]], note: str
) -> NDArray[np.uint8]:
    """480×360: the picture with layouts on it."""
    canvas = picture.copy()
    height, width = canvas.shape[:2]
    line = max(1, width // 320)
    for layout, colour in layouts:
        for box in (*layout.digits, *layout.pointers):
            cv2.polylines(
                canvas, [np.rint(corners(box, layout, (width, height))).astype(np.int32)], True, colour, line
            )
    scale = min(480 / width, 360 / height)
    small = cv2.resize(canvas, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    tile = np.zeros((360, 480, 3), np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small
    cv2.putText(tile, note, (6, 350), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 255, 255), 1, cv2.LINE_AA)
    return tile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--meters", type=int, default=500)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--sheet", type=Path, help="draw the failures there: true boxes green, found ones red"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--finder", type=Path, default=FILE)
    parser.add_argument("--no-networks", action="store_true", help="without reading the wheels and needles")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    finder, networks = Finder(given.finder), None if given.no_networks else Networks()
    outcomes: list[Outcome] = []
    failures = []
    for number, (picture, truth) in enumerate(meters(given.meters, given.seed, given.workers)):
        size = (picture.shape[1], picture.shape[0])
        began = time.process_time()
        try:
            proposal = propose(picture, networks, finder=finder)
        except MediaError:
            outcomes.append(Outcome(NO_METER, 0.0, False, time.process_time() - began, ()))
            shown = [(truth.layout, (0, 255, 0))]
        else:
            seconds = time.process_time() - began
            wrong, least, counts = judge(proposal.layout, truth.layout, size)
            outcomes.append(Outcome(wrong, least, counts, seconds, proposal.doubts))
            shown = [(truth.layout, (0, 255, 0)), (proposal.layout, (0, 0, 255))]
        if outcomes[-1].wrong and given.sheet is not None:
            last = outcomes[-1]
            failures.append(drawn(picture, shown, f"{number}: {last.wrong} {last.least:.2f}"))
    tell(outcomes, as_json=given.json)
    if failures:
        while len(failures) % 4:
            failures.append(np.zeros_like(failures[0]))
        rows = [np.hstack(failures[at : at + 4]) for at in range(0, min(len(failures), 40), 4)]
        cv2.imwrite(str(given.sheet), np.vstack(rows))


def tell(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    right = [one for one in outcomes if not one.wrong]
    counts = [one for one in right if one.counts]
    silent = [one for one in outcomes if one.wrong and one.wrong != NO_METER and not one.doubts]
    unsaid = [one for one in right if not one.counts and not one.doubts]
    seconds = np.array([one.seconds for one in outcomes])
    figures = {
        "meters": len(outcomes),
        "every box IoU >= 0.6": len(right) / len(outcomes),
        "a box wrong without a doubt told": len(silent) / len(outcomes),
        "of those right, counting right": len(counts) / max(1, len(right)),
        "of those right, counting wrong without a doubt told": len(unsaid) / max(1, len(right)),
        "CPU seconds, median": float(np.median(seconds)),
        "CPU seconds, slowest": float(seconds.max()),
    }
    causes = Counter(one.wrong for one in outcomes if one.wrong)
    if as_json:
        print(json.dumps({**figures, "causes": causes}))
        return
    for name, value in figures.items():
        print(f"{name:48} {value:8.3f}" if isinstance(value, float) else f"{name:48} {value:8}")
    for cause, number in causes.most_common():
        print(f"  {cause:46} {number:8}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
