"""The results as tables, the paper beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich.table import Table

from .e1 import Case, Sample
from .e2 import Batch
from .golden import Golden
from .metrics import percentile
from .parameters import Parameters


def parameter_table(parameters: Parameters) -> Table:
    table = Table(title="Parameters (Table 3 of the paper)", title_justify="left", show_header=False)
    for name, value in parameters.rows():
        table.add_row(name, value)
    return table


def e1_table(cases: Sequence[Case], rule: str) -> Table:
    """`rule` is the one whose runs are held against the paper's claims."""
    table = Table(
        title="E1: the longest workflow time (MWT, ms) and the delayed messages (DMR), "
        "median [10–90 %] of the seeds",
        title_justify="left",
    )
    for name in ("of interest", "FLO", "the paper says", "", "lower bound", *cases[0].rules, "so"):
        table.add_column(name, overflow="fold")
    for case in cases:
        claim = case.claim
        shown = [case.bound, *case.rules.values()]
        row = (f"{case.interest:.0%}", str(case.nodes), claim.words if claim else "")
        table.add_row(*row, "MWT", *(_spread(s.longest, 1e3) for s in shown), case.verdict(rule))
        table.add_row("", "", "", "DMR", *(_spread(s.delayed, 100, " %") for s in shown), "")
    return table


def _spread(values: Sequence[float], factor: float, unit: str = "") -> str:
    middle, low, high = (
        factor * v for v in (median(values), percentile(values, 0.1), percentile(values, 0.9))
    )
    return f"{middle:.0f}{unit} \\[{low:.0f}–{high:.0f}]"


def verdict(cases: Sequence[Case], rule: str) -> str:
    """Whether `rule` is at the bound in every row, in words."""
    off = [case for case in cases if not case.holds(rule)]
    if not off:
        rows = "the row" if len(cases) == 1 else f"all {len(cases)} rows"
        return f"{rule}: both medians within 2 % (or 1 ms) of the lower bound in {rows}."
    rows = ", ".join(f"{case.interest:.0%} with {case.nodes}" for case in off)
    return f"{rule}: NOT within 2 % (or 1 ms) of the lower bound: {rows}."


def worst_gap(case: Case, rule: str) -> tuple[float, float]:
    """Over the seeds, the greatest excess of (longest time in seconds, delayed ratio) over the bound's."""

    def excess(ours: Sequence[float], least: Sequence[float]) -> float:
        return max(mine - best for mine, best in zip(ours, least, strict=True))

    sample: Sample = case.rules[rule]
    return excess(sample.longest, case.bound.longest), excess(sample.delayed, case.bound.delayed)


def e2_table(batches: Sequence[Batch]) -> Table:
    table = Table(title="E2: all images wait at t = 0", title_justify="left")
    for name in (
        "FLO, images/s",
        "images",
        "rule",
        "makespan, ms",
        "over the optimum",
        "PT, /s",
        "WB",
        "done by each",
    ):
        table.add_column(name, justify="left" if name in ("rule", "FLO, images/s") else "right")
    before: tuple[tuple[int, ...], int] | None = None
    for batch in batches:
        head = (batch.capacities, batch.messages)
        shown = ("/".join(map(str, batch.capacities)), str(batch.messages)) if head != before else ("", "")
        if before is not None and head != before:
            table.add_section()
        before = head
        table.add_row(
            *shown,
            batch.rule,
            f"{1e3 * batch.makespan:.0f}",
            f"{batch.ratio:.3f}",
            f"{batch.throughput:.1f}",
            f"{batch.balance:.4f}",
            "/".join(str(batch.served.get(node, 0)) for node in batch.busy),
        )
    return table


def golden_table(figures: Sequence[Golden]) -> Table:
    table = Table(title="The paper's figures for 100 images", title_justify="left")
    for name in ("the paper says", "from its authors' counts", "so counted, our run", "makespans here"):
        table.add_column(name)
    for figure in figures:
        table.add_row(figure.claim, figure.theirs, figure.counted, figure.here)
    return table
