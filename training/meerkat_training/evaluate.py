"""What an exported network is worth: on renders it never saw, on crops of real meters, on nothing at all.

Scores the files that workers open, through the engine that opens them, never the network in training.
"""

from __future__ import annotations

import csv
import io
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meerkat_contract.errors import UsageError
from meerkat_inference.opening import open_engine

from .arrays import Bytes, Floats
from .examples import decoded
from .networks import NOTHING
from .targets import distance, read_back, softmax, targets

STEADY = 0.2
"""How far from a whole number a wheel still shows one digit."""
SURE = 0.9
"""Mass of a peak that is believed."""
SHIFTS = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1))


@dataclass(frozen=True, slots=True)
class Score:
    """How well positions were found; shares of 1. `steady` is NaN for needles."""

    pictures: int
    within: float
    """Share whose position is at most 0.2 off."""
    error: float
    """Mean distance from the true position, a turn being 10."""
    steady: float
    """Share of steady digits that round to the right one."""
    confidence: float
    """Mean mass of the peak."""
    missed: float
    """Share that was called nothing."""


class Runner:
    """A .tflite file that answers for many pictures, one after the other."""

    def __init__(self, path: Path) -> None:
        self._engine = open_engine(path)
        self._bytes = self._engine.inputs[0].dtype == "uint8"

    def logits(self, pictures: Bytes) -> Floats:
        """(n, h, w, 3) → (n, 101), or (n, 12) of displays."""
        fit = np.uint8 if self._bytes else np.float32
        return np.concatenate([self._engine.run(picture[None].astype(fit))[0] for picture in pictures])

    def milliseconds(self, pictures: Bytes) -> float:
        """Processor time of one run."""
        self.logits(pictures[:50])
        started = time.process_time()
        self.logits(pictures)
        return (time.process_time() - started) * 1000 / len(pictures)


def score(probabilities: Floats, positions: Floats) -> Score:
    """Compare (n, 101) with the true positions (n,); pictures of nothing (NaN) are left out."""
    there = ~np.isnan(positions)
    found, mass, nothing = read_back(probabilities[there])
    truth = positions[there]
    away = distance(found, truth)
    whole = distance(truth, np.round(truth)) <= STEADY + 1e-4
    right = np.round(found[whole]) % 10 == np.round(truth[whole]) % 10
    return Score(
        pictures=int(there.sum()),
        within=float((away <= 0.2 + 1e-4).mean()),
        error=float(away.mean()),
        steady=float(right.mean()) if whole.any() else float("nan"),
        confidence=float(mass.mean()),
        missed=float((nothing > 0.5).mean()),
    )


def shifted(run: Callable[[Bytes], Floats], pictures: Bytes) -> Floats:
    """What `run` gives, averaged over shifts of one pixel, as the reader does with boxes."""
    height, width = pictures.shape[1:3]
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
    moved = [run(padded[:, 1 + y : 1 + y + height, 1 + x : 1 + x + width]) for y, x in SHIFTS]
    return np.asarray(np.mean(moved, 0), np.float32)


def fitting_temperature(logits: Floats, positions: Floats, kind: str) -> float:
    """What to divide the logits by so that they are as sure as they are right, 0.7 to 1.6."""
    wanted = targets(kind, positions)
    tried = np.linspace(0.7, 1.6, 37)
    losses = [-(wanted * np.log(softmax(logits, t) + 1e-12)).sum(1).mean() for t in tried]
    return round(float(tried[int(np.argmin(losses))]), 3)


def nothings(n: int, height: int, width: int, seed: int) -> Bytes:
    """Pictures that nobody drew a meter on: plain tones, ramps, noise of several grains."""
    import cv2

    rng = np.random.default_rng(seed)
    pictures = np.empty((n, height, width, 3), np.uint8)
    for i in range(n):
        tone = rng.uniform(0, 255, 3)
        grain = rng.choice([0, 1, 2, 4, 8])
        field = np.broadcast_to(tone, (height, width, 3)).astype(np.float32)
        ramp = np.linspace(-1, 1, height)[:, None] * rng.normal() + np.linspace(-1, 1, width) * rng.normal()
        field = field + 40 * ramp[..., None].astype(np.float32) * (rng.random() < 0.6)
        if grain:
            noise = rng.normal(0, rng.uniform(5, 80), (max(2, height // grain), max(2, width // grain), 3))
            field = field + cv2.resize(noise.astype(np.float32), (width, height))
        pictures[i] = np.clip(field, 0, 255)
    return pictures


def confident(probabilities: Floats) -> float:
    """The share that would be believed to show something."""
    _, mass, _ = read_back(probabilities)
    return float((mass >= SURE).mean())


def agreement(full: Floats, small: Floats) -> dict[str, float]:
    """How often the int8 file's best bin is the float file's, and at most its neighbour; shares of 1."""
    left, right = full.argmax(1), small.argmax(1)
    away = np.abs(left - right)
    turning = (left < NOTHING) & (right < NOTHING)
    away = np.where(turning, np.minimum(away, 100 - away), np.where(left == right, 0, 100))
    return {
        "same": round(float((away == 0).mean()), 4),
        "within_one_bin": round(float((away <= 1).mean()), 4),
    }


def load_crops(path: Path) -> tuple[Bytes, Floats]:
    """A .zip of pictures of 20×32 and a labels.csv (file, position). Raises UsageError."""
    try:
        with zipfile.ZipFile(path) as archive:
            (labels,) = [name for name in archive.namelist() if name.endswith("labels.csv")]
            rows = list(csv.reader(io.StringIO(archive.read(labels).decode())))[1:]
            folder = labels[: -len("labels.csv")]
            names = set(archive.namelist())
            files = [row[0] if row[0] in names else folder + row[0] for row in rows]
            data = [archive.read(name) for name in files]
            positions = np.array([float(row[1]) for row in rows], np.float32)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"these are no labelled crops: {error}",
            where=str(path),
            remedy="Give a .zip with pictures and one labels.csv: file,position",
        ) from error
    pictures = [decoded(one, f"{path}: {file}", 32, 20) for file, one in zip(files, data, strict=True)]
    return np.stack(pictures), positions
