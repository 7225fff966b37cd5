"""Faces that two libraries ship, laid out as people in folders. None is part of the repository.

- Two portraits: Matplotlib's (Grace Hopper, US Navy) and scikit-image's (Eileen Collins, NASA), both in
  the public domain.
- `skimage.data.lfw_subset`: 100 faces drawn at random from LFW (Labeled Faces in the Wild, 13,233 pictures
  of 5,749 people), cut tightly, grey, 25x25 pixels, and 100 pieces of background. Who they are is not
  said: two crops may show one person.

scikit-image is looked up, not imported: its sample files are all that is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from meerkat_inference.faces.measuring import Probe

from .pictures import portrait_path

FACES = 100
MARGIN = 12
"""Pixels of the edge repeated around a crop, where a camera would see hair and a wall: with them yunet finds
95 of the faces, and none of the 100 pieces of background; without, 93."""
USUAL_BOX = (0.287, 0.217, 0.377, 0.515)
"""Where yunet finds the faces in the middle of a crop with its margin, on average: LFW's are centred."""

People = list[tuple[str, list[Path]]]


def _sample(name: str) -> Path:
    """A file of scikit-image's samples, or skip the test."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        pytest.skip("needs the faces that scikit-image ships (dependency group dev)")
    path = Path(spec.origin).parent / "data" / name
    if not path.is_file():
        pytest.skip(f"this scikit-image ships no {name}")
    return path


def portraits() -> People:
    return [("Grace", [portrait_path()]), ("Eileen", [_sample("astronaut.png")])]


def crops() -> NDArray[np.uint8]:
    """(200, 25, 25, 3), grey in three channels: 100 faces, then 100 pieces of background."""
    grey = np.load(_sample("lfw_subset.npy"))
    return np.repeat((grey * 255).round().astype(np.uint8)[..., None], 3, axis=3)


def with_margin(crop: NDArray[np.uint8], enlarged: float = 1) -> NDArray[np.uint8]:
    """The crop as part of a wider picture, enlarged as a camera's digital zoom does it."""
    wide = cv2.copyMakeBorder(crop, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
    if enlarged != 1:
        wide = cv2.resize(wide, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
    return np.asarray(wide, np.uint8)


def strangers(folder: Path, enlarged: float = 1) -> People:
    """The 100 faces as files in `folder`, a person each."""
    people = []
    for number, crop in enumerate(crops()[:FACES]):
        path = folder / f"{number:02}-{enlarged:g}.png"
        cv2.imwrite(str(path), with_margin(crop, enlarged))
        people.append((f"lfw-{number:02}", [path]))
    return people


def without_gate(probes: Iterable[Probe]) -> list[Probe]:
    """The same, as if every face that was found were fit to be named and enrolled."""
    return [replace(p, quality=1.0) if p.embedding is not None else p for p in probes]


def plain(probes: Sequence[Probe]) -> list[Probe]:
    """The pictures as they are."""
    return [p for p in probes if not p.variation]
