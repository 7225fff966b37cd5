"""Which way what was found is moving: from one look to the next. Pure; times are seconds of media time."""

from __future__ import annotations

from collections.abc import Sequence

from meerkat_contract.messages import Box, Found

LONGEST_STEP = 2.0
"""Seconds between two looks; after a longer one nobody can tell who is who."""

REACH = 1.5
"""Distance, in box sizes, that a thing may go from one look to the next."""


class Followed:
    def __init__(self) -> None:
        self._before: Sequence[Found] = ()
        self._at = 0.0

    def step(self, found: Sequence[Found], at: float) -> tuple[Found, ...]:
        """The same things, with `velocity` where the look before shows where they come from.

        The nearest pairs of one label are taken first, one to one.
        """
        elapsed = at - self._at
        pairs = (
            sorted(
                (apart, i, j)
                for i, old in enumerate(self._before)
                for j, new in enumerate(found)
                if old.label == new.label and (apart := _apart(old.box, new.box)) <= REACH
            )
            if 0 < elapsed <= LONGEST_STEP
            else []
        )
        origin: dict[int, int] = {}
        for _, i, j in pairs:
            if j not in origin and i not in origin.values():
                origin[j] = i
        moved = tuple(
            thing.model_copy(update={"velocity": _velocity(self._before[origin[j]].box, thing.box, elapsed)})
            if j in origin
            else thing
            for j, thing in enumerate(found)
        )
        self._before, self._at = found, at
        return moved


def _centre(box: Box) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def _apart(a: Box, b: Box) -> float:
    """Between the centres, in sizes of the larger box."""
    (ax, ay), (bx, by) = _centre(a), _centre(b)
    return float(((ax - bx) ** 2 + (ay - by) ** 2) ** 0.5 / max(*a[2:], *b[2:], 1e-6))


def _velocity(old: Box, new: Box, elapsed: float) -> tuple[float, float]:
    (ax, ay), (bx, by) = _centre(old), _centre(new)
    return round((bx - ax) / elapsed, 4), round((by - ay) / elapsed, 4)
