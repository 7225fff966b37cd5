"""What a turn has in hand: how it acts upon the outside, and what was decided and is not committed yet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from meerkat_contract.errors import MeerkatError
from meerkat_contract.messages import HubState

from .adapters.store import Waiting
from .core.outputs import Change, Decision, Effect, RecordingClosed

log = logging.getLogger("meerkat.hub")


@dataclass(slots=True)
class Actions:
    """What the hub does to the outside; `bus.py` fills it in."""

    carry_out: Callable[[Effect], None]
    announce: Callable[[Iterable[Waiting]], None]
    announce_again: Callable[[Iterable[Waiting]], None]
    """Forget what is to be announced, and take this instead."""
    confirmed: Callable[[int, MeerkatError | None], bool]
    """The fate of an announcement; answers whether it is over and can be forgotten."""
    pump: Callable[[], None]
    publish_state: Callable[[HubState], None]
    recovered: Callable[[], None]
    together: Callable[[], AbstractContextManager[None]] = nullcontext
    """What is done within leaves for the network in one go."""


@dataclass(slots=True)
class Work:
    """What the core decided and is not committed yet."""

    changes: list[Change] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    acks: list[Callable[[], None]] = field(default_factory=list)
    moves: list[tuple[Path, Path]] = field(default_factory=list)
    """Received files and the places where they have to be before the commit."""

    def add(self, decision: Decision) -> None:
        self.changes += decision.changes
        self.effects += decision.effects
        for line in decision.notes:
            log.info("%s", line)

    def closes(self, recording: str) -> bool:
        return any(isinstance(c, RecordingClosed) and c.id == recording for c in self.changes)
