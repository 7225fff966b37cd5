"""`meerkat simulate burst`: what must hold in the simulated houses, and figures that show a new policy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from meerkat_contract.errors import StorageError, UsageError
from meerkat_experiments.burst.parameters import FAST, rows
from meerkat_experiments.burst.run import run
from meerkat_experiments.burst.world import day
from meerkat_experiments.simulate_command import simulate

GOLDEN = {
    "7 / 18": (552, 168, 0, 33, 0.06118),
    "drain, D = 300": (552, 175, 0, 10, 0.05214),
    "drain, D = 120": (552, 191, 1, 9, 0.05125),
}
"""Seed 0 of "EC2 20 s, max 4": clips, sent, taken back, launches, dollars. They change with the policy."""


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(simulate, ["burst", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("policy", GOLDEN)
def test_the_figures_of_one_day(policy: str) -> None:
    settings = next(row.settings for row in rows() if row.site == FAST and row.policy == policy)
    one = day(FAST, settings, 0)
    figures = (len(one.latencies), one.sent, one.taken_back, one.launches, round(one.dollars, 5))
    assert figures == GOLDEN[policy]


def test_drain_keeps_its_promises() -> None:
    """At most 1 % late, at most $0.06 a day; the ledger says no less than is billed, and hardly more."""
    row = next(row for row in rows() if row.site == FAST and row.policy == "drain, D = 120")
    (outcome,) = run([row], 20)
    assert outcome.late <= 1.0
    assert outcome.dollars <= 0.06
    assert outcome.dollars <= outcome.booked <= 1.05 * outcome.dollars


def test_the_same_clips_come_whatever_the_policy() -> None:
    kept = [len(day(FAST, row.settings, 3).latencies) for row in rows() if row.site == FAST]
    assert len(set(kept)) == 1


def test_the_command_prints_all_rows_beside_the_earlier_study() -> None:
    printed = invoke("--seeds", "1")
    assert "drain, D = 120" in printed
    assert "(2381)" in printed
    said = json.loads(invoke("--seeds", "1", "--json"))
    assert [row["policy"] for row in said["rows"]] == [row.policy for row in rows()]
    assert said["rows"][4]["earlier"]["dollars"] == 0.058


def test_it_draws_a_day(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    drawing = tmp_path / "day.png"
    invoke("--seeds", "1", "--plot", str(drawing))
    assert drawing.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match=r"--plot: '.txt' is no picture"):
        invoke("--seeds", "1", "--plot", str(tmp_path / "day.txt"))
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        invoke("--seeds", "1", "--plot", str(tmp_path / "file" / "day.png"))
