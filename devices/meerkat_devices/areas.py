"""`meerkat device areas`: a picture with a grid, and the masks, zones and regions that are written so far."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from meerkat_contract.errors import MediaError, UsageError

from .picture import encode, scaled
from .regions import Corners
from .settings.address import parse_source
from .settings.device import CameraSettings
from .sources.opening import open_source
from .sources.source import SourceError, of_thing
from .words import counted

SETTLE = 15
"""Frames to pass over: a camera that was just opened finds its exposure, a stream its first whole picture."""

SECONDS = 30.0
"""At most, to get them."""

_GRID, _MASK, _ZONE, _PRIVATE, _REGION = (
    (255, 255, 255),
    (60, 60, 230),
    (80, 220, 80),
    (0, 0, 0),
    (230, 180, 40),
)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def shoot(camera: str, settings: CameraSettings) -> Any:
    """One picture of the camera, BGR, at its full size. Raises SourceError."""
    stop = threading.Event()
    timer = threading.Timer(SECONDS, stop.set)
    timer.start()
    picture = None
    seen = 0
    try:
        with open_source(parse_source(settings.source), options=settings) as source:
            for sample in source.samples(stop):
                for shot in sample.shots:
                    seen += 1
                    if seen >= SETTLE or picture is None:
                        picture = scaled(shot.frame, max_width=shot.frame.width)
                if seen >= SETTLE:
                    break
    except SourceError as error:
        if picture is None:
            raise of_thing(error, f"camera {camera}") from None
    finally:
        timer.cancel()
    if picture is None:
        raise SourceError(
            f"no picture within {SECONDS:g} s", where=f"camera {camera}", remedy="Is the camera on?"
        )
    return picture


def load(file: Path) -> Any:
    """A picture from a file, BGR. Raises UsageError."""
    data = np.fromfile(file, np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        raise UsageError("this is no picture", where=str(file), remedy="Name a JPEG or PNG")
    return picture


def draw(picture: Any, settings: CameraSettings) -> Any:
    """A copy with the grid of tenths and every part that the settings name."""
    drawn = picture.copy()
    shaded = picture.copy()
    groups = ((settings.masks, _MASK), (settings.zones.values(), _ZONE), (settings.privacy, _PRIVATE))
    for polygons, colour in groups:
        for polygon in polygons:
            cv2.fillPoly(shaded, [_points(polygon, picture)], colour)
    cv2.addWeighted(shaded, 0.35, drawn, 0.65, 0, drawn)
    _grid(drawn)
    width = max(2, picture.shape[1] // 400)
    for polygons, colour in groups:
        for polygon in polygons:
            cv2.polylines(drawn, [_points(polygon, picture)], isClosed=True, color=colour, thickness=width)
    for name, polygon in settings.zones.items():
        x, y = _points(polygon, picture).mean(axis=0)
        _write(drawn, name, int(x), int(y))
    if settings.frames.region is not None:
        x, y, wide, high = settings.frames.region
        corners = ((x, y), (x + wide, y), (x + wide, y + high), (x, y + high))
        cv2.polylines(drawn, [_points(corners, picture)], isClosed=True, color=_REGION, thickness=width)
    return drawn


def describe(picture: Any, settings: CameraSettings) -> str:
    """In words, what was drawn."""
    height, width = picture.shape[:2]
    parts = [
        counted(len(settings.masks), "mask", "masks") if settings.masks else "",
        counted(len(settings.zones), "zone", "zones") if settings.zones else "",
        counted(len(settings.privacy), "private place", "private places") if settings.privacy else "",
        "a region" if settings.frames.region else "",
    ]
    return f"{width}×{height}, " + (", ".join(part for part in parts if part) or "nothing is drawn in yet")


def save(picture: Any, file: Path, *, remedy: str = "Name another with --out") -> None:
    """As JPEG. Raises MediaError when it cannot be written."""
    try:
        file.write_bytes(encode(picture, max_bytes=10_000_000))
    except OSError as error:
        raise MediaError(f"cannot be written ({error.strerror})", where=str(file), remedy=remedy) from error


def _points(polygon: Corners, picture: Any) -> Any:
    height, width = picture.shape[:2]
    return np.round(np.array(polygon) * (width - 1, height - 1)).astype(np.int32)


def _grid(picture: Any) -> None:
    height, width = picture.shape[:2]
    lines = picture.copy()
    for tenth in range(1, 10):
        x, y = width * tenth // 10, height * tenth // 10
        cv2.line(lines, (x, 0), (x, height), _GRID, 1)
        cv2.line(lines, (0, y), (width, y), _GRID, 1)
    cv2.addWeighted(lines, 0.6, picture, 0.4, 0, picture)
    for tenth in range(1, 10):
        _write(picture, f".{tenth}", width * tenth // 10, height // 40)
        _write(picture, f".{tenth}", width // 60, height * tenth // 10)


def _write(picture: Any, text: str, x: int, y: int) -> None:
    """White with a black rim, the middle of the text at (x, y)."""
    scale = picture.shape[1] / 1600
    (wide, high), _ = cv2.getTextSize(text, _FONT, scale, 1)
    place = (x - wide // 2, y + high // 2)
    cv2.putText(picture, text, place, _FONT, scale, (0, 0, 0), max(3, round(4 * scale)), cv2.LINE_AA)
    cv2.putText(picture, text, place, _FONT, scale, _GRID, max(1, round(1.5 * scale)), cv2.LINE_AA)
