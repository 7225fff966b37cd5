"""Table 2 of the paper, Eq. 8 to 13. Times in seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import pstdev

ROUNDING = 1e-9
"""A time is above a limit only when it is so by more than the rounding of sums."""


def delayed_ratio(times: Sequence[float], workflow_time: float) -> float:
    """DMR, Eq. 8 and 9: the part of the messages that took longer than MWT."""
    return sum(time > workflow_time + ROUNDING for time in times) / len(times) if times else 0.0


def workloads(served: Mapping[str, int], capacities: Mapping[str, float], span: float) -> list[float]:
    """WR of each node, Eq. 10: the messages it did over those it could have done in `span`."""
    return [served.get(node, 0) / capacity / span for node, capacity in capacities.items()]


def balance(served: Mapping[str, int], capacities: Mapping[str, float], span: float) -> float:
    """WB, Eq. 12: the standard deviation of the workloads. 0 is a perfect balance."""
    return pstdev(workloads(served, capacities, span))


def throughput(messages: int, span: float) -> float:
    """PT, Eq. 13: messages a second."""
    return messages / span


def served_by(nodes: Iterable[str]) -> dict[str, int]:
    """How many messages each node did."""
    return dict(Counter(nodes))


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` of the values lie, the nearest one that occurs."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
