"""The dispatch rules, as pure classes behind one interface (see docs/explanation/dispatch.md)."""

from .earliest import EctStar, credit
from .estimates import ArrivalWindow, free_at, learn
from .hedging import Hedge, Hedger
from .pull import Pull
from .rule import ArrivalEstimate, Assignment, InFlight, Rule, WaitingJob, WorkerView
from .turns import LeastInFlight, RoundRobin, WeightedRoundRobin

__all__ = [
    "ArrivalEstimate",
    "ArrivalWindow",
    "Assignment",
    "EctStar",
    "Hedge",
    "Hedger",
    "InFlight",
    "LeastInFlight",
    "Pull",
    "RoundRobin",
    "Rule",
    "WaitingJob",
    "WeightedRoundRobin",
    "WorkerView",
    "credit",
    "free_at",
    "learn",
]
