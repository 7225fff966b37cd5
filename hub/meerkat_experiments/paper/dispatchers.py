"""Who deals out the messages in the paper's world: the interface. The hub's pool is in `production`.

All times are seconds on the simulated clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A FLO node as the dispatcher comes to know it."""

    id: str
    capacity: float
    """Images a second, announced."""
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
