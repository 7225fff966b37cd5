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

from collections.abc import Callable, Iterable
from heapq import heappush
from itertools import islice

from .fair_order import SLACK, FairOrder, Key, Lane
from .work import Dropped, Flow, Item, Priority

FAR_BELOW = 0.5
"""Seconds of service. What was served to a flow that has had so much more may be passed by one that has had
so much less (see `passing`)."""


class Group:
    """The flows that the same workers may take."""

    def __init__(self, task: str, nodes: frozenset[str] | None) -> None:
        self.task = task
        self.nodes = nodes
        self.now_at = 0.0
        """The tag of the latest item served: where a flow starts that begins to wait."""
        self.waiting = 0
        self._order = FairOrder()

    def head_key(self) -> Key:
        """Raises ValueError when nothing waits."""
        return self._order.first_key()

    def head(self, count: int, unit: float, *, until: Key | None = None) -> list[Item]:
        """The next items in the order of service, at most `count`, each before `until` but the first.

        `unit` is the seconds that one unit of cost takes.
        """
        return self._order.head(count, unit, until)

    def begin(self, lane: Lane, now_at: float) -> None:
        """A flow begins to wait; `now_at` is where those are with whom the group shares workers."""
        if not self._order.lanes:
            self.now_at = max(self.now_at, now_at)
        lane.tag = max(lane.tag, self.now_at - SLACK)
        self._order.add(lane)

    def end(self, lane: Lane) -> None:
        """A flow has nothing left that waits."""
        lane.behind = False
        self._order.remove(lane)

    def touched(self, lane: Lane) -> None:
        """What is next in a flow that waits, or its tag, may have changed."""
        self._order.touched(lane)


def next_group(willing: Iterable[Group]) -> tuple[Group, Key | None]:
    """Whose turn it is, and up to which key it may go before it is another's."""
    groups = list(willing)
    if len(groups) == 1:
        return groups[0], None
    keys = sorted(((group.head_key(), n) for n, group in enumerate(groups)))
    return groups[keys[0][1]], keys[1][0]


class Queues:
    """All that waits, by flow; groups are made and forgotten as flows come and go."""

    def __init__(self, neighbours: Callable[[Group], Iterable[Group]] = lambda _: ()) -> None:
        """`neighbours` of a group are the other groups that share workers with it."""
        self.neighbours = neighbours
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
            self._group(self._lanes.setdefault(flow.id, Lane(flow, self._numbers)))
        elif known.flow != flow:
            group = self._group(known)
            ahead = known.tag - group.now_at
            self._end(known)
            group.waiting -= len(known)
            if flow.perishable and not known.flow.perishable:
                known.deadlines = sorted((item.deadline, item.id) for item in known.in_order())
            known.flow = flow
            known.tag = ahead + self._present(self._group(known))
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

    def flow_of(self, item: Item) -> Flow:
        """Raises KeyError where it is not open."""
        return self._lanes[item.flow].flow

    def flows(self) -> list[Flow]:
        """All that are open."""
        return [lane.flow for lane in self._lanes.values()]

    def first_of(self, flow_id: str, most: int) -> list[Item]:
        """What waits in a flow, in the order in which it is served, at most so many."""
        lane = self._lanes.get(flow_id)
        return [] if lane is None else list(islice(lane.in_order(), most))

    def group(self, flow_id: str) -> Group | None:
        """Whom its flow shares workers with; None for a flow that has ended."""
        lane = self._lanes.get(flow_id)
        return None if lane is None else self._group(lane)

    def length(self, flow_id: str) -> int:
        return len(self._lanes[flow_id]) if flow_id in self._lanes else 0

    def put(self, item: Item, *, front: bool = False, refund: float = 0.0) -> list[Dropped]:
        """Let it wait; what its flow has no room for is dropped, the oldest first.

        `front`: it was taken before and comes back; `refund` are the seconds of service that its flow was
        charged and has not had. Raises KeyError for a flow that was not opened.
        """
        lane = self._lanes[item.flow]
        group = self._group(lane)
        if not len(lane):
            self._begin(lane)
        if front:
            lane.tag -= refund / lane.flow.weight
        place = lane.lanes[item.priority]
        place[item.id] = item
        if front:
            place.move_to_end(item.id, last=False)
        self.waiting[item.id] = item
        group.waiting += 1
        group.touched(lane)
        return self._make_room(lane, item) if lane.flow.bound is not None else []

    def _make_room(self, lane: Lane, item: Item) -> list[Dropped]:
        """Of a perishable flow: at most its bound waits; behind schedule, the newest of each source."""
        assert lane.flow.bound is not None
        heappush(lane.deadlines, (item.deadline, item.id))
        gone: list[Item] = []
        if lane.behind and item.source:
            gone += [i for i in lane.in_order() if i.source == item.source and i.arrived < item.arrived]
        for old in gone:
            self.remove(old)
        while len(lane) > lane.flow.bound:
            gone.append(next(lane.oldest_first()))
            self.remove(gone[-1])
            lane.behind = True
        return [Dropped(old, "full") for old in gone]

    def far_below(self, flow_id: str, unit: float) -> Item | None:
        """The next item of a flow, if it need not wait for what was served before it came.

        It is urgent; or its flow has been served FAR_BELOW less than the others, and will have been when
        all is served that waits in it. A flow that asks for more than its share is not: much waits in it.
        """
        lane = self._lanes.get(flow_id)
        if lane is None or not len(lane):
            return None
        if not lane.lanes[Priority.URGENT]:
            far = self._group(lane).now_at - FAR_BELOW
            if lane.tag > far:
                return None
            item = lane.first()
            last = lane.tag + (len(lane) - 1) * item.cost * unit / lane.flow.weight
            return item if item.priority is Priority.LIVE and last <= far else None
        return lane.first()

    def take(self, item: Item, unit: float) -> float:
        """It is served: its flow is charged `unit` seconds for each unit of cost; how many in all."""
        lane = self._lanes[item.flow]
        if item.priority is not Priority.URGENT:  # whose turn it was not
            group = self._group(lane)
            group.now_at = max(group.now_at, lane.tag)
        charge = item.cost * unit
        lane.tag += charge / lane.flow.weight
        self.remove(item)
        return charge

    def remove(self, item: Item) -> None:
        lane = self._lanes[item.flow]
        del lane.lanes[item.priority][item.id]
        del self.waiting[item.id]
        group = self._group(lane)
        group.waiting -= 1
        if len(lane):
            group.touched(lane)
        else:
            self._end(lane)

    def late(self, now: float) -> list[Dropped]:
        """Perishable items whose time is over, taken out."""
        dropped: list[Dropped] = []
        for lane in list(self._perishing.values()):
            while (first := lane.next_deadline()) is not None and now >= first[0]:
                item = self.waiting[first[1]]
                self.remove(item)
                lane.behind = bool(len(lane))
                dropped.append(Dropped(item, "late"))
        return dropped

    def next_deadline(self) -> float | None:
        """Of the perishable items that wait."""
        earliest: float | None = None
        for lane in self._perishing.values():
            first = lane.next_deadline()
            if first is not None and (earliest is None or first[0] < earliest):
                earliest = first[0]
        return earliest

    def _begin(self, lane: Lane) -> None:
        group = self._group(lane)
        group.begin(lane, self._present(group))
        if lane.flow.perishable:
            self._perishing[lane.flow.id] = lane

    def _present(self, group: Group) -> float:
        """Where service is, of a group and those that share workers with it."""
        if group.waiting:
            return group.now_at
        return max([group.now_at, *(other.now_at for other in self.neighbours(group))])

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
