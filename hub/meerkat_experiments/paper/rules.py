"""The dispatchers that the experiments compare, by the names that the tables show.

All of them are the hub's pool, which learns speeds and round trips, with one of the rules of its core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from meerkat_hub.core.rules import EctStar, LeastInFlight, Pull, RoundRobin, Rule, WeightedRoundRobin

from .dispatchers import MakeDispatcher
from .production import by_pool

OURS = "ect*"
FAIR = "ect*, fair"
"""The same with equal shares for the workflows."""
PAPER = "pull 1 (paper)"
"""The paper's Algorithm 2."""
REFERENCE = "round robin"
"""What the paper compares itself with."""

_RULES: Mapping[str, Callable[[], Rule]] = {
    OURS: EctStar,
    PAPER: Pull,
    REFERENCE: RoundRobin,
    "static weights": WeightedRoundRobin,
    "least in flight": LeastInFlight,
}
RULES: Mapping[str, MakeDispatcher] = {name: by_pool(name, rule) for name, rule in _RULES.items()}
"""E2: one queue."""
E1_RULES: Mapping[str, MakeDispatcher] = {
    OURS: RULES[OURS],
    FAIR: by_pool(FAIR, fair=True),
    PAPER: RULES[PAPER],
}
