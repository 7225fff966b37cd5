"""What the exported network for displays is worth, on renders it never saw.

No picture of a real display is among what it is checked with: there is none that may be used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError

from . import dataset, evaluate
from .arrays import Bytes, Floats
from .crops import HEIGHT, WIDTH
from .segment_faces import SegmentFace
from .segments import BLANK, photograph_segment, random_display
from .targets import softmax

VISIBLE = 16
"""Grey levels of 255: a patch of 3×3 pixels that differs by less does not tell one digit from another."""
STANDS_OUT = 0.3
"""The same, beside the contrast of the whole picture: less drowns in glare, dirt, noise or neighbours."""
WANTED = 0.97
"""Of readable digits, the share that must be read right: no network is better than one that misreads."""
_STREAM = 4


def readable_crops(n: int, seed: int) -> tuple[Bytes, NDArray[np.int64], NDArray[np.bool_]]:
    """Digits (n, 32, 20, 3), what they are (n,), and whether the pictures still tell so (n,).

    Each is drawn again, with the same light, lens and noise, as each digit that is nearest to it: an 8 as a
    0, 6 and 9. Where no patch of the picture clearly differs from one of these, it is not readable.
    """
    crops, shown = np.empty((n, HEIGHT, WIDTH, 3), np.uint8), np.empty(n, np.int64)
    readable = np.ones(n, np.bool_)
    for index in range(n):
        rng = np.random.default_rng([seed, _STREAM, index])
        style, digit = random_display(rng), int(rng.integers(10))
        before = rng.bit_generator.state
        crops[index], shown[index] = photograph_segment(style, digit, rng), digit
        for other in nearest(style.face, digit):
            rng.bit_generator.state = before
            twin = photograph_segment(style, other, rng)
            readable[index] &= difference(crops[index], twin) >= max(
                VISIBLE, STANDS_OUT * contrast(crops[index])
            )
    return crops, shown, readable


def nearest(face: SegmentFace, digit: int) -> list[int]:
    """The digits that differ from it in the fewest segments."""
    lit = set(face.pattern(digit))
    away = {other: len(lit ^ set(face.pattern(other))) for other in range(10) if other != digit}
    return [other for other, count in away.items() if count == min(away.values())]


def difference(one: Bytes, other: Bytes) -> float:
    """Grey levels by which the most different patch of 3×3 pixels differs, an even change of all left out."""
    apart = one.astype(np.float32) - other.astype(np.float32)
    apart -= np.median(apart, axis=(0, 1))
    patches = cv2.blur(apart, (3, 3))
    return float(np.abs(patches).max())


def contrast(crop: Bytes) -> float:
    """Grey levels between the darkest and the brightest parts."""
    low, high = np.percentile(crop.mean(axis=2), (2, 98))
    return float(high - low)


def figures(path: Path, seed: int, pictures: int = 4000) -> dict[str, Any]:
    """Score the int8 file; see the card's page for what each figure is."""
    runner = evaluate.Runner(path)
    crops, shown = dataset.segments(pictures, seed, 1)
    logits = runner.logits(crops)
    temperature = evaluate.fitting_temperature(logits, shown, "segment")
    said = softmax(logits, temperature)
    digits, empty, none = shown < BLANK, shown == BLANK, np.isnan(shown)
    plain, truth, readable = readable_crops(pictures // 2, seed)
    told = softmax(runner.logits(plain), temperature)
    nothing = softmax(runner.logits(evaluate.nothings(2000, HEIGHT, WIDTH, seed)), temperature)
    found: dict[str, Any] = {
        "temperature": temperature,
        "milliseconds": round(runner.milliseconds(crops[:1000]), 4),
        "digits": _score(said[digits], shown[digits]),
        "readable": {**_score(told[readable], truth[readable]), "of": len(truth)},
        "empty": _score(said[empty], shown[empty]),
        "negatives": {"pictures": int(none.sum()), "believed": round(_believed(said[none]), 4)},
        "nothing": {"pictures": len(nothing), "believed": round(_believed(nothing), 4)},
    }
    full = path.with_name(f"{path.stem}-float.tflite")
    if full.is_file():
        same = evaluate.Runner(full).logits(crops[:2000]).argmax(1) == logits[:2000].argmax(1)
        found["agreement"] = {"pictures": len(same), "same": round(float(same.mean()), 4)}
    return found


def check(found: dict[str, Any]) -> None:
    """Raises ModelError when `figures` are too bad to read anyone's meter with."""
    share = found["readable"]["right"]
    if share < WANTED:
        raise ModelError(
            f"the network reads {share * 100:.1f} % of readable digits right, "
            f"and {WANTED * 100:.0f} % are wanted; what was there is kept",
            where="segment",
            remedy="Train longer: --minutes 30, or go on with --begin and the same --out",
        )


def _believed(said: Floats) -> float:
    """The share taken for a digit with more than evaluate.SURE."""
    return float((said[:, :BLANK].max(1) >= evaluate.SURE).mean())


def _score(said: Floats, shown: Floats | NDArray[np.int64]) -> dict[str, Any]:
    """Shares of 1: read right; believed (at least SURE); and of those, right."""
    right = said.argmax(1) == shown
    sure = said.max(1) >= evaluate.SURE
    return {
        "pictures": len(shown),
        "right": round(float(right.mean()), 4),
        "believed": round(float(sure.mean()), 4),
        "right_of_believed": round(float(right[sure].mean()), 4) if sure.any() else None,
    }
