"""Who is found first among many workers is who is found by looking closely at each of them."""

from __future__ import annotations

import random
from math import inf

import pytest

from meerkat_hub.core.pool.crews import Crew
from meerkat_hub.core.pool.openings import Openings
from meerkat_hub.core.pool.passing import NEXT, _may_pass, _place, _soonest
from meerkat_hub.core.pool.work import Item

from .desk import LOOK, Desk, Flow, Priority


def plainly(crew: Crew, item: Item, now: float) -> list[tuple[float, str]]:
    """(when the item would be answered, at whom) of those where it goes ahead, idle ones and those where it
    has to wait by no name, in order."""
    found = []
    for member, view in zip(crew.members, crew.views, strict=True):
        if not view.in_flight:
            found.append((now + view.round_trip + view.seconds * item.cost, ""))
        elif len(member.leases) < member.window:
            seconds, half = view.seconds * item.cost, view.round_trip / 2
            place, free = _place(member.leases, view, now)
            goes = _may_pass(item, member, place, seconds)
            begins = max(free if goes else view.free_at(now), now + half)
            found.append((begins + seconds + half, member.id if goes else ""))
    return sorted(found)


@pytest.mark.parametrize("seed", range(60))
def test_nobody_sooner_is_missed(seed: int) -> None:
    chance = random.Random(seed)
    desk = Desk()
    for number in range(9):
        fps = chance.choice([6.0, 7.0, 25.0, 30.0])
        desk.worker(
            f"w{number}", fps=fps, start=number, window=chance.choice([2, 3, 16]), ahead=chance.random() < 0.8
        )
        desk.pool.members[f"w{number}"].link.base = chance.choice([0.002, 0.02, 0.2])
    for number in range(4):
        desk.pool.open(Flow(f"light {number}", LOOK))
    desk.add(chance.choice([8, 200]))
    compared = 0
    for _ in range(80):
        desk.turn(chance.expovariate(50))
        held = [lease for name in desk.pool.members for lease in desk.held(name)[:1]]
        if held:
            lease = min(held, key=lambda lease: lease.sent + lease.item.cost * chance.random())
            desk.answer(lease, seconds=max(1e-3, (desk.now - lease.sent) * chance.random()))
        desk.add(1, cost=chance.choice([0.5, 1.0, 2.0]))
        if chance.random() < 0.5:
            priority = Priority.URGENT if chance.random() < 0.1 else Priority.LIVE
            desk.add(1, flow=f"light {chance.randrange(4)}", priority=priority)
        compared += agrees(desk, chance)
    assert compared


def agrees(desk: Desk, chance: random.Random) -> bool:
    """Whether there was anything to compare."""
    group = desk.pool.queues.groups[LOOK, None]
    crew = desk.pool._crews.of(group)
    item = Item(
        "asked",
        chance.choice(["clips", "light 0", "other"]),
        chance.choice([0.2, 1.0, 5.0]),
        priority=chance.choice([Priority.LIVE, Priority.LIVE, Priority.URGENT]),
    )
    answers = plainly(crew, item, desk.now)
    found = _soonest(crew, item, desk.now)
    if not answers:
        assert found is None
        return False
    soonest = {who for at, who in answers if at <= answers[0][0] + 1e-6}
    assert (found[0].id if found else "") in soonest
    return True


def test_it_is_kept_as_workers_change() -> None:
    """A crew that followed every change is as one that is made now."""
    desk = Desk()
    for number in range(5):
        desk.worker(f"w{number}", fps=10.0 + 5 * number, start=number)
    desk.add(60)
    for _ in range(40):
        desk.turn(0.02)
        desk.answer(max((desk.held(name)[0] for name in desk.pool.members), key=lambda lease: -lease.sent))
    crew = desk.pool._crews.of(desk.pool.queues.groups[LOOK, None])
    kept = crew.openings
    assert kept is not None
    new = Openings(zip(crew.members, crew.views, strict=True))
    assert [rank.order for rank in kept.ranks if rank.order] == [rank.order for rank in new.ranks]
    assert kept.idle_answer(1.0, desk.now) == new.idle_answer(1.0, desk.now) == inf


def test_many_go_ahead_in_steps_that_follow_each_other() -> None:
    """None of them takes long, however many there are."""
    desk = Desk()
    desk.worker(fps=10.0, window=64)
    member = desk.pool.members["cpu"]
    desk.add(500)
    for _ in range(12):
        desk.turn(0.1)
        desk.answer(desk.held()[0])
    member.link.base = 0.2
    member.answered(desk.now)
    desk.pool._crews.touched(member)
    desk.turn(0.0)
    for number in range(5):
        desk.pool.open(Flow(f"light {number}", LOOK))
        desk.pool.add(Item(f"light {number}", f"light {number}", 1.0, arrived=desk.now), desk.now)
    steps: list[tuple[int, bool]] = []
    for _ in range(12):
        ahead = sum(lease.ahead for lease in desk.pool.dispatch(desk.now))
        wake, next_at = desk.pool.wake_at(), desk.now + NEXT
        steps.append((ahead, wake == next_at))
        desk.now = next_at
    one_ahead_then_the_others = [(1, True), (0, True)]
    assert steps == [*5 * one_ahead_then_the_others, (0, False), (0, False)], "due while any is left"
