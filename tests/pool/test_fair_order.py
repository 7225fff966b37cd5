"""The order of service, kept from step to step, is that of its definition."""

from __future__ import annotations

from random import Random

import pytest

from meerkat_hub.core.pool.fair_order import SLACK, Lane
from meerkat_hub.core.pool.queues import Group, Queues
from meerkat_hub.core.pool.work import Flow, Item, Priority

TASK = "detect_objects"


def defined(lanes: list[Lane], count: int, unit: float) -> list[Item]:
    """Word by word: of those within SLACK of the least served who came first; an urgent one before all."""
    tags = {lane.number: lane.tag for lane in lanes}
    left = {lane.number: list(lane.in_order()) for lane in lanes}
    weights = {lane.number: lane.flow.weight for lane in lanes}
    chosen: list[Item] = []
    while len(chosen) < count and (waiting := [n for n in left if left[n]]):
        least = min(tags[n] for n in waiting)
        may = [n for n in waiting if left[n][0].priority is Priority.URGENT or tags[n] <= least + SLACK]
        turn = min(may, key=lambda n: (left[n][0].priority is not Priority.URGENT, left[n][0].arrived, n))
        chosen.append(left[turn].pop(0))
        tags[turn] += chosen[-1].cost * unit / weights[turn]
    return chosen


class World:
    """Flows, and what happens to them by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.queues = Queues()
        self.clock, self.count = 0.0, 0
        self.taken: list[tuple[Item, float]] = []
        for number in range(self.chance.randint(2, 12)):
            bound = self.chance.choice([None, None, 5])
            self.queues.open(Flow(f"f{number}", TASK, self.chance.choice([0.5, 1, 3]), bound=bound))

    @property
    def group(self) -> Group:
        return self.queues.groups[TASK, None]

    def lanes(self) -> list[Lane]:
        return [lane for lane in self.queues._lanes.values() if len(lane)]

    def happen(self) -> None:
        chance, queues = self.chance, self.queues
        self.clock += chance.choice([0.0, 0.01, 0.3])
        match chance.randrange(12):
            case 0 if queues.waiting:
                queues.remove(chance.choice(list(queues.waiting.values())))
            case 1 if self.taken and queues.flow(self.taken[-1][0].flow) is not None:
                item, charge = self.taken.pop()
                queues.put(item, front=True, refund=charge)
            case 2:
                queues.late(self.clock)
            case 3 if chance.random() < 0.2:
                number = chance.randrange(12)
                queues.open(Flow(f"f{number}", TASK, chance.choice([0.5, 1, 3])))
            case 4 if chance.random() < 0.1:
                queues.close(f"f{chance.randrange(12)}")
                queues.open(Flow("f0", TASK))
            case 5 | 6 | 7 | 8 if queues.waiting:
                head = self.group.head(chance.randint(1, 5), 0.3)
                item = chance.choice(head)
                self.taken.append((item, queues.take(item, 0.3)))
            case _:
                self.count += 1
                flow = chance.choice([lane.flow.id for lane in queues._lanes.values()])
                priority = chance.choices(list(Priority), [0.03, 0.8, 0.17])[0]
                queues.put(
                    Item(
                        str(self.count),
                        flow,
                        chance.choice([0.2, 1.0, 2.0]),
                        arrived=self.clock,
                        deadline=self.clock + chance.choice([0.5, 5.0]),
                        priority=priority,
                        source=f"c{self.count % 3}",
                    )
                )


@pytest.mark.parametrize("seed", range(60))
def test_it_is_the_order_of_the_definition_whatever_happens(seed: int) -> None:
    world = World(seed)
    for _ in range(250):
        world.happen()
        lanes = world.lanes()
        if not lanes:
            continue
        expected = defined(lanes, 20, 0.3)
        assert world.group.head(20, 0.3) == expected
        assert world.group.head_key() == min(lane.key() for lane in lanes)


def test_a_look_ahead_ends_where_another_group_is_next() -> None:
    world = World(1)
    for _ in range(200):
        world.happen()
    first, *others = world.group.head(20, 0.3)
    assert others
    assert world.group.head(20, 0.3, until=(False, -1.0, 0)) == [first]
    assert world.group.head(20, 0.3, until=(True, 1e9, 0)) == [first, *others]


def test_what_is_void_does_not_pile_up() -> None:
    queues = Queues()
    for number in range(3):
        queues.open(Flow(f"f{number}", TASK))
        queues.put(Item(f"stays{number}", f"f{number}", 1.0))
    group = queues.groups[TASK, None]
    for number in range(2000):
        item = Item(str(number), f"f{number % 3}", 0.001, arrived=float(number))
        queues.put(item)
        group.head(4, 1.0)
        queues.take(item, 1.0)
    order = group._order
    assert len(order.least) + len(order.near) + len(order.far) < 400
