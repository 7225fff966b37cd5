"""Whose turn it is: the order of service of several flows, kept from step to step.

A flow is a `Lane` here. The order is that of `queues`: of the lanes within SLACK of the one that was
served least, the one whose next item came first; an urgent item before all of them. To work it out
anew at each step would cost the more the more flows there are. So each lane has its entries in two heaps
and a list in order, which are made anew when what is next in it, or its tag, has changed; an entry whose
stamp is not its lane's is void, and is passed over when it comes up. What is to come is played through
beside them.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, heapreplace
from itertools import chain, islice

from .work import Flow, Item, Priority

SLACK = 1.0
"""Seconds of service. Flows that differ by less are served in the order in which their items came: who is
a little behind its share need not overtake, and for those within their shares nobody waits longer than in
one queue. Shares stay exact but for this second."""

Key = tuple[bool, float, int]
"""Not urgent, tag, number of the flow: who has the lowest is next."""

NOTHING: Iterator[Item] = iter(())

Near = tuple[bool, float, int, int, Item]
"""Not urgent, when its next item came, number of the lane, stamp, that item."""

Far = tuple[float, int, int, Item]
"""Tag, number of the lane, stamp, its next item."""


@dataclass(slots=True, eq=False)
class Lane:
    """One flow, its items, and its tag: seconds of service it has had, divided by its weight."""

    flow: Flow
    number: int
    tag: float = 0.0
    behind: bool = False
    """It dropped something since it was last empty."""
    lanes: tuple[OrderedDict[str, Item], ...] = field(
        default_factory=lambda: tuple(OrderedDict() for _ in Priority)
    )
    deadlines: list[tuple[float, str]] = field(default_factory=list)
    """Of perishable items; those that wait no more are passed over."""

    def __len__(self) -> int:
        return sum(map(len, self.lanes))

    def in_order(self) -> Iterator[Item]:
        urgent, live, backlog = self.lanes
        if not (urgent or backlog or self.behind):  # as nearly always
            return iter(live.values())
        if self.behind:
            return chain.from_iterable(reversed(lane.values()) for lane in self.lanes)
        return chain.from_iterable(lane.values() for lane in self.lanes)

    def first(self) -> Item:
        """Raises StopIteration when nothing waits."""
        return next(self.in_order())

    def behind_first(self) -> Iterator[Item]:
        """What is served after the first. Raises StopIteration when nothing waits."""
        urgent, live, backlog = self.lanes
        if len(live) == 1 and not (urgent or backlog):  # as in most flows of a house
            return NOTHING
        items = self.in_order()
        next(items)
        return items

    def key(self) -> Key:
        return (not self.lanes[Priority.URGENT], self.tag, self.number)

    def holds(self, item_id: str) -> bool:
        for lane in self.lanes:  # noqa: SIM110 - any() takes six times as long
            if item_id in lane:
                return True
        return False

    def next_deadline(self) -> tuple[float, str] | None:
        while self.deadlines and not self.holds(self.deadlines[0][1]):
            heappop(self.deadlines)
        return self.deadlines[0] if self.deadlines else None

    def oldest_first(self) -> Iterator[Item]:
        """Least urgent lane first: in which order a full flow gives up."""
        return chain.from_iterable(lane.values() for lane in reversed(self.lanes))


class FairOrder:
    """The lanes in which something waits, and the order in which they are served."""

    def __init__(self) -> None:
        self.lanes: dict[int, Lane] = {}
        """By number."""
        self._touched: set[int] = set()
        self.stamps: dict[int, int] = {}
        self._stamp = 0
        self.least: list[tuple[float, int, int]] = []
        """(tag, number, stamp) of every lane."""
        self.far: list[Far] = []
        """Those that have been served more than SLACK beyond the one that was served least."""
        self.near: list[Near] = []
        """Those whose turn it may be, in order."""

    def add(self, lane: Lane) -> None:
        """Something waits in it from now on."""
        self.lanes[lane.number] = lane
        self._touched.add(lane.number)

    def remove(self, lane: Lane) -> None:
        """Nothing waits in it any more."""
        self.lanes.pop(lane.number, None)
        self._touched.add(lane.number)

    def touched(self, lane: Lane) -> None:
        """What is next in it, or its tag, may have changed."""
        self._touched.add(lane.number)

    def first_key(self) -> Key:
        """The lowest of all lanes. Raises ValueError when there is none."""
        self._settle()
        if not self.lanes:
            raise ValueError("nothing waits")
        if not self.near[0][0]:  # urgent, which is rare
            return min(lane.key() for lane in self.lanes.values())
        tag, number, _ = self.least[0]
        return (True, tag, number)

    def head(self, count: int, unit: float, until: Key | None) -> list[Item]:
        """The next items, at most `count`, each before `until` but the first; see `Group.head`."""
        if len(self.lanes) == 1 and until is None:
            (lane,) = self.lanes.values()
            return list(islice(lane.in_order(), count))
        self._settle()
        return _Play(self, unit).take(count, until) if self.lanes else []

    def _settle(self) -> None:
        """Have the entries say what is, and the first of each heap valid."""
        self._forget_void()
        stamps, least = self.stamps, self.least
        changed: list[Lane] = []
        for number in self._touched:
            lane = self.lanes.get(number)
            if lane is None:
                stamps.pop(number, None)
                continue
            self._stamp += 1
            stamps[number] = self._stamp
            heappush(least, (lane.tag, number, self._stamp))
            changed.append(lane)
        self._touched.clear()
        while least and stamps.get(least[0][1]) != least[0][2]:
            heappop(least)
        if not least:
            self.near.clear()
            self.far.clear()
            return
        end = least[0][0] + SLACK
        for lane in changed:
            item = lane.first()
            stamp = stamps[lane.number]
            if item.priority is Priority.URGENT:
                insort(self.near, (False, item.arrived, lane.number, stamp, item))
            elif lane.tag > end:
                heappush(self.far, (lane.tag, lane.number, stamp, item))
            else:
                insort(self.near, (True, item.arrived, lane.number, stamp, item))
        self._sort_out(end)

    def _sort_out(self, end: float) -> None:
        """Those with a tag of at most `end` are near."""
        stamps, near, far = self.stamps, self.near, self.far
        while far and far[0][0] <= end:
            _, number, stamp, item = heappop(far)
            if stamps.get(number) == stamp:
                insort(near, (True, item.arrived, number, stamp, item))
        while True:  # the least of all is near
            later, _, number, stamp, item = near[0]
            if stamps.get(number) != stamp:
                del near[0]
            elif later and self.lanes[number].tag > end:
                del near[0]
                heappush(far, (self.lanes[number].tag, number, stamp, item))
            else:
                return

    def _forget_void(self) -> None:
        stamps, lanes = self.stamps, len(self.lanes)
        if len(self.near) > 1.5 * lanes + 16:  # which every look ahead would pass over
            self.near = [entry for entry in self.near if stamps.get(entry[2]) == entry[3]]
        if len(self.least) + len(self.far) > 3 * lanes + 48:
            self.least = [entry for entry in self.least if stamps.get(entry[1]) == entry[2]]
            self.far = [entry for entry in self.far if stamps.get(entry[1]) == entry[2]]
            heapify(self.least)
            heapify(self.far)


class _Play:
    """The order of service played through, without changing it.

    A lane that something waits in has one entry in `least`, whose tag may be that from before it was served
    here, and one that is not void in what is left of `near`, in `again` or in `far`.
    """

    def __init__(self, order: FairOrder, unit: float) -> None:
        self._unit = unit
        self._lanes, self._stamps, self._near = order.lanes, order.stamps, order.near
        self._least, self._far = order.least.copy(), order.far.copy()
        self._again: list[Near] = []
        """A heap of those that came near here, or were served and have more."""
        self._tags: dict[int, float] = {}
        """Of the lanes that were served here."""
        self._ended: set[int] = set()
        """Lanes of which all was served here."""

    def take(self, count: int, until: Key | None) -> list[Item]:
        near, again, lanes, stamps, unit = self._near, self._again, self._lanes, self._stamps, self._unit
        tags, following = self._tags, dict[int, Iterator[Item]]()
        chosen: list[Item] = []
        urgent, looked, of_near = Priority.URGENT, 0, len(near)
        lowest, least = self._lowest()
        end = lowest + SLACK
        while len(chosen) < count:
            if again and (looked == of_near or again[0] < near[looked]):
                later, _, number, stamp, item = heappop(again)
            else:
                later, _, number, stamp, item = near[looked]
                looked += 1
                if stamps.get(number) != stamp:
                    continue
            lane = lanes[number]
            tag = tags.get(number, lane.tag)
            if later and tag > end:
                heappush(self._far, (tag, number, stamp, item))
                continue
            if until is not None and chosen and (later, lowest, number) > until:
                break
            chosen.append(item)
            items = following.get(number)
            if items is None:
                items = following[number] = lane.behind_first()
            after = next(items, None)
            if after is None:
                self._ended.add(number)
            else:
                tags[number] = tag + item.cost * unit / lane.flow.weight
                heappush(again, (after.priority is not urgent, after.arrived, number, stamp, after))
            if number == least:
                lowest, least = self._lowest()
                end = lowest + SLACK
                if not least:
                    break
        return chosen

    def _lowest(self) -> tuple[float, int]:
        """The lowest tag, and whose it is; number 0 when nothing waits. Who is near it now comes near."""
        least, far, stamps, ended = self._least, self._far, self._stamps, self._ended
        while least:
            tag, number, stamp = least[0]
            if number in ended or stamps.get(number) != stamp:
                heappop(least)
            elif (now_at := self._tags.get(number, tag)) != tag:
                heapreplace(least, (now_at, number, stamp))
            else:
                break
        else:
            return 0.0, 0
        while far and far[0][0] <= tag + SLACK:
            _, other, stamp, item = heappop(far)
            if stamps.get(other) == stamp:
                heappush(self._again, (True, item.arrived, other, stamp, item))
        return tag, number
