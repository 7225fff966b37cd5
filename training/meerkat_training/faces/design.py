"""What one meter looks like: everything about it that stays the same from picture to picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from meerkat_training.dials import DialStyle
from meerkat_training.wheels import WheelStyle

from .ink import Colour
from .turning import Gears

Kind = Literal["water", "gas", "electricity"]
PrintKind = Literal["text", "ce", "boxed", "barcode", "logo", "star", "patch", "slot", "eye"]
Rect = tuple[float, float, float, float]
"""(x, y, width, height) in units of the face, from its upper left corner."""


@dataclass(frozen=True)
class Row:
    """The wheels' windows, all of one size, side by side."""

    x: float
    """Middle of the first window."""
    y: float
    pitch: float
    width: float
    height: float
    kind: Literal["long", "single", "ledges"]
    border: Colour
    """What is round the windows."""
    border_after: Colour
    """The same after the decimal point."""
    ledge: Colour
    margin: float
    """How far the border reaches beyond the windows."""
    comma: bool
    """Whether a comma is printed before the wheels after the point."""
    counts: bool
    """Whether each wheel's factor is printed above it."""

    def middle(self, number: int) -> tuple[float, float]:
        return self.x + number * self.pitch, self.y

    def outline(self, count: int) -> Rect:
        left, top = self.x - self.width / 2, self.y - self.height / 2
        return left, top, (count - 1) * self.pitch + self.width, self.height


@dataclass(frozen=True)
class Dial:
    x: float
    y: float
    size: float
    """Diameter of the ring."""
    style: DialStyle
    """Mirrored where the dial counts counter-clockwise."""
    label: str
    label_at: tuple[float, float]

    @property
    def radius(self) -> float:
        """What the style calls its radius, in units."""
        return self.size / 2 / _ring(self.style)


def dial_reach(style: DialStyle) -> float:
    """How far a dial with its numerals reaches from its middle, by the radius of its ring."""
    numerals = style.numerals + 0.6 * style.numeral_height if style.numerals > 1 else 0.0
    return max(1.0, style.ring_at + style.ring / 2, style.length * 1.03, numerals) / _ring(style)


def _ring(style: DialStyle) -> float:
    """Radius of what is seen as the ring, by the style's own radius."""
    return max(1.0, style.ring_at) if style.ring else 1.0


def readable_on(plate: Colour) -> Colour:
    """A plain ink for a plate."""
    return (0.86, 0.86, 0.86) if sum(plate) < 1.2 else (0.16, 0.16, 0.18)


@dataclass(frozen=True)
class Print:
    """Something printed or mounted on the plate, in a box round (x, y)."""

    kind: PrintKind
    x: float
    y: float
    width: float
    height: float
    text: str
    colour: Colour
    face: int
    seed: int


@dataclass(frozen=True)
class Case:
    shape: Literal["round", "box"]
    half: tuple[float, float]
    """Half the plate's width and height; a round plate has (1, 1)."""
    plate: Colour
    rims: tuple[tuple[float, Colour, float], ...]
    """From the outside: width of the rim beyond the plate, its colour, how much it shines."""
    corner: float
    screws: int
    seal: Colour | None
    lid: Colour | None
    glass: float
    """How strongly the glass mirrors, 0 to 1."""


@dataclass(frozen=True)
class Ground:
    """What is behind the meter."""

    kind: Literal["plaster", "wood", "chips", "bricks", "metal", "dark"]
    colour: Colour
    pipe: Colour | None
    pipe_width: float
    pipe_turned: bool
    things: int
    """How many other objects are about."""


@dataclass(frozen=True)
class Design:
    kind: Kind
    unit: str
    integer_digits: int
    gears: Gears
    row: Row
    wheels: tuple[WheelStyle, ...]
    """One style each: those after the point differ, often."""
    dials: tuple[Dial, ...]
    mirrored: tuple[bool, ...]
    """Of each dial, whether it counts counter-clockwise."""
    prints: tuple[Print, ...]
    case: Case
    ground: Ground
    seed: int

    @property
    def after(self) -> int:
        """How many wheels stand after the decimal point."""
        return len(self.wheels) - self.integer_digits
