"""What a rule knows of one worker: what was measured of it, and what follows from that.

A view is made anew when its worker changes, which is far rarer than it is looked at. So all that can be
foreseen without knowing the present is worked out as the view is made.

All times are monotonic seconds on the hub's clock. The cost of a job is in any unit (frames, or 1 for
a job like any other), as long as `WorkerView.seconds` is per the same unit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, inf, log, sqrt

from meerkat_contract.values import value

VARIATION = 0.3
"""Coefficient of variation of service times that is assumed of a worker not measured."""

HEADROOM = 1.5
"""What waits at a worker must last this many round trips: links vary too, and estimates err."""

CAUTION = 2.0
"""How many standard deviations less than expected it is taken to last."""

NEGLIGIBLE = 0.005
"""A round trip of at most this part of the job at work is not worth a second job: what is not sent yet
can still be planned anew, which matters most where jobs are long."""

ROUNDED = 1e-6
"""Seconds. What is so much earlier is surely earlier, however numbers are rounded."""

CLASS = log(1.2)
"""Workers whose service times are within a fifth of each other are of one class."""


@value
class InFlight:
    """A job that was sent to a worker and is not answered yet."""

    job: str
    cost: float
    sent: float


@dataclass(slots=True)
class WorkerView:
    """What the hub knows of one worker. It is not changed once it is made; a frozen class takes twice as long
    to make, and one is made for each job that is sent or answered."""

    id: str
    seconds: float
    """Estimated service time of one unit of cost: the worker's own, without links and queues."""
    round_trip: float
    """Seconds from the hub to the worker and back."""
    window: int
    """Jobs it takes at a time at most, the running one included."""
    weight: float
    """The capacity that it announced, in units of cost a second: what static weights go by."""
    in_flight: tuple[InFlight, ...] = ()
    """In the order in which the worker takes them."""
    last_answer: float = -inf
    """When its latest answer came."""
    variation: float = VARIATION
    """Coefficient of variation of its service times, as measured (see `estimates.vary`)."""

    begun: float = field(init=False, repr=False, compare=False)
    """When it took the first of what it holds, if anything."""
    first_end: float = field(init=False, repr=False, compare=False)
    """When that is predicted to end; never, where it holds nothing."""
    ends: float = field(init=False, repr=False, compare=False)
    """When all that it holds is predicted to end, as long as the first is not overdue."""
    behind: float = field(init=False, repr=False, compare=False)
    """Seconds of work that wait behind the first."""
    answers: float = field(init=False, repr=False, compare=False)
    """When the answer to a next job of no cost would come, until `plain_until`."""
    plain_until: float = field(init=False, repr=False, compare=False)
    """Until then, at least, a job sent to it finds it busy, and nothing is overdue there."""
    late: float = field(init=False, repr=False, compare=False)
    """Once its first job is overdue, that answer would come at twice the present and this."""
    wants: bool = field(init=False, repr=False, compare=False)
    """Whether it should be given another job to be busy while answers and jobs travel."""
    speed_class: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        seconds, half, held = self.seconds, self.round_trip / 2, self.in_flight
        free = self.last_answer - half
        first_end, begun, behind = inf, free, 0.0
        for position, job in enumerate(held):
            begins = max(free, job.sent + half)
            free = begins + seconds * job.cost
            if position:
                behind += seconds * job.cost
            else:
                begun, first_end = begins, free
        self.begun = begun
        self.first_end = first_end
        self.ends = free
        self.behind = behind
        self.answers = free + half
        self.plain_until = min(first_end + half, free - half) - ROUNDED if held else -inf
        self.late = behind - first_end - half
        self.wants = self.would_want(len(held), first_end - begun if held else 0.0, behind)
        self.speed_class = round(log(seconds) / CLASS)

    @property
    def room(self) -> int:
        return self.window - len(self.in_flight)

    def would_want(self, held: int, first: float, behind: float) -> bool:
        """Whether it should be given another job if it held so many: `first` seconds of work in the
        first of them, `behind` in the others.

        One is enough where the round trip hardly matters. Otherwise the others must surely last while
        an answer and a job travel: the sum of n service times is seldom less than
        exp(-CAUTION × variation / √n) of its mean.
        """
        if held >= self.window:
            return False
        if held == 0:
            return True
        if held == 1:
            return self.round_trip > NEGLIGIBLE * first
        surely = behind * exp(-CAUTION * self.variation / sqrt(held - 1))
        return surely < HEADROOM * self.round_trip

    def free_at(self, now: float) -> float:
        """When it is predicted to have done all that it was given.

        Each job reaches it half a round trip after it was sent. Had its first job ended half a round
        trip ago or earlier, the answer would be here. A job that is overdue is taken to need as long
        again as it is overdue, so that a worker that hangs wins less and less.
        """
        latest = now - self.round_trip / 2
        if latest <= self.first_end:
            return self.ends
        return max(self.ends, 2 * latest - self.first_end + self.behind)

    def answers_at(self, now: float) -> float:
        """When the answer to a job of no cost would come that is sent to it now: half a round trip after
        `free_at`, and no sooner than it can be there and back."""
        if now <= self.plain_until:
            return self.answers
        return max(now + self.round_trip, self.answers, 2 * now + self.late)


def credit(worker: WorkerView, cost: float) -> int:
    """How many jobs of this cost a worker would be given before it holds enough."""
    held, each = 0, worker.seconds * cost
    while worker.would_want(held, each, each * (held - 1)):
        held += 1
    return held
