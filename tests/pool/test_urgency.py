"""Somebody at the door goes before all; a bell that is stuck does not stop the house."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub_support.core_driver import CoreDriver, a_clip
from meerkat_experiments.streams import share
from meerkat_hub.core.inputs import ClipArrived
from meerkat_hub.core.pool.settings import PoolSettings
from meerkat_hub.core.pool.urgency import BURST, OF_ALL, OF_ONE, REMEMBERED, Urgency
from meerkat_hub.core.pool.work import Item

from .desk import LOOK, Desk, Flow, Priority


@pytest.fixture
def desk() -> Desk:
    return Desk(PoolSettings(hedger=None))


def ring(source: str = "porch/front") -> Item:
    return Item("a", "clips", cost=1.0, priority=Priority.URGENT, source=source)


def is_urgent(urgency: Urgency, seconds: float, now: float, source: str = "porch/front") -> bool:
    return urgency.within(ring(source), seconds, now).priority is Priority.URGENT


def test_beside_a_flood_of_urgent_work_others_have_half() -> None:
    """10 and 6 jobs a second, and workers that do 8. Without an allowance the other flow had none of them."""
    out = share({"bell": 10, "bulk": 6}, capacities=(4, 2.5, 1.5), seconds=200, settled=120, urgent={"bell"})
    assert out.served["bulk"] / out.served.total() == pytest.approx(0.5, abs=0.02)
    assert out.served.total() > 0.98 * 80 * 8, "and nobody idles"


def test_within_its_allowance_the_bell_waits_for_nobody() -> None:
    """One job in twenty of what the workers do."""
    alone = share({"bell": 2}, capacities=(20, 12, 8), urgent={"bell"})
    beside = share({"bell": 2, "bulk": 200}, capacities=(20, 12, 8), urgent={"bell"})
    assert beside.p99("bell") <= 2 * alone.p99("bell")


def test_a_source_is_urgent_until_its_allowance_is_used_up_and_again_once_some_is_back() -> None:
    urgency = Urgency()
    assert is_urgent(urgency, BURST - 1, now=100)
    assert is_urgent(urgency, 1, now=100)
    assert not is_urgent(urgency, 1, now=100), "nothing is left"
    assert is_urgent(urgency, OF_ONE, now=101), "what a second gave back"
    assert not is_urgent(urgency, OF_ONE, now=101)
    assert is_urgent(urgency, 1, now=102)


def test_a_long_clip_is_urgent_as_a_whole_and_is_paid_back_in_minutes_not_hours() -> None:
    urgency = Urgency()
    assert is_urgent(urgency, 3600, now=100)
    assert not is_urgent(urgency, 1, now=100 + BURST / OF_ONE)
    assert is_urgent(urgency, 1, now=101 + BURST / OF_ONE)


def test_a_bell_that_is_stuck_takes_nothing_from_another() -> None:
    urgency = Urgency()
    for second in range(600):
        is_urgent(urgency, 1, now=second, source="porch/stuck")
        if second % 30 == 0:
            assert is_urgent(urgency, 2, now=second, source="yard/gate")


def test_many_together_have_half() -> None:
    urgency, urgent = Urgency(), 0
    for second in range(1000):
        for bell in range(8):
            urgent += is_urgent(urgency, 1, now=second, source=f"porch/bell{bell}")
    assert urgent == pytest.approx(1000 * OF_ALL + 2 * BURST, abs=10)


def test_sources_that_ask_no_more_are_forgotten() -> None:
    urgency = Urgency()
    for second in range(10 * REMEMBERED):
        is_urgent(urgency, 0.1, now=second, source=f"porch/bell{second}")
    assert len(urgency._sources) <= REMEMBERED


def test_it_is_said_once_until_it_is_over() -> None:
    urgency = Urgency()
    for _ in range(100):
        is_urgent(urgency, 1, now=100)
    (said,) = urgency.news()
    assert said.startswith("porch/front: more than a quarter of the pool's time is asked for as urgent")
    assert not is_urgent(urgency, 1, now=100)
    assert urgency.news() == ()
    later = 101 + 2 * BURST / OF_ONE
    for _ in range(100):
        is_urgent(urgency, 1, now=later)
    assert len(urgency.news()) == 1


def test_what_is_more_waits_by_age_with_what_is_live(desk: Desk) -> None:
    """Counted by what all workers need together: two of ten a second need 0.05 s for a frame."""
    desk.worker("a", fps=10)
    desk.worker("b", fps=10)
    desk.pool.open(Flow("frames", LOOK))
    desk.add(60, flow="frames")
    (old,) = desk.add(1, source="porch/front")
    bells = desk.add(2, priority=Priority.URGENT, cost=20 * BURST, source="porch/front")
    waiting = desk.pool.queues.waiting
    known = {item.id: item.priority for item in (*waiting.values(), *(lease.item for lease in desk.sent))}
    assert [known[bell.id] for bell in bells] == [Priority.URGENT, Priority.LIVE]
    clips = [item.id for item in desk.pool.queues.first_of("clips", 9)]
    assert clips.index(bells[1].id) > clips.index(old.id)


def test_the_log_tells_of_it() -> None:
    core = CoreDriver()
    for number in range(1, 100):
        core.do(ClipArrived(replace(a_clip(number), trigger="doorbell")))
    told = [note for note in core.notes if "asked for as urgent" in note]
    assert len(told) == 1
