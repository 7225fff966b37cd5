"""When to rent, how much, and what to send: pure decisions, no clock, no network."""

from .clocks import Moment
from .ledger import Ledger, Machine, Observed, Refused, Terms, Totals
from .making import idle_grace, make_policy

__all__ = [
    "Ledger",
    "Machine",
    "Moment",
    "Observed",
    "Refused",
    "Terms",
    "Totals",
    "idle_grace",
    "make_policy",
]
