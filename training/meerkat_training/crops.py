"""A wheel in its plate, seen by a camera, cut out where a layout's box would be."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .arrays import Bytes, Floats, Random, around, between, chance, colour, fill, log_between
from .blend import spread
from .camera import cast, degrade, drab
from .dials import DialStyle
from .dials import random_style as random_dial
from .fields import cloud
from .light import glint
from .needles import paint_dial
from .palette import BLACK, GREY, RED, WHITE
from .wheels import WheelStyle, digit_mask, paint_window, telling_position
from .wheels import random_style as random_wheel

Box = tuple[int, int, int, int]
"""Left, top, width, height in pixels."""

HEIGHT, WIDTH = 32, 20
"""Size of the wheel network's input."""
FAINTEST = 4.0
"""Levels of 255 between ink and paper below which no digit can be told."""
PLAIN = 32.0
"""Deviation in a crop's middle above which its strokes need not be looked for."""
LIKEST = 0.17
"""Correlation with the digit's own strokes below which a crop shows something else: glare, noise, dirt."""
DIAL = 48
"""Side of the needle network's input."""


def paint_plate(
    style: WheelStyle, position: float, box: tuple[int, int], rng: Random
) -> tuple[Floats, float]:
    """A scene 1.5 times the box (width, height) with the wheel's window about its middle.

    Returns the picture and the height of a digit in it, in pixels. Around the window lie the plate, the
    window's border and, behind narrow bridges, the neighbouring wheels.
    """
    scene, window = _plate(style, position, box, rng)
    return scene, style.digit_share * window[3]


def _plate(style: WheelStyle, position: float, box: tuple[int, int], rng: Random) -> tuple[Floats, Box]:
    """The scene, and where its window lies."""
    wide, high = box
    width, height = wide * 3 // 2, high * 3 // 2
    window_high = round(high * between(rng, 0.86, 1.3))
    window_wide = round(wide * between(rng, 0.78, 1.3))
    window_high, window_wide = min(window_high, height), min(window_wide, width)
    scene = fill(height, width, style.frame)
    if chance(rng, 0.3):
        scene *= spread(1 + 0.3 * (cloud(rng, height, width, 1) - 0.5))
    top, left = (height - window_high) // 2, (width - window_wide) // 2
    if chance(rng, 0.6):
        _neighbours(scene, style, (left, top, window_wide, window_high), rng)
    scene[top : top + window_high, left : left + window_wide] = paint_window(
        style, position, window_wide, window_high, rng
    )
    _border(scene, (left, top, window_wide, window_high), rng)
    if chance(rng, 0.1):
        _legend(scene, (left, top, window_wide, window_high), rng)
    return scene, (left, top, window_wide, window_high)


def _neighbours(scene: Floats, style: WheelStyle, window: tuple[int, int, int, int], rng: Random) -> None:
    """The wheels to the left and right, as far as the scene shows them."""
    left, top, wide, high = window
    gap = round(wide * (0.02 + 0.3 * float(rng.random()) ** 2))
    shown = left - gap
    if shown < 2:
        return
    # One wheel serves both sides: here its right edge shows, there its left one.
    other = paint_window(style, 10 * float(rng.random()), wide, high, rng)
    for at_left in (True, False):
        if chance(rng, 0.8):
            part = min(shown, wide)
            if at_left:
                scene[top : top + high, left - gap - part : left - gap] = other[:, wide - part :]
            else:
                start = left + wide + gap
                part = min(part, scene.shape[1] - start)
                scene[top : top + high, start : start + part] = other[:, :part]


def _border(scene: Floats, window: tuple[int, int, int, int], rng: Random) -> None:
    """The window's rim: any of its sides may carry a coloured edge, a lit bevel or a dark line."""
    left, top, wide, high = window
    if chance(rng, 0.35):
        return
    kind = rng.random()
    base = RED if kind < 0.35 else BLACK if kind < 0.6 else WHITE if kind < 0.8 else GREY
    tone = np.asarray(colour(rng, base, 0.15), np.float32)
    thick = max(1, round(high * (0.02 + 0.12 * float(rng.random()) ** 2)))
    which = rng.random(4) < between(rng, 0.3, 1.0)
    bottom, right = top + high, left + wide
    if which[0]:
        scene[max(0, top - thick) : top, left:right] = tone
    if which[1]:
        scene[bottom - thick // 2 : bottom + thick, left:right] = tone
    if which[2]:
        scene[top:bottom, max(0, left - thick) : left + thick // 2] = tone
    if which[3]:
        scene[top:bottom, right - thick // 2 : right + thick] = tone


def _legend(scene: Floats, window: tuple[int, int, int, int], rng: Random) -> None:
    """What is printed by a window: a comma or point beside its foot, words above or below it."""
    left, top, wide, high = window
    tone = colour(rng, (BLACK, RED, WHITE)[int(rng.integers(3))], 0.1)
    if chance(rng, 0.5):
        x = left - round(0.06 * wide) if chance(rng, 0.5) else left + wide + round(0.06 * wide)
        y = top + round(high * between(rng, 0.82, 1.0))
        radius = max(1, round(0.04 * high))
        cv2.circle(scene, (x, y), radius, tone, -1, cv2.LINE_AA)
        if chance(rng, 0.6):
            cv2.line(scene, (x, y), (x - radius, y + 2 * radius), tone, radius, cv2.LINE_AA)
        return
    y = top - round(0.03 * high) if chance(rng, 0.5) else top + high + round(0.16 * high)
    word = ("m3", "0.1", "x10", "kWh", "1000")[int(rng.integers(5))]
    place = (round(left + between(rng, -0.4, 0.5) * wide), y)
    cv2.putText(scene, word, place, cv2.FONT_HERSHEY_DUPLEX, 0.005 * high, tone, 1, cv2.LINE_AA)


@dataclass(frozen=True)
class Stance:
    """How far a camera and a box stray: deviations of normal draws, cut at two and a half of them."""

    turn: float
    """Degrees."""
    scale: float
    squash: float
    """Width by height."""
    shear: float
    lean: float
    """Perspective: change of scale across the scene."""
    aside: float
    """Shift across, by the box's width."""


BY_HAND = Stance(turn=2.0, scale=0.05, squash=0.05, shear=0.035, lean=0.06, aside=0.05)
STRAIGHT = Stance(turn=1.0, scale=0.05, squash=0.02, shear=0.012, lean=0.03, aside=0.04)
"""For dials: whatever bends their angles makes the label wrong, so only as much as in level pictures."""


def random_view(
    rng: Random, box: tuple[int, int], scene: tuple[int, int], stance: Stance, rise: float
) -> Floats:
    """Matrix (3, 3) from the scene to the camera: turned, shifted, scaled, sheared, seen from aside.

    `box` and `scene` are (width, height) in pixels; `rise` is the deviation of vertical shifts in pixels.
    These stay small, since a position is the wheel's within its window, and only the window's edges tell
    of a shift.
    """
    wide, high = box
    turn = np.deg2rad(around(rng, stance.turn, 2.5 * stance.turn))
    scale_x = scale_y = 1 + around(rng, stance.scale, 2.5 * stance.scale)
    scale_x *= 1 + around(rng, stance.squash, 2.5 * stance.squash)
    shear = around(rng, stance.shear, 2.5 * stance.shear)
    cosine, sine = float(np.cos(turn)), float(np.sin(turn))
    shift_x = around(rng, stance.aside, 2.5 * stance.aside) * wide
    shift_y = around(rng, rise, min(2.5 * rise, 0.1 * high))
    middle_x, middle_y = scene[0] / 2, scene[1] / 2
    a, b = cosine * scale_x, -sine * scale_y + shear
    c, d = sine * scale_x, cosine * scale_y
    view = np.array(
        [
            [a, b, middle_x + shift_x - a * middle_x - b * middle_y],
            [c, d, middle_y + shift_y - c * middle_x - d * middle_y],
            [0.0, 0.0, 1.0],
        ]
    )
    if chance(rng, 0.3):
        lean = np.eye(3)
        lean[2, 0] = around(rng, stance.lean, 2.5 * stance.lean) / scene[0]
        lean[2, 1] = around(rng, stance.lean, 2.5 * stance.lean) / scene[1]
        centre = np.eye(3)
        centre[0, 2], centre[1, 2] = -middle_x, -middle_y
        back = np.eye(3)
        back[0, 2], back[1, 2] = middle_x, middle_y
        view = back @ lean @ centre @ view
    return view.astype(np.float32)


def look(scene: Floats, view: Floats) -> Floats:
    """The scene through a `random_view`, same size, edges continued outwards."""
    size = (scene.shape[1], scene.shape[0])
    if view[2, 0] == 0 and view[2, 1] == 0:
        seen = cv2.warpAffine(scene, view[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    else:
        seen = cv2.warpPerspective(scene, view, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return seen.astype(np.float32, copy=False)


def cut(shot: Bytes, box: tuple[int, int], size: tuple[int, int]) -> Bytes:
    """The box (width, height) in the shot's middle, resampled to `size` (width, height) by area."""
    high, wide = shot.shape[:2]
    left, top = (wide - box[0]) // 2, (high - box[1]) // 2
    part = shot[top : top + box[1], left : left + box[0]]
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def random_box(rng: Random) -> tuple[int, int]:
    """A box's (width, height) in the source, for digits of about 16 pixels and more.

    Above 90 pixels area resampling leaves nothing of the camera's faults, so bigger ones are not drawn.
    """
    high = round(log_between(rng, 24, 90))
    return max(12, round(high * between(rng, 0.52, 0.74))), high


def photograph_wheel(style: WheelStyle, position: float, rng: Random, strength: float = 1.0) -> Bytes:
    """One wheel of a style as a layout's box shows it, (32, 20, 3) uint8 RGB."""
    return wheel_shot(style, position, rng, strength)[0]


def wheel_shot(style: WheelStyle, position: float, rng: Random, strength: float = 1.0) -> tuple[Bytes, bool]:
    """As `photograph_wheel`, and whether what is left of the digit deserves a label."""
    box = random_box(rng)
    scene, window = _plate(style, position, box, rng)
    digit = style.digit_share * window[3]
    # Mostly a small part of the pitch, sometimes what a hasty hand does.
    rise = 0.04 * digit * style.pitch if chance(rng, 0.85) else 0.06 * box[1]
    view = random_view(rng, box, (scene.shape[1], scene.shape[0]), BY_HAND, rise)
    seen = look(scene, view)
    if chance(rng, 0.1 * strength):
        high, wide = seen.shape[:2]
        for _ in range(1 if chance(rng, 0.7) else 2):
            place = wide * between(rng, 0.22, 0.78), high * between(rng, 0.22, 0.78)
            glint(seen, rng, place, box[1] * between(rng, 0.012, 0.035))
    if chance(rng, 0.1 * strength):
        crop = cut(drab(seen, rng, digit), box, (WIDTH, HEIGHT))
    else:
        crop = cut(degrade(seen, rng, strength, digit), box, (WIDTH, HEIGHT))
    if cv2.meanStdDev(crop[4:28, 3:17])[1].max() > PLAIN:
        return crop, True
    # From the window's mask through the view to the crop, all in pixels between centres.
    left, top, wide, high = window
    inside = _zoom(wide / WIDTH, high / HEIGHT, left, top)
    edge_x, edge_y = (scene.shape[1] - box[0]) // 2, (scene.shape[0] - box[1]) // 2
    outside = np.linalg.inv(_zoom(box[0] / WIDTH, box[1] / HEIGHT, edge_x, edge_y))
    mask = digit_mask(style, position, WIDTH, HEIGHT)[0]
    return crop, shows(crop, cv2.warpPerspective(mask, outside @ view @ inside, (WIDTH, HEIGHT)))


def _zoom(across: float, down: float, left: float, top: float) -> Floats:
    """Matrix (3, 3) from pixels of a part to those of the picture that holds it from (left, top) on."""
    return np.array(
        [[across, 0, left + 0.5 * across - 0.5], [0, down, top + 0.5 * down - 0.5], [0, 0, 1]], np.float64
    )


def shows(crop: Bytes, strokes: cv2.typing.MatLike) -> bool:
    """Whether a crop (32, 20, 3) has the strokes of a mask (32, 20) 0..1 in any of its colours."""
    middle = slice(4, 28), slice(3, 17)  # Without the window's border, which outshines faint strokes.
    seen = (crop - cv2.blur(crop, (9, 9)).astype(np.float32))[middle].reshape(-1, 3)
    ink = (strokes - cv2.blur(strokes, (9, 9)))[middle].ravel()
    common, power = np.abs(ink @ seen), float(ink @ ink) + 1e-6
    alike = common / np.sqrt(power * (seen * seen).sum(axis=0) + 1e-6)
    return bool(((common >= FAINTEST * power) & (alike >= LIKEST)).any())


def photograph_dial(style: DialStyle, position: float | None, rng: Random, strength: float = 1.0) -> Bytes:
    """One dial of a style as a layout's box shows it, (48, 48, 3) uint8 RGB; None has no needle."""
    side = round(log_between(rng, 38, 84))
    size = side * 5 // 4
    scene = paint_dial(style, position, size, rng, side / size)
    view = random_view(rng, (side, side), (size, size), STRAIGHT, 0.04 * side)
    seen = look(scene, view)
    if chance(rng, 0.09 * strength):
        seen = cast(seen, rng)
    shot = degrade(seen, rng, strength, 0.3 * side)
    return cut(shot, (side, side), (DIAL, DIAL))


def wheel_crop(rng: Random, position: float | None = None) -> Bytes:
    """A photographed wheel, (32, 20, 3) uint8 RGB, of a new random counter."""
    style = random_wheel(rng)
    chosen = telling_position(style, rng) if position is None else position
    return photograph_wheel(style, chosen, rng)


def needle_crop(rng: Random, position: float | None = None) -> Bytes:
    """A photographed dial, (48, 48, 3) uint8 RGB, of a new random design."""
    chosen = 10.0 * float(rng.random()) if position is None else position
    return photograph_dial(random_dial(rng), chosen, rng)
