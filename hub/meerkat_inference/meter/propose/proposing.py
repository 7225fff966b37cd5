"""From one picture to a layout: find what may be the row of wheels (`windows`), take the one that is read
best, from the side from which it is (`upright`), count its windows (`comb`), find the dials (`dials`,
`alike`), and say what they count (`counting`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import degrees, radians
from typing import TYPE_CHECKING

import numpy as np

from meerkat_contract.errors import MediaError
from meerkat_contract.meter_layout import MOST_OVERLAP, MeterLayout, overlap
from meerkat_inference.meter import landmarks
from meerkat_inference.meter.boxes import NEEDLE_SIZE, WHEEL_SIZE, View, cut

from .comb import recount
from .counting import colour_change, decimal_point, dial_order
from .dials import find_dials
from .finder import Finder, Finds, Spot
from .looking import Looker
from .rows import Row, regular
from .upright import upright
from .windows import roughly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from meerkat_contract.meter_layout import PixelBox
    from meerkat_inference.meter.networks import Reads

_SURE = 0.5
_ALONE = 0.85
"""Score of dials that are believed without a row of wheels."""
_NOTHING = 100
"""Bin of a distribution: no digit, no needle."""


@dataclass(frozen=True)
class Proposal:
    """A layout as far as one picture tells it, and what the owner should look at."""

    layout: MeterLayout
    doubts: tuple[str, ...]
    score: float
    """0 to 1: how sure the least sure box is."""


@dataclass
class _Found:
    """What a meter's picture holds, in its pixels."""

    row: Row | None
    dials: list[Spot] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @property
    def turn(self) -> float:
        """Degrees by which the picture is to be turned clockwise to be upright."""
        return -degrees(self.row.tilt) if self.row is not None else 0.0


def propose(
    picture: NDArray[np.uint8], networks: Reads | None = None, *, finder: Finds | None = None
) -> Proposal:
    """Where the wheels and dials of a meter are and what they count.

    `picture`: (height, width, 3) BGR uint8. `networks` read the wheels and needles found: that tells in what
    order dials follow each other, and weeds out what is none. Raises MediaError when no meter is found.
    """
    if finder is None:
        own = Finder()
        try:
            return propose(picture, networks, finder=own)
        finally:
            own.close()
    looker = Looker(picture, finder)
    rows, first = roughly(looker)
    found = _Found(None)
    if rows:
        found.row = upright(picture, looker, rows, networks)
        if networks is not None and found.row is not None:
            seen = sum(spot.score >= _SURE for spot in found.row.spots)
            found.row = regular(recount(picture, found.row, networks))
            if len(found.row.spots) != seen:
                found.doubts.append("how many wheels there are is a guess: count the boxes")
    found.dials = find_dials(looker, found.row, first.dials, picture, networks)
    if found.row is None:
        found.dials = [dial for dial in found.dials if dial.score > _ALONE]
        found.doubts.append("no wheels were found: draw them, and look at rotation_deg")
    if found.row is None and not found.dials:
        raise MediaError(
            "no row of wheels and no dial is to be seen",
            where="picture",
            remedy="Take one with more light, sharp, with the meter filling it and upright; or write the "
            "layout by hand (docs/how-to/read-a-meter.md)",
        )
    return _laid_out(picture, found, networks)


def _laid_out(picture: NDArray[np.uint8], found: _Found, networks: Reads | None) -> Proposal:
    height, width = picture.shape[:2]
    turn = round(found.turn, 2)
    forward = landmarks.turning(turn, width, height)
    back = np.asarray(_inverse(forward))
    spots = found.row.spots if found.row is not None else ()
    spots = _apart(spots, forward)
    found.dials = list(_apart(found.dials, forward))
    digits = [_box(spot, forward) for spot in spots]
    last = None
    doubts = found.doubts
    if networks is not None and digits:
        seen = networks.wheels(np.stack([cut(picture, box, back, WHEEL_SIZE) for box in digits]))
        spots, digits, seen = _without_ends(spots, digits, seen)
        last = float(seen[-1, :_NOTHING].argmax()) / 10 if seen[-1, _NOTHING] < 0.5 else None
    pointers = [_box(dial, forward) for dial in found.dials]
    mirrored = [dial.told > 0.5 for dial in found.dials]
    read = None
    if networks is not None and pointers:
        crops = [
            cut(picture, box, back, NEEDLE_SIZE, mirrored=way)
            for box, way in zip(pointers, mirrored, strict=True)
        ]
        read = networks.needles(np.stack(crops))
    order = dial_order(found.dials, radians(-turn), read, last)
    colours = colour_change(_framed(picture, digits, back)) if digits else None
    point = decimal_point([spot.told for spot in spots], len(pointers), colours)
    doubts += _doubts(found, spots, point.clear, order.clear)
    after = len(digits) - point.whole
    first = -after - 1 if digits else len(pointers) - 1
    layout = MeterLayout(
        rotation_deg=turn,
        digits=tuple(digits),
        integer_digits=point.whole,
        pointers=tuple(pointers[number] for number in order.numbers),
        pointer_factors=tuple(float(f"1e{first - number}") for number in range(len(pointers))),
        mirrored=tuple(mirrored[number] for number in order.numbers) if any(mirrored) else False,
        width=width,
        height=height,
    )
    score = min((spot.score for spot in (*spots, *found.dials)), default=0.0)
    outside = [box for box in (*digits, *pointers) if not _inside(box, back, width, height)]
    if outside:
        doubts.append("a part of the meter is outside the picture: move the camera")
    try:
        layout = layout.model_copy(update={"landmarks": landmarks.features(picture, layout)})
    except MediaError:
        doubts.append("the picture has too little detail to align later ones with it")
    return Proposal(layout, tuple(doubts), round(min(1.0, score), 3))


def _framed(
    picture: NDArray[np.uint8], digits: Sequence[PixelBox], back: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """(n, 40, 25, 3) RGB: each window with some of what is round it."""
    view = View(scale=1.25)
    return np.stack([cut(picture, box, back, (25, 40), view=view) for box in digits])


def _doubts(found: _Found, spots: Sequence[Spot], point: bool, order: bool) -> list[str]:
    told = []
    if found.row is not None and found.row.gaps:
        told.append(f"wheel {found.row.gaps[0] + 1} is a guess: look at its box")
    if len(spots) and min(spot.score for spot in spots) < _SURE:
        told.append("not all wheels are sure: look at each box")
    if any(spot.score < 0.7 for spot in found.dials):
        told.append("not all dials are sure: look at each box")
    if len(spots) and not point:
        told.append("the decimal point is a guess: look at integer_digits")
    if not order:
        told.append("the order of the dials is a guess: look at what is printed beside them")
    if any(0.2 < dial.told < 0.8 for dial in found.dials):
        told.append("the direction of a dial is a guess: look at mirrored")
    return told


def _without_ends(
    spots: Sequence[Spot], digits: list[PixelBox], seen: NDArray[np.float32]
) -> tuple[tuple[Spot, ...], list[PixelBox], NDArray[np.float32]]:
    """Without what stands at an end, is not sure to be a window, and holds no digit."""
    start, end = 0, len(spots)
    while end - start > 3 and spots[end - 1].score < 0.7 and seen[end - 1, _NOTHING] > 0.8:
        end -= 1
    while end - start > 3 and spots[start].score < 0.7 and seen[start, _NOTHING] > 0.8:
        start += 1
    return tuple(spots[start:end]), digits[start:end], seen[start:end]


def _apart(spots: Sequence[Spot], forward: NDArray[np.float64]) -> tuple[Spot, ...]:
    """Without those that lie on a surer one: no layout may have them."""
    kept: list[Spot] = []
    for spot in sorted(spots, key=lambda one: -one.score):
        if all(overlap(_box(spot, forward), _box(one, forward)) <= MOST_OVERLAP for one in kept):
            kept.append(spot)
    return tuple(spot for spot in spots if spot in kept)


def _box(spot: Spot, forward: NDArray[np.float64]) -> PixelBox:
    x, y = forward @ (spot.x, spot.y, 1.0)
    return (
        round(float(x) - spot.width / 2, 1),
        round(float(y) - spot.height / 2, 1),
        round(spot.width, 1),
        round(spot.height, 1),
    )


def _inside(box: PixelBox, back: NDArray[np.float64], width: int, height: int) -> bool:
    x, y = back @ (box[0] + box[2] / 2, box[1] + box[3] / 2, 1.0)
    return bool(0 <= x <= width and 0 <= y <= height)


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    whole = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    return np.asarray(whole[:2])
