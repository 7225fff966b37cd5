"""Who deals out the messages in the paper's world: the hub's pool, or a bare rule.

All times are seconds on the simulated clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from meerkat_hub.core.rules import ArrivalWindow, InFlight, Rule, WaitingJob, WorkerView, learn

SHOWN = 64
"""Waiting messages that a rule is shown at a time; it is asked again while it sends them all."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A FLO node as the dispatcher comes to know it."""

    id: str
    capacity: float
    """Images a second, announced."""
    round_trip: float
    """Seconds: a message there, its small reply back."""
    window: int = 64


class Dispatcher(Protocol):
    """`arrive` and `answered` tell it what happened, `send` what to do; times never go back."""

    @property
    def name(self) -> str: ...

    def arrive(self, message: str, flow: str, source: str, now: float, /) -> None: ...

    def answered(self, message: str, node: str, seconds: float, waited: float, now: float, /) -> None:
        """`seconds` of work on it, after it `waited` at the node."""
        ...

    def send(self, now: float, /) -> list[tuple[str, str]]:
        """(message, node) for all that is to be sent now."""
        ...


MakeDispatcher = Callable[[tuple[NodeSpec, ...]], Dispatcher]


class ByRule:
    """A rule of the hub's core over one queue in order of arrival, as the paper's broker has it."""

    def __init__(self, rule: Rule, nodes: tuple[NodeSpec, ...]) -> None:
        self._rule = rule
        self._nodes = {node.id: node for node in nodes}
        self._seconds = {node.id: 1 / node.capacity for node in nodes}
        self._in_flight: dict[str, dict[str, InFlight]] = {node.id: {} for node in nodes}
        self._last_answer = dict.fromkeys(self._nodes, float("-inf"))
        self._waiting: OrderedDict[str, WaitingJob] = OrderedDict()
        self._arrivals = ArrivalWindow()

    @property
    def name(self) -> str:
        return self._rule.name

    def arrive(self, message: str, flow: str, source: str, now: float, /) -> None:
        del flow, source  # one queue
        self._waiting[message] = WaitingJob(message)
        self._arrivals.arrive(now)

    def answered(self, message: str, node: str, seconds: float, waited: float, now: float, /) -> None:
        del waited
        del self._in_flight[node][message]
        self._seconds[node] = learn(self._seconds[node], seconds)
        self._last_answer[node] = now

    def send(self, now: float, /) -> list[tuple[str, str]]:
        sent: list[tuple[str, str]] = []
        while self._waiting:
            shown = list(islice(self._waiting.values(), SHOWN))
            views = [self._view(node) for node in self._nodes.values()]
            chosen = self._rule.assign(shown, views, now, self._arrivals.estimate(now))
            for assignment in chosen:
                job = self._waiting.pop(assignment.job)
                self._in_flight[assignment.worker][job.id] = InFlight(job.id, job.cost, now)
                sent.append((job.id, assignment.worker))
            if len(chosen) < len(shown):
                break
        return sent

    def _view(self, node: NodeSpec) -> WorkerView:
        return WorkerView(
            node.id,
            self._seconds[node.id],
            node.round_trip,
            node.window,
            node.capacity,
            tuple(self._in_flight[node.id].values()),
            self._last_answer[node.id],
        )


def by_rule(make: Callable[[], Rule]) -> MakeDispatcher:
    """A dispatcher that asks a fresh rule; rules may remember whose turn it is."""
    return lambda nodes: ByRule(make(), nodes)
