"""The pool, which keeps all it can from step to step, decides as one that works everything out anew."""

from __future__ import annotations

import pytest

from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.rules import staff

from .by_chance import ByChance
from .plain_pool import PlainPool

SIZES = [(1, 60, 6), (3, 120, 16), (9, 120, 10), (30, 120, 5), (90, 120, 3)]
"""Workers, steps, seeds."""


@pytest.mark.parametrize(
    ("workers", "steps", "seed"),
    [(workers, steps, seed) for workers, steps, seeds in SIZES for seed in range(seeds)],
)
@pytest.mark.parametrize("many", [1, staff.MANY])
def test_it_decides_as_one_that_remembers_nothing(
    workers: int, steps: int, seed: int, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens, however many workers there are, in arrays and in lists."""
    pool, plain = ByChance(seed, workers, Pool()), ByChance(seed, workers, PlainPool())
    monkeypatch.setattr(staff, "MANY", many)
    both = zip(pool.steps(steps), plain.steps(steps), strict=True)
    sent = 0
    for step, (said, expected) in enumerate(both):
        assert said == expected, f"step {step}"
        assert pool.pool.wake_at() == plain.pool.wake_at(), f"step {step}"
        sent += len(said)
    assert sent
