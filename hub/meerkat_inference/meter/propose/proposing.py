"""From one picture to a layout: look roughly, from all sides; look closely where the row is; then at each
dial; then say what they count."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import degrees, hypot, radians
from typing import TYPE_CHECKING

import numpy as np

from meerkat_contract.errors import MediaError
from meerkat_contract.meter_layout import MAX_NEEDLES, MOST_OVERLAP, MeterLayout, overlap
from meerkat_inference.meter import landmarks
from meerkat_inference.meter.boxes import NEEDLE_SIZE, WHEEL_SIZE, View, cut

from .comb import recount
from .counting import colour_change, decimal_point, dial_order
from .finder import SIDE, Finder, Finds, Spot
from .looking import Looker, Seen
from .rows import Row, best_row, regular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from meerkat_contract.meter_layout import PixelBox
    from meerkat_inference.meter.networks import Reads

_QUARTERS = (0.0, 90.0, 180.0, 270.0)
_CLOSE = 30.0
"""Pixels of a window's height in the finder's closest look,"""
_AROUND = 17.0
"""and in the one that sees the whole face about it."""
_DIAL_CLOSE = 72.0
_SURE = 0.5
_ENOUGH = 1.2
"""Score of a row that is taken: two windows, or three that are half sure."""
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
    row, seen = _roughly(looker)
    if row is None and not seen.dials:
        raise MediaError(
            "no row of wheels and no dial is to be seen",
            where="picture",
            remedy="Take one with more light, sharp, with the meter filling it and upright; or write the "
            "layout by hand (docs/how-to/read-a-meter.md)",
        )
    found = _Found(row)
    if row is not None:
        found.row = regular(_closely(looker, row))
        if networks is not None:
            found.row = regular(recount(picture, found.row, networks))
    found.dials = _dials(looker, found, seen.dials)
    if found.row is None:
        found.doubts.append("no wheels were found: draw them, and look at rotation_deg")
    return _laid_out(picture, found, networks)


def _roughly(looker: Looker) -> tuple[Row | None, Seen]:
    """The row as seen from whatever side shows it best; the dials seen from there."""
    best: tuple[float, Row | None, Seen] = (0.0, None, Seen([], []))
    for turn in _QUARTERS:
        best = max(best, _rated(looker.whole(turn)), key=lambda one: one[0])
    if best[0] < 2.5:  # a face between two quarters, or a small one
        for turn in (45.0, 135.0, 225.0, 315.0):
            best = max(best, _rated(looker.whole(turn)), key=lambda one: one[0])
    if best[0] < 2.5:
        for turn in _QUARTERS:
            for middle in _tiles(looker):
                scale = 2 * SIDE / max(looker.width, looker.height)
                best = max(best, _rated(looker.at(middle, scale, turn)), key=lambda one: one[0])
    if best[0] < _ENOUGH:
        upright = looker.whole(0.0)
        return None, upright
    return best[1], best[2]


def _rated(seen: Seen) -> tuple[float, Row | None, Seen]:
    row = best_row(seen.wheels)
    return (row.score if row is not None else 0.0), row, seen


def _tiles(looker: Looker) -> list[tuple[float, float]]:
    """Middles of nine views of a half each."""
    half = max(looker.width, looker.height) / 2
    across = np.linspace(min(half, looker.width) / 2, looker.width - min(half, looker.width) / 2, 3)
    down = np.linspace(min(half, looker.height) / 2, looker.height - min(half, looker.height) / 2, 3)
    return [(float(x), float(y)) for y in np.unique(down) for x in np.unique(across)]


def _closely(looker: Looker, row: Row) -> Row:
    """The row seen from near, three times."""
    for _ in range(2):
        row = _seen_again(looker, row, _CLOSE) or row
    views = [row]
    for height in (0.8 * _CLOSE, 1.25 * _CLOSE):
        again = _seen_again(looker, row, height)
        if again is not None:
            views.append(again)
    return _averaged(views)


def _seen_again(looker: Looker, row: Row, height: float) -> Row | None:
    scale = min(height / row.height, 0.86 * SIDE / row.length)
    seen = looker.at(row.middle, scale, -degrees(row.tilt))
    again = best_row([spot for spot in seen.wheels if spot.score >= _SURE] or seen.wheels)
    if again is None or len(again.spots) < len(row.spots) - 2:
        return None
    return again


def _averaged(views: Sequence[Row]) -> Row:
    """The windows that most of the views have, each at its mean place."""
    first = max(views, key=lambda row: row.score)
    kept: list[Spot] = []
    for spot in sorted((spot for view in views for spot in view.spots), key=lambda one: -one.score):
        if any(_near(spot, other) for other in kept):
            continue
        kept.append(spot)
    merged = []
    for spot in kept:
        same = [other for view in views for other in view.spots if _near(spot, other)]
        if 2 * len(same) < len(views):
            continue
        values = np.array(same).mean(0)
        merged.append(Spot(*map(float, values)))
    axis = np.array([np.cos(first.tilt), np.sin(first.tilt)])
    merged.sort(key=lambda one: float(np.dot((one.x, one.y), axis)))
    if len(merged) < 2:
        return first
    ends = np.array([[merged[0].x, merged[0].y], [merged[-1].x, merged[-1].y]])
    across = ends[1] - ends[0]
    return Row(tuple(merged), float(np.arctan2(across[1], across[0])))


def _near(one: Spot, other: Spot) -> bool:
    reach = 0.4 * min(one.width, other.width)
    return hypot(one.x - other.x, one.y - other.y) < max(reach, 0.3 * min(one.height, other.height))


def _dials(looker: Looker, found: _Found, seen: Sequence[Spot]) -> list[Spot]:
    """All dials of the face, each seen from near."""
    known = list(seen)
    turn = found.turn
    if found.row is not None:
        row = found.row
        scale = min(_AROUND / row.height, 0.8 * SIDE / row.length)
        down = np.array([-np.sin(row.tilt), np.cos(row.tilt)])
        reach = 0.3 * SIDE / scale
        for step in (0.0, 1.0, -1.0):
            middle = np.asarray(row.middle) + step * reach * down
            known += looker.at((float(middle[0]), float(middle[1])), scale, turn).dials
    candidates = _distinct(known)
    near = []
    for dial in candidates:
        looks = []
        at = dial
        for size in (_DIAL_CLOSE, 0.75 * _DIAL_CLOSE, 1.2 * _DIAL_CLOSE):
            again = looker.at((at.x, at.y), size / at.width, turn).dials
            here = [spot for spot in again if hypot(spot.x - at.x, spot.y - at.y) < 0.4 * at.width]
            if here:
                looks.append(max(here, key=lambda spot: spot.score))
                at = looks[-1]
        if len(looks) >= 2:
            spot = Spot(*map(float, np.median(np.array(looks), axis=0)))
            near.append(spot._replace(score=(spot.score * len(looks) / 3)))
    good = [dial for dial in _distinct(near) if dial.score > _SURE and not _within(dial, found.row)]
    return _of_one_size(good)[:MAX_NEEDLES]


def _distinct(dials: Sequence[Spot]) -> list[Spot]:
    kept: list[Spot] = []
    for dial in sorted(dials, key=lambda one: -one.score):
        if all(hypot(dial.x - one.x, dial.y - one.y) > 0.5 * max(dial.width, one.width) for one in kept):
            kept.append(dial)
    return kept


def _within(dial: Spot, row: Row | None) -> bool:
    """Whether it is one of the wheels."""
    if row is None:
        return False
    return any(hypot(dial.x - spot.x, dial.y - spot.y) < 0.5 * spot.height for spot in row.spots)


def _of_one_size(dials: list[Spot]) -> list[Spot]:
    """A counter's dials are equal: less sure ones of another size are something else."""
    if len(dials) < 2:
        return dials
    usual = float(np.average([dial.width for dial in dials], weights=[dial.score for dial in dials]))
    return [dial for dial in dials if dial.score > 0.85 or 0.7 < dial.width / usual < 1.4]


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
