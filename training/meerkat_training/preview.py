"""Contact sheets: crops with their truth below, to be looked at."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from .arrays import Bytes, Floats

Kind = Literal["wheels", "needles", "segments"]


def contact_sheet(crops: Bytes, positions: Floats, columns: int = 25, scale: int = 2) -> Bytes:
    """Crops (n, h, w, 3) in rows, enlarged, each with its position (`-` for negatives) below it."""
    count, high, wide = crops.shape[:3]
    cell_high, cell_wide = high * scale + 16, wide * scale + 4
    rows = -(-count // columns)
    sheet = np.full((rows * cell_high, columns * cell_wide, 3), 32, np.uint8)
    for index, (crop, position) in enumerate(zip(crops, positions, strict=True)):
        top, left = index // columns * cell_high, index % columns * cell_wide
        big = cv2.resize(crop, (wide * scale, high * scale), interpolation=cv2.INTER_CUBIC)
        sheet[top : top + high * scale, left : left + wide * scale] = big
        text = "-" if np.isnan(position) else f"{position:.1f}"
        place = (left + 8, top + high * scale + 12)
        cv2.putText(sheet, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (230, 230, 230), 1, cv2.LINE_AA)
    return sheet


def sheet(kind: Kind, n: int, seed: int, workers: int = 1) -> bytes:
    """A PNG of `n` wheels, needles or places of displays of a seed."""
    from .dataset import needles, segments, wheels

    crops, positions = {"wheels": wheels, "needles": needles, "segments": segments}[kind](n, seed, workers)
    picture = contact_sheet(crops, positions, columns=16 if kind == "needles" else 25)
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
