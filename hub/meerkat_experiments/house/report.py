"""What a person reads of the runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from .watch import INVARIANTS
from .world import Run

_SHOWN = (
    "clips made",
    "clips stored",
    "clips done",
    "clips failed",
    "clips expired",
    "refused and put aside",
    "pictures kept",
    "frames received",
    "frames done",
    "jobs sent",
    "clips sent out",
    "answers of the cloud",
    "orders never answered",
    "dead letters",
    "machines launched",
    "messages",
    "sweeps that removed media",
    "hub killed",
    "reloads of the hub",
    "workers killed",
    "workers drained",
    "jobs never answered",
    "wrong messages of workers",
)


def table(runs: Sequence[Run], cpu_seconds: float) -> Table:
    """What happened in all runs together, and what held."""
    counts: Counter[str] = Counter()
    for run in runs:
        counts.update(run.counts)
    hours = sum(run.simulated for run in runs) / 3600
    seeds = (
        f"seed {runs[0].plan.seed}"
        if len(runs) == 1
        else f"seeds {runs[0].plan.seed} to {runs[-1].plan.seed}"
    )
    made = Table(
        title=f"{hours:,.1f} simulated hours in {cpu_seconds:.1f} s of CPU, {seeds}", title_justify="left"
    )
    made.add_column("what happened")
    made.add_column("times", justify="right")
    for name in _SHOWN:
        made.add_row(name, f"{counts[name]:,}")
    made.add_section()
    for name in sorted(name for name in counts if name.startswith("fault: ")):
        made.add_row(name.removeprefix("fault: "), f"{counts[name]:,}")
    made.add_section()
    for name, said in INVARIANTS.items():
        made.add_row(f"{name}: {said}", "held")
    return made


def failure(run: Run) -> str:
    """The seed, what broke, and the last events before it."""
    plan = run.plan
    again = (
        f"meerkat simulate house --seed {plan.seed} --seeds 1 --hours {plan.hours:g} --faults {plan.faults:g}"
    )
    return "\n".join(
        (
            *run.tail,
            "",
            f"seed {plan.seed}, after {run.simulated / 3600:.3f} h: {run.broken}: {run.what}",
            f"again: {again}{f' --plant {plan.planted}' if plan.planted else ''}",
        )
    )
