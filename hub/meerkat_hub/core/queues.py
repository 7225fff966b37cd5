"""What waits, and in which order it should be served.

Flows share by weight, by start-time fair queueing (Goyal, Vin and Cheng, 1996): a flow's tag is what it
has been served, divided by its weight; who has the lowest tag is next, and among those within SLACK of it
who came first; who was idle gains no more credit by it than SLACK, for a flow that begins to wait starts
at the present. So shares are exact under overload, and a light
flow is served at once beside a flood. An urgent item (the doorbell) goes before all of them.

Within a flow: urgent, live, backlog; in each the oldest first. Perishable flows are bounded, and once
one had to drop something, it serves the newest first until nothing waits: who is behind schedule
should look at what is, not at what was.

    Group   flows that the same workers may take. Groups share nothing but workers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import chain

from .work import Dropped, Flow, Item, Priority

SLACK = 1.0
"""Seconds of service. Flows that differ by less are served in the order in which their items came: who is
a little behind its share need not overtake, and for those within their shares nobody waits longer than in
one queue. Shares stay exact but for this second."""

Key = tuple[bool, float, int]
"""Not urgent, tag, number of the flow: who has the lowest is next."""


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

    def __len__(self) -> int:
        return sum(map(len, self.lanes))

    def in_order(self) -> Iterator[Item]:
        if self.behind:
            return chain.from_iterable(reversed(lane.values()) for lane in self.lanes)
        return chain.from_iterable(lane.values() for lane in self.lanes)

    def key(self) -> Key:
        return (not self.lanes[Priority.URGENT], self.tag, self.number)

    def oldest_first(self) -> Iterator[Item]:
        """Least urgent lane first: in which order a full flow gives up."""
        return chain.from_iterable(lane.values() for lane in reversed(self.lanes))


class Group:
    """The flows that the same workers may take."""

    def __init__(self, task: str, nodes: frozenset[str] | None) -> None:
        self.task = task
        self.nodes = nodes
        self.now_at = 0.0
        """The tag of the latest item served: where a flow starts that begins to wait."""
        self.waiting = 0
        self._active: dict[str, Lane] = {}

    def head_key(self) -> Key:
        """Raises ValueError when nothing waits."""
        return min(lane.key() for lane in self._active.values())

    def head(self, count: int, unit: float, *, until: Key | None = None) -> list[Item]:
        """The next items in the order of service, at most `count`, each before `until` but the first.

        `unit` is the seconds that one unit of cost takes.
        """
        if len(self._active) == 1 and until is None:
            (lane,) = self._active.values()
            return [item for item, _ in zip(lane.in_order(), range(count), strict=False)]
        return _Merge(self._active.values(), unit).take(count, until)

    def begin(self, lane: Lane) -> None:
        """A flow begins to wait."""
        lane.tag = max(lane.tag, self.now_at - SLACK)
        self._active[lane.flow.id] = lane

    def end(self, lane: Lane) -> None:
        """A flow has nothing left that waits."""
        lane.behind = False
        self._active.pop(lane.flow.id, None)


class _Merge:
    """The order of service of several flows, played through without changing them.

    `near` holds those whose turn it may be, by the age of their next item; `far` those that have been
    served more than SLACK beyond the one that was served least, by tag.
    """

    def __init__(self, lanes: Iterable[Lane], unit: float) -> None:
        self._unit = unit
        self._lanes: dict[int, Lane] = {}
        self._items: dict[int, Iterator[Item]] = {}
        self._next: dict[int, Item] = {}
        self._tags: dict[int, float] = {}
        for lane in lanes:
            self._lanes[lane.number] = lane
            self._items[lane.number] = lane.in_order()
            self._next[lane.number] = next(self._items[lane.number])
            self._tags[lane.number] = lane.tag
        self._least = [(tag, number) for number, tag in self._tags.items()]
        self._far = list(self._least)
        self._near: list[tuple[bool, float, int]] = []
        heapify(self._least)
        heapify(self._far)

    def take(self, count: int, until: Key | None) -> list[Item]:
        chosen: list[Item] = []
        while self._tags and len(chosen) < count:
            while self._tags.get(self._least[0][1]) != self._least[0][0]:
                heappop(self._least)  # served since, or empty
            least = self._least[0][0]
            while self._far and self._far[0][0] <= least + SLACK:
                self._approach(heappop(self._far)[1])
            later, _, number = heappop(self._near)
            if until is not None and chosen and (later, least, number) > until:
                break
            chosen.append(self._serve(number))
        return chosen

    def _approach(self, number: int) -> None:
        item = self._next[number]
        heappush(self._near, (item.priority is not Priority.URGENT, item.arrived, number))

    def _serve(self, number: int) -> Item:
        item = self._next[number]
        following = next(self._items[number], None)
        if following is None:
            del self._tags[number]
        else:
            self._next[number] = following
            self._tags[number] += item.cost * self._unit / self._lanes[number].flow.weight
            heappush(self._least, (self._tags[number], number))
            heappush(self._far, (self._tags[number], number))
        return item


class Queues:
    """All that waits, by flow; groups are made and forgotten as flows come and go."""

    def __init__(self) -> None:
        self.groups: dict[tuple[str, frozenset[str] | None], Group] = {}
        self._lanes: dict[str, Lane] = {}
        self._numbers = 0
        self.waiting: dict[str, Item] = {}
        self._perishing: dict[str, Lane] = {}
        """Perishable flows in which something waits."""

    def open(self, flow: Flow) -> None:
        """A flow begins, or changes its weight, nodes or bound; what waits in it stays."""
        known = self._lanes.get(flow.id)
        if known is None:
            self._numbers += 1
            self._lanes[flow.id] = Lane(flow, self._numbers)
        elif known.flow != flow:
            group = self._group(known)
            self._end(known)
            group.waiting -= len(known)
            known.flow = flow
            if len(known):
                self._begin(known)
                self._group(known).waiting += len(known)
        self._forget_idle_groups()

    def close(self, flow_id: str) -> list[Item]:
        """A flow ends; what waited in it, oldest first."""
        lane = self._lanes.pop(flow_id, None)
        if lane is None:
            return []
        items = list(lane.in_order())
        self._group(lane).waiting -= len(items)
        self._end(lane)
        for item in items:
            del self.waiting[item.id]
        self._forget_idle_groups()
        return items

    def flow(self, flow_id: str) -> Flow | None:
        lane = self._lanes.get(flow_id)
        return None if lane is None else lane.flow

    def group(self, flow_id: str) -> Group | None:
        """Whom its flow shares workers with; None for a flow that has ended."""
        lane = self._lanes.get(flow_id)
        return None if lane is None else self._group(lane)

    def length(self, flow_id: str) -> int:
        return len(self._lanes[flow_id]) if flow_id in self._lanes else 0

    def put(self, item: Item, *, front: bool = False, unit: float = 0.0) -> list[Dropped]:
        """Let it wait; what its flow has no room for is dropped, the oldest first.

        `front`: it was taken before and comes back, and its flow gets back what it was charged,
        `unit` seconds for each unit of cost. Raises KeyError for a flow that was not opened.
        """
        lane = self._lanes[item.flow]
        group = self._group(lane)
        if not len(lane):
            self._begin(lane)
        if front:
            lane.tag -= item.cost * unit / lane.flow.weight
        place = lane.lanes[item.priority]
        place[item.id] = item
        if front:
            place.move_to_end(item.id, last=False)
        self.waiting[item.id] = item
        group.waiting += 1
        dropped: list[Dropped] = []
        while lane.flow.bound is not None and len(lane) > lane.flow.bound:
            oldest = next(lane.oldest_first())
            self.remove(oldest)
            lane.behind = True
            dropped.append(Dropped(oldest, "full"))
        return dropped

    def take(self, item: Item, unit: float) -> None:
        """It is served: its flow is charged `unit` seconds for each unit of cost."""
        lane = self._lanes[item.flow]
        if item.priority is not Priority.URGENT:  # whose turn it was not
            group = self._group(lane)
            group.now_at = max(group.now_at, lane.tag)
        lane.tag += item.cost * unit / lane.flow.weight
        self.remove(item)

    def remove(self, item: Item) -> None:
        lane = self._lanes[item.flow]
        del lane.lanes[item.priority][item.id]
        del self.waiting[item.id]
        group = self._group(lane)
        group.waiting -= 1
        if not len(lane):
            self._end(lane)

    def late(self, now: float) -> list[Dropped]:
        """Perishable items whose time is over, taken out. All of a flow have the same time to live."""
        dropped: list[Dropped] = []
        for lane in list(self._perishing.values()):
            for waiting in lane.lanes:
                while waiting and now >= (item := next(iter(waiting.values()))).deadline:
                    self.remove(item)
                    lane.behind = bool(len(lane))
                    dropped.append(Dropped(item, "late"))
        return dropped

    def next_deadline(self) -> float | None:
        """Of the perishable items that wait."""
        firsts = (
            next(iter(waiting.values())).deadline
            for lane in self._perishing.values()
            for waiting in lane.lanes
            if waiting
        )
        return min(firsts, default=None)

    def _begin(self, lane: Lane) -> None:
        self._group(lane).begin(lane)
        if lane.flow.perishable:
            self._perishing[lane.flow.id] = lane

    def _end(self, lane: Lane) -> None:
        self._group(lane).end(lane)
        self._perishing.pop(lane.flow.id, None)

    def _group(self, lane: Lane) -> Group:
        key = (lane.flow.task, lane.flow.nodes)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(*key)
        return group

    def _forget_idle_groups(self) -> None:
        used = {(lane.flow.task, lane.flow.nodes) for lane in self._lanes.values()}
        for key in [key for key in self.groups if key not in used]:
            del self.groups[key]
