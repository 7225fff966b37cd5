"""How well an embedder tells people apart, measured: who is known is named, who is not is not.

Every picture is asked twice. As one of the house: its person is enrolled with their *other* pictures
(the picture itself and all its variations left out). As a stranger: its person is not enrolled at all,
everybody else is. So each picture gives one known and one unknown probe, and the two rates come from
the same pictures.

    identification   share of known probes that get the right name at a threshold
    wrong names      share of known probes that get somebody else's
    false accepts    share of unknown probes that get any name

A person with one picture is a stranger to the others, and known only by variations of the enrolled
picture itself, which flatters: `same_picture` counts those probes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import UsageError

from .embedder import USABLE
from .variations import kind

SAFETY = 0.9
"""The proposed threshold is this part of the distance at which the first stranger would be named."""
STEPS = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """One described face whose person is known to the examiner."""

    person: str
    picture: str
    """The file it is from; variations of a file share it."""
    variation: str
    """Empty for the picture as it is."""
    embedding: NDArray[np.float32] | None
    """(D,); None when no face was found in the variation."""
    quality: float

    @property
    def usable(self) -> bool:
        return self.embedding is not None and self.quality >= USABLE


@dataclass(frozen=True, slots=True)
class Trial:
    """One question to a gallery and what the nearest people were."""

    probe: Probe
    known: bool
    right: bool
    """The nearest person is the right one; false for strangers."""
    distance: float
    runner_up: float
    same_picture: bool = False

    def named(self, threshold: float, margin: float) -> bool:
        """Whether a gallery gives a name, right or wrong."""
        near = isfinite(self.distance) and self.distance <= threshold
        return self.probe.usable and near and self.runner_up - self.distance >= margin


@dataclass(frozen=True, slots=True)
class Curve:
    """The rates at each threshold, arrays of one length; 0..1."""

    thresholds: NDArray[np.float64]
    identified: NDArray[np.float64]
    misnamed: NDArray[np.float64]
    accepted: NDArray[np.float64]
    """Strangers that get a name."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured on one set."""

    people: int
    pictures: int
    probes: int
    unusable: int
    """Probes whose quality is below USABLE: nobody names them, and they count as not identified."""
    same_picture: int
    trials: tuple[Trial, ...]
    margin: float
    curve: Curve
    equal_error: tuple[float, float]
    """(threshold, rate): where as many known are missed as strangers are named."""
    nearest_stranger: float
    """The smallest threshold at which a stranger would get a name; infinite when none ever would."""
    proposed: float
    """SAFETY of that: the threshold at which nobody unknown was named, with room."""

    def identified(self, threshold: float, *, of: str = "", usable: bool = False) -> float:
        """Share of known probes with the right name; `of` limits it to a kind of variation (`plain` is
        the pictures as they are), `usable` to faces that can be made out. NaN when there are none."""
        asked = [t for t in self.trials if t.known and _is(t, of) and (t.probe.usable or not usable)]
        right = sum(t.right and t.named(threshold, self.margin) for t in asked)
        return right / len(asked) if asked else nan

    def misnamed(self, threshold: float) -> int:
        """Known probes that get somebody else's name."""
        return sum(t.known and not t.right and t.named(threshold, self.margin) for t in self.trials)

    def accepted(self, threshold: float) -> int:
        """Strangers that get a name."""
        return sum(not t.known and t.named(threshold, self.margin) for t in self.trials)

    def count(self, *, known: bool, of: str = "") -> int:
        return sum(t.known == known and _is(t, of) for t in self.trials)

    @property
    def bound(self) -> float:
        """With nobody of so many people named wrongly, the true share of strangers who would be is
        below this with 95 % confidence (rule of three; people count, not pictures). 1 says nothing."""
        return min(1.0, 3 / self.people)


def measure(probes: Sequence[Probe], *, margin: float) -> Report:
    """Ask each probe twice. Raises UsageError when fewer than two people are there."""
    enrolled = [p for p in probes if not p.variation and p.usable]
    people = sorted({p.person for p in enrolled})
    if len(people) < 2:
        raise UsageError(
            "fewer than two people have a picture that could be enrolled",
            where="meerkat faces evaluate",
            remedy="Give sharp pictures of two people or more, one folder each",
        )
    trials = tuple(trial for probe in probes for trial in _ask(probe, enrolled))
    curve = _curve(trials, margin)
    strangers = [t.distance for t in trials if not t.known and t.named(inf, margin)]
    nearest = min(strangers, default=inf)
    proposed = SAFETY * nearest if isfinite(nearest) else float(curve.thresholds[-1])
    return Report(
        people=len(people),
        pictures=len({(p.person, p.picture) for p in probes}),
        probes=len(probes),
        unusable=sum(not p.usable for p in probes),
        same_picture=sum(t.same_picture for t in trials),
        trials=trials,
        margin=margin,
        curve=curve,
        equal_error=_equal_error(curve),
        nearest_stranger=nearest,
        proposed=float(np.floor(proposed * 100) / 100),
    )


def _ask(probe: Probe, enrolled: Sequence[Probe]) -> list[Trial]:
    """The probe as a stranger, and as one of the house if its person can be enrolled without it."""
    nearest: dict[str, float] = {}
    own_picture: float | None = None
    for sample in enrolled:
        distance = _between(probe, sample)
        if (sample.person, sample.picture) == (probe.person, probe.picture):
            own_picture = distance if own_picture is None else min(distance, own_picture)
        else:
            nearest[sample.person] = min(distance, nearest.get(sample.person, inf))
    others = {person: distance for person, distance in nearest.items() if person != probe.person}
    trials = [_trial(probe, others, known=False)]
    same = probe.person not in nearest
    if same and probe.variation and own_picture is not None:
        nearest[probe.person] = own_picture
    if probe.person in nearest:
        trials.append(_trial(probe, nearest, known=True, same_picture=same))
    return trials


def _between(probe: Probe, sample: Probe) -> float:
    if not probe.usable or probe.embedding is None or sample.embedding is None:
        return inf
    return float(np.linalg.norm(sample.embedding - probe.embedding))


def _trial(probe: Probe, nearest: dict[str, float], *, known: bool, same_picture: bool = False) -> Trial:
    ranked = sorted((distance, person) for person, distance in nearest.items())
    right = known and ranked[0][1] == probe.person
    return Trial(probe, known, right, ranked[0][0], ranked[1][0] if len(ranked) > 1 else inf, same_picture)


def _curve(trials: Sequence[Trial], margin: float) -> Curve:
    known = [t for t in trials if t.known]
    unknown = [t for t in trials if not t.known]
    reached = [t.distance for t in trials if isfinite(t.distance)]
    thresholds = np.arange(0.0, max(reached, default=1.0) + STEPS, STEPS)

    def share(among: Sequence[Trial], counted: Sequence[bool]) -> NDArray[np.float64]:
        at = np.sort([t.distance for t, counts in zip(among, counted, strict=True) if counts])
        return np.searchsorted(at, thresholds, side="right") / max(1, len(among))

    named = [t.named(inf, margin) for t in known]
    return Curve(
        thresholds,
        share(known, [n and t.right for t, n in zip(known, named, strict=True)]),
        share(known, [n and not t.right for t, n in zip(known, named, strict=True)]),
        share(unknown, [t.named(inf, margin) for t in unknown]),
    )


def _equal_error(curve: Curve) -> tuple[float, float]:
    missed = 1 - curve.identified
    at = int(np.abs(missed - curve.accepted).argmin())
    return float(curve.thresholds[at]), float((missed[at] + curve.accepted[at]) / 2)


def _is(trial: Trial, of: str) -> bool:
    variation = trial.probe.variation
    return not of or (not variation if of == "plain" else kind(variation) == of)
