"""Where a meter's wheels and needles are in its picture, and what each of them counts.

A file of YAML or JSON, or the same as a message:

    rotation_deg: -2.5               # turns the picture first; negative is counter-clockwise as seen
    digits:                          # boxes [x, y, width, height] after that, most significant first
      - [69, 269, 64, 102]
      - [146, 263, 64, 102]
    integer_digits: 2                # how many of them stand before the decimal point
    pointers:                        # square boxes of dials, most significant first
      - [1283, 669, 216, 216]
    pointer_factors: [0.1]           # what one step of each dial counts
    unit: m³
    display: wheels                  # or segments: the digits of an LCD or LED
    reference: basement.jpg          # the picture it was made for: later ones are aligned with it

The picture is turned about its centre, and keeps its size. A second counter on the same face (day and
night tariff) goes under `counters`, by its name.
"""

from __future__ import annotations

from itertools import combinations
from math import isclose
from typing import Annotated, Literal, Self

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, model_validator

from .ids import Name

MAX_SIDE = 30_000
MAX_WHEELS, MAX_NEEDLES, MAX_COUNTERS = 12, 10, 6
MAX_LANDMARKS = 24_000
"""Bytes: a job's property carries them, in base64."""
MOST_OVERLAP = 0.5
"""Of the smaller box."""

Side = Annotated[float, Field(gt=0, le=MAX_SIDE)]
Place = Annotated[float, Field(ge=-MAX_SIDE, le=MAX_SIDE)]
PixelBox = tuple[Place, Place, Side, Side]
"""(x, y, width, height) in pixels, after the rotation."""
Factor = Annotated[float, Field(gt=0, le=10**6)]


class _Layout(BaseModel):
    """What else a file says is for people, or for a newer reader: who loads it tells of unknown names."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class CounterLayout(_Layout):
    """One counter: a row of wheels, dials with needles, or both."""

    digits: tuple[PixelBox, ...] = Field((), max_length=MAX_WHEELS, description="most significant first")
    integer_digits: int = Field(
        0, ge=0, le=MAX_WHEELS, description="wheels before the decimal point; all when left out"
    )
    pointers: tuple[PixelBox, ...] = Field((), max_length=MAX_NEEDLES, description="most significant first")
    pointer_factors: tuple[Factor, ...] = Field(
        (),
        max_length=MAX_NEEDLES,
        description="what one step of each dial counts, in units; tenths of what stands before when left out",
    )
    mirrored: tuple[bool, ...] | bool = Field(
        False, description="dials that run counter-clockwise: all, or one by one"
    )
    unit: str = Field("m³", max_length=16)
    display: Literal["wheels", "segments"] = Field(
        "wheels", description="what the digits are: wheels, or segments of an LCD or LED"
    )

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, given: object) -> object:
        """`integer_digits` and `pointer_factors` when they are left out."""
        if not isinstance(given, dict):
            return given
        filled = dict(given)
        digits, pointers = filled.get("digits") or (), filled.get("pointers") or ()
        if isinstance(digits, list | tuple) and "integer_digits" not in filled:
            filled["integer_digits"] = len(digits)
        whole = filled.get("integer_digits")
        if isinstance(pointers, list | tuple) and "pointer_factors" not in filled and isinstance(whole, int):
            after = len(digits) - whole if isinstance(digits, list | tuple) else 0
            first = -after - 1 if digits else len(pointers) - 1
            filled["pointer_factors"] = tuple(10.0 ** (first - i) for i in range(len(pointers)))
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.digits and not self.pointers:
            raise ValueError("neither digits nor pointers: there is nothing to read")
        if self.display == "segments" and self.pointers:
            raise ValueError("a display of segments has no pointers; dials beside it go under counters")
        if self.integer_digits > len(self.digits):
            raise ValueError(
                f"integer_digits is {self.integer_digits}, and there are {len(self.digits)} digits"
            )
        if len(self.pointer_factors) != len(self.pointers):
            raise ValueError(
                f"{len(self.pointers)} pointers, and {len(self.pointer_factors)} pointer_factors"
            )
        if isinstance(self.mirrored, tuple) and len(self.mirrored) != len(self.pointers):
            raise ValueError(f"{len(self.mirrored)} values of mirrored for {len(self.pointers)} pointers")
        for name, boxes in (("digits", self.digits), ("pointers", self.pointers)):
            for (i, one), (j, other) in combinations(enumerate(boxes), 2):
                if overlap(one, other) > MOST_OVERLAP:
                    raise ValueError(f"{name}[{i}] and {name}[{j}] lie on each other")
        for factor, later in zip(self.pointer_factors, self.pointer_factors[1:], strict=False):
            if later >= factor and not isclose(later, factor):
                raise ValueError("pointer_factors must fall: the most significant dial comes first")
        return self

    @property
    def wheel_factors(self) -> tuple[float, ...]:
        """What one step of each wheel counts, in units."""
        return tuple(10.0 ** (self.integer_digits - 1 - i) for i in range(len(self.digits)))

    @property
    def step(self) -> float:
        """What the last wheel or needle counts: the readings' resolution, in units."""
        return min((*self.wheel_factors, *self.pointer_factors))

    @property
    def span(self) -> float:
        """Where it begins again at zero, in units."""
        return 10 * max((*self.wheel_factors, *self.pointer_factors))

    @property
    def directions(self) -> tuple[bool, ...]:
        """Of each dial, whether it runs counter-clockwise."""
        return self.mirrored if isinstance(self.mirrored, tuple) else (self.mirrored,) * len(self.pointers)


class MeterLayout(CounterLayout):
    """The layout of one picture: its main counter, and others by name."""

    rotation_deg: float = Field(0.0, ge=-360, le=360)
    width: int = Field(0, ge=0, le=MAX_SIDE, description="of the picture that the boxes are for; 0: any")
    height: int = Field(0, ge=0, le=MAX_SIDE)
    reference: str = Field("", max_length=500, description="file of the picture to align with")
    landmarks: Base64Bytes | None = Field(
        None,
        max_length=MAX_LANDMARKS,
        description="features of that picture, made from it by `meerkat meter`",
    )
    counters: dict[Name, CounterLayout] = Field(default_factory=dict, max_length=MAX_COUNTERS)

    @property
    def all_counters(self) -> dict[str, CounterLayout]:
        """By name; the main one's is empty."""
        return {"": self, **self.counters}


def overlap(one: PixelBox, other: PixelBox) -> float:
    """Of the smaller box, the share that both cover."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height) / min(one[2] * one[3], other[2] * other[3])
