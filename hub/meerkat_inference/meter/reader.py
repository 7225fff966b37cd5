"""Reads a meter in a picture: boxes, networks, one number, and how far it may be trusted.

    picture → lie of the layout → crops → distributions → joint decoding → verdict

All but the networks is plain functions. Nothing is known of earlier readings here: `choice` compares with
them. A wrong reading is worse than none, so what is doubtful is `held` (with its candidates, one of which a
history may choose) and what shows no meter is `unreadable`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.meter_layout import CounterLayout, MeterLayout, PixelBox
from meerkat_contract.meter_messages import Alignment, CounterSeen, MeterSeen, PositionSeen

from . import condition, segments
from .align import align, plain, refusal
from .boxes import NEEDLE_SIZE, PLAIN, WHEEL_SIZE, Matrix, View, check_inside, cut
from .decode import decode
from .distribution import Distribution, average, peak, seen
from .networks import Reads
from .picture_file import decode as unpack
from .verdict import judge

Picture = NDArray[np.uint8]
"""(height, width, 3) BGR, as the camera gave it."""
Aligner = Callable[[Picture, MeterLayout], tuple[Alignment, Matrix]]
"""How the picture lies on the layout's reference, and (2, 3) from the layout's pixels to the picture's."""

VIEWS = (
    View(dy=-0.04),
    View(dy=0.04),
    View(dx=-0.05),
    View(dx=0.05),
    View(scale=0.93),
    View(scale=1.07),
)
"""Other looks at a box that is in doubt: a streak of glare or an edge of the window misleads one of them."""
AGAIN = 0.99
"""A peak below it is looked at again."""
_MOST_AGAIN = 12
"""Boxes of a picture, the most doubtful, that are: it keeps a reading within its time on a small machine."""
_ASIDE = 0.6
"""Weight of such a view beside the plain one."""


@dataclass(frozen=True, slots=True)
class _Box:
    """One wheel or needle of a counter."""

    counter: str
    needle: bool
    box: PixelBox
    mirrored: bool = False


def read(
    picture: bytes | Picture, layout: MeterLayout, networks: Reads, *, aligner: Aligner | None = None
) -> MeterSeen:
    """What the picture shows, counter by counter, the main one first.

    The layout's landmarks, when it has them, lay it on the picture (with `aligner`, else `align`). Raises
    MediaError when it is no picture or of another shape than the layout's, UsageError for a box outside.
    """
    pixels = unpack(picture) if isinstance(picture, bytes) else picture
    height, width = pixels.shape[:2]
    alignment: Alignment | None = None
    if layout.landmarks is not None:
        alignment, matrix = (aligner or align)(pixels, layout)
        if why := refusal(alignment):
            refused = [_refused(name, counter, why) for name, counter in layout.all_counters.items()]
            return MeterSeen(counters=tuple(refused), alignment=alignment)
    else:
        matrix = plain(layout, width, height)
    check_inside(layout, matrix, width, height)

    boxes = _boxes(layout)
    crops = [_crop(pixels, box, matrix, PLAIN) for box in boxes]
    first = _look(boxes, crops, networks)
    found = _look_again(pixels, boxes, matrix, first, networks)
    counters: list[CounterSeen] = []
    for name, counter in layout.all_counters.items():
        if counter.display == "segments":
            counters.append(segments.read_counter(pixels, name, counter, matrix, networks))
            continue
        own = [i for i, box in enumerate(boxes) if box.counter == name]
        counters.append(
            _counter(
                name,
                counter,
                [found[i] for i in own if not boxes[i].needle],
                [found[i] for i in own if boxes[i].needle],
                [condition.condition(crops[i]) for i in own],
            )
        )
    return MeterSeen(counters=tuple(counters), alignment=alignment)


def read_crop(
    picture: Picture, networks: Reads, *, needle: bool = False, mirrored: bool = False
) -> PositionSeen:
    """What one crop (height, width, 3) BGR of a wheel or dial shows; its digit is the last it has passed."""
    height, width = picture.shape[:2]
    box = _Box("", needle, (0.0, 0.0, float(width), float(height)), mirrored)
    here = np.eye(2, 3)
    first = _look([box], [_crop(picture, box, here, PLAIN)], networks)
    found = _look_again(picture, [box], here, first, networks)[0]
    return seen(found, int(peak(found).position + (0.1 if needle else 0.3)) % 10)


def _boxes(layout: MeterLayout) -> list[_Box]:
    """The wheels and needles; displays are looked at in `segments`."""
    found: list[_Box] = []
    for name, counter in layout.all_counters.items():
        if counter.display == "segments":
            continue
        found += [_Box(name, False, box) for box in counter.digits]
        found += [
            _Box(name, True, box, mirrored)
            for box, mirrored in zip(counter.pointers, counter.directions, strict=True)
        ]
    return found


def _crop(picture: Picture, box: _Box, matrix: Matrix, view: View) -> NDArray[np.uint8]:
    size = NEEDLE_SIZE if box.needle else WHEEL_SIZE
    return cut(picture, box.box, matrix, size, view=view, mirrored=box.mirrored)


def _look(boxes: Sequence[_Box], crops: Sequence[NDArray[np.uint8]], networks: Reads) -> list[Distribution]:
    """The distribution of each crop."""
    found: dict[int, Distribution] = {}
    for needle, run in ((False, networks.wheels), (True, networks.needles)):
        own = [i for i, box in enumerate(boxes) if box.needle is needle]
        if own:
            found |= dict(zip(own, run(np.stack([crops[i] for i in own])), strict=True))
    return [found[i] for i in range(len(boxes))]


def _look_again(
    picture: Picture,
    boxes: Sequence[_Box],
    matrix: Matrix,
    first: Sequence[Distribution],
    networks: Reads,
) -> list[Distribution]:
    """The doubtful ones averaged over several views."""
    masses = [peak(distribution).mass for distribution in first]
    doubtful = sorted((i for i, mass in enumerate(masses) if mass < AGAIN), key=lambda i: masses[i])
    chosen = doubtful[:_MOST_AGAIN]
    again = [boxes[i] for i in chosen for _ in VIEWS]
    crops = [_crop(picture, boxes[i], matrix, view) for i in chosen for view in VIEWS]
    views = _look(again, crops, networks)
    found = list(first)
    for order, i in enumerate(chosen):
        others = views[order * len(VIEWS) : (order + 1) * len(VIEWS)]
        found[i] = average([first[i], *others], [1.0, *[_ASIDE] * len(VIEWS)])
    return found


def _counter(
    name: str,
    counter: CounterLayout,
    wheels: Sequence[Distribution],
    needles: Sequence[Distribution],
    conditions: Sequence[condition.Condition],
) -> CounterSeen:
    decoded = decode(counter, wheels, needles)
    judged = judge(
        counter, decoded, [peak(one) for one in wheels], [peak(one) for one in needles], conditions
    )
    shown = judged.verdict != "unreadable"
    digits = [*decoded.wheel_digits, *decoded.needle_digits] if shown else [None] * len(conditions)
    factors = (*counter.wheel_factors, *counter.pointer_factors)
    parts = tuple(seen(*one) for one in zip((*wheels, *needles), digits, factors, strict=True))
    return CounterSeen(
        counter=name or None,
        verdict=judged.verdict,
        reason=judged.reason,
        value=decoded.candidates[0].value if shown else None,
        confidence=judged.confidence,
        unit=counter.unit,
        step=counter.step,
        span=counter.span,
        wheels=parts[: len(wheels)],
        needles=parts[len(wheels) :],
        candidates=decoded.candidates if shown else (),
    )


def _refused(name: str, counter: CounterLayout, why: str) -> CounterSeen:
    return CounterSeen(
        counter=name or None,
        verdict="unreadable",
        reason=why,
        unit=counter.unit,
        step=counter.step,
        span=counter.span,
    )
