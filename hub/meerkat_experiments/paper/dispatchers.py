"""Who deals out the messages in the paper's world: a bare rule here, the hub's pool in `production`.

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


@dataclass(frozen=True, slots=True)
class Sent:
    """A message on its way to a node. `token` comes back with the answer."""

    message: str
    node: str
    token: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """What the broker hears of a message that was done."""

    message: str
    node: str
    token: int
    seconds: float
    """Of work."""
    waited: float
    """Seconds at the node, before the work."""


class Dispatcher(Protocol):
    """`arrive` and `answered` tell it what happened, `send` asks what to do; times never go back."""

    @property
    def name(self) -> str: ...

    def arrive(self, message: str, flow: str, source: str, now: float, /) -> None: ...

    def answered(self, answer: Answered, now: float, /) -> None: ...

    def send(self, now: float, /) -> tuple[list[Sent], float | None]:
        """What is to be sent now, and when to ask again if nothing happens before."""
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

    def answered(self, answer: Answered, now: float, /) -> None:
        node = answer.node
        del self._in_flight[node][answer.message]
        self._seconds[node] = learn(self._seconds[node], answer.seconds)
        self._last_answer[node] = now

    def send(self, now: float, /) -> tuple[list[Sent], float | None]:
        sent: list[Sent] = []
        while self._waiting:
            shown = list(islice(self._waiting.values(), SHOWN))
            views = [self._view(node) for node in self._nodes.values()]
            chosen = self._rule.assign(shown, views, now, self._arrivals.estimate(now))
            for assignment in chosen:
                job = self._waiting.pop(assignment.job)
                self._in_flight[assignment.worker][job.id] = InFlight(job.id, job.cost, now)
                sent.append(Sent(job.id, assignment.worker))
            if len(chosen) < len(shown):
                break
        return sent, None

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
