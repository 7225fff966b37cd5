"""Mistakes planted in the hub are found, by the invariant that they break."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from house_support.runs import SEEDS, plan, run_of
from meerkat_contract.errors import StorageError
from meerkat_experiments.house.command import house
from meerkat_experiments.house.planted import PLANTED
from meerkat_experiments.house.world import Plan, run_in_scratch


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_found_within_ten_seeds(mistake: str) -> None:
    """And the hub as it is passes the very seeds that convict the one with the mistake."""
    assert len(SEEDS) == 10
    for seed in SEEDS:
        run = run_in_scratch(plan(seed, planted=mistake))
        if run.broken:
            break
    assert run.broken == PLANTED[mistake].breaks, run.what or "never found"
    assert not run_of(seed).broken


def test_the_seed_and_the_last_events_are_told_and_the_seed_repeats_them() -> None:
    arguments = ["--plant", "no-requeue", "--hours", "1", "--seed", "10", "--seeds", "3"]
    first = CliRunner().invoke(house, arguments)
    assert first.exit_code == 1
    *events, _, what, again = first.output.rstrip().splitlines()
    assert len(events) > 30
    assert "counts: " in what
    seed = int(what.removeprefix("seed ").split(",")[0])
    assert (
        again
        == f"again: meerkat simulate house --seed {seed} --seeds 1 --hours 1 --faults 1 --plant no-requeue"
    )
    second = CliRunner().invoke(house, again.split("house ")[1].split())
    assert second.output == first.output


def test_a_run_that_holds_says_what_happened_and_what_held() -> None:
    done = CliRunner().invoke(house, ["--hours", "0.2", "--seeds", "1", "--seed", "3"])
    assert done.exit_code == 0, done.output
    assert "clips done" in done.output
    assert "acknowledged" in done.output


def test_how_far_it_is_is_told_by_the_hour_and_changes_nothing() -> None:
    told: list[float] = []
    assert run_in_scratch(Plan(1, hours=0.5), None, told.append) == run_in_scratch(Plan(1, hours=0.5))
    assert told == [pytest.approx(0.1)] * 5


def test_a_trace_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        house, ["--seeds", "1", "--hours", "0.1", "--trace", str(tmp_path / "no" / "x")]
    )
    assert isinstance(done.exception, StorageError)
    assert "the trace cannot be written (No such file or directory). Name another" in str(done.exception)
