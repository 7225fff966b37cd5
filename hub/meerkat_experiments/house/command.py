"""`meerkat simulate house`"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from time import process_time
from typing import TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from meerkat_contract.errors import StorageError

from .planted import PLANTED
from .report import failure, table
from .world import Plan, Run, run_in_scratch


@click.command()
@click.option(
    "--hours", type=click.FloatRange(0.1, 10_000), default=3.0, show_default=True, help="Simulated, per seed."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The first seed.")
@click.option(
    "--seeds", type=click.IntRange(1), default=10, show_default=True, help="How many, one after another."
)
@click.option(
    "--faults", type=click.FloatRange(0, 20), default=1.0, show_default=True,
    help="Intensity; 1 has a fault every minute and a half, 0 none.",
)  # fmt: skip
@click.option(
    "--trace", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write every line there."
)
@click.option(
    "--plant", type=click.Choice(list(PLANTED)), metavar="MISTAKE",
    help=f"Plant a mistake in the hub, to see it found: {', '.join(PLANTED)}.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def house(
    *,
    hours: float,
    seed: int,
    seeds: int,
    faults: float,
    trace: Path | None,
    plant: str | None,
    as_json: bool,
) -> None:
    """A house with faults: nothing durable may be lost.

    The production hub with its real database runs on a simulated clock among devices and workers.
    Hub and workers are killed, the broker restarts, connections break and stall, the disk fills up,
    clocks are set. Ends with status 1 and the last events at the first invariant that does not hold.
    The same seed gives the same course of events.
    """
    began = process_time()
    runs: list[Run] = []
    with ExitStack() as stack:
        copy_to = stack.enter_context(_opened(trace)) if trace else None
        bar = stack.enter_context(_bar(hidden=as_json))
        task = bar.add_task("", total=seeds * hours)
        for number in range(seed, seed + seeds):
            bar.update(task, description=f"seed {number}")
            plan = Plan(number, hours=hours, faults=faults, planted=plant or "")
            runs.append(run_in_scratch(plan, copy_to, lambda told: bar.advance(task, told)))
            if runs[-1].broken:
                break
    seconds = process_time() - began
    if as_json:
        print(json.dumps({"cpu_seconds": round(seconds, 2), "runs": [_plain(run) for run in runs]}, indent=1))
    elif runs[-1].broken:
        click.echo(failure(runs[-1]), err=True)
    else:
        Console().print(table(runs, seconds))
    if runs[-1].broken:
        sys.exit(1)


def _opened(trace: Path) -> TextIO:
    try:
        return trace.open("w", encoding="utf-8")
    except OSError as error:
        what = f"the trace cannot be written ({error.strerror})"
        raise StorageError(what, where=str(trace), remedy="Name another file with --trace") from error


def _bar(*, hidden: bool) -> Progress:
    hours = TextColumn("{task.completed:.0f} of {task.total:.0f} h")
    columns = (TextColumn("{task.description}"), BarColumn(), hours, TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=hidden)


def _plain(run: Run) -> dict[str, object]:
    plain = asdict(run)
    plan, tail = plain.pop("plan"), plain.pop("tail")
    del plan["pace"]
    return {**plan, **plain, **({"tail": tail} if run.broken else {})}
