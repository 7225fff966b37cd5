"""`meerkat bench dispatch`: the paper's experiment E2 with a real broker, a real hub and real processes."""

from __future__ import annotations

import json
from collections.abc import Callable

import click
from rich.console import Console

from meerkat_experiments.paper.command import capacity_set
from meerkat_experiments.paper.output import progress
from meerkat_experiments.paper.parameters import MESSAGES, SETS

from .dispatch_carriers import Carrier, Clips, Frames
from .dispatch_run import RULES, Plan, as_object, limits, run
from .dispatch_table import table

CARRIERS: dict[str, Callable[[int], Carrier]] = {"clip": Clips, "frame": Frames}


@click.command()
@click.option(
    "--rule", "rules", type=click.Choice(list(RULES)), multiple=True, help="Repeatable.  [default: all]"
)
@click.option(
    "--capacities",
    metavar="A/B/C",
    multiple=True,
    help="Jobs a second of each worker; repeatable.  [default: 40/20/10 60/30/10]",
)
@click.option(
    "--messages",
    type=click.IntRange(1, 10_000),
    multiple=True,
    help="Images; repeatable.  [default: 100 300 600 1000]",
)
@click.option(
    "--runs", type=click.IntRange(1), default=5, show_default=True, help="Of each; the median counts."
)
@click.option(
    "--round-trip",
    type=click.FloatRange(0, 10_000),
    default=0.0,
    metavar="MS",
    help="Delay what passes between broker and workers by so many milliseconds there and back.  [default: 0]",
)
@click.option(
    "--carrier",
    type=click.Choice(list(CARRIERS)),
    default="frame",
    show_default=True,
    help="What carries the images: frames of interest, or durable clips.",
)
@click.option("--kilobytes", type=click.IntRange(1, 1000), default=50, show_default=True, help="Of an image.")
@click.option(
    "--window",
    type=click.IntRange(1, 64),
    default=64,
    show_default=True,
    help="Jobs that a worker takes at a time.",
)
@click.option(
    "--idle", type=click.FloatRange(0), default=10.0, show_default=True, help="Seconds to watch the idle hub."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def dispatch(
    *,
    rules: tuple[str, ...],
    capacities: tuple[str, ...],
    messages: tuple[int, ...],
    runs: int,
    round_trip: float,
    carrier: str,
    kilobytes: int,
    window: int,
    idle: float,
    as_json: bool,
) -> None:
    """Deal images out to three unlike workers, by several rules, and compare with the optimum.

    The broker is a Mosquitto of its own, the hub the production hub; the workers are stand-ins, processes
    that hold each job for 1/capacity seconds. Clips are all published at t = 0. Of frames at most 250 are
    unanswered at a time, and one more is published for each that is answered: the hub lets 256 wait.
    """
    plan = Plan(
        tuple(capacity_set(text) for text in capacities) or SETS,
        messages or MESSAGES,
        rules or tuple(RULES),
        runs,
        round_trip / 1e3,
        window,
        idle,
        kilobytes,
    )
    carried: Carrier = CARRIERS[carrier](kilobytes * 1000)
    stderr = Console(stderr=True)
    stderr.print(str(plan), highlight=False)
    with progress("E2", plan.steps()) as tick:
        outcome = run(plan, carried, tick=tick)
    if as_json:
        click.echo(json.dumps(as_object(outcome), ensure_ascii=False, indent=1))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table(outcome))
    for limit in limits(outcome):
        console.print(f"ect*: {limit}", highlight=False, soft_wrap=True)
