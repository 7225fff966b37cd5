"""An evaluation in words, and as an object for programs."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, isnan
from typing import Any

from .measuring import SAFETY, Report

KINDS = ("plain", "pose", "light", "blur", "size")


def in_words(report: Report, model: str, threshold: float) -> str:
    """A page of text with the figures and what they are worth. `threshold` is the catalogue's."""
    known, unknown = report.count(known=True), report.count(known=False)
    lines = [
        f"{model}: {report.people} people, {report.pictures} pictures, {report.probes} probes "
        f"({report.unusable} too poor to be named)",
        "",
        f"{'threshold':>24}  {'known, right':>13}  {'known, wrong':>13}  {'unknown, named':>15}",
    ]
    for label, value in (("of the catalogue", threshold), ("proposed", report.proposed)):
        lines.append(
            f"{label:>17} {value:6.2f}  {_share(report.identified(value)):>13}  "
            f"{report.misnamed(value):>7} of {known:<3}  {report.accepted(value):>8} of {unknown:<4}"
        )
    lines.append("")
    if known:
        lines += [*_by_kind(report, threshold), ""]
        lines.append(f"Equal error: {report.equal_error[1]:.1%} at {report.equal_error[0]:.2f}")
    else:
        lines.append(
            "Nobody has a second picture, so how many of the known get their name is not measured: "
            "give each person two or more, or leave --plain out"
        )
    lines += [
        f"The nearest stranger: {report.nearest_stranger:.3f}"
        if isfinite(report.nearest_stranger)
        else "No stranger was ever near enough to be compared",
        f"Proposed threshold: {report.proposed:.2f}, {SAFETY:.0%} of the nearest stranger's distance",
    ]
    if report.accepted(threshold):
        lines.append(
            f"At the catalogue's {threshold:.2f} a stranger gets a name: lower it to the proposed one"
        )
    lines.append(
        f"With {report.people} people, none of them named wrongly still allows that {report.bound:.0%} "
        "of all strangers would be (95 % confidence)"
    )
    if report.same_picture:
        lines.append(
            f"{report.same_picture} known probes are variations of the enrolled picture itself: that flatters"
        )
    return "\n".join(lines)


def _by_kind(report: Report, threshold: float) -> Iterator[str]:
    """Of each kind of variation, the known that get their name."""
    yield f"{'at ' + format(threshold, '.2f') + ', known and right':>24}  all   of those fit to be named"
    for of in KINDS:
        count = report.count(known=True, of=of)
        if count:
            whole = report.identified(threshold, of=of)
            fit = report.identified(threshold, of=of, usable=True)
            yield f"{of:>24}  {_share(whole, 0):>4}  {_share(fit, 0):>4}  ({count} probes)"


def _share(value: float, digits: int = 1) -> str:
    return "–" if isnan(value) else f"{value:.{digits}%}"


def as_object(report: Report, threshold: float) -> dict[str, Any]:
    """The same for --json. Rates are 0..1, None where nobody was asked; `curve` has a row
    [threshold, identified, misnamed, accepted]."""

    def at(value: float) -> dict[str, Any]:
        return {
            "threshold": value,
            "identified": report.identified(value) if known else None,
            "misnamed": report.misnamed(value),
            "accepted": report.accepted(value),
        }

    known = report.count(known=True)
    curve = report.curve
    rows = zip(curve.thresholds, curve.identified, curve.misnamed, curve.accepted, strict=True)
    by_kind = {of: report.identified(threshold, of=of) for of in KINDS if report.count(known=True, of=of)}
    return {
        "people": report.people,
        "pictures": report.pictures,
        "probes": report.probes,
        "unusable": report.unusable,
        "known": known,
        "unknown": report.count(known=False),
        "same_picture": report.same_picture,
        "margin": report.margin,
        "catalogue": at(threshold),
        "proposed": at(report.proposed),
        "identified_by_kind": by_kind,
        "equal_error": {"threshold": report.equal_error[0], "rate": report.equal_error[1]} if known else None,
        "nearest_stranger": report.nearest_stranger if isfinite(report.nearest_stranger) else None,
        "bound": report.bound,
        "curve": [[round(float(value), 5) for value in row] for row in rows],
    }
