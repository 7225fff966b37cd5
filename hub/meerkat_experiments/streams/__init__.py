"""A small simulated world for dispatch: jobs that arrive, links, workers that vary, slow down and die.

    scenario = poisson((60, 30, 10), load=0.8, jobs=10_000, cv=0.5, seed=1)
    run = simulate(scenario, by_rule(EctStar(), hedger=Hedger()))
    print(run.mean, run.p99, run.copies)

`by_rule` has a bare rule of the hub's core decide, `by_pool` the pool that the hub runs.
`share` has several flows before the pool.
"""

from .dealers import Dealer, Sent, by_rule
from .flows import Shared, share
from .optimum import optimum
from .pool_dealer import by_pool
from .scenario import (
    Scenario,
    SimulatedWorker,
    announced_alike,
    announced_backwards,
    batch,
    dying,
    poisson,
    slowing,
)
from .world import Run, simulate

__all__ = [
    "Dealer",
    "Run",
    "Scenario",
    "Sent",
    "Shared",
    "SimulatedWorker",
    "announced_alike",
    "announced_backwards",
    "batch",
    "by_pool",
    "by_rule",
    "dying",
    "optimum",
    "poisson",
    "share",
    "simulate",
    "slowing",
]
