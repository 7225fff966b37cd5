"""Runs of the simulated house, each made once for all tests that look at it."""

from __future__ import annotations

from functools import cache

from meerkat_experiments.house.world import Plan, Run, run_in_scratch

SEEDS = tuple(range(1, 11))
HOURS = 3.0
"""Simulated, per seed: thirty in all."""


def plan(seed: int, *, planted: str = "") -> Plan:
    return Plan(seed, hours=HOURS, planted=planted)


@cache
def run_of(seed: int) -> Run:
    """The house as it is."""
    return run_in_scratch(plan(seed))
