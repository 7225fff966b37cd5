"""Rules that ask for no prediction: round robin, static weights, and the fewest in flight.

They send at once, up to the worker's window. Where it is the turn of a worker without room, the turns
wait for it: a round robin that skips the slow is a pull.
"""

from __future__ import annotations

from collections.abc import Sequence

from .rule import ArrivalEstimate, Assignment, Job
from .view import WorkerView


class RoundRobin:
    """One job each in turn, in the order of the workers' ids."""

    name = "round robin"
    only_willing = False

    def __init__(self) -> None:
        self._last = ""

    def assign(
        self,
        waiting: Sequence[Job],
        workers: Sequence[WorkerView],
        _now: float,
        _arrivals: ArrivalEstimate,
        /,
    ) -> list[Assignment]:
        sent: list[Assignment] = []
        room = {worker.id: worker.room for worker in sorted(workers, key=lambda worker: worker.id)}
        for job in waiting if room else ():
            turn = next((worker for worker in room if worker > self._last), next(iter(room)))
            if room[turn] <= 0:
                break
            room[turn] -= 1
            self._last = turn
            sent.append(Assignment(job.id, turn))
        return sent


class WeightedRoundRobin:
    """Shares in proportion to the capacities announced, spread evenly (smooth weighted round robin).

    With each turn every worker gains its weight, the one with the most has the turn and pays the sum.
    A worker's balance is forgotten when it is gone.
    """

    name = "static weights"
    only_willing = False

    def __init__(self) -> None:
        self._balance: dict[str, float] = {}

    def assign(
        self,
        waiting: Sequence[Job],
        workers: Sequence[WorkerView],
        _now: float,
        _arrivals: ArrivalEstimate,
        /,
    ) -> list[Assignment]:
        sent: list[Assignment] = []
        if not workers:
            return sent
        room = {worker.id: worker.room for worker in workers}
        weight = {worker.id: worker.weight for worker in workers}
        total = sum(weight.values())
        balance = {worker: self._balance.get(worker, 0.0) for worker in weight}
        for job in waiting:
            turn = min(balance, key=lambda worker: (-balance[worker] - weight[worker], worker))
            if room[turn] <= 0:
                break
            room[turn] -= 1
            for worker in balance:
                balance[worker] += weight[worker]
            balance[turn] -= total
            sent.append(Assignment(job.id, turn))
        self._balance = balance
        return sent


class LeastInFlight:
    """To the worker that holds the fewest jobs, the lowest id on ties."""

    name = "least in flight"
    only_willing = False

    def assign(
        self,
        waiting: Sequence[Job],
        workers: Sequence[WorkerView],
        _now: float,
        _arrivals: ArrivalEstimate,
        /,
    ) -> list[Assignment]:
        sent: list[Assignment] = []
        held = {worker.id: len(worker.in_flight) for worker in workers}
        window = {worker.id: worker.window for worker in workers}
        for job in waiting:
            able = [worker for worker in held if held[worker] < window[worker]]
            if not able:
                break
            least = min(able, key=lambda worker: (held[worker], worker))
            held[least] += 1
            sent.append(Assignment(job.id, least))
        return sent
