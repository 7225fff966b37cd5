"""What dials look like: everything about one but where its needle points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Colour, Random, between, chance, colour
from .fonts import Font, random_font
from .needle_shapes import Outline, jitter, random_hub, random_magnet, random_pointer, random_weight
from .palette import BLACK, GREY, RED, WHITE


@dataclass(frozen=True)
class DialStyle:
    """How one dial looks. Lengths are shares of the dial's radius unless said otherwise."""

    font: Font
    pointer: Outline
    length: float = 0.8
    needle: Colour = RED
    ridge: float = 0.0
    """Darkening of one side of the pointer; negative brightens."""
    weight: Outline | None = None
    weight_colour: Colour = RED
    hub: float = 0.12
    hub_colour: Colour = RED
    pin: float = 0.0
    """Radius of a pin or screw in the hub."""
    pin_colour: Colour = GREY
    magnet: tuple[float, float, bool] | None = None
    magnet_colour: Colour = GREY
    face: Colour = WHITE
    disc: Colour | None = None
    """Colour of a field within the ring."""
    print_colour: Colour = BLACK
    ring: float = 0.0
    """Line width of the ring; 0 for none."""
    ring_at: float = 1.0
    ticks: int = 10
    """Marks around the dial: 0, 10, 20, 50 or 100."""
    tick_length: float = 0.12
    numerals: float = 0.78
    """Radius on which the numerals stand, above 1 outside; 0 for none."""
    numeral_height: float = 0.24
    upright: bool = True
    every: int = 1
    """Only each n-th numeral is printed."""
    mirrored: bool = False
    """Glyphs mirrored, as in a counter-clockwise dial that the reader has flipped."""
    radius: float = 0.9
    """The dial's radius by half of the picture's size; marks and numerals may lie beyond it."""
    centre: tuple[float, float] = (0.0, 0.0)
    """The dial's centre off the picture's, by its size."""
    parallax: tuple[float, float] = (0.0, 0.0)
    """The hub's place off the dial's centre, by the radius."""
    shadow: float = 0.0
    shadow_offset: tuple[float, float] = (0.1, 0.1)
    double_print: float = 0.0
    """Strength of the print's shadow under a clear plate."""
    hub_rim: float = 0.0
    """Line width of a ring about the hub, in the pin's colour."""
    outline: float = 0.0
    """Line width of the pointer's border."""
    outline_colour: Colour = BLACK
    shine: float = 0.0
    """Strength of a bright spot on the hub."""
    sector: tuple[float, float] | None = None
    """Start and length, in tenths of a turn, of a coloured arc within the ring."""
    sector_colour: Colour = RED
    bowl: float = 0.0
    """Darkening of a sunk dial's border; negative brightens."""
    plate: float = 0.0
    """Opacity of a milky disc that turns with the needle."""
    clutter: int = 0
    """Pieces of neighbouring print and dials."""


NEEDLES: tuple[Colour, ...] = (RED, BLACK, (0.1, 0.2, 0.6), WHITE, (0.85, 0.4, 0.1), GREY)
_NEEDLE_LADDER = np.cumsum([0.62, 0.24, 0.04, 0.04, 0.04])


def random_weight_colour(rng: Random, needle: Colour) -> Colour:
    """A counterweight is of the needle's plastic, of dark metal, or a mirror for a sensor."""
    kind = rng.random()
    return needle if kind < 0.55 else colour(rng, BLACK if kind < 0.75 else (0.72, 0.73, 0.75), 0.15)


def random_style(rng: Random) -> DialStyle:
    """A dial nobody has seen before."""
    pointer, length = random_pointer(rng)
    dark = chance(rng, 0.1)
    face = colour(rng, BLACK if dark else WHITE if chance(rng, 0.75) else (0.8, 0.78, 0.68), 0.1)
    printed = colour(rng, WHITE if dark else RED if chance(rng, 0.15) else BLACK, 0.14)
    needle = colour(rng, NEEDLES[int(np.searchsorted(_NEEDLE_LADDER, rng.random()))], 0.12)
    if max(abs(one - other) for one, other in zip(needle, face, strict=True)) < 0.35:
        needle = colour(rng, RED, 0.1)  # A pointer of the face's own colour would tell nothing.
    hub_kind = rng.random()
    hub_colour = (
        needle
        if hub_kind < 0.55
        else colour(rng, BLACK if hub_kind < 0.75 else RED if hub_kind < 0.85 else GREY, 0.12)
    )
    hub = min(random_hub(rng), 0.62 * length)
    place = rng.random()
    tight = chance(rng, 0.2)  # The box was laid around the ring.
    numerals = 0.0 if place < 0.25 else between(rng, 0.6, 0.86) if place < 0.6 else between(rng, 1.14, 1.35)
    radius = between(rng, 0.68, 1.12) if numerals <= 1 else between(rng, 0.55, 0.88)
    if tight:
        radius = between(rng, 0.93, 1.04)
    return DialStyle(
        font=random_font(rng, drawn=0.15),
        pointer=pointer,
        length=length,
        needle=needle,
        ridge=between(rng, -0.3, 0.5) if chance(rng, 0.35) else 0.0,
        weight=random_weight(rng, length),
        weight_colour=random_weight_colour(rng, needle),
        hub=hub,
        hub_colour=hub_colour,
        pin=hub * between(rng, 0.2, 0.6) if chance(rng, 0.35) else 0.0,
        pin_colour=colour(rng, GREY if chance(rng, 0.5) else BLACK if chance(rng, 0.5) else WHITE, 0.2),
        magnet=random_magnet(rng, length),
        magnet_colour=colour(rng, (0.7, 0.7, 0.72) if chance(rng, 0.6) else BLACK, 0.15),
        face=face,
        disc=colour(rng, face, 0.25) if chance(rng, 0.25) else None,
        print_colour=printed,
        ring=between(rng, 0.015, 0.09) if tight or chance(rng, 0.45) else 0.0,
        ring_at=1.0 if tight else between(rng, 0.85, 1.1),
        ticks=(0, 10, 10, 10, 20, 50, 100)[int(rng.integers(7))],
        tick_length=between(rng, 0.05, 0.22),
        numerals=numerals,
        numeral_height=between(rng, 0.16, 0.34),
        upright=chance(rng, 0.8),
        every=1 if chance(rng, 0.8) else 2 if chance(rng, 0.6) else 5,
        mirrored=chance(rng, 0.12),
        radius=radius,
        centre=jitter(rng, 0.03),
        parallax=jitter(rng, 0.03) if chance(rng, 0.5) else (0.0, 0.0),
        hub_rim=hub * between(rng, 0.1, 0.3) if chance(rng, 0.2) else 0.0,
        outline=between(rng, 0.015, 0.05) if chance(rng, 0.15) else 0.0,
        outline_colour=colour(rng, BLACK if chance(rng, 0.6) else WHITE, 0.15),
        shine=between(rng, 0.2, 0.9) if chance(rng, 0.2) else 0.0,
        sector=(between(rng, 0, 10), between(rng, 0.5, 5)) if chance(rng, 0.06) else None,
        sector_colour=colour(rng, RED if chance(rng, 0.6) else GREY, 0.2),
        bowl=between(rng, -0.25, 0.6) if chance(rng, 0.25) else 0.0,
        shadow=between(rng, 0.15, 0.7) if chance(rng, 0.5) else 0.0,
        shadow_offset=jitter(rng, 0.1),
        double_print=between(rng, 0.15, 0.6) if chance(rng, 0.15) else 0.0,
        plate=between(rng, 0.1, 0.5) if chance(rng, 0.1) else 0.0,
        clutter=int(rng.integers(0, 5)) if chance(rng, 0.6) else 0,
    )
