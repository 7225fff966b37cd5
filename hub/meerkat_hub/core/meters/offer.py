"""What one picture offers to a meter's chains of readings: candidates, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from meerkat_contract.meter_messages import PositionSeen, Verdict
from meerkat_inference.meter.choice import jitter_of

from .learning import likelier
from .rows import Learnt, ReadingRow, parts
from .settings import Rules

NEAR = 250.0
"""Part of an hour's usual flow by which readings may differ and count as one."""
ALONE = 0.9
"""Of the readings that a picture and the history leave: a sure picture has hardly another."""
LIKELY = 0.75
"""The same of one that needs another which says as much: what the reader calls sure."""
CLEAR = 0.8
"""The first reading of all is sure when every wheel is as clear as this; else it takes two."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One picture's candidates. Values are parts, see rows.PARTS."""

    row: ReadingRow
    candidates: tuple[tuple[int, float], ...]
    """(value, likelihood), the likeliest first."""
    evenly: tuple[float | None, ...]
    """Of each candidate, see Candidate.evenly."""
    verdict: Verdict
    """Of the picture alone, as is `confidence`."""
    confidence: float
    parts: tuple[tuple[float, int | None], ...]
    """Of each wheel and needle, how clear it is, and what one step of it counts, where that is known."""
    share_of_top: float
    """Of all candidates' likelihood: those that say the same as the likeliest, but for trembling."""
    alone: bool
    """The likeliest reading is all but the only one."""
    last_wheel: float
    """What one step of the last wheel counts, in units."""
    span: int
    jitter: int
    near: int
    """Readings that differ by no more say the same, as far as anybody cares: a litre of water."""
    alike: int
    """The same, where a needle may tremble by more than a litre."""

    def clearness(self, most: int | None = None) -> float:
        """Confidence of the wheel or needle that is least clear, freed of what two likely readings explain.

        most: what may have flowed. A wheel of which one step counts more is known from the reading before
        as soon as those that count less are, be it as dim or as half-way as it may. And where a whole turn
        counts a litre, nobody cares.
        """
        told = [
            clear
            for clear, factor in self.parts
            if factor is None or (10 * factor > self.near and (most is None or factor <= most))
        ]
        least = min(told, default=1.0 if self.parts else self.confidence)
        # Two readings that are as likely make a wheel unclear too; of that the history may dispose.
        return min(1.0, least / self.share_of_top)

    def known(self, learnt: Learnt) -> tuple[float, ...]:
        """Of each candidate, how much likelier it is than the picture alone says, the meter being known."""
        return tuple(likelier(learnt, evenly) for evenly in self.evenly)

    @property
    def sure_alone(self) -> bool:
        """Whether the picture needs no history."""
        return self.verdict == "accepted" and self.clearness() >= CLEAR and self.alone

    @property
    def sure_enough(self) -> bool:
        """Whether two of the kind need no history."""
        return self.verdict == "accepted" and self.share_of_top >= LIKELY

    def likeliest(self, value: int) -> bool:
        """Whether the picture alone says so."""
        return self.verdict == "accepted" and abs(self.candidates[0][0] - value) <= self.jitter

    def share_of(self, value: int, learnt: Learnt) -> float:
        """Of all that the picture says, the meter being known: how much says this."""
        weights = [
            likelihood * known
            for (_, likelihood), known in zip(self.candidates, self.known(learnt), strict=True)
        ]
        alike = (abs(each - value) <= self.near for each, _ in self.candidates)
        return sum(weight for weight, same in zip(weights, alike, strict=True) if same) / sum(weights)

    def says(self, value: int) -> float | None:
        """What its candidate for a value has of the last wheel, see Candidate.evenly."""
        off, evenly = min((abs(each - value), rank) for rank, (each, _) in enumerate(self.candidates))
        return self.evenly[evenly] if off <= self.jitter else None


def offer_of(row: ReadingRow, rules: Rules) -> Offer | None:
    """None when the picture shows no reading."""
    seen = row.seen
    if seen is None or row.refused or seen.verdict in ("unreadable", "implausible"):
        return None
    listed = [(parts(c.value), c.likelihood, c.evenly) for c in seen.candidates if c.likelihood > 0]
    if not listed and seen.value is not None:
        listed = [(parts(seen.value), 1.0, None)]
    if not listed:
        return None
    listed.sort(key=lambda candidate: -candidate[1])
    candidates = tuple((value, likelihood) for value, likelihood, _ in listed)
    step = max(1, parts(seen.step))
    jitter = step * (jitter_of(seen) if rules.settings.jitter is None else rules.settings.jitter)
    litre = parts(rules.limits.usual_flow / NEAR)
    near = max(jitter, litre)
    return Offer(
        row=row,
        candidates=candidates,
        evenly=tuple(evenly for *_, evenly in listed),
        verdict=seen.verdict,
        confidence=seen.confidence,
        parts=tuple(
            (clear, None if one.factor is None else parts(one.factor))
            for one, clear in (
                *((wheel, _clear(wheel)) for wheel in seen.wheels),
                *((needle, needle.confidence) for needle in seen.needles),
            )
        ),
        share_of_top=share_of_top(candidates, jitter),
        alone=share_of_top(candidates, near) >= ALONE,
        last_wheel=(seen.wheels[-1].factor or seen.step) if seen.wheels else seen.step,
        span=parts(seen.span),
        jitter=jitter,
        near=near,
        alike=min(jitter, max(step, litre)),
    )


def _clear(wheel: PositionSeen) -> float:
    """How clear a wheel is. Between two digits it is never as clear as on one, for other pairs look like it.
    What that leaves open is among the candidates."""
    half_way = wheel.position is not None and 0.2 < wheel.position % 1 < 0.8
    return sqrt(wheel.confidence) if half_way else wheel.confidence


def share_of_top(candidates: Sequence[tuple[int, float]], near: int) -> float:
    top = candidates[0][0]
    alike = sum(likelihood for value, likelihood in candidates if abs(value - top) <= near)
    return alike / sum(likelihood for _, likelihood in candidates)
