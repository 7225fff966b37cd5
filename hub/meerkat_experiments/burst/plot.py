"""A day drawn: the backlog at home and in the cloud, the fleet, and the dollars."""

from __future__ import annotations

from pathlib import Path

from meerkat_contract.errors import UsageError
from meerkat_experiments.paper.output import drawing, prepare, save

from .parameters import DAY, FAST, rows
from .world import Sample, day

FLAG = "--plot"

SEED = 0
"""The day that is drawn."""

SHOWN = {"never": "0.7", "7 / 18": "tab:orange", "drain, D = 120": "tab:blue"}

BEFORE, AFTER = 300.0, 2700.0
"""Seconds around the beginning of the first burst that are drawn large."""


def check(path: Path) -> None:
    """Before the days are simulated. Raises UsageError for another ending than png or svg, or without
    matplotlib, StorageError for a folder that cannot be written."""
    drawing(FLAG)
    if path.suffix not in {".png", ".svg"}:
        what = f"{path.suffix or 'a file without an ending'!r} is no picture"
        raise UsageError(what, where=FLAG, remedy="Write .png or .svg")
    prepare(path.parent, FLAG)


def draw(path: Path) -> Path:
    """Write `path`. Raises StorageError."""
    figure = drawing(FLAG)(figsize=(10, 6), layout="constrained")
    axes = figure.subplots(3, 2, sharex="col", height_ratios=(2.4, 1, 1))
    days = {policy: _samples(policy) for policy in SHOWN}
    storm = next(one.at for one in days["drain, D = 120"] if one.machines)
    spans = (
        (0.0, 0.0, DAY, 3600.0, "hour of the day"),
        (storm, storm - BEFORE, storm + AFTER, 60.0, "minutes since the burst began"),
    )
    for column, (zero, begin, end, unit, name) in zip(axes.T, spans, strict=True):
        for policy, samples in days.items():
            shown = [one for one in samples if begin <= one.at <= end]
            at = [(one.at - zero) / unit for one in shown]
            colour = SHOWN[policy]
            column[0].plot(
                at, [one.waiting for one in shown], color=colour, lw=1.3, label=f"{policy}: at home"
            )
            if policy != "never":
                aloft = [one.aloft for one in shown]
                column[0].plot(at, aloft, color=colour, lw=1.1, ls=":", label=f"{policy}: in the cloud")
                column[1].step(at, [one.machines for one in shown], color=colour, lw=1.1, where="post")
                column[2].plot(at, [one.dollars for one in shown], color=colour, lw=1.3)
        column[2].set(xlabel=name, xlim=((begin - zero) / unit, (end - zero) / unit))
    for axis, name in zip(axes[:, 0], ("clips", "machines", "US dollars"), strict=True):
        axis.set(ylabel=name)
    axes[0][0].set(title="a day with three storms")
    axes[0][1].set(title="its first storm")
    axes[0][1].legend(fontsize="small")
    figure.suptitle(FAST.name)
    return save(figure, path.parent, path.name)


def _samples(policy: str) -> list[Sample]:
    settings = {row.policy: row.settings for row in rows() if row.site == FAST}
    if policy in settings:
        return day(FAST, settings[policy], SEED, sampled=True).samples
    broke = next(one for one in settings.values() if one is not None)
    without = broke.model_copy(update={"money": broke.money.model_copy(update={"per_day": 0.0})})
    return day(FAST, without, SEED, sampled=True).samples
