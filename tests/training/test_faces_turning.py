"""One number turns every wheel and needle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat_training.faces.designing import random_design
from meerkat_training.faces.turning import Gears

PLAIN = Gears(wheels=(10.0, 1.0, 0.1))
DIALLED = Gears(wheels=(10.0, 1.0), dials=(0.1, 0.01))
DRIVEN = Gears(wheels=(10.0, 1.0), dials=(0.1, 0.01), creeps=False)


@pytest.mark.parametrize(
    ("gears", "reading", "expected"),
    [
        (PLAIN, 12.34, [1, 2, 3.4]),
        (PLAIN, 19.89, [1, 9, 8.9]),
        (PLAIN, 19.9, [1, 9, 9]),
        (PLAIN, 19.95, [1.5, 9.5, 9.5]),
        (PLAIN, 99.95, [9.5, 9.5, 9.5]),
        (PLAIN, 100.0, [0, 0, 0]),
        (DIALLED, 12.34, [1, 2.34]),
        (DIALLED, 19.5, [1.5, 9.5]),
        (DRIVEN, 12.34, [1, 2]),
        (DRIVEN, 12.9, [1, 2]),
        (DRIVEN, 12.95, [1, 2.5]),
        (DRIVEN, 19.95, [1.5, 9.5]),
        (Gears(wheels=(10.0, 1.0), all_creep=True), 12.5, [1.25, 2.5]),
        (Gears(wheels=(10.0, 1.0), width=0.5), 19.25, [1, 9.25]),
        (Gears(wheels=(10.0, 1.0), width=0.5), 19.75, [1.5, 9.75]),
        (Gears(wheels=(10.0, 1.0), wheel_play=(-0.1, 0.0)), 3.0, [9.9, 3]),
    ],
)
def test_wheels(gears: Gears, reading: float, expected: list[float]) -> None:
    assert gears.wheel_positions(reading) == pytest.approx(expected, abs=1e-6)


def test_needles_go_round_all_the_time() -> None:
    assert DIALLED.needle_positions(12.34) == pytest.approx([3.4, 4.0])
    assert Gears(wheels=(1.0,), dials=(0.1,), needle_play=(0.2,)).needle_positions(0.99) == pytest.approx(
        [0.1]
    )


@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 0.02))
def test_nothing_jumps(seed: int, share: float, later: float) -> None:
    """While the last wheel or needle moves a little, no other one moves faster than it may."""
    gears = random_design(np.random.default_rng(seed % 40)).gears
    reading = share * gears.span
    step = gears.wheels[-1]
    before, after = (
        gears.wheel_positions(reading),
        gears.wheel_positions((reading + later * step) % gears.span),
    )
    fastest = 10 / gears.width if gears.dials and not gears.creeps else 1 / gears.width
    for one, other in zip(before, after, strict=True):
        moved = (other - one + 5) % 10 - 5
        assert -1e-4 <= moved <= later * max(1.0, fastest) + 1e-4


@given(st.integers(0, 40), st.floats(0, 1, exclude_max=True))
def test_wheels_tell_the_reading(seed: int, share: float) -> None:
    """Read from the right, each wheel corrected by the one before it, they give the number back."""
    gears = random_design(np.random.default_rng(seed)).gears
    plain = Gears(gears.wheels, gears.dials, width=1.0, creeps=True)
    reading = share * gears.span
    positions = plain.wheel_positions(reading)
    value, fraction = 0.0, positions[-1] % 1
    for position, factor in zip(reversed(positions), gears.wheels[::-1], strict=True):
        value += round(position - fraction) % 10 * factor
        fraction = fraction if position >= 9 else 0.0
    value += positions[-1] % 1 * gears.wheels[-1]
    off = (value - reading + gears.span / 2) % gears.span - gears.span / 2
    assert off == pytest.approx(0, abs=1e-5 * gears.wheels[-1] + 1e-9 * gears.span)
