"""The leases that stand: by item, by flow, by the time at which they end; and those that ended lately."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from .work import Lease

REMEMBERED = 1024
"""Leases that ran out lately: their late answers still tell how slow a worker is."""


class LeaseBook:
    def __init__(self) -> None:
        self.by_item: dict[str, list[Lease]] = {}
        self.copied: set[str] = set()
        """Items of which a copy was sent, as long as a lease on them stands."""
        self._flows: dict[str, int] = {}
        self._ends: list[tuple[float, int, Lease]] = []
        self._over: OrderedDict[tuple[str, int], Lease] = OrderedDict()

    def __iter__(self) -> Iterator[Lease]:
        return (lease for leases in self.by_item.values() for lease in leases)

    @property
    def flows(self) -> Iterable[str]:
        """Flows of which something is leased."""
        return self._flows.keys()

    def of(self, item_id: str, token: int) -> Lease | None:
        for lease in self.by_item.get(item_id, ()):
            if lease.token == token:
                return lease
        return None

    def add(self, lease: Lease) -> None:
        self.by_item.setdefault(lease.item.id, []).append(lease)
        self._flows[lease.item.flow] = self._flows.get(lease.item.flow, 0) + 1
        heappush(self._ends, (lease.expires, lease.token, lease))
        if lease.copy:
            self.copied.add(lease.item.id)

    def remove(self, lease: Lease) -> None:
        item = lease.item
        leases = self.by_item[item.id]
        leases.remove(lease)
        if not leases:
            del self.by_item[item.id]
            self.copied.discard(item.id)
        self._flows[item.flow] -= 1
        if not self._flows[item.flow]:
            del self._flows[item.flow]

    def run_out(self, now: float) -> Iterator[Lease]:
        """Those whose time is over, each removed and remembered as it is given."""
        while (end := self.next_end()) is not None and now >= end:
            _, _, lease = heappop(self._ends)
            self.remove(lease)
            self._over[lease.item.id, lease.token] = lease
            if len(self._over) > REMEMBERED:
                self._over.popitem(last=False)
            yield lease

    def next_end(self) -> float | None:
        while self._ends and self._ends[0][2] not in self.by_item.get(self._ends[0][2].item.id, ()):
            heappop(self._ends)
        return self._ends[0][0] if self._ends else None

    def take_over(self, item_id: str, token: int) -> Lease | None:
        """A lease that ran out lately, once."""
        return self._over.pop((item_id, token), None)
