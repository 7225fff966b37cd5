"""Drives a Pool by hand: workers, items and answers with few words, and its invariants."""

from __future__ import annotations

from dataclasses import replace

from meerkat_contract.messages import ModelInfo, Result, TaskInfo, WorkerState
from meerkat_hub.core.pool.passing import NEXT
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.pool.settings import PoolSettings
from meerkat_hub.core.pool.work import Answer, Dropped, Flow, Item, Lease, Priority, TryEnded

LOOK = "detect_objects"


def an_id(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


def state(
    name: str,
    *,
    fps: float = 10.0,
    window: int = 16,
    start: int = 1,
    online: bool = True,
    tasks: tuple[str, ...] = (LOOK,),
    serving: str | None = None,
    ahead: bool = True,
) -> WorkerState:
    return WorkerState(
        worker=name,
        incarnation=an_id(0xB000 + start),
        online=online,
        window=window,
        serving=serving,
        ahead=ahead,
        tasks=tuple(TaskInfo(task=t, model=ModelInfo(name="m"), frames_per_second=fps) for t in tasks),
    )


class Desk:
    """A pool at a time that stands still until it is turned."""

    def __init__(self, settings: PoolSettings | None = None) -> None:
        self.pool = Pool(settings=settings)
        self.now = 100.0
        self.sent: list[Lease] = []
        self.ended: list[TryEnded] = []
        self.dropped: list[Dropped] = []
        self.notes: list[str] = []
        self._number = 0
        self.pool.open(Flow("clips", LOOK))

    def worker(self, name: str = "cpu", **announced: object) -> str:
        said, ended = self.pool.seen(state(name, **announced), self.now)  # type: ignore[arg-type]
        self.ended += ended
        self._go()
        return said

    def add(
        self, count: int = 1, *, flow: str = "clips", lives: float | None = None, **fields: object
    ) -> list[Item]:
        items = []
        for _ in range(count):
            self._number += 1
            item = Item(an_id(self._number), flow, cost=1.0, arrived=self.now)
            if lives is not None:
                item = replace(item, deadline=self.now + lives)
            item = replace(item, **fields)  # type: ignore[arg-type]
            self.dropped += self.pool.add(item, self.now)
            items.append(item)
        self._go()
        return items

    def turn(self, seconds: float) -> None:
        self.now += seconds
        passed = self.pool.pass_time(self.now)
        self.ended += passed.ended
        self.dropped += passed.dropped
        self.notes += passed.notes
        self._go()

    def answer(
        self,
        lease: Lease,
        *,
        seconds: float = 0.1,
        waited: float | None = None,
        state: str = "done",
        retry: bool = False,
        **changed: object,
    ) -> Answer | None:
        result = Result.model_validate(
            {
                "job": lease.item.id,
                "token": lease.token,
                "incarnation": lease.incarnation,
                "state": state,
                "retry": retry,
                "frames": 1 if seconds else 0,
                "seconds": seconds,
                "waited": waited,
                **changed,
            }
        )
        answer = self.pool.answer(lease.worker, result, self.now)
        self._go()
        return answer

    def held(self, worker: str = "cpu") -> list[Lease]:
        return list(self.pool.members[worker].leases)

    def _go(self) -> None:
        """A step, and at once those that follow a job that goes ahead of others within a millisecond."""
        self.sent += self.pool.dispatch(self.now)
        self.check()
        while self.pool._replan_at == self.now + NEXT:
            self.sent += self.pool.dispatch(self.now)
            self.check()

    def check(self) -> None:
        """Nothing is in two places, nobody holds more than its window, counts are what they count."""
        pool = self.pool
        assert not pool.leases.keys() & pool.queues.waiting.keys(), "an item waits and is leased"
        by_item = [lease for leases in pool.leases.values() for lease in leases]
        by_worker = [lease for member in pool.members.values() for lease in member.leases]
        assert {id(lease) for lease in by_item} == {id(lease) for lease in by_worker}
        for member in pool.members.values():
            assert len(member.leases) <= member.window
        for group in pool.queues.groups.values():
            inside = [i for i in pool.queues.waiting.values() if pool.queues.group(i.flow) is group]
            assert group.waiting == len(inside)


__all__ = ["LOOK", "Desk", "Flow", "Lease", "Priority", "an_id", "state"]
