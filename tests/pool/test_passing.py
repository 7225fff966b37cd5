"""Who may go ahead of what a worker holds already, and what becomes of those that are passed."""

from __future__ import annotations

import pytest

from meerkat_hub.core.pool.passing import NEXT, PASSED, PASSED_OF_LEASE
from meerkat_hub.core.pool.queues import FAR_BELOW
from meerkat_hub.core.pool.settings import GRACE, LEASE_FLOOR, PoolSettings
from meerkat_hub.core.pool.work import Item

from .desk import LOOK, Desk, Flow, Lease, Priority


@pytest.fixture
def desk() -> Desk:
    return Desk(PoolSettings(hedger=None))


def flooded(desk: Desk, *, fps: float = 10.0, window: int = 16, ahead: bool = True) -> list[Lease]:
    """A worker with a job at work and others behind it, of a flow that has had more than a second."""
    desk.pool.open(Flow("light", LOOK))
    desk.worker(fps=fps, window=window, ahead=ahead)
    desk.add(500)
    for _ in range(12):
        desk.turn(1 / fps)
        desk.answer(desk.held()[0], seconds=1 / fps)
    far_away(desk)
    held = desk.held()
    assert len(held) > 2
    assert {lease.item.flow for lease in held} == {"clips"}
    return held


def far_away(desk: Desk) -> None:
    """The worker is known to be a fifth of a second away: it needs a few jobs in advance."""
    member = desk.pool.members["cpu"]
    member.link.base = 0.2
    member.answered(desk.now)
    desk.pool._crews.touched(member)
    desk.turn(0.0)


def items(leases: list[Lease]) -> list[Item]:
    return [lease.item for lease in leases]


# --- who goes ahead -------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [0, 1, 2, 5])
def test_who_comes_is_looked_at_though_others_were_in_vain(desk: Desk, others: int) -> None:
    """Nothing else may happen for as long as a job takes: the pool asks for its next step itself."""
    flooded(desk)
    for number in range(others):  # they are to avoid somebody, and wait for their turn
        desk.pool.open(Flow(f"other {number}", LOOK))
        item = Item(f"other {number}", f"other {number}", 1.0, arrived=desk.now, avoid=frozenset({"gpu"}))
        desk.pool.add(item, desk.now)
    desk.pool.open(Flow("door", LOOK))
    desk.pool.add(Item("ding", "door", 1.0, arrived=desk.now, priority=Priority.URGENT), desk.now)
    for _ in range(4 + others):
        desk.sent += desk.pool.dispatch(desk.now)
        wake = desk.pool.wake_at()
        if wake is None or wake > desk.now + 2 * NEXT:
            break
        desk.now = wake
    (ding,) = [lease for lease in desk.sent if lease.item.id == "ding"]
    assert ding.ahead
    assert wake is not None
    assert wake > desk.now + 1.0, "and then it rests"


@pytest.mark.parametrize(("since", "begun"), [(0.0, 1), (0.15, 2)])
def test_a_light_flow_goes_before_what_will_not_have_begun_when_it_arrives(
    desk: Desk, since: float, begun: int
) -> None:
    """A tenth of a second later, and a job takes as long."""
    held = flooded(desk)
    desk.turn(since)
    (light,) = desk.add(1, flow="light")
    desk.turn(0.01)
    (later,) = desk.add(1, flow="light")
    now = desk.held()
    assert items(now) == [*items(held[:begun]), light, later, *items(held[begun:])]
    assert [lease.ahead for lease in now] == [False] * begun + [True] * 2 + [False] * (len(held) - begun)


def test_a_worker_that_does_not_know_of_it_is_given_its_jobs_as_ever(desk: Desk) -> None:
    held = flooded(desk, ahead=False)
    (light,) = desk.add(1, flow="light")
    assert desk.held() == held
    for lease in held:
        desk.turn(0.1)
        desk.answer(lease)
    assert light in items(desk.sent), "its turn came, behind them"
    assert not any(lease.ahead for lease in desk.sent)


def test_it_says_so_later(desk: Desk) -> None:
    held = flooded(desk, ahead=False)
    desk.worker(ahead=True)
    desk.add(1, flow="light")
    assert desk.held()[-1] is held[-1]


def test_a_full_window_is_full_and_the_first_place_in_it_is_the_light_flow_s(desk: Desk) -> None:
    held = flooded(desk, window=3)
    (light,) = desk.add(1, flow="light")
    assert desk.held() == held
    desk.turn(0.2)
    desk.answer(held[0])
    far_away(desk)
    assert light in items(desk.held()[:2])
    assert any(lease.ahead for lease in desk.held())


@pytest.mark.parametrize(("less", "goes"), [(FAR_BELOW, True), (FAR_BELOW - 1e-6, False)])
def test_who_has_had_hardly_less_waits_for_its_turn(desk: Desk, less: float, *, goes: bool) -> None:
    flooded(desk)
    queues = desk.pool.queues
    queues._lanes["light"].tag = queues.groups[LOOK, None].now_at - less
    desk.add(1, flow="light")
    assert any(lease.ahead for lease in desk.held()) is goes


def test_a_flow_with_much_to_do_does_not_go_ahead(desk: Desk) -> None:
    """It will have had its share before it is through."""
    flooded(desk)
    desk.add(50, flow="light")
    assert not any(lease.ahead for lease in desk.held())


def test_what_goes_ahead_is_charged_like_any_other(desk: Desk) -> None:
    """One after the other, until its flow is no longer far below the flood."""
    flooded(desk)
    went = 0
    for _ in range(20):
        (light,) = desk.add(1, flow="light")
        went += any(lease.ahead and lease.item is light for lease in desk.held())
        desk.pool.members["cpu"].leases.sort(key=lambda lease: lease.item is not light)
        desk.answer(desk.held()[0])
    assert went == pytest.approx(5, abs=1), "half a second of service, of jobs of a tenth"


def test_a_flow_with_nodes_of_its_own_goes_ahead_there_too(desk: Desk) -> None:
    flooded(desk)
    desk.pool.open(Flow("light", LOOK, nodes=frozenset({"cpu"})))
    (light,) = desk.add(1, flow="light")
    assert next(lease for lease in desk.held() if lease.ahead).item is light


def test_the_doorbell_passes_its_own_flow_and_nothing_passes_the_doorbell(desk: Desk) -> None:
    held = flooded(desk)
    (bell,) = desk.add(1, priority=Priority.URGENT)
    place = items(desk.held()).index(bell)
    assert place < len(held)
    (light,) = desk.add(1, flow="light")
    assert items(desk.held()).index(light) == place + 1


@pytest.mark.parametrize("priority", [Priority.LIVE, Priority.URGENT])
def test_what_waits_in_its_own_flow_or_is_more_urgent_is_not_passed(desk: Desk, priority: Priority) -> None:
    """It was handed back, and given out again in its turn."""
    flooded(desk)
    back = Item("again", "light", cost=1.0, arrived=desk.now, priority=priority)
    desk.pool.again(back)
    while back not in items(desk.held()):
        desk.turn(0.1)
        desk.answer(desk.held()[0])
        far_away(desk)
    flow = "light" if priority is Priority.LIVE else "other"
    desk.pool.open(Flow("other", LOOK))
    desk.add(1, flow=flow)
    assert back in items(desk.held()[1:])
    assert not any(lease.ahead for lease in desk.held())


def test_an_item_that_is_to_be_tried_elsewhere_does_not_go_ahead(desk: Desk) -> None:
    flooded(desk)
    desk.add(1, flow="light", avoid=frozenset({"cpu"}))
    assert not any(lease.ahead for lease in desk.held())


def test_it_goes_to_who_idles_rather_than_ahead_of_others(desk: Desk) -> None:
    held = flooded(desk)
    desk.pool._pause(desk.pool.members["cpu"], desk.now)
    desk.worker("other", fps=10.0)
    while desk.held("other"):
        for item in list(desk.pool.queues.waiting.values()):
            desk.pool.remove(item.id)
        desk.answer(desk.held("other")[0])
    (light,) = desk.add(1, flow="light")
    assert items(desk.held("other")) == [light]
    assert desk.held()[: len(held)] == held


# --- who is passed --------------------------------------------------------------------------------


def test_a_job_is_passed_by_half_a_second_of_work_and_one_job_at_most(desk: Desk) -> None:
    """Forty flows that each ask for one job: none is above its share."""
    held = flooded(desk, fps=8.0, window=64)
    for number in range(40):
        desk.pool.open(Flow(f"light {number}", LOOK))
        desk.add(1, flow=f"light {number}")
    last = held[-1]
    assert PASSED <= last.passed <= PASSED + 1 / 8
    assert sum(lease.ahead for lease in desk.held()) == pytest.approx(last.passed * 8)
    assert last.expires - last.sent >= LEASE_FLOOR


def test_a_long_job_passes_nothing_that_has_no_tenth_of_its_lease_to_spare(desk: Desk) -> None:
    held = flooded(desk)
    room = PASSED_OF_LEASE * (held[-1].expires - held[-1].sent)
    desk.add(1, flow="light", cost=room * 10 + 1)
    assert not any(lease.ahead for lease in desk.held())
    desk.pool.open(Flow("other", LOOK))
    desk.add(1, flow="other", cost=room * 10 - 1)
    assert any(lease.ahead for lease in desk.held())
    assert not desk.ended


def test_a_short_lease_is_passed_by_half_a_second_too_and_has_four_times_as_long(desk: Desk) -> None:
    """A frame's, of a worker that is fast."""
    held = flooded(desk)
    for lease in held:
        lease.expires = lease.sent + GRACE
    for number in range(10):
        desk.pool.open(Flow(f"light {number}", LOOK))
        desk.add(1, flow=f"light {number}")
    assert max(lease.passed for lease in held) == pytest.approx(PASSED)
    assert GRACE >= 4 * PASSED


def test_who_is_passed_to_the_bound_is_neither_requeued_nor_copied() -> None:
    """The other worker idles and nothing else waits: a straggler would be copied there."""
    desk = Desk()
    held = flooded(desk, window=64)
    for item in list(desk.pool.queues.waiting.values()):
        desk.pool.remove(item.id)
    for number in range(5):
        desk.pool.open(Flow(f"light {number}", LOOK))
        desk.add(1, flow=f"light {number}")
    order = desk.held()
    assert held[-1].passed == pytest.approx(0.5)
    desk.worker("idle", fps=1.0)
    for lease in order:
        desk.turn(0.1)
        desk.answer(lease)
    assert not desk.ended
    assert not any(lease.copy for lease in desk.sent)
    assert not desk.held()


# --- what is learned ------------------------------------------------------------------------------


def test_speeds_and_links_are_learned_from_answers_out_of_order(desk: Desk) -> None:
    """Ten a second, far away by a fifth of a second; every other answer is of a job that went ahead."""
    flooded(desk)
    member = desk.pool.members["cpu"]
    for number in range(30):
        desk.pool.open(Flow(f"light {number}", LOOK))
        desk.add(1, flow=f"light {number}")
        for _ in range(2):
            desk.turn(0.1)
            lease = desk.held()[0]
            desk.answer(lease, seconds=0.1, waited=max(0.0, desk.now - lease.sent - 0.3))
    assert sum(lease.ahead for lease in desk.sent) == 30
    assert member.seconds(LOOK) == pytest.approx(0.1, rel=0.02)
    assert member.link.base == pytest.approx(0.2, abs=0.02)


def test_who_was_passed_did_not_wait_for_itself_alone(desk: Desk) -> None:
    """The first job of an idle worker; a faster message goes before it. Its wait is no service time."""
    desk.pool.open(Flow("light", LOOK))
    desk.worker(fps=10.0)
    (first,) = desk.add(1)
    (lease,) = desk.held()
    was_alone = lease.alone
    member = desk.pool.members["cpu"]
    other = Lease(desk.add(1, flow="light")[0], LOOK, "cpu", lease.incarnation, 99, desk.now, desk.now + 30)
    member.take(other, 0)
    assert items(member.leases)[:2] == [other.item, first]
    assert (was_alone, lease.alone) == (True, False)
    assert lease.passed == pytest.approx(0.1)
    member.leases.remove(other)


def test_what_came_too_late_to_go_ahead_is_not_taken_for_what_runs(desk: Desk) -> None:
    """The job at work ended while the light one was on its way: the next in line has begun."""
    held = flooded(desk)
    desk.turn(0.2)
    desk.add(1, flow="light")
    ahead = next(place for place, lease in enumerate(desk.held()) if lease.ahead)
    for lease in desk.held()[:ahead]:
        desk.answer(lease)  # all at once: faster than was thought
    assert desk.held()[0] is held[ahead], "it was there when the last one ended"
    assert desk.held()[1].ahead
