"""An owner's corrected pictures become labelled wheels and needles, to train the networks with.

The page's examples.zip holds whole pictures, each with its layout and what it shows. The value tells each
wheel's digit, but not how far the wheel is on its way to the next. So what the networks see is taken where
it goes with the value: the label is then exact. Where they misread, the value's own is taken; and nothing
where it leaves open whether a wheel is at rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from meerkat_contract.errors import MediaError, StorageError, UsageError
from meerkat_contract.ids import Id
from meerkat_contract.meter_layout import CounterLayout, MeterLayout, PixelBox

from .align import align, plain, refusal
from .boxes import NEEDLE_SIZE, WHEEL_SIZE, cut
from .distribution import peak
from .networks import Reads
from .picture_file import decode, write_picture

LARGER = 2
"""Crops are kept so many times as large as the networks take them."""
NEAR = 0.6
"""Positions by which what is seen may be off what the value says."""
CARRIES = 0.85
"""From here on of a turn of what drives it, a wheel may be on its way to the next digit."""
LARGEST = 100_000_000
"""Bytes of one picture."""


class _Example(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    id: Id
    values: dict[str, float] = Field(description="by counter")
    layout: MeterLayout


class _Listed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int
    examples: tuple[_Example, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """One wheel or needle, and where the value has it."""

    needle: bool
    box: PixelBox
    mirrored: bool
    expected: float
    """0 to 10; of a wheel its digit, and how far what drives it has come."""
    exact: bool
    """Whether the value tells the rest of the position, or the digit alone."""


@dataclass(frozen=True, slots=True)
class Done:
    wheels: int = 0
    needles: int = 0
    left_out: tuple[str, ...] = ()
    """What was not cut up, and why."""


def cut_out(archive: Path, folder: Path, networks: Reads) -> Done:
    """Write wheel/<position>_<id>.png and needle/… into the folder. Raises UsageError, StorageError."""
    wheels = needles = 0
    left_out: list[str] = []
    for kind in ("wheel", "needle"):
        try:
            (folder / kind).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot be made: {error.strerror}", where=str(folder / kind), remedy="Name another folder"
            ) from error
    try:
        with ZipFile(archive) as opened:
            for example in _listed(opened, archive):
                try:
                    picture = decode(_bytes(opened, example.id))
                    for number, (needle, label, crop) in enumerate(_crops(picture, example, networks)):
                        kind = "needle" if needle else "wheel"
                        name = f"{label:.1f}_{example.id}-{number}.png"
                        write_picture(folder / kind / name, crop)
                        wheels, needles = wheels + (not needle), needles + needle
                except (MediaError, UsageError) as error:
                    left_out.append(f"{example.id}: {error}")
    except (OSError, BadZipFile) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot be read: {why}", where=str(archive), remedy="Fetch examples.zip from the meter's page"
        ) from error
    return Done(wheels, needles, tuple(left_out))


def _listed(opened: ZipFile, archive: Path) -> tuple[_Example, ...]:
    try:
        return _Listed.model_validate(json.loads(opened.read("examples.json"))).examples
    except (KeyError, ValueError, ValidationError) as error:
        raise UsageError(
            f"it holds no examples that this version can read ({error})".partition("\n")[0],
            where=str(archive),
            remedy="Fetch examples.zip from the meter's page",
        ) from error


def _bytes(opened: ZipFile, example: str) -> bytes:
    name = f"pictures/{example}.jpg"
    try:
        if opened.getinfo(name).file_size > LARGEST:
            raise MediaError("a picture that is far too large", where=name, remedy="Leave it out")
        return opened.read(name)
    except KeyError:
        raise MediaError("the picture is not in the file", where=name, remedy="Fetch it again") from None


def _crops(
    picture: NDArray[np.uint8], example: _Example, networks: Reads
) -> Iterator[tuple[bool, float, NDArray[np.uint8]]]:
    """Needle or wheel, the label, (height, width, 3) BGR."""
    layout = example.layout
    if layout.landmarks is not None:
        alignment, matrix = align(picture, layout)
        if why := refusal(alignment):
            raise MediaError(why, where=example.id, remedy="Its layout is of another time: leave it out")
    else:
        matrix = plain(layout, picture.shape[1], picture.shape[0])
    for name, counter in layout.all_counters.items():
        if name not in example.values:
            continue
        for box in boxes(counter, example.values[name]):
            size = NEEDLE_SIZE if box.needle else WHEEL_SIZE
            small = cut(picture, box.box, matrix, size, mirrored=box.mirrored)
            run = networks.needles if box.needle else networks.wheels
            position = label(box, peak(run(small[None])[0]).position)
            if position is None:
                continue
            large = cut(picture, box.box, matrix, (LARGER * size[0], LARGER * size[1]), mirrored=box.mirrored)
            yield box.needle, position, np.ascontiguousarray(large[:, :, ::-1])


def boxes(counter: CounterLayout, value: float) -> list[Box]:
    """Where each wheel and needle of a counter stands at this value; none of a display's segments."""
    if counter.display == "segments":
        return []
    step = counter.step
    count = round(value / step)

    def at(factor: float) -> float:
        return count / round(factor / step) % 10

    found = [
        Box(False, box, False, at(factor), round(factor / step) > 1)
        for box, factor in zip(counter.digits, counter.wheel_factors, strict=True)
    ]
    dials = zip(counter.pointers, counter.pointer_factors, counter.directions, strict=True)
    return found + [
        Box(True, box, mirrored, at(factor), round(factor / step) > 1) for box, factor, mirrored in dials
    ]


def label(box: Box, seen: float) -> float | None:
    """What stands in the box, 0.0 to 9.9; None when neither picture nor value tells it."""
    digit, rest = divmod(box.expected, 1)
    if box.needle:
        said = box.expected if box.exact else digit + 0.5
        near = abs(_apart(seen, said)) <= NEAR
    else:
        said = digit
        near = -NEAR / 2 <= _apart(seen, digit) <= 1.0 + NEAR / 2
        if box.exact and rest < CARRIES:
            near = abs(_apart(seen, digit)) <= NEAR / 2 or abs(_apart(seen, box.expected)) <= NEAR / 2
        elif not near and box.exact:
            return None
    return round(seen if near else said, 1) % 10


def _apart(one: float, other: float) -> float:
    """How far one position is past the other, -5 to 5."""
    return (one - other + 5) % 10 - 5
