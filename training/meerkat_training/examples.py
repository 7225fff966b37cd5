"""An owner's own labelled pictures (`--extra DIR`), as `meerkat` exports them.

DIR/wheel/3.4_0197….png     what stands on the wheel, one decimal; any size
DIR/wheel/none_0197….png    not a digit
DIR/needle/…                likewise, tenths of a turn clockwise from 12 o'clock
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meerkat_contract.errors import UsageError

from .arrays import Bytes, Floats

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})


def load(folder: Path, kind: str, height: int, width: int) -> tuple[Bytes, Floats] | None:
    """The pictures (n, height, width, 3) RGB and positions (n,), NaN for none; nothing when there are none.

    Raises UsageError that names the folder or file and what is wrong with it.
    """
    if not folder.is_dir():
        raise UsageError(
            "the folder of examples is not there",
            where=str(folder),
            remedy="Give a folder with wheel/ and needle/ in it, as the meter's page exports them",
        )
    files = sorted(path for path in (folder / kind).glob("*") if path.suffix.lower() in _SUFFIXES)
    if not files:
        return None
    pictures = np.stack([decoded(path.read_bytes(), str(path), height, width) for path in files])
    return pictures, np.array([position(path) for path in files], np.float32)


def position(path: Path) -> float:
    """The truth in a file's name: 3.4_any.png → 3.4, none_any.png → NaN. Raises UsageError."""
    label = path.stem.partition("_")[0]
    if label == "none":
        return float("nan")
    try:
        value = float(label)
        if not 0 <= value < 10:
            raise ValueError(label)
    except ValueError:
        raise UsageError(
            f"{label!r} is no position",
            where=str(path),
            remedy="A name starts with 0.0 to 9.9 or `none`, then an underscore: 3.4_kitchen.png",
        ) from None
    return value


def decoded(data: bytes, where: str, height: int, width: int) -> Bytes:
    """A file's picture as (height, width, 3) RGB. Raises UsageError that names `where`."""
    import cv2

    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise UsageError("this is not a picture", where=where, remedy="Delete it, or save it as PNG")
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)


def vary(pictures: Bytes, rng: np.random.Generator) -> Bytes:
    """Each picture a little moved, enlarged, relit, blurred and compressed, so that few examples last."""
    import cv2

    varied = np.empty_like(pictures)
    height, width = pictures.shape[1:3]
    for i, picture in enumerate(pictures):
        scale = rng.uniform(0.94, 1.08)
        x, y = rng.uniform(-0.06, 0.06) * width, rng.uniform(-0.02, 0.02) * height
        move = np.array(
            [
                [scale, 0, x + (1 - scale) * (width - 1) / 2],
                [0, scale, y + (1 - scale) * (height - 1) / 2],
            ],
            np.float32,
        )
        changed = cv2.warpAffine(picture, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
        if rng.random() < 0.3:
            changed = cv2.GaussianBlur(changed, (3, 3), rng.uniform(0.3, 0.9))
        light = changed.astype(np.float32) * rng.uniform(0.75, 1.25) + rng.uniform(-20, 20)
        changed = np.clip(light + rng.normal(0, rng.uniform(0, 6), light.shape), 0, 255).astype(np.uint8)
        if rng.random() < 0.5:
            _, data = cv2.imencode(".jpg", changed, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))])
            varied[i] = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        else:
            varied[i] = changed
    return varied
