"""Pictures of people on disk, and the one face in each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import MediaError, UsageError
from meerkat_inference.detector import Detector, Found

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
SURE = 0.5
"""Score from which a face counts."""
LARGEST = 50_000_000
"""Pixels."""
_LONGEST = 1600
"""Pixels on the longer side: more adds nothing to a face that fills a good part of the picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture with one face in it."""

    path: Path
    picture: NDArray[np.uint8]
    found: Found


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The pictures that are named, and those in folders that are named, by name. Raises UsageError."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                raise UsageError(
                    "there is no picture in this folder",
                    where=str(path),
                    remedy=f"Put pictures of type {', '.join(sorted(SUFFIXES))} there",
                )
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UsageError("there is no such file", where=str(path), remedy="Name pictures or folders")
    return list(dict.fromkeys(found))


def people_of(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """(person, pictures) of a folder with one folder per person, by name. Raises UsageError."""
    people = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    if len(people) < 2:
        raise UsageError(
            "there are no folders of two people or more",
            where=str(folder),
            remedy="Make a folder for each person, with two pictures or more in it",
        )
    for person in people:
        yield person.name, files_of([person])


def read_picture(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) BGR of at most 1600 pixels a side, turned as the camera was held. Raises MediaError."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except OSError as error:
        raise MediaError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="Name a picture that you may read"
        ) from error
    except cv2.error as error:
        raise MediaError(f"cannot be decoded ({error.err})", where=str(path)) from error
    if picture is None or picture.shape[0] * picture.shape[1] > LARGEST:
        raise MediaError(
            "is no picture, or one beyond all measure", where=str(path), remedy="Give a JPEG or PNG"
        )
    scale = _LONGEST / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(picture, np.uint8)


def faces_in(picture: NDArray[np.uint8], detector: Detector) -> list[Found]:
    """The faces that are sure enough, the surest first."""
    return [face for face in detector.detect(picture) if face.label == "face" and face.score >= SURE]


def portrait(path: Path, detector: Detector) -> Portrait:
    """The picture and its only face. Raises MediaError that says why there is none to speak of."""
    picture = read_picture(path)
    found = faces_in(picture, detector)
    if not found:
        raise MediaError(
            "no face is to be seen", where=str(path), remedy="Take one in which the face looks at the camera"
        )
    if len(found) > 1:
        raise MediaError(
            f"{len(found)} faces are to be seen: whose is meant?",
            where=str(path),
            remedy="Cut the picture so that one face is left",
        )
    return Portrait(path, picture, found[0])
