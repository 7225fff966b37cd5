"""The dispatchers that the experiments compare, by the names that the tables show."""

from __future__ import annotations

from collections.abc import Mapping

from meerkat_hub.core.rules import EctStar, LeastInFlight, Pull, RoundRobin, WeightedRoundRobin

from .dispatchers import MakeDispatcher, by_rule

OURS = "ect*"
PAPER = "pull 1 (paper)"
"""The paper's Algorithm 2."""
REFERENCE = "round robin"
"""What the paper compares itself with."""

RULES: Mapping[str, MakeDispatcher] = {
    OURS: by_rule(EctStar),
    PAPER: by_rule(Pull),
    REFERENCE: by_rule(RoundRobin),
    "static weights": by_rule(WeightedRoundRobin),
    "least in flight": by_rule(LeastInFlight),
}
