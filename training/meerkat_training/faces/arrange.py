"""Where things fit on a plate: the row of wheels, the dials around it, and the printing in what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import cos, hypot, pi, sin

from meerkat_training.arrays import Random

from .design import Case, Rect


@dataclass
class Plate:
    """The plate's free space: what has been put on it so far."""

    case: Case
    taken: list[Rect] = field(default_factory=list)

    def holds(self, rect: Rect, inset: float = 0.0) -> bool:
        """Whether a rectangle lies on the plate, ``inset`` away from its edge."""
        x, y, width, height = rect
        corners = ((x, y), (x + width, y), (x, y + height), (x + width, y + height))
        if self.case.shape == "round":
            return all(hypot(*corner) <= 1 - inset for corner in corners)
        half_width, half_height = self.case.half
        return all(abs(a) <= half_width - inset and abs(b) <= half_height - inset for a, b in corners)

    def free(self, rect: Rect, inset: float = 0.0) -> bool:
        return self.holds(rect, inset) and not any(meets(rect, other) for other in self.taken)

    def take(self, rect: Rect, margin: float = 0.0) -> None:
        x, y, width, height = rect
        self.taken.append((x - margin, y - margin, width + 2 * margin, height + 2 * margin))

    def find(
        self, rng: Random, width: float, height: float, *, tries: int = 40, centred: float = 0.4
    ) -> tuple[float, float] | None:
        """The middle of a free place of that size, which is taken; None when there is none.

        ``centred`` is the chance that it is looked for on the plate's vertical axis.
        """
        half_width, half_height = self.case.half
        for _ in range(tries):
            x = 0.0 if rng.random() < centred else float(rng.uniform(-0.9, 0.9)) * half_width
            y = float(rng.uniform(-0.95, 0.95)) * half_height
            rect = (x - width / 2, y - height / 2, width, height)
            if self.free(rect, 0.03):
                self.take(rect, 0.02)
                return x, y
        return None


def meets(one: Rect, other: Rect) -> bool:
    return (
        one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    )


def dial_places(rng: Random, plate: Plate, count: int) -> tuple[float, list[tuple[float, float]]] | None:
    """Diameter and middles of ``count`` dials, most significant first; None when they do not fit."""
    for attempt in range(160):
        size = float(rng.uniform(0.26, 0.52)) * (1 - 0.35 * attempt / 160) * (0.8 if count > 3 else 1.0)
        places = _some_places(rng, plate, count, size)
        spare = 0.56 * size
        squares = [(x - spare, y - spare, 2 * spare, 2 * spare) for x, y in places]
        if all(plate.free(square, -0.06) for square in squares) and not _crowded(places, size):
            for square in squares:
                plate.take(square)
            return size, places
    return None


def _some_places(rng: Random, plate: Plate, count: int, size: float) -> list[tuple[float, float]]:
    half_width, half_height = plate.case.half
    kind = rng.choice(["arc", "arc", "arc", "row", "column", "around"])
    if plate.case.shape == "box":
        kind = rng.choice(["row", "row", "column"])
    if kind in ("arc", "around"):
        wide = kind == "around" or count > 4
        first = float(rng.uniform(-50, 0) if wide else rng.uniform(-12, 60))
        gap = float(rng.uniform(38, 75))
        away = float(rng.uniform(0.5, 0.68))
        turns = [first + gap * number for number in range(count)]
        return [(away * cos(turn * pi / 180), away * sin(turn * pi / 180)) for turn in turns]
    x, y = float(rng.uniform(-0.6, 0.7)) * half_width, float(rng.uniform(-0.3, 0.8)) * half_height
    gap = size * float(rng.uniform(1.1, 1.5))
    if kind == "column":
        return [(x, y + gap * number) for number in range(count)]
    start = x if count == 1 else float(rng.uniform(-0.1, 0.1)) - gap * (count - 1) / 2
    sag = float(rng.uniform(0, 0.12)) * size
    places = [
        (start + gap * number, y + sag * (1 - abs(number - (count - 1) / 2))) for number in range(count)
    ]
    return places if rng.random() < 0.7 else places[::-1]


def _crowded(places: Sequence[tuple[float, float]], size: float) -> bool:
    return any(
        hypot(one[0] - other[0], one[1] - other[1]) < 1.06 * size
        for number, one in enumerate(places)
        for other in places[:number]
    )
