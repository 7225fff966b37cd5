"""The hub's own pool as a dispatcher of the paper's world.

What runs here is what runs in the hub: it queues, learns how fast and how far away each node
is from the answers alone, and deals out with a rule of the core. Nodes announce their capacity, and
nothing else is told: the pool takes links for short until it knows better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from meerkat_contract.errors import UsageError
from meerkat_contract.messages import ModelInfo, Result, TaskInfo, WorkerState
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.pool.settings import PoolSettings
from meerkat_hub.core.pool.work import Flow, Item
from meerkat_hub.core.rules import EctStar, Rule

from .dispatchers import Answered, MakeDispatcher, NodeSpec, Sent

TASK = "recognise_faces"
ANNOUNCED = -1.0
"""Nodes are there a second before the first image."""
_INCARNATION = "00000000-0000-7000-8000-000000000000"
_MODEL = ModelInfo(name="simulated")


class ByPool:
    """One flow for the shared service, or, `fair`, one for each workflow, of equal weight.

    Nothing is dropped: the paper drops nothing.
    """

    def __init__(
        self,
        name: str,
        nodes: tuple[NodeSpec, ...],
        *,
        rule: Callable[[], Rule],
        fair: bool,
        message_bytes: int,
    ) -> None:
        self.name = name
        self._fair = fair
        self._pool = Pool(settings=replace(PoolSettings(), rule=rule))
        self._flows: set[str] = set()
        self._bytes = message_bytes
        for node in nodes:
            task = TaskInfo(task=TASK, model=_MODEL, frames_per_second=node.capacity)
            state = WorkerState(
                worker=node.id, incarnation=_INCARNATION, online=True, tasks=(task,), window=node.window
            )
            self._pool.seen(state, ANNOUNCED)

    def arrive(self, message: str, flow: str, source: str, now: float, /) -> None:
        flow = flow if self._fair else "service"
        if flow not in self._flows:
            self._flows.add(flow)
            self._pool.open(Flow(flow, TASK))
        self._pool.add(Item(message, flow, 1.0, self._bytes, now, source=source), now)

    def answered(self, answer: Answered, now: float, /) -> None:
        # Images are named for people here; on the bus their ids are UUIDs, and would be checked.
        result = Result.model_construct(
            job=answer.message,
            token=answer.token,
            incarnation=_INCARNATION,
            state="done",
            frames=1,
            seconds=answer.seconds,
            waited=answer.waited,
        )
        self._pool.answer(answer.node, result, now)

    def send(self, now: float, /) -> tuple[list[Sent], float | None]:
        passed = self._pool.pass_time(now)
        if passed.over or passed.dropped:
            raise UsageError(
                f"{self.name}: the hub waited in vain for an answer, since a message takes so long",
                where="links",
                remedy="Simulate a higher --bandwidth, a shorter --delay, smaller messages or faster nodes",
            )
        sent = [Sent(lease.item.id, lease.worker, lease.token) for lease in self._pool.dispatch(now)]
        return sent, self._pool.wake_at()


def by_pool(
    name: str, rule: Callable[[], Rule] = EctStar, *, fair: bool = False, message_bytes: int = 50_000
) -> MakeDispatcher:
    """The pool with a rule of the core, ECT* as in the hub unless given.

    With `fair` the workflows share by weight, as the hub has it; else all have one queue.
    """
    return lambda nodes: ByPool(name, nodes, rule=rule, fair=fair, message_bytes=message_bytes)
