"""The results of `meerkat bench dispatch`, for people."""

from __future__ import annotations

from rich.table import Table

from .dispatch_run import RULES, Outcome, Row

PAPER = (
    "The authors' own code on loopback: pull 1.03–1.15 (40/20/10), 1.03–1.05 (60/30/10), round robin 2.5–3.9"
)


def table(outcome: Outcome) -> Table:
    trip = outcome.plan.round_trip
    links = f"{1e3 * trip:g} ms of injected round trip" if trip else "loopback"
    runs = outcome.plan.runs
    spread = (
        "One run of each"
        if runs == 1
        else f"Of {runs} runs the median, in brackets the least and the greatest"
    )
    shown = Table(
        title="E2 over a real broker and real processes: "
        f"{outcome.carrier}s of {outcome.plan.kilobytes} kB, {links}",
        title_justify="left",
        caption=f"{spread}. A stand-in takes one message and sends one for each image: "
        f"its CPU, in ms too, tells how quick the machine was. {PAPER}.",
        caption_justify="left",
    )
    for name in ("workers, jobs/s", "images", "rule"):
        shown.add_column(name)
    for name in ("makespan, ms", "over the optimum", "PT, /s", "WB", "done by each"):
        shown.add_column(name, justify="right")
    for name in ("hub, CPU ms/image", "stand-in"):
        shown.add_column(name, justify="right")
    before: Row | None = None
    for row in sorted(outcome.rows, key=lambda row: (row.capacities, row.messages)):
        same = before and (before.capacities, before.messages) == (row.capacities, row.messages)
        if before and not same:
            shown.add_section()
        before = row
        low, high = row.spread
        head = ("", "") if same else ("/".join(map(str, row.capacities)), str(row.messages))
        shown.add_row(
            *head,
            RULES[row.rule],
            f"{1e3 * row.makespan:.0f}",
            f"{row.ratio:.3f} \\[{low:.3f}–{high:.3f}]",
            f"{row.throughput:.1f}",
            f"{row.balance:.4f}",
            "/".join(map(str, row.served)),
            _milliseconds(row.hub_cpu),
            _milliseconds(row.stand_in_cpu),
        )
    return shown


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1e3 * seconds:.2f}"
