"""`meerkat simulate burst`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from meerkat_experiments.paper.output import progress

from .parameters import LATE, rows
from .run import Outcome, run


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=20, show_default=True, help="Days of each row.")
@click.option(
    "--grace", type=click.FloatRange(0), metavar="SECONDS",
    help="Idle grace of the machines in all rows.  [default: that of each policy]",
)  # fmt: skip
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw a day's backlog, fleet and dollars there, as PNG or SVG.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def burst(*, seeds: int, grace: float | None, plot: Path | None, as_json: bool) -> None:
    """Days of storms in a house: what is late, and what the cloud costs, by policy."""
    if plot:
        from .plot import check

        check(plot)
    table = rows()
    with progress("burst", seeds * len(table)) as tick:
        outcomes = list(run(table, seeds, grace=grace, tick=tick))
    if plot:
        from .plot import draw

        draw(plot)
    if as_json:
        sites = {row.site.name: asdict(row.site) for row in table}
        content = {"seeds": seeds, "worlds": sites, "rows": [one.as_object() for one in outcomes]}
        click.echo(json.dumps({**content, "plot": str(plot) if plot else None}, indent=1))
        return
    console = Console()
    console = console if console.is_terminal else Console(width=140)
    console.print(_table(outcomes, seeds))
    console.print(
        f"p95: 95 % of the clips are done within. Late: after {LATE:.0f} s. In brackets: the study in which "
        "the rule was chosen.\nDollars as billed, by the second and a minute at least; booked is what the "
        "ledger has, never less.",
        highlight=False,
    )
    if plot:
        console.print(f"drawn: {plot}", soft_wrap=True)


def _table(outcomes: list[Outcome], seeds: int) -> Table:
    table = Table(title=f"24 h x {seeds} seeds", title_justify="left")
    for name in ("world", "policy"):
        table.add_column(name)
    for name in ("p95, s", "late, %", "launches/day", "$/day", "booked", "dearest day"):
        table.add_column(name, justify="right")
    world = ""
    for one in outcomes:
        p95, late, launches, dollars = one.row.earlier
        table.add_row(
            "" if one.row.site.name == world else one.row.site.name,
            one.row.policy,
            f"{one.p95:.0f} ({p95:.0f})",
            f"{one.late:.1f} ({late:.1f})",
            f"{one.launches:.1f} ({launches:g})",
            f"{one.dollars:.3f} ({dollars:.3f})",
            f"{one.booked:.3f}",
            f"{one.dearest:.3f}",
        )
        world = one.row.site.name
    return table
