"""Painting what stands still on a meter: its case, rims and plate, what is printed there, windows' frames."""

from __future__ import annotations

from math import cos, pi, sin

import cv2
import numpy as np

from meerkat_training.arrays import Random, between, chance

from .design import Case, Design, Print, readable_on
from .ink import Floats, Ink, circle, rounded


def case_size(case: Case) -> tuple[float, float]:
    """Half the width and height of the whole meter, rims included."""
    beyond = max((reach for reach, _, _ in case.rims), default=0.0)
    lid = 0.25 if case.lid else 0.0
    return case.half[0] + beyond + 0.02, case.half[1] + beyond + 0.02 + lid


def still_face(design: Design, scale: float) -> tuple[Floats, Floats]:
    """All but wheels and dials: (h, w, 3) RGB, and how far it covers what is behind, (h, w); 0 to 1."""
    half = case_size(design.case)
    ink = Ink(2 * half[0], 2 * half[1], scale, design.case.rims[0][1])
    cover = _cover(design.case, ink)
    rng = np.random.default_rng(design.seed)
    _rims(ink, design.case)
    _screws(ink, design.case, rng)
    for what in design.prints:
        _PAINTERS[what.kind](ink, what, design)
    for dial in design.dials:
        if dial.label:
            ink.write(dial.label, *dial.label_at, dial.size * 0.11, readable_on(design.case.plate))
    _frames(ink, design)
    face = ink.pixels.astype(np.float32)
    face *= np.float32(1 / 255)
    _shine(face, design.case, ink, rng)
    return face, cover


def _outline(case: Case, beyond: float) -> list[tuple[float, float]]:
    if case.shape == "round":
        return list(circle(0, 0, 1 + beyond, 144))
    width, height = case.half[0] + beyond, case.half[1] + beyond
    return list(rounded(-width, -height, 2 * width, 2 * height, case.corner + 0.5 * beyond))


def _cover(case: Case, ink: Ink) -> Floats:
    mask = Ink(2 * ink.middle[0], 2 * ink.middle[1], ink.scale)
    mask.poly(_outline(case, case.rims[0][0]), (1, 1, 1))
    if case.lid:
        mask.poly(_lid(case), (1, 1, 1))
    covered: Floats = mask.pixels[..., 0].astype(np.float32) / np.float32(255)
    return covered


def _lid(case: Case) -> list[tuple[float, float]]:
    """A hinged lid, open, seen from its edge above the meter."""
    top = -case.half[1] - case.rims[0][0]
    wide = case.half[0] * 0.8
    return list(rounded(-wide, top - 0.24, 2 * wide, 0.5, 0.1))


def _rims(ink: Ink, case: Case) -> None:
    if case.lid:
        ink.poly(_lid(case), case.lid)
    ink.poly(_outline(case, case.rims[0][0]), case.rims[0][1])
    for beyond, colour, shine in case.rims:
        steps = 6
        inner = max((reach for reach, _, _ in case.rims if reach < beyond), default=0.0)
        for step in range(steps):
            share = step / steps
            light = 1 + shine * 0.7 * sin(pi * (0.15 + share))
            tone = (colour[0] * light, colour[1] * light, colour[2] * light)
            ink.poly(_outline(case, beyond - (beyond - inner) * share), tone)
    edge = (case.plate[0] * 0.8, case.plate[1] * 0.8, case.plate[2] * 0.8)
    ink.poly(_outline(case, 0.0), edge)
    ink.poly(_outline(case, -0.015), case.plate)


def _screws(ink: Ink, case: Case, rng: Random) -> None:
    reach = case.half[0] * 0.93, case.half[1] * 0.9
    if case.shape == "round":
        reach = (0.66, 0.66)
    corners = [(-1, -1), (1, 1), (1, -1), (-1, 1)][: case.screws]
    for across, down in corners:
        x, y = across * reach[0], down * reach[1]
        if case.shape == "round":
            x, y = x * 1.38 * 0.97, y * 1.38 * 0.97
            x, y = x * (1 + case.rims[0][0] * 0.5), y * (1 + case.rims[0][0] * 0.5)
        ink.disc(x, y, 0.055, (0.25, 0.25, 0.26))
        ink.disc(x, y, 0.048, (0.62, 0.62, 0.63))
        turn = between(rng, 0, pi)
        ends = [(x + 0.04 * side * cos(turn), y + 0.04 * side * sin(turn)) for side in (-1, 1)]
        ink.lines(ends, (0.2, 0.2, 0.2), 0.014)
    if case.seal:
        turn = between(rng, 0, 2 * pi)
        away = 1 + case.rims[0][0] * 0.6
        x, y = case.half[0] * away * cos(turn), case.half[1] * away * sin(turn)
        ink.lines([(x, y), (x * 1.2, y + 0.2)], (0.5, 0.5, 0.5), 0.012)
        ink.disc(x, y, 0.07, case.seal)
        ink.ring(x, y, 0.055, (case.seal[0] * 0.6, case.seal[1] * 0.6, case.seal[2] * 0.6), 0.01)


def _frames(ink: Ink, design: Design) -> None:
    """The borders and ledges round the windows; the windows themselves stay dark."""
    row, count = design.row, len(design.wheels)
    x, y, width, height = row.outline(count)
    margin = row.margin
    split = row.x + (design.integer_digits - 0.5) * row.pitch
    ink.box(x - margin, y - margin, width + 2 * margin, height + 2 * margin, row.border, corner=0.02)
    if design.after:
        left = split
        ink.box(left, y - margin, x + width + margin - left, height + 2 * margin, row.border_after)
    if row.kind != "single":
        whole = x + width if not design.after else split
        ink.box(x, y, whole - x, height, row.ledge)
        if design.after:
            ink.box(split, y, x + width - split, height, row.ledge)
    edge = (row.border[0] * 0.55, row.border[1] * 0.55, row.border[2] * 0.55)
    if row.kind == "single" or design.seed % 3 == 0:
        ink.frame(x - margin, y - margin, width + 2 * margin, height + 2 * margin, edge, thick=0.006)
    if row.kind == "single":
        for number in range(count):
            middle = row.middle(number)[0]
            light = row.border_after if number >= design.integer_digits else row.border
            rim = 0.04 * row.pitch
            pale = (light[0] * 0.8, light[1] * 0.8, light[2] * 0.8)
            ink.box(
                middle - row.width / 2 - rim,
                y - rim,
                row.width + 2 * rim,
                height + 2 * rim,
                pale,
                corner=rim / 2,
            )

    if row.comma and design.after and row.pitch - row.width > 0.03 * row.pitch:
        size = max(0.12 * (row.pitch - row.width), 0.025 * row.height)
        ink.disc(split, y + height - size, size, readable_on(row.border_after))
    if row.counts:
        for number, factor in enumerate(design.gears.wheels):
            middle, text = row.middle(number)[0], f"{factor:g}" if factor >= 1 else f"1/{1 / factor:.0f}"
            tall = min(0.05, 0.3 * row.pitch)
            ink.write(
                text, middle, y - margin - 0.04, tall, readable_on(design.case.plate), width=0.9 * row.pitch
            )


def _shine(face: Floats, case: Case, ink: Ink, rng: Random) -> None:
    """Light along the round rims, and unevenness of the plate."""
    rows, columns = face.shape[:2]
    small = (max(2, columns // 24), max(2, rows // 24))
    noise = rng.standard_normal((small[1], small[0])).astype(np.float32) * 0.012
    uneven = cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_LINEAR)
    face *= (1 + uneven)[..., None]
    if not chance(rng, 0.7):
        return
    y, x = np.mgrid[0:rows:4, 0:columns:4].astype(np.float32) / ink.scale
    x -= ink.middle[0]
    y -= ink.middle[1]
    away = np.maximum(np.abs(x) / case.half[0], np.abs(y) / case.half[1])
    if case.shape == "round":
        away = np.sqrt(x * x + y * y)
    towards = np.cos(np.arctan2(y, x) - between(rng, 0, 2 * pi)) ** 3
    light = np.where(away > 1.0, 1 + 0.45 * towards, 1).astype(np.float32)
    face *= cv2.resize(light, (columns, rows), interpolation=cv2.INTER_LINEAR)[..., None]


def _text(ink: Ink, what: Print, design: Design) -> None:
    del design
    ink.write(what.text, what.x, what.y, what.height * 0.72, what.colour, face=what.face, width=what.width)


def _ce(ink: Ink, what: Print, design: Design) -> None:
    """The C and the E of the approval mark, as arcs."""
    del design
    radius, thick = what.height * 0.44, what.height * 0.13
    for side in (-1, 1):
        x = what.x + side * what.height * 0.36 + radius * 0.3
        arc = [
            (x + radius * cos(turn * pi / 180), what.y + radius * sin(turn * pi / 180))
            for turn in range(100, 261, 10)
        ]
        ink.lines(arc, what.colour, thick)
        if side > 0:
            ink.lines([(x - radius, what.y), (x - radius * 0.1, what.y)], what.colour, thick)


def _boxed(ink: Ink, what: Print, design: Design) -> None:
    del design
    height = what.height
    left = what.x - what.width / 2
    ink.frame(left, what.y - height / 2, height * 1.7, height, what.colour, thick=height * 0.05)
    first, _, number = what.text.partition(" ")
    ink.write(
        first, left + height * 0.85, what.y, height * 0.66, what.colour, face=what.face, width=height * 1.5
    )
    at = left + height * 2.6
    ink.write(number, at, what.y, height * 0.55, what.colour, face=what.face, width=height * 1.6)


def _barcode(ink: Ink, what: Print, design: Design) -> None:
    del design
    rng = np.random.default_rng(what.seed)
    left, top = what.x - what.width / 2, what.y - what.height / 2
    ink.box(left, top, what.width, what.height, (0.95, 0.95, 0.95))
    tall = what.height * (0.62 if what.text else 0.84)
    edges = np.cumsum(rng.choice([1.0, 1.0, 2.0, 3.0], 90))
    edges = edges / edges[-1] * what.width * 0.92 + left + what.width * 0.04
    for start, end in zip(edges[::2], edges[1::2], strict=False):
        ink.box(float(start), top + what.height * 0.08, float(end - start), tall, what.colour)
    if what.text:
        below = what.y + what.height * 0.36
        ink.write(what.text, what.x, below, what.height * 0.18, what.colour, width=what.width * 0.8)


def _logo(ink: Ink, what: Print, design: Design) -> None:
    rng = np.random.default_rng(what.seed)
    radius = what.height / 2
    ink.disc(what.x, what.y, radius, what.colour)
    if chance(rng, 0.5):
        ink.disc(what.x, what.y, radius * 0.82, design.case.plate)
    points = [
        (what.x + radius * 0.7 * float(a), what.y + radius * 0.7 * float(b))
        for a, b in rng.uniform(-0.8, 0.8, (5, 2))
    ]
    ink.lines(points, what.colour if chance(rng, 0.5) else design.case.plate, radius * 0.2)


def _star(ink: Ink, what: Print, design: Design) -> None:
    """The little wheel that shows whether water flows."""
    del design
    rng = np.random.default_rng(what.seed)
    arms, radius = max(3, what.face % 9), what.height / 2
    start, slim = between(rng, 0, pi), between(rng, 0.25, 0.8)
    inner = radius * between(rng, 0.35, 0.7)
    if chance(rng, 0.5):
        ink.disc(what.x, what.y, radius * 1.1, (0.75, 0.75, 0.75))
    points = []
    for number in range(arms * 4):
        turn = start + 2 * pi * (number // 4) / arms
        corner = number % 4
        away = radius if corner in (1, 2) else inner
        turn += (corner - 1.5) * slim * pi / arms * (0.9 if corner in (1, 2) else 0.6)
        points.append((what.x + away * cos(turn), what.y + away * sin(turn)))
    ink.poly(points, what.colour)
    ink.disc(what.x, what.y, inner * 0.5, (0.3, 0.3, 0.3))


def _patch(ink: Ink, what: Print, design: Design) -> None:
    ink.box(
        what.x - what.width / 2, what.y - what.height / 2, what.width, what.height, what.colour, corner=0.015
    )
    if what.text:
        ink.write(
            what.text,
            what.x,
            what.y,
            what.height * 0.5,
            design.case.plate,
            face=what.face,
            width=what.width * 0.85,
        )


def _slot(ink: Ink, what: Print, design: Design) -> None:
    """The slit in which a Ferraris disc turns, with its red mark now and then in sight."""
    del design
    rng = np.random.default_rng(what.seed)
    left, top = what.x - what.width / 2, what.y - what.height / 2
    ink.box(left, top, what.width, what.height, (0.1, 0.1, 0.1))
    ink.box(left, what.y - what.height * 0.12, what.width, what.height * 0.3, (0.66, 0.66, 0.67))
    if chance(rng, 0.4):
        at = left + what.width * between(rng, 0.1, 0.8)
        ink.box(at, what.y - what.height * 0.12, what.width * 0.08, what.height * 0.3, (0.75, 0.1, 0.08))


def _eye(ink: Ink, what: Print, design: Design) -> None:
    """A sight glass or an optical port."""
    del design
    ink.disc(what.x, what.y, what.height / 2, (0.4, 0.4, 0.42))
    ink.disc(what.x, what.y, what.height * 0.38, (0.12, 0.12, 0.13))
    ink.disc(what.x - what.height * 0.1, what.y - what.height * 0.1, what.height * 0.1, (0.6, 0.6, 0.6))


_PAINTERS = {
    "text": _text,
    "ce": _ce,
    "boxed": _boxed,
    "barcode": _barcode,
    "logo": _logo,
    "star": _star,
    "patch": _patch,
    "slot": _slot,
    "eye": _eye,
}
