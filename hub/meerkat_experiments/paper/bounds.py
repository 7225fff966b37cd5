"""What no dispatcher can beat, computed without any dispatcher."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from math import floor

PRECISION = 1e-9


def ideal_queue(reached: Sequence[float], nodes: int, seconds: float) -> list[float]:
    """When each message ends at an ideal feature level of `nodes` like nodes; ascending, as `reached`.

    One queue in order of arrival, and a node that is free takes the next message in the same instant,
    as if the queue were in the node: no link is ever waited for.

    *Of the maximum time this is a lower bound over all rules.* With like nodes and like messages, a
    work-conserving queue has ended at least as many messages at any instant as any other order could,
    and to exchange a later message that begins first for an earlier one never raises the greater of
    the two times.

    *Of the delayed ratio it is a lower bound over the rules that serve in order of arrival* (each
    message ends here no later than with any of them). It is none over all rules: whoever leaves
    those aside that are late already has fewer late ones, and a greater maximum.
    """
    free = [0.0] * nodes
    ends = []
    for at in reached:
        end = max(at, free[0]) + seconds
        heapq.heapreplace(free, end)
        ends.append(end)
    return ends


def shortest_makespan(
    messages: int, capacities: Sequence[float], *, there: float, back: float, apart: float = 0.0
) -> float:
    """Seconds until the last answer to `messages` like messages that all wait at t = 0: the offline optimum.

    A node can begin after `there` seconds and must have ended `back` seconds before the last answer. Who
    knows everything beforehand keeps every node busy in between, or its link where that is slower (`apart`
    seconds between two messages); so it is the earliest T at which the whole messages that the nodes can
    have answered add up.
    """
    paces = [(1 / capacity, max(1 / capacity, apart)) for capacity in capacities]

    def answered(end: float) -> int:
        left = end - there - back
        return sum(max(0, floor((left - first) / each + 1 + PRECISION)) for first, each in paces)

    low, high = 0.0, there + back + messages * min(each for _, each in paces)
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (low, middle) if answered(middle) >= messages else (middle, high)
    return high
