"""Experiment E1: how many FLO nodes do two workflows need when not every frame is of interest?

Two workflows of two cameras each share like FLO nodes. A seed decides which frames are images of
interest, the same for every number of nodes and every rule; more of them at a higher probability.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

from meerkat_contract.errors import UsageError

from .bounds import ideal_queue
from .claims import E1_CLAIMS, Claim
from .dispatchers import MakeDispatcher
from .metrics import ROUNDING, delayed_ratio, percentile
from .parameters import Parameters
from .world import Image, simulate


@dataclass(frozen=True, slots=True)
class Sample:
    """Of each seed the longest workflow time (seconds) and the delayed ratio."""

    longest: tuple[float, ...]
    delayed: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One row: a probability of interest and a number of FLO nodes."""

    interest: float
    nodes: int
    bound: Sample
    rules: Mapping[str, Sample]
    claim: Claim | None = None
    """What the paper says of it; None of other parameters than its own."""

    def verdict(self, rule: str) -> str:
        """Whether the paper's claim is borne out by `rule`, or by the bound where that was not run."""
        if self.claim is None:
            return ""
        sample = self.rules.get(rule, self.bound)
        return self.claim.judge(sample.longest, sample.delayed)

    def holds(self, rule: str) -> bool:
        """Medians of both metrics at most 2 % (the longest time: or 1 ms) above the bound's."""
        ours = self.rules[rule]
        longest, least = median(ours.longest), median(self.bound.longest)
        delayed, fewest = median(ours.delayed), median(self.bound.delayed)
        return longest <= max(1.02 * least, least + 0.001) and delayed <= fewest + max(
            0.02 * fewest, ROUNDING
        )


def run(
    parameters: Parameters,
    cases: Sequence[tuple[float, int]],
    seeds: int,
    rules: Mapping[str, MakeDispatcher],
    *,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Case]:
    """Each case in turn; `tick` is called after each seed of each. Seeds without an image are left out."""
    for interest, nodes in cases:
        bound: list[list[float]] = []
        measured: dict[str, list[list[float]]] = {name: [] for name in rules}
        for seed in range(seeds):
            images = images_of(parameters, interest, seed)
            tick()
            if not images:
                continue
            bound.append([time for _, time in bound_times(parameters, images, nodes)])
            for name, make in rules.items():
                measured[name].append([time for _, time in workflow_times(parameters, images, nodes, make)])
        if not bound:
            raise UsageError(
                "no frame of any seed is of interest",
                where=f"{interest:.2%} of {parameters.flow * parameters.simulation_time:.0f} frames",
                remedy="Simulate a longer time, or more seeds",
            )
        yield Case(
            interest,
            nodes,
            _sample(bound, parameters),
            {name: _sample(times, parameters) for name, times in measured.items()},
            E1_CLAIMS.get((interest, nodes)) if parameters.papers else None,
        )


def images_of(parameters: Parameters, interest: float, seed: int) -> list[Image]:
    """What reaches the brokers, in order: each frame is of interest with probability `interest`.

    An MLO node looks at one frame at a time and passes on those of interest.
    """
    frames: list[tuple[float, int, int]] = []
    count = round(parameters.simulation_time * parameters.camera_fps)
    for workflow in range(parameters.workflows):
        for camera in range(parameters.cameras_per_mlo):
            offset = workflow * parameters.workflow_offset + camera * parameters.camera_offset
            frames += [(offset + n / parameters.camera_fps, workflow, camera) for n in range(count)]
    frames.sort()
    chance = Random(seed)
    free = [0.0] * parameters.workflows
    images = []
    for captured, workflow, camera in frames:
        free[workflow] = max(captured, free[workflow]) + 1 / parameters.mlo_fps
        if chance.random() < interest:
            name = f"{workflow}-{camera}-{captured * 1e3:.1f}"
            arrived = free[workflow] + parameters.hop
            images.append(Image(name, f"workflow-{workflow}", f"{workflow}-{camera}", captured, arrived))
    images.sort(key=lambda image: image.arrived)
    return images


def workflow_times(
    parameters: Parameters, images: Sequence[Image], nodes: int, make: MakeDispatcher
) -> list[tuple[float, float]]:
    """(captured, workflow time) of each image, from the camera's frame to the decision."""
    done = simulate(images, [parameters.flo_fps] * nodes, make, parameters)
    return _decided(parameters, [(one.ended, one.image) for one in done])


def bound_times(parameters: Parameters, images: Sequence[Image], nodes: int) -> list[tuple[float, float]]:
    """The same with the ideal queue of `bounds`, which waits for no link."""
    reached = [image.arrived + parameters.hop for image in images]
    ends = ideal_queue(reached, nodes, 1 / parameters.flo_fps)
    return _decided(parameters, list(zip(ends, images, strict=True)))


def _decided(parameters: Parameters, ended: list[tuple[float, Image]]) -> list[tuple[float, float]]:
    """The last hop and the decision. It is light (section 3.4), so that none waits for another."""
    rest = parameters.hop + parameters.dlo_seconds
    return sorted((image.captured, end + rest - image.captured) for end, image in ended)


def _sample(runs: Sequence[Sequence[float]], parameters: Parameters) -> Sample:
    return Sample(
        tuple(max(times) for times in runs),
        tuple(delayed_ratio(times, parameters.workflow_time) for times in runs),
    )


def as_object(case: Case, rule: str) -> dict[str, object]:
    """For --json. Times in milliseconds, ratios from 0 to 1. `rule` is the one that the verdict is of."""

    def spread(values: Sequence[float], factor: float) -> dict[str, float]:
        points = {"median": median(values), "p10": percentile(values, 0.1), "p90": percentile(values, 0.9)}
        return {name: round(factor * value, 4) for name, value in points.items()}

    def sample(of: Sample) -> dict[str, object]:
        return {"mwt_ms": spread(of.longest, 1e3), "dmr": spread(of.delayed, 1), "seeds": len(of.longest)}

    return {
        "interest": case.interest,
        "flo_nodes": case.nodes,
        "paper": case.claim.words if case.claim else None,
        "verdict": case.verdict(rule) or None,
        "bound": sample(case.bound),
        "rules": {name: sample(of) | {"holds": case.holds(name)} for name, of in case.rules.items()},
    }
