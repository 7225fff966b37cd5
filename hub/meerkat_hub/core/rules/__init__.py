"""The dispatch rules, as pure classes behind one interface (see docs/explanation/dispatch.md)."""

from .earliest import EctStar
from .estimates import ArrivalWindow, learn, vary
from .hedging import Hedge, Hedger
from .pull import Pull
from .rule import ArrivalEstimate, Assignment, Rule, WaitingJob
from .staff import Staff, staff_of
from .turns import LeastInFlight, RoundRobin, WeightedRoundRobin
from .view import InFlight, WorkerView, credit

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
    "Staff",
    "WaitingJob",
    "WeightedRoundRobin",
    "WorkerView",
    "credit",
    "learn",
    "staff_of",
    "vary",
]
