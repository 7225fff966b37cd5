"""Figures 7 to 10 of the paper, drawn from our runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from .dispatchers import MakeDispatcher
from .e1 import Case, bound_times, images_of, workflow_times
from .e2 import Batch
from .metrics import percentile
from .output import drawing, save
from .parameters import Parameters

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEED = 0
"""Figure 7 shows one run, as the paper's does."""
THE_PAPER = "the paper says"
PAPERS_THROUGHPUT: Mapping[tuple[int, ...], tuple[float, ...]] = {(60, 30, 10): (90, 63)}
"""Messages a second: "over 90" with its own rule, "around 63" with round robin."""
PAPERS_SECONDS: Mapping[tuple[int, ...], tuple[tuple[int, float], ...]] = {
    (60, 30, 10): ((100, 1.1), (100, 1.64))
}
"""(messages, seconds), with the same rules; the second is the mean of the nodes, see `golden`."""


def draw_e1(
    folder: Path, parameters: Parameters, cases: Sequence[Case], rule: str, make: MakeDispatcher
) -> list[Path]:
    """Figures 7 and 8 of the rule named `rule`."""
    parts = sorted({case.interest for case in cases}, reverse=True)
    by_part = {part: [case for case in cases if case.interest == part] for part in parts}
    return [
        _figure_7(folder, parameters, by_part, rule, make),
        _figure_8(folder, by_part, rule),
    ]


def draw_e2(folder: Path, batches: Sequence[Batch]) -> list[Path]:
    """Figures 9 and 10."""
    sets = sorted({batch.capacities for batch in batches})
    return [_figure_9(folder, batches, sets), _figure_10(folder, batches, sets)]


def _figure_7(
    folder: Path,
    parameters: Parameters,
    by_part: Mapping[float, Sequence[Case]],
    rule: str,
    make: MakeDispatcher,
) -> Path:
    figure, axes = _grid(len(by_part))
    for axis, (part, cases) in zip(axes, by_part.items(), strict=True):
        images = images_of(parameters, part, SEED)
        title = _interest(part)
        for case in cases:
            ours = workflow_times(parameters, images, case.nodes, make)
            least = bound_times(parameters, images, case.nodes)
            (line,) = axis.plot(*_points(ours), lw=1.3, label=f"{case.nodes} FLO")
            axis.plot(*_points(least), lw=2.6, alpha=0.25, color=line.get_color())
            if case.claim and case.claim.longest:
                limit = 1e3 * case.claim.longest
                axis.axhline(limit, color="black", lw=0.9, ls="--", label=THE_PAPER)
                title += f"\nthe paper: {limit:.0f} ms with {case.nodes} FLO"
        axis.axhline(1e3 * parameters.workflow_time, color="grey", lw=0.8, ls=":")
        longest = max(time for case in cases for time in case.bound.longest)
        scale = "log" if longest > 10 * parameters.workflow_time else "linear"
        axis.set(xlabel="simulation time, s", ylabel="workflow time, ms", yscale=scale)
        axis.set_title(title, fontsize="medium")
    _legend(figure, axes)
    figure.suptitle(f"Figure 7: workflow time, {rule}, one seed (pale: the bound; dotted: MWT)")
    return save(figure, folder, "figure-7.png")


def _figure_8(folder: Path, by_part: Mapping[float, Sequence[Case]], rule: str) -> Path:
    figure, axes = _grid(len(by_part))
    for axis, (part, cases) in zip(axes, by_part.items(), strict=True):
        names = [rule, *(name for name in cases[0].rules if name != rule)]
        for place, name in enumerate(names):
            samples = [case.rules[name].delayed for case in cases]
            middle = [100 * median(values) for values in samples]
            low = [m - 100 * percentile(v, 0.1) for m, v in zip(middle, samples, strict=True)]
            high = [100 * percentile(v, 0.9) - m for m, v in zip(middle, samples, strict=True)]
            at = [case.nodes + 0.8 * ((place + 0.5) / len(names) - 0.5) for case in cases]
            axis.bar(at, middle, 0.8 / len(names), yerr=(low, high), capsize=2, label=name)
        for case in cases:
            for ratio in case.claim.delayed if case.claim else ():
                _mark(axis, case.nodes, 100 * ratio)
        axis.set(title=_interest(part), xlabel="FLO nodes", ylabel="delayed, %", ylim=(0, 105))
        axis.set_xticks([case.nodes for case in cases])
    _legend(figure, axes)
    figure.suptitle("Figure 8: delayed messages, median of the seeds and 10 to 90 %")
    return save(figure, folder, "figure-8.png")


def _figure_9(folder: Path, batches: Sequence[Batch], sets: Sequence[tuple[int, ...]]) -> Path:
    figure, axes = _grid(len(sets))
    for axis, capacities in zip(axes, sets, strict=True):
        _bars(axis, (b for b in batches if b.capacities == capacities), lambda batch: batch.balance)
        axis.set(title=_set(capacities), xlabel="messages", ylabel="WB (0 is best)")
    _legend(figure, axes)
    figure.suptitle("Figure 9: workload balance, Eq. 12")
    return save(figure, folder, "figure-9.png")


def _figure_10(folder: Path, batches: Sequence[Batch], sets: Sequence[tuple[int, ...]]) -> Path:
    figure, axes = _grid(2 * len(sets))
    for column, capacities in enumerate(sets):
        runs = [b for b in batches if b.capacities == capacities]
        above, below = axes[2 * column], axes[2 * column + 1]
        _bars(above, runs, lambda batch: batch.throughput)
        above.axhline(sum(capacities), color="grey", lw=0.8, ls=":")
        above.set(title=_set(capacities), xlabel="messages", ylabel="PT, messages/s")
        _bars(below, runs, lambda batch: batch.makespan)
        below.set(title=_set(capacities), xlabel="messages", ylabel="processing time, s")
        counts = sorted({run.messages for run in runs})
        for value in PAPERS_THROUGHPUT.get(capacities, ()):
            above.axhline(value, color="black", lw=0.9, ls="--", label=THE_PAPER)
        for count, seconds in PAPERS_SECONDS.get(capacities, ()):
            if count in counts:
                _mark(below, counts.index(count), seconds)
    _legend(figure, axes)
    figure.suptitle("Figure 10: throughput (dotted: the nodes' sum) and processing time")
    return save(figure, folder, "figure-10.png")


def _grid(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(2, count)
    rows = -(-count // columns)
    figure = drawing()(figsize=(5.2 * columns, 3.6 * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, place) for place in range(1, count + 1)]


def _bars(axis: Axes, batches: Iterable[Batch], value: Callable[[Batch], float]) -> None:
    runs = list(batches)
    counts = sorted({batch.messages for batch in runs})
    names = list(dict.fromkeys(batch.rule for batch in runs))
    for place, name in enumerate(names):
        values = {batch.messages: value(batch) for batch in runs if batch.rule == name}
        at = [n + 0.8 * ((place + 0.5) / len(names) - 0.5) for n in range(len(counts))]
        axis.bar(at, [values[count] for count in counts], 0.8 / len(names), label=name)
    axis.set_xticks(range(len(counts)), [str(count) for count in counts])


def _mark(axis: Axes, at: float, value: float) -> None:
    """What the paper says of the bars at `at`."""
    axis.hlines(value, at - 0.45, at + 0.45, color="black", lw=0.9, ls="--", label=THE_PAPER)


def _legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """One for all panels, below them: within one it would cover bars."""
    known: dict[str, Artist] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            known.setdefault(label, handle)
    names = sorted(known, key=lambda name: name == THE_PAPER)
    handles = [known[name] for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize="small")


def _points(times: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [at for at, _ in times], [1e3 * took for _, took in times]


def _interest(part: float) -> str:
    return f"{part:.0%} of the frames are of interest"


def _set(capacities: tuple[int, ...]) -> str:
    return "/".join(str(capacity) for capacity in capacities) + " images/s"
