"""Meters of random design."""

from __future__ import annotations

from dataclasses import replace
from math import hypot

from meerkat_training import wheels
from meerkat_training.arrays import Random, around, between, chance, colour
from meerkat_training.dials import DialStyle
from meerkat_training.dials import random_style as random_dial

from .arrange import Plate, dial_places
from .design import Case, Design, Dial, Ground, Kind, Print, Row, dial_reach, readable_on
from .ink import Colour
from .lots import one_of
from .printing import printing
from .turning import Gears

_BLACK: Colour = (0.06, 0.06, 0.07)
_PLATES: tuple[Colour, ...] = (
    *((0.93, 0.93, 0.92),) * 4,
    (0.93, 0.93, 0.92),
    (0.88, 0.86, 0.78),
    (0.80, 0.82, 0.84),
    (0.90, 0.85, 0.68),
    (0.70, 0.72, 0.72),
    (0.16, 0.17, 0.19),
)
_CASES: tuple[Colour, ...] = (
    _BLACK,
    (0.14, 0.15, 0.17),
    (0.62, 0.48, 0.22),
    (0.55, 0.36, 0.16),
    (0.55, 0.57, 0.6),
    (0.8, 0.8, 0.8),
    (0.12, 0.22, 0.5),
    (0.5, 0.1, 0.1),
    (0.75, 0.78, 0.75),
)
_UNITS: dict[Kind, str] = {"water": "m³", "gas": "m³", "electricity": "kWh"}
_REDS: tuple[Colour, ...] = ((0.72, 0.1, 0.08), (0.6, 0.12, 0.1), (0.85, 0.2, 0.12))


def random_design(rng: Random) -> Design:
    """A meter as it might hang in a cellar: its wheels, dials, plate, case and the wall behind it."""
    while True:
        design = _some_design(rng)
        if design is not None:
            return design


def _some_design(rng: Random) -> Design | None:
    kind = one_of(rng, _KINDS)
    case = _case(rng, kind)
    whole, after, dials = _counts(rng, kind)
    row = _row(rng, case, whole + after, dials)
    plate = Plate(case)
    if not plate.holds(row.outline(whole + after), 0.04):
        return None
    x, y, width, height = row.outline(whole + after)
    plate.take((x, y, width, height), row.margin + (0.1 if row.counts else 0.03))
    mark = _unit_mark(rng, plate, row, whole + after, kind)
    placed = dial_places(rng, plate, dials) if dials else (0.0, [])
    if placed is None:
        return None
    factors = tuple(10.0 ** (whole - 1 - i) for i in range(whole + after))
    gears = _gears(rng, factors, dials)
    mirrored = tuple(chance(rng, 0.5) for _ in range(dials)) if chance(rng, 0.1) else (False,) * dials
    size, places = placed
    return Design(
        kind=kind,
        unit=_UNITS[kind],
        integer_digits=whole,
        gears=gears,
        row=row,
        wheels=_wheel_styles(rng, row, whole, after),
        dials=_dials(rng, plate, size, places, gears=gears, mirrored=mirrored),
        mirrored=mirrored,
        prints=(*mark, *printing(rng, plate, kind)),
        case=case,
        ground=_ground(rng, kind),
        seed=int(rng.integers(1 << 31)),
    )


_KINDS: tuple[Kind, ...] = ("water",) * 14 + ("gas",) * 3 + ("electricity",) * 3


def _counts(rng: Random, kind: Kind) -> tuple[int, int, int]:
    """Wheels before the point, wheels after it, dials."""
    if kind == "electricity":
        return one_of(rng, (5, 5, 6, 6, 7)), one_of(rng, (0, 1, 1, 1, 2)), 0
    if kind == "gas":
        return one_of(rng, (4, 5, 5, 5, 6)), one_of(rng, (2, 3, 3, 3)), one_of(rng, (0, 0, 0, 0, 1))
    dials = one_of(rng, (0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5))
    if dials >= 3:
        return one_of(rng, (4, 5, 5, 5, 6)), one_of(rng, (0, 0, 0, 0, 1)), dials
    if dials:
        return one_of(rng, (4, 5, 5, 5)), one_of(rng, (0, 1, 2, 3, 3, 3)), dials
    return one_of(rng, (4, 5, 5, 6)), one_of(rng, (2, 3, 3, 3)), 0


def _case(rng: Random, kind: Kind) -> Case:
    boxed = chance(rng, 0.12 if kind == "water" else 0.9)
    plate = colour(rng, one_of(rng, _PLATES), 0.04)
    rims: list[tuple[float, Colour, float]] = []
    body = colour(rng, one_of(rng, _CASES), 0.05)
    if chance(rng, 0.8):
        rims.append((between(rng, 0.18, 0.5), body, between(rng, 0.1, 0.5)))
    if chance(rng, 0.75):
        rims.append(
            (between(rng, 0.04, 0.15), colour(rng, one_of(rng, _CASES), 0.05), between(rng, 0.2, 0.8))
        )
    if chance(rng, 0.4):
        rims.append((between(rng, 0.02, 0.05), colour(rng, (0.75, 0.75, 0.72), 0.1), between(rng, 0.0, 0.3)))
    if not rims:
        rims.append((0.06, body, 0.3))
    beyond, outward = 0.0, []
    for width, paint, shine in reversed(rims):
        beyond += width
        outward.append((beyond, paint, shine))
    return Case(
        shape="box" if boxed else "round",
        half=(between(rng, 0.95, 1.2), between(rng, 0.5, 0.95)) if boxed else (1.0, 1.0),
        plate=plate,
        rims=tuple(reversed(outward)),
        corner=between(rng, 0.0, 0.12),
        screws=one_of(rng, (0, 0, 0, 2, 4)),
        seal=one_of(rng, (None, None, (0.1, 0.25, 0.6), (0.6, 0.6, 0.62), (0.65, 0.1, 0.1))),
        lid=colour(rng, body, 0.1) if chance(rng, 0.12) else None,
        glass=between(rng, 0, 0.5) if chance(rng, 0.6) else 0.0,
    )


def _row(rng: Random, case: Case, count: int, dials: int) -> Row:
    half_width, half_height = case.half
    slim = between(rng, 0.6, 0.95) if chance(rng, 0.85) else between(rng, 0.54, 1.15)
    span = between(rng, 0.9, 1.55) if count > 5 else between(rng, 0.7, 1.2)
    pitch = span * half_width / count
    height = pitch / slim
    tallest = 0.42 if dials else 0.5
    if height > tallest * half_height:
        height = tallest * half_height
        pitch = height * slim
    y = between(rng, -0.5, -0.05) if dials else between(rng, -0.4, 0.25)
    y *= half_height
    reach = hypot(pitch * count / 2, abs(y) + height / 2)
    if case.shape == "round" and reach > 0.93:
        pitch, height = pitch * 0.92 / reach, height * 0.92 / reach
    x = around(rng, 0.08, 0.25) if case.shape == "box" or chance(rng, 0.3) else around(rng, 0.02, 0.05)
    kind = one_of(rng, ("long", "long", "single", "ledges"))
    shares = {"long": (0.92, 1.0), "single": (0.62, 0.82), "ledges": (0.74, 0.92)}
    border = one_of(rng, (_BLACK, case.plate, case.plate, (0.9, 0.9, 0.9), (0.35, 0.36, 0.38)))
    red = one_of(rng, _REDS)
    return Row(
        x=x - pitch * (count - 1) / 2,
        y=y,
        pitch=pitch,
        width=pitch * between(rng, *shares[kind]),
        height=height,
        kind=kind,  # type: ignore[arg-type]
        border=colour(rng, border, 0.03),
        border_after=colour(rng, red if chance(rng, 0.55) else border, 0.03),
        ledge=colour(rng, one_of(rng, (border, (0.85, 0.85, 0.85), _BLACK)), 0.04),
        margin=pitch * between(rng, 0.03, 0.3),
        comma=chance(rng, 0.3),
        counts=chance(rng, 0.08),
    )


def _unit_mark(rng: Random, plate: Plate, row: Row, count: int, kind: Kind) -> tuple[Print, ...]:
    """The unit, printed right of the windows or above their last ones; nothing where there is no space."""
    x, y, width, height = row.outline(count)
    tall = min(0.15, height * between(rng, 0.4, 0.7))
    wide = tall * 0.62 * (len(_UNITS[kind]) + 0.4)
    beside = (x + width + row.margin + 0.04 + wide / 2, y + height * between(rng, 0.3, 0.8))
    above = (x + width - wide / 2, y - row.margin - tall * 0.65)
    for place in (beside, above) if chance(rng, 0.85) else (above, beside):
        rect = (place[0] - wide / 2, place[1] - tall / 2, wide, tall)
        if plate.holds(rect, 0.03):
            plate.take(rect, 0.01)
            ink, face = readable_on(plate.case.plate), int(rng.integers(100))
            return (Print("text", *place, wide, tall, _UNITS[kind], ink, face, 0),)
    return ()


def _gears(rng: Random, factors: tuple[float, ...], dials: int) -> Gears:
    last = factors[-1]
    creeps = dials == 0 or chance(rng, 0.65)
    play = [around(rng, 0.04, 0.1) for _ in factors]
    # Beside a dial the last wheel is put on at whatever tooth comes first.
    play[-1] = around(rng, 0.12, 0.3) if dials and creeps else 0.0 if not dials else play[-1]
    parallax = [around(rng, 0.07, 0.2) for _ in range(dials)]
    if dials:
        parallax[-1] = 0.0
    return Gears(
        wheels=factors,
        dials=tuple(last / 10 ** (i + 1) for i in range(dials)),
        width=between(rng, 0.7, 1.15),
        creeps=creeps,
        all_creep=chance(rng, 0.04),
        wheel_play=tuple(play),
        needle_play=tuple(parallax),
    )


def _wheel_styles(rng: Random, row: Row, whole: int, after: int) -> tuple[wheels.WheelStyle, ...]:
    """Digits that fit their windows; those behind the point of another colour, mostly."""
    style = wheels.random_style(rng)
    room = min(0.92 * row.width / row.height, 0.6)
    share = min(style.digit_share, room / (style.font.width * 0.7))
    style = replace(
        style,
        digit_share=share,
        stretch=min(style.stretch, room / (style.font.width * share)),
        frame=row.border,
    )
    later = wheels.fraction_style(style, rng) if chance(rng, 0.8) else style
    return (style,) * whole + (later,) * after


def _dials(
    rng: Random,
    plate: Plate,
    room: float,
    places: list[tuple[float, float]],
    *,
    gears: Gears,
    mirrored: tuple[bool, ...],
) -> tuple[Dial, ...]:
    """Dials alike, each in ``room`` units; their factors printed below where there is space."""
    style = _dial_style(rng, plate.case.plate)
    reach = dial_reach(style)
    sign, comma = one_of(rng, ("x", "x ", "×", "")), one_of(rng, (",", "."))
    found = []
    for (x, y), factor, backwards in zip(places, gears.dials, mirrored, strict=True):
        number = f"{factor:.{max(0, len(f'{1 / factor:.0f}') - 1)}f}".replace(".", comma)
        tall = room * between(rng, 0.11, 0.17)
        wide = 0.6 * tall * len(sign + number)
        label, label_at = "", (x, y)
        for side in (0.62, -0.62):
            middle = (x, y + room * side)
            rect = (middle[0] - wide / 2, middle[1] - tall / 2, wide, tall)
            if not label and plate.free(rect) and chance(rng, 0.9):
                plate.take(rect)
                label, label_at = sign + number, middle
        found.append(Dial(x, y, room / reach, replace(style, mirrored=backwards), label, label_at))
    return tuple(found)


def _dial_style(rng: Random, plate: Colour) -> DialStyle:
    """A dial that is printed on the plate itself, mostly, or on a disc of its own."""
    style = replace(random_dial(rng), clutter=0, centre=(0.0, 0.0), mirrored=False)
    if style.ring == 0 and style.ticks == 0:
        style = replace(style, ring=between(rng, 0.02, 0.05), ticks=10)
    if chance(rng, 0.35):
        return style
    dark, printed = sum(plate) < 1.2, readable_on(plate)
    needle = style.needle if _apart(style.needle, plate) > 0.8 else (0.8, 0.12, 0.1)
    hub = style.hub_colour if _apart(style.hub_colour, plate) > 0.5 else needle
    if not dark and _apart(style.print_colour, plate) > 1.0:
        printed = style.print_colour
    return replace(style, face=plate, print_colour=printed, needle=needle, hub_colour=hub, disc=None)


def _apart(one: Colour, other: Colour) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def _ground(rng: Random, kind: Kind) -> Ground:
    tones: tuple[Colour, ...] = ((0.75, 0.73, 0.7), (0.5, 0.48, 0.45), (0.62, 0.45, 0.28), (0.35, 0.36, 0.38))
    pipes: tuple[Colour, ...] = ((0.7, 0.52, 0.25), (0.62, 0.36, 0.2), (0.6, 0.62, 0.64), (0.8, 0.8, 0.78))
    piped = kind != "electricity" and chance(rng, 0.7)
    return Ground(
        kind=one_of(rng, ("plaster", "plaster", "wood", "chips", "bricks", "metal", "dark")),
        colour=colour(rng, one_of(rng, tones), 0.12),
        pipe=colour(rng, one_of(rng, pipes), 0.06) if piped else None,
        pipe_width=between(rng, 0.25, 0.6),
        pipe_turned=chance(rng, 0.3),
        things=int(rng.integers(1, 6)) if chance(rng, 0.45) else 0,
    )
