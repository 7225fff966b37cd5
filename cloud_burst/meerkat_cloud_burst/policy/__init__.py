"""When to rent, how much, and what to send: pure decisions, no clock, no network."""

from .clocks import Moment
from .ledger import Ledger, Machine, Observed, Refused, Terms, Totals

__all__ = ["Ledger", "Machine", "Moment", "Observed", "Refused", "Terms", "Totals"]
