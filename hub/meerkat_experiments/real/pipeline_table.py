"""The results of `meerkat bench pipeline`, beside those of the paper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table

from meerkat_experiments.paper.parameters import Parameters

from .pipeline_run import PEOPLE, SAMPLES, Figures, Outcome

TABLE_1: dict[str, dict[str, float]] = {
    "detection": {"mean": 0.018, "least": 0.014, "most": 0.029, "deviation": 0.004},
    "recognition": {"mean": 0.051, "least": 0.047, "most": 0.058, "deviation": 0.003},
    "decision": {"mean": 0.008, "least": 0.008, "most": 0.008, "deviation": 0.001},
    "total": {"mean": 0.078, "least": 0.068, "most": 0.098},
}
"""Table 1 of MELINDA (Information 2021, 12, 14), seconds: SSD MobileNet v2 on a Raspberry Pi 4 with a
Coral, dlib's face_recognition on a Jetson Nano, the rule on a Raspberry Pi 3. Its total is printed as it
is, a millisecond above the sum of the means."""


@dataclass(frozen=True, slots=True)
class Modelled:
    """What section 4.4 reckons with, seconds."""

    detection: float
    recognition: float
    decision: float
    hop: float
    latency: float
    transmission: float
    whole: float


def modelled() -> Modelled:
    """25 + 50 + 8 + 3 × (4 + 4) = 107 ms: the sum of the reciprocals of the capacities, and three hops."""
    p = Parameters()
    return Modelled(
        1 / p.mlo_fps, 1 / p.flo_fps, p.dlo_seconds, p.hop, p.delay, p.transmission, p.workflow_time
    )


def table(outcome: Outcome) -> Table:
    """Ours beside theirs, in milliseconds."""
    shown = Table(
        title="From a frame to a decision, ms: mean (least–most, standard deviation)",
        title_justify="left",
        caption="CPU: the median of the thread's own time, which neighbours on the machine change little.",
        caption_justify="left",
    )
    shown.add_column("step")
    for name in ("Table 1 of the paper", "its experiments", "this machine", "median", "CPU"):
        shown.add_column(name, justify="right")
    theirs = modelled()
    work = (
        ("face detection", "detection", theirs.detection, outcome.detection),
        ("face recognition", "recognition", theirs.recognition, outcome.recognition),
        ("decision rule", "decision", theirs.decision, outcome.decision),
    )
    for words, step, reckoned, ours in work:
        shown.add_row(words, _paper(step), f"{1e3 * reckoned:.0f}", *_ours(ours))
    total, cpu = sum(ours.mean for *_, ours in work), sum(ours.cpu or 0 for *_, ours in work)
    shown.add_row("work in all", _paper("total"), "83", f"{1e3 * total:.1f}", "", f"{1e3 * cpu:.1f}")
    shown.add_section()
    shown.add_row("making the JPEG", "", "", *_ours(outcome.encoding))
    for words, hop in zip(("camera → hub", "hub → worker", "worker → hub"), outcome.hops, strict=True):
        shown.add_row(words, "", f"{1e3 * theirs.hop:.0f}", *_ours(hop))
    shown.add_section()
    shown.add_row("frame to decision", "107", f"{1e3 * theirs.whole:.0f}", *_ours(outcome.whole))
    return shown


def notes(outcome: Outcome) -> Iterator[str]:
    """What the figures stand for."""
    theirs = modelled()
    d, r, j = (1e3 * value for value in (theirs.detection, theirs.recognition, theirs.decision))
    yield (
        f"The paper: {d:.0f} + {r:.0f} + {j:.0f} + 3 × ({1e3 * theirs.transmission:.0f} + "
        f"{1e3 * theirs.latency:.0f}) = {1e3 * theirs.whole:.0f} ms "
        "(a hop: 50 kB over 100 Mbit/s, and the delay); it also measured 107 ms on its devices."
    )
    w, h = outcome.size
    sums = [outcome.detection, outcome.encoding, outcome.recognition, outcome.decision, *outcome.hops]
    yield (
        f"Ours: {' + '.join(f'{1e3 * step.mean:.1f}' for step in sums)} = "
        f"{1e3 * sum(step.mean for step in sums):.1f} ms of {1e3 * outcome.whole.mean:.1f} ms measured; "
        f"{outcome.frames} frames of {w}×{h}, {outcome.message_bytes / 1e3:.0f} kB, "
        f"{outcome.faces} {'face' if outcome.faces == 1 else 'faces'}."
    )
    yield (
        f"{outcome.detector}, {outcome.embedder}; {PEOPLE * SAMPLES + 1} pictures of {PEOPLE + 1} people "
        "enrolled. Broker and sessions are on this machine: no network is in the hops."
    )
    yield f"Decided: {outcome.verdict}."


def _paper(step: str) -> str:
    figures = {name: 1e3 * value for name, value in TABLE_1[step].items()}
    deviation = f", {figures['deviation']:.0f}" if "deviation" in figures else ""
    return f"{figures['mean']:.0f} ({figures['least']:.0f}–{figures['most']:.0f}{deviation})"


def _ours(figures: Figures) -> tuple[str, str, str]:
    """Mean and spread, median, CPU."""
    mean, least, most, deviation = (
        f"{1e3 * value:.1f}" for value in (figures.mean, figures.least, figures.most, figures.deviation)
    )
    cpu = "" if figures.cpu is None else f"{1e3 * figures.cpu:.2f}"
    return f"{mean} ({least}–{most}, {deviation})", f"{1e3 * figures.median:.2f}", cpu
