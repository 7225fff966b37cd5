"""The curve of an evaluation as a picture (Matplotlib, loaded when it is drawn)."""

from __future__ import annotations

from pathlib import Path

from meerkat_contract.errors import StorageError, UsageError

from .measuring import Report


def draw(report: Report, path: Path, *, title: str, threshold: float) -> None:
    """Rates against the threshold, and the distances below them. `threshold` is the catalogue's.

    Raises UsageError when Matplotlib is not installed, StorageError when the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "Matplotlib, which draws the curve, is not installed",
            where="--figure",
            remedy="`pip install 'meerkat-home[experiments]'` installs it, or leave --figure out",
        ) from error
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    rates, distances = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    curve = report.curve
    rates.plot(curve.thresholds, 100 * curve.identified, color="#2a6fbb", label="known, right name")
    rates.plot(curve.thresholds, 100 * curve.misnamed, color="#d08a1d", label="known, wrong name")
    rates.plot(curve.thresholds, 100 * curve.accepted, color="#b8322c", label="unknown, any name")
    for axes in (rates, distances):
        axes.axvline(threshold, color="#555555", linestyle="--", linewidth=1)
        axes.axvline(report.proposed, color="#2c8a4b", linestyle=":", linewidth=1.5)
        axes.grid(alpha=0.3)
    rates.annotate("catalogue", (threshold, 50), rotation=90, ha="right", va="center", fontsize=8)
    rates.annotate("proposed", (report.proposed, 50), rotation=90, ha="right", va="center", fontsize=8)
    rates.set_ylabel("share of probes, %")
    rates.set_title(title)
    rates.legend(loc="center right")
    seen = [t for t in report.trials if t.probe.usable]
    bins = [step * 0.02 for step in range(int(curve.thresholds[-1] / 0.02) + 2)]
    for known, colour, label in ((True, "#2a6fbb", "known"), (False, "#b8322c", "unknown")):
        own = [t.distance for t in seen if t.known == known]
        distances.hist(own, bins=bins, color=colour, alpha=0.6, label=label)
    distances.set_xlabel("distance to the nearest person enrolled")
    distances.set_ylabel("probes")
    distances.legend(loc="upper left")
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise StorageError(
            f"the figure cannot be written ({error})", where=str(path), remedy="Name a .png in another folder"
        ) from error
