"""The curve of an evaluation as a picture (Matplotlib, loaded when it is drawn)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from meerkat_contract.errors import StorageError, UsageError

from .measuring import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check(path: Path) -> None:
    """Before minutes of work. Raises UsageError for another ending than .png and without Matplotlib,
    StorageError for a folder that cannot be written."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path.name!r} is no name of a PNG", where="--figure", remedy="Write curve.png")
    _figure()
    try:
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error.strerror) from error


def draw(report: Report, path: Path, *, title: str, threshold: float) -> None:
    """Rates against the threshold, and the distances below them. `threshold` is the catalogue's.

    Raises UsageError when Matplotlib is not installed, StorageError when the file cannot be written.
    """
    draw_beside([(title, report)], path, threshold=threshold)


def draw_beside(panels: Sequence[tuple[str, Report]], path: Path, *, threshold: float) -> None:
    """Several evaluations in one picture, side by side, each as (title, report). Raises as `draw` does."""
    figure = _figure()(figsize=(2 + 6 * len(panels), 6.4), layout="constrained")
    rows = figure.subplots(2, len(panels), sharex=True, squeeze=False, height_ratios=(3, 2))
    for column, (title, report) in enumerate(panels):
        _rates(rows[0, column], report, title, threshold)
        _distances(rows[1, column], report, threshold)
    try:
        figure.savefig(path, dpi=120 if len(panels) == 1 else 90)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def _figure() -> type[Figure]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "Matplotlib, which draws the curve, is not installed",
            where="--figure",
            remedy="`pip install 'meerkat-home[experiments]'` installs it, or leave --figure out",
        ) from error
    return Figure


def _unwritable(path: Path, why: object) -> StorageError:
    what = f"the figure cannot be written ({why})"
    return StorageError(what, where=str(path), remedy="Name a .png in another folder")


def _rates(axes: Any, report: Report, title: str, threshold: float) -> None:
    curve = report.curve
    axes.plot(curve.thresholds, 100 * curve.identified, color="#2a6fbb", label="known, right name")
    axes.plot(curve.thresholds, 100 * curve.misnamed, color="#d08a1d", label="known, wrong name")
    axes.plot(curve.thresholds, 100 * curve.accepted, color="#b8322c", label="unknown, any name")
    _thresholds(axes, report, threshold)
    axes.annotate("catalogue", (threshold, 50), rotation=90, ha="right", va="center", fontsize=8)
    axes.annotate("proposed", (report.proposed, 50), rotation=90, ha="left", va="center", fontsize=8)
    axes.set_ylabel("share of probes, %")
    axes.set_title(title)
    axes.legend(loc="upper left")  # where the curves begin, all at zero


def _distances(axes: Any, report: Report, threshold: float) -> None:
    _thresholds(axes, report, threshold)
    seen = [t for t in report.trials if t.probe.usable]
    bins = [step * 0.02 for step in range(int(report.curve.thresholds[-1] / 0.02) + 2)]
    for known, colour, label in ((True, "#2a6fbb", "known"), (False, "#b8322c", "unknown")):
        own = [t.distance for t in seen if t.known == known]
        axes.hist(own, bins=bins, color=colour, alpha=0.6, label=label)
    axes.set_xlabel("distance to the nearest person enrolled")
    axes.set_ylabel("probes")
    axes.legend(loc="upper left")


def _thresholds(axes: Any, report: Report, threshold: float) -> None:
    axes.axvline(threshold, color="#555555", linestyle="--", linewidth=1)
    axes.axvline(report.proposed, color="#2c8a4b", linestyle=":", linewidth=1.5)
    axes.grid(alpha=0.3)
