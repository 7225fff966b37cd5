"""Simulated hours with faults: nothing durable is lost, and a seed is a course of events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from house_support.runs import HOURS, SEEDS, run_of
from meerkat_experiments.house.faults import MEAN_MINUTES
from meerkat_experiments.house.report import failure
from meerkat_experiments.house.world import Plan, Run, run_in_scratch


def unbroken(run: Run) -> None:
    assert not run.broken, failure(run)


@pytest.mark.parametrize("seed", SEEDS)
def test_hours_of_faults_break_nothing(seed: int) -> None:
    unbroken(run_of(seed))


def test_the_houses_saw_all_that_can_go_wrong() -> None:
    """Thirty hours in which no fault struck would prove nothing."""
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        seen.update(run_of(seed).counts)
    assert len(SEEDS) * HOURS >= 30
    for kind in MEAN_MINUTES:
        assert seen[f"fault: {kind}"] >= 3, kind
    ends = ("clips done", "clips expired", "refused and put aside", "pictures kept")
    strange = (
        "hub killed",
        "reloads of the hub",
        "jobs never answered",
        "wrong messages of workers",
        "jobs sent ahead",
    )
    cloud = ("clips sent out", "answers of the cloud", "machines ended")
    for kind in (*ends, *strange, *cloud):
        assert seen[kind] >= 10, kind
    for kind in ("clips failed", "dead letters", "orders never answered"):  # some ten, by chance 3 to 20
        assert seen[kind] >= 2, kind


def test_without_faults_nobody_is_killed_and_whatever_is_whole_is_looked_at() -> None:
    run = run_in_scratch(Plan(3, hours=1.0, faults=0.0))
    unbroken(run)
    counts = Counter(run.counts)
    assert counts["hub killed"] == counts["reloads of the hub"] == 0
    assert counts["clips stored"] == counts["clips made"] - counts["refused and put aside"] > 50
    assert counts["clips done"] + counts["clips failed"] == counts["clips stored"]


def test_the_same_seed_is_the_same_course_of_events_in_every_process() -> None:
    """Nothing may hang on the order of a set, on real time or on real chance."""
    arguments = ["simulate", "house", "--json", "--seed", "4", "--seeds", "1", "--hours", "0.5"]
    program = "import sys; from meerkat_cli.main import main; sys.exit(main())"
    digests = set()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            timeout=120,
        )
        digests.add(json.loads(done.stdout)["runs"][0]["digest"])
    assert digests == {run_in_scratch(Plan(4, hours=0.5)).digest}


def test_another_seed_is_another_course_of_events() -> None:
    assert len({run_of(seed).digest for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", [3, 6])
def test_a_house_with_a_fault_every_five_seconds_breaks_nothing_either(seed: int) -> None:
    unbroken(run_in_scratch(Plan(seed, hours=1.0, faults=20.0)))


@pytest.mark.nightly
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(1000, 1100))
def test_a_thousand_hours_of_faults_break_nothing(seed: int) -> None:
    """Ten hours each: quiet houses, usual ones, and some that hardly come to rest."""
    unbroken(run_in_scratch(Plan(seed, hours=10.0, faults=(0.3, 1.0, 3.0)[seed % 3])))
