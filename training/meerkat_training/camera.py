"""What a cheap camera makes of a scene: exposure, colour, blur, noise, sharpening, compression.

All lengths follow `detail`, the height in pixels of a digit in the picture, so that the same settings
mean the same damage on a whole face and on a single crop.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from .arrays import Bytes, Floats, Random, around, between, chance, log_between
from .blend import spread
from .fields import axes, grain
from .light import light_scene

_DOWN = (cv2.INTER_AREA, cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_NEAREST)
_UP = (cv2.INTER_LINEAR, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def expose(picture: Floats, rng: Random, strength: float) -> Floats:
    """Gain and tone curve; about one in six far too dark or burnt out."""
    kind = rng.random()
    if kind < 0.07 * strength:
        gain = log_between(rng, 1.3, 2.4)
    elif kind < 0.13 * strength:
        gain = log_between(rng, 0.15, 0.45)
    elif kind < 0.6:  # The camera's own exposure: the mean comes to a grey of its choice.
        gain = 1 + (between(rng, 0.28, 0.68) / max(0.05, float(picture.mean())) - 1) * strength
    else:
        gain = 1 + (log_between(rng, 0.6, 1.4) - 1) * strength
    picture = picture * np.float32(gain)
    if chance(rng, 0.5 * strength):
        # A steep S-curve or a flat one, around the middle; cheaper than a power.
        slope, pivot = log_between(rng, 0.5, 1.6), between(rng, 0.35, 0.65)
        picture = (picture - pivot) * np.float32(slope) + np.float32(pivot)
    if chance(rng, 0.25 * strength):
        np.clip(picture, 0, 1, out=picture)
        picture = picture ** np.float32(log_between(rng, 0.55, 1.8))
    return picture


def tint(picture: Floats, rng: Random, strength: float) -> Floats:
    """White balance, casts, faded colour, infrared, negatives."""
    kind = rng.random()
    mix = np.eye(3, dtype=np.float32)
    if kind < 0.11 * strength:
        # Infrared sees red ink as nearly white; a night mode that only drops colour does not.
        mix[:] = _GREY
        if chance(rng, 0.45):
            red = between(rng, 0.6, 0.97)
            mix[:] = (red, 0.6 * (1 - red), 0.4 * (1 - red))
        if chance(rng, 0.3):  # Infrared through a colour sensor: violet or pale green.
            mix *= np.array([[1 + around(rng, 0.1, 0.25)] for _ in range(3)], np.float32)
        return cv2.transform(picture, mix).astype(np.float32, copy=False)
    if kind < 0.5 * strength:
        saturation = between(rng, 0.2, 1.25)
        mix = mix * saturation + _GREY * (1 - saturation)
    spread = 0.2 if kind > 1 - 0.1 * strength else 0.05
    mix *= np.array([[1 + around(rng, spread, 0.45) * strength] for _ in range(3)], np.float32)
    lift = np.zeros((3, 1), np.float32)
    if chance(rng, 0.04 * strength):  # A flood of one colour, as from a lamp or a bad driver.
        lift += np.array([[between(rng, -0.12, 0.2)] for _ in range(3)], np.float32)
    return cv2.transform(picture, np.hstack([mix, lift])).astype(np.float32, copy=False)


def defocus(picture: Floats, rng: Random, detail: float, strength: float) -> Floats:
    """Lens blur or motion, up to about a tenth of a digit."""
    if chance(rng, 0.8):
        # Mostly sharp enough to read; strokes are about an eighth of a digit.
        sigma = detail * 0.062 * strength * float(rng.random()) ** 1.7
        if sigma > 0.25:
            return cv2.GaussianBlur(picture, (0, 0), sigma).astype(np.float32, copy=False)
    if chance(rng, 0.2 * strength):
        length = max(2, round(detail * between(rng, 0.04, 0.14)))
        size = length | 1
        kernel = np.zeros((size, size), np.float32)
        turn = between(rng, 0, math.pi)
        reach = np.array([math.cos(turn), math.sin(turn)]) * (size // 2)
        first = (round(size // 2 - reach[0]), round(size // 2 - reach[1]))
        last = (round(size // 2 + reach[0]), round(size // 2 + reach[1]))
        cv2.line(kernel, first, last, 1.0, 1)
        picture = cv2.filter2D(picture, -1, kernel / kernel.sum()).astype(np.float32, copy=False)
    return picture


def keep_readable(picture: Floats, rng: Random) -> tuple[Floats, float]:
    """Undo an exposure that left no contrast in the middle; returns the contrast there, too.

    A label on a picture that shows nothing would teach a network to guess.
    """
    height, width = picture.shape[:2]
    middle = slice(height // 4, height - height // 4), slice(width // 4, width - width // 4)
    raw = picture[middle]
    contrast = float(cv2.meanStdDev(np.clip(raw, 0, 1))[1].max())
    wanted = between(rng, 0.035, 0.09)
    if contrast >= wanted:
        return picture, contrast
    means, spreads = cv2.meanStdDev(raw)
    mean, spread = float(means.mean()), float(spreads.max())
    slope = min(6.0, max(1.0, wanted / max(spread, 1e-4)))
    level = min(0.9, max(0.1, mean))
    return (picture - np.float32(mean)) * np.float32(slope) + np.float32(level), wanted


def sense(picture: Floats, rng: Random, strength: float, contrast: float = 1.0) -> Floats:
    """Sensor noise and the rows of a rolling shutter under a flickering lamp.

    `contrast` is the deviation of what there is to see; noise stays below half of it.
    """
    height, width = picture.shape[:2]
    if chance(rng, 0.06 * strength):
        down, _ = axes(height, width)
        wave = np.sin(down * between(rng, 10, 120) + between(rng, 0, 6.3)) * between(rng, 0.02, 0.14)
        picture = picture * (1 + wave).astype(np.float32)[..., None]
    if chance(rng, 0.75):
        sigma = min(0.08 * strength * float(rng.random()) ** 2.5, 0.45 * contrast)
        if chance(rng, 0.6):
            picture = picture + grain(rng, height, width, 3) * np.float32(sigma)
        else:
            picture = picture + spread(grain(rng, height, width, 1)[..., 0] * np.float32(sigma))
    return picture


def sharpen(picture: Floats, rng: Random, detail: float, amount: float) -> Floats:
    """Unsharp masking as cameras overdo it: bright and dark halos along the strokes."""
    sigma = max(0.6, detail * between(rng, 0.015, 0.07))
    soft = cv2.GaussianBlur(picture, (0, 0), sigma)
    return cv2.addWeighted(picture, 1 + amount, soft, -amount, 0).astype(np.float32, copy=False)


def compress(picture: Bytes, quality: int) -> Bytes:
    """Through JPEG and back; channel order does not matter as long as it is kept."""
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    back = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if not done or back is None:
        raise ValueError(f"a picture of shape {picture.shape} cannot be written as JPEG")
    return back[..., ::-1].astype(np.uint8, copy=False)


def drab(picture: Floats, rng: Random, detail: float) -> Bytes:
    """A picture as many small cameras take it of a badly lit meter: grey-green, flat, sharpened, coded."""
    share, level = between(rng, 0.3, 0.6), between(rng, 0.12, 0.3)
    mix = np.eye(3, dtype=np.float32) * 0.6 + _GREY * np.float32(0.4)
    green = np.array([[1 + around(rng, 0.03, 0.07)], [1.03 + around(rng, 0.03, 0.06)], [1.0]], np.float32)
    lift = np.full((3, 1), level, np.float32) * green
    flat = cv2.transform(picture, np.hstack([mix * green * np.float32(share), lift])).astype(np.float32)
    flat = cv2.GaussianBlur(flat, (0, 0), max(0.4, detail * between(rng, 0.01, 0.045))).astype(np.float32)
    flat = flat + grain(rng, *flat.shape) * np.float32(between(rng, 0.0, 0.02))
    flat = sharpen(flat, rng, detail, log_between(rng, 0.8, 3.0))
    return compress((np.clip(flat, 0, 1) * 255 + 0.5).astype(np.uint8), int(rng.integers(30, 90)))


def cast(picture: Floats, rng: Random) -> Floats:
    """Amber or blue light that leaves one or two channels all but dark or burnt out.

    Red ink on white then differs from it in what is left: in amber light hardly in red, in blue not there.
    """
    strong, weak, middle = between(rng, 0.8, 1.5), between(rng, 0.03, 0.3), between(rng, 0.25, 0.75)
    kind = rng.random()
    gains = (strong, middle, weak) if kind < 0.45 else (weak, middle, strong)
    if kind > 0.85:
        gains = (weak, strong, middle)
    mix = np.diag(np.array(gains, np.float32))
    lift = np.array([[between(rng, 0.0, 0.12)] for _ in range(3)], np.float32)
    return cv2.transform(picture, np.hstack([mix, lift])).astype(np.float32, copy=False)


def resample(picture: Floats, rng: Random, detail: float) -> Floats:
    """Down and up again, as digital zoom and resizing firmware do, leaving digits of 10 pixels or more."""
    height, width = picture.shape[:2]
    share = max(10.0 / detail, between(rng, 0.35, 0.9))
    if share >= 0.95:
        return picture
    size = (max(4, round(width * share)), max(4, round(height * share)))
    down = _DOWN[int(rng.integers(len(_DOWN)))]
    up = _UP[int(rng.integers(len(_UP)))]
    small = cv2.resize(picture, size, interpolation=down)
    return cv2.resize(small, (width, height), interpolation=up).astype(np.float32, copy=False)


def fringe(picture: Floats, rng: Random, detail: float) -> Floats:
    """Red and blue pictures of slightly different place: purple and green edges of a cheap lens."""
    out = picture.copy()
    for channel in (0, 2):
        x, y = around(rng, 0.02, 0.05) * detail, around(rng, 0.02, 0.05) * detail
        move = np.array([[1, 0, x], [0, 1, y]], np.float32)
        size = (picture.shape[1], picture.shape[0])
        layer = np.ascontiguousarray(picture[..., channel])
        out[..., channel] = cv2.warpAffine(layer, move, size, borderMode=cv2.BORDER_REPLICATE)
    return out


def wobble(picture: Floats, rng: Random, detail: float) -> Floats:
    """Rows that slip sideways, as with a loose sync or careless resizing: strokes get ragged edges."""
    height, width = picture.shape[:2]
    slip = grain(rng, height, 1, 1)[:, :, 0] * np.float32(detail * between(rng, 0.01, 0.035))
    map_x = np.arange(width, dtype=np.float32)[None, :] + slip
    map_y = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], map_x.shape)
    bent = cv2.remap(picture, map_x, map_y.copy(), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return bent.astype(np.float32, copy=False)


def degrade(
    picture: Floats, rng: Random, strength: float = 1.0, detail: float | None = None, readable: bool = True
) -> Bytes:
    """A photograph of a rendered scene.

    `picture` is float RGB (h, w, 3), about 0..1; `detail` the height in pixels of a digit in it (0.6 of
    the height when not given). `strength` 0 only rounds to bytes, 1 spans what real meters show.
    With `readable`, exposure and noise never bury the middle of the picture altogether.
    """
    detail = 0.6 * picture.shape[0] if detail is None else detail
    if strength > 0:
        picture = light_scene(picture, rng, strength)
        picture = expose(picture, rng, strength)
        picture = tint(picture, rng, strength)
        if chance(rng, 0.02 * strength):
            picture = cast(picture, rng)
        if chance(rng, 0.04 * strength):
            picture = 1 - np.clip(picture, 0, 1)
        contrast = 1.0
        if readable:
            picture, contrast = keep_readable(picture, rng)
        picture = defocus(picture, rng, detail, strength)
        if chance(rng, 0.22 * strength):
            picture = resample(picture, rng, detail)
        if chance(rng, 0.08 * strength):
            picture = fringe(picture, rng, detail)
        if chance(rng, 0.03 * strength):
            picture = wobble(picture, rng, detail)
        picture = sense(picture, rng, strength, contrast)
        if chance(rng, 0.35 * strength):
            picture = sharpen(picture, rng, detail, log_between(rng, 0.3, 3.5))
    shot: Bytes = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    if chance(rng, 0.85 * strength):
        shot = compress(shot, int(rng.integers(25, 96)))
    return shot
