"""The pool that the hub runs, in the simulated world: it has to learn speeds and round trips itself."""

from __future__ import annotations

from collections.abc import Sequence

from meerkat_contract.messages import ModelInfo, Result, TaskInfo, WorkerState
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.pool.settings import PoolSettings
from meerkat_hub.core.pool.work import Flow, Item

from .dealers import Answered, Dealer, Sent
from .scenario import SimulatedWorker

_TASK = "detect_objects"
_FLOW = Flow("simulated", _TASK)
_MODEL = ModelInfo(name="simulated")
_INCARNATION = "00000000-0000-7000-8000-000000000000"
_WIDEST = 64
"""The widest window that a worker may announce."""


class _ByPool:
    name = "pool"

    def __init__(self, settings: PoolSettings | None) -> None:
        self._pool = Pool(settings=settings)
        self._pool.open(_FLOW)
        self._states: dict[str, WorkerState] = {}

    def begin(self, workers: Sequence[SimulatedWorker]) -> None:
        for worker in workers:
            task = TaskInfo(task=_TASK, model=_MODEL, frames_per_second=worker.announced)
            state = WorkerState(
                worker=worker.id,
                incarnation=_INCARNATION,
                online=True,
                tasks=(task,),
                window=min(worker.window, _WIDEST),
            )
            self._states[worker.id] = state
            self._pool.seen(state, 0.0)

    def arrive(self, job: str, now: float) -> None:
        self._pool.add(Item(job, _FLOW.id, 1.0, arrived=now), now)

    def answer(self, answer: Answered, now: float) -> None:
        result = Result.model_construct(
            job=answer.job,
            token=answer.token,
            incarnation=_INCARNATION,
            state="done",
            frames=1,
            seconds=answer.seconds,
            waited=answer.waited,
        )
        self._pool.answer(answer.worker, result, now)

    def gone(self, worker: str, now: float) -> None:
        self._pool.seen(self._states[worker].model_copy(update={"online": False}), now)

    def deal(self, now: float) -> tuple[Sequence[Sent], float | None]:
        self._pool.pass_time(now)
        leases = self._pool.dispatch(now)
        sent = [Sent(lease.item.id, lease.worker, lease.copy, lease.token) for lease in leases]
        return sent, self._pool.wake_at()


def by_pool(settings: PoolSettings | None = None) -> Dealer:
    """A fresh pool. A lease that runs out is an error of the simulation: no worker hangs in it."""
    return _ByPool(settings)
