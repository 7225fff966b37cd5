"""`meerkat simulate e1` and `e2`: the MELINDA paper's experiments with the hub's own dispatcher."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from meerkat_contract.errors import UsageError

from . import e1 as first
from . import e2 as second
from . import tables
from .golden import golden
from .output import prepare, progress
from .parameters import INTEREST, MESSAGES, NODES, SETS, Parameters
from .rules import E1_RULES, FAIR, OURS, PAPER, REFERENCE, RULES

_PAPER = Parameters()
_OPTIONS: tuple[tuple[str, str, float, str], ...] = (
    ("--flo-fps", "flo_fps", _PAPER.flo_fps, "Images a second of a FLO node (E1)."),
    ("--mlo-fps", "mlo_fps", _PAPER.mlo_fps, "Frames a second of an MLO node."),
    ("--camera-fps", "camera_fps", _PAPER.camera_fps, "Frames a second of a camera."),
    ("--decision", "dlo_seconds", 1e3 * _PAPER.dlo_seconds, "Milliseconds of a decision."),
    ("--bandwidth", "bandwidth_mbps", _PAPER.bandwidth_mbps, "Mbit/s of each link."),
    ("--delay", "delay", 1e3 * _PAPER.delay, "Milliseconds of each hop."),
    ("--message", "message_kilobytes", _PAPER.message_kilobytes, "Kilobytes of an image."),
    ("--time", "simulation_time", 1e3 * _PAPER.simulation_time, "Milliseconds of simulation (E1)."),
    (
        "--offset",
        "workflow_offset",
        1e3 * _PAPER.workflow_offset,
        "Milliseconds between the workflows' frames.",
    ),
)
_IN_MILLISECONDS = ("dlo_seconds", "delay", "simulation_time", "workflow_offset")


def _parameters(command: Callable[..., None]) -> Callable[..., None]:
    """The options of Table 3, with the paper's values."""
    for flag, name, default, help_text in reversed(_OPTIONS):
        option = click.option(flag, name, type=float, default=default, show_default=True, help=help_text)
        command = option(command)
    return command


def _read(options: dict[str, float]) -> Parameters:
    """Raises UsageError that names the option and the value as they were typed."""
    values = {name: value / 1e3 if name in _IN_MILLISECONDS else value for name, value in options.items()}
    try:
        return Parameters(**values)  # type: ignore[arg-type]  # the options are its fields
    except UsageError as error:
        flag = next(flag for flag, name, *_ in _OPTIONS if name == error.where)
        what = f"{options[error.where]:g} is not a possible value"
        raise UsageError(what, where=flag, remedy=error.remedy) from None


def _shared(command: Callable[..., None]) -> Callable[..., None]:
    figures = click.option(
        "--figures",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Draw the figures there, as PNG.",
    )
    return figures(click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command))


@click.command()
@_parameters
@click.option("--seeds", type=click.IntRange(1), default=200, show_default=True, help="Runs of each row.")
@click.option(
    "--interest", type=click.FloatRange(0, 100, min_open=True), multiple=True, metavar="PERCENT",
    help="Part of the frames that are of interest; repeatable.  [default: 100 50 25 10]",
)  # fmt: skip
@click.option(
    "--nodes", type=click.IntRange(1, 64), multiple=True, help="FLO nodes; repeatable.  [default: 1 2 3 4]"
)
@_shared
def e1(
    *,
    seeds: int,
    interest: tuple[float, ...],
    nodes: tuple[int, ...],
    as_json: bool,
    figures: Path | None,
    **options: float,
) -> None:
    """The paper's experiment 1: the longest workflow time and the delayed messages, by FLO nodes."""
    parameters = _read(options)
    if figures:
        prepare(figures)
    parts = [percent / 100 for percent in interest] or INTEREST
    pairs = [(part, count) for part in parts for count in nodes or NODES]
    with progress("E1", seeds * len(pairs)) as tick:
        cases = list(first.run(parameters, pairs, seeds, E1_RULES, tick=tick))
    files: list[Path] = []
    if figures:
        from .figures import draw_e1

        files = draw_e1(figures, parameters, cases, OURS, RULES[OURS])
    if as_json:
        _print_json(parameters, "cases", [first.as_object(case, OURS) for case in cases], files)
        return
    console = _console()
    console.print(tables.parameter_table(parameters))
    console.print(tables.e1_table(cases, OURS))
    for rule in (OURS, FAIR):
        console.print(tables.verdict(cases, rule))
    longest, delayed = (max(gaps) for gaps in zip(*(tables.worst_gap(c, OURS) for c in cases), strict=True))
    console.print(
        f"Of all {seeds * len(cases)} runs of {OURS} the worst is {1e3 * longest:.1f} ms, and {delayed:.1%} "
        "of the messages, above its own bound.\nThe bound is an ideal queue in order of arrival: no rule "
        "has a shorter longest time, and none that serves in that order has fewer delayed messages.\n"
        f"{OURS} has one queue for the service that the workflows share. {FAIR} is what the hub does:\n"
        "each workflow gets its share, and those within a second of service of each other go by age."
    )
    _tell(console, files)


@click.command()
@_parameters
@click.option(
    "--capacities",
    metavar="A/B/C",
    multiple=True,
    help="FLO nodes; repeatable.  [default: 40/20/10 60/30/10]",
)
@click.option(
    "--messages", type=click.IntRange(1, 100_000), multiple=True,
    help="Images; repeatable.  [default: 100 300 600 1000]",
)  # fmt: skip
@_shared
def e2(
    *,
    capacities: tuple[str, ...],
    messages: tuple[int, ...],
    as_json: bool,
    figures: Path | None,
    **options: float,
) -> None:
    """The paper's experiment 2: balance and throughput of three unlike FLO nodes, by rule."""
    parameters = _read(options)
    sets = [capacity_set(text) for text in capacities] or SETS
    counts = messages or MESSAGES
    if figures:
        prepare(figures)
    with progress("E2", len(sets) * len(counts) * len(RULES)) as tick:
        batches = list(second.run(parameters, sets, counts, RULES, tick=tick))
        figures_of_paper = golden(parameters, RULES, ours=OURS, paper=PAPER, turns=REFERENCE)
    files: list[Path] = []
    if figures:
        from .figures import draw_e2

        files = draw_e2(figures, batches)
    if as_json:
        objects: dict[str, Any] = {"golden": [asdict(figure) for figure in figures_of_paper]}
        _print_json(parameters, "batches", [second.as_object(batch) for batch in batches], files, **objects)
        return
    console = _console()
    console.print(tables.parameter_table(parameters))
    console.print(tables.e2_table(batches))
    console.print(tables.golden_table(figures_of_paper))
    _tell(console, files)


def capacity_set(text: str, where: str = "--capacities") -> tuple[int, ...]:
    """`60/30/10` as numbers. Raises UsageError."""
    parts = text.split("/")
    if not all(part.isdecimal() and 0 < int(part) <= 1000 for part in parts):
        raise UsageError(
            f"{text!r} is no set of nodes", where=where, remedy="Write images a second, such as 60/30/10"
        )
    return tuple(int(part) for part in parts)


def _console() -> Console:
    """As wide as the terminal; where there is none (a pipe, a file), as wide as the tables need."""
    console = Console()
    return console if console.is_terminal else Console(width=200)


def _tell(console: Console, files: list[Path]) -> None:
    for file in files:
        console.print(f"drawn: {file}", soft_wrap=True)


def _print_json(parameters: Parameters, name: str, rows: list[Any], files: list[Path], **more: Any) -> None:
    content = {"parameters": asdict(parameters), name: rows, **more, "figures": [str(file) for file in files]}
    click.echo(json.dumps(content, ensure_ascii=False, indent=1))
