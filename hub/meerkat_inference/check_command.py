"""`meerkat models check`: does this Darknet network work here, and by which engine?"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meerkat_contract.errors import ModelError

if TYPE_CHECKING:
    from .own_model import Outcome, Report


def check(
    given: tuple[Path, ...], names: Path | None, pictures: Path | None, *, entry: bool, as_json: bool
) -> int:
    """Examine the pair and print what came of it; the exit status, 1 when no engine runs it."""
    from .opening import installed
    from .own_model import draft, entry_text, examine, find_pair
    from .verify_command import known_pictures, own_ones

    weights, config = find_pair(given)
    if not installed("opencv"):
        raise ModelError(
            "without OpenCV no picture can be read here",
            where="meerkat models check",
            remedy="pip install 'meerkat-home[worker]'",
        )
    seen = own_ones(pictures) or known_pictures()
    report = examine(weights, config, names, seen)
    if as_json:
        click.echo(json.dumps(_described(report), indent=1))
    elif entry:
        size = (report.width, report.height)
        own = draft(weights, config, names, report.labels, size)
        click.echo(entry_text(own, report.usable or ("opencv",)), nl=False)
    else:
        _show(report, weights, pictures is not None)
    return 0 if report.usable else 1


def _show(report: Report, weights: Path, own: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    click.echo(f"{weights.name}: {report.width}x{report.height}, {len(report.labels)} classes\n")
    table = Table(box=None, pad_edge=False)
    for name in ("engine", "works"):
        table.add_column(name, no_wrap=True)
    for name in ("ms a picture", "boxes as the first"):
        table.add_column(name, justify="right")
    for each in report.outcomes:
        table.add_row(each.engine, *_cells(each))
    console.print(table)
    for each in report.outcomes:
        if each.refused:
            console.print(f"\n{each.engine}: {each.refused}", markup=False, highlight=False, soft_wrap=True)
            console.print(f"  {each.remedy}", markup=False, highlight=False, soft_wrap=True)
    first = next((each for each in report.outcomes if not each.refused), None)
    if first is None:
        click.echo("\nNo engine here runs it.")
        return
    click.echo(f"\nIn {'your pictures' if own else 'three pictures of ours'} it finds:")
    for name, founds in first.founds.items():
        counts = Counter(found.label or "(a class without a name)" for found in founds)
        click.echo(f"  {name}: {', '.join(f'{n} {label}' for label, n in counts.items()) or 'nothing'}")
    if report.strange:
        click.echo(
            f"\nNot in the house's vocabulary, and so no reason for an event: {', '.join(report.strange)}"
        )
    click.echo("\nWith --entry this prints what to write into your catalogue (docs/how-to/darknet.md).")


def _cells(outcome: Outcome) -> tuple[str, str, str]:
    if outcome.refused:
        return ("no", "–", "–")
    return ("yes", f"{outcome.milliseconds:.1f}", f"{outcome.agreed}/{outcome.expected}")


def _described(report: Report) -> dict[str, object]:
    return {
        "input": [report.width, report.height],
        "labels": list(report.labels),
        "strange": list(report.strange),
        "engines": [
            {
                "engine": each.engine,
                "works": not each.refused,
                "refused": each.refused,
                "remedy": each.remedy,
                "milliseconds": each.milliseconds and round(each.milliseconds, 2),
                "expected": each.expected,
                "agreed": each.agreed,
            }
            for each in report.outcomes
        ],
    }
