"""The dispatch rules, each at its boundary, by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat_hub.core.rules import (
    ArrivalEstimate,
    ArrivalWindow,
    EctStar,
    Hedger,
    InFlight,
    LeastInFlight,
    Pull,
    RoundRobin,
    Rule,
    WaitingJob,
    WeightedRoundRobin,
    WorkerView,
    credit,
    learn,
    vary,
)

QUIET = ArrivalEstimate(0.0)
RULES: list[Callable[[], Rule]] = [
    EctStar,
    Pull,
    lambda: Pull(2),
    RoundRobin,
    WeightedRoundRobin,
    LeastInFlight,
]


def worker(
    name: str,
    seconds: float,
    *held: tuple[str, float],
    round_trip: float = 0.0,
    window: int = 64,
    last_answer: float = float("-inf"),
    variation: float = 0.0,
) -> WorkerView:
    """`held` is (job, sent) for each job in flight."""
    flying = tuple(InFlight(job, 1.0, sent) for job, sent in held)
    return WorkerView(name, seconds, round_trip, window, 1 / seconds, flying, last_answer, variation)


def jobs(count: int) -> list[WaitingJob]:
    return [WaitingJob(str(number)) for number in range(1, count + 1)]


def sent(
    rule: Rule, waiting: list[WaitingJob], *workers: WorkerView, now: float = 0.0, rate: float = 0.0
) -> str:
    """What is assigned, in order: "1a 2b"."""
    chosen = rule.assign(waiting, workers, now, ArrivalEstimate(rate))
    return " ".join(f"{a.job}{a.worker}" for a in chosen)


# --- ECT* -----------------------------------------------------------------------------------------


def test_the_earliest_completion_wins_and_the_first_worker_on_ties() -> None:
    # Beside the 0.25 s away, a would answer at 1, 2; b at 2: job 2 is a tie and goes to a; job 3 goes to
    # b (2 against 3).
    def near(name: str, seconds: float) -> WorkerView:
        return worker(name, seconds, round_trip=0.25)

    assert sent(EctStar(), jobs(3), near("a", 1.0), near("b", 2.0)) == "1a 2a 3b"
    assert sent(EctStar(), jobs(2), near("a", 1.0), near("b", 1.999)) == "1a 2b"


def test_a_slow_worker_is_not_given_what_a_fast_one_finishes_sooner() -> None:
    # a is full: its credit is 2. It would answer job 1 at 3, b only at 3.5, so job 1 waits for a.
    full = worker("a", 1.0, ("x", 0.0), ("y", 0.0))
    assert sent(EctStar(), jobs(1), full, worker("b", 3.5)) == ""
    assert sent(EctStar(), jobs(2), full, worker("b", 3.5)) == "2b"


def test_half_a_round_trip_is_counted_each_way() -> None:
    # At 0.3 s away a answers after 1.3 s. b, at no distance, wins below 1.3 s and loses above.
    far = worker("a", 1.0, round_trip=0.3)
    assert sent(EctStar(), jobs(1), far, worker("b", 1.299)) == "1b"
    assert sent(EctStar(), jobs(1), far, worker("b", 1.301)) == "1a"
    # A job travels while a works: sent at 0.5 it begins as x ends, at 1.15, and is answered at 2.3.
    busy = worker("a", 1.0, ("x", 0.0), round_trip=0.3)
    assert sent(EctStar(), jobs(1), busy, worker("b", 1.799), now=0.5) == "1b"
    assert sent(EctStar(), jobs(1), busy, worker("b", 1.801), now=0.5) == "1a"


def test_a_longer_job_is_planned_as_longer() -> None:
    # Costs 4 and 1: a is free at 4, so the short one goes to b, which answers at 3.
    waiting = [WaitingJob("1", 4.0), WaitingJob("2", 1.0)]
    assert sent(EctStar(), waiting, worker("a", 1.0), worker("b", 3.0)) == "1a 2b"


@pytest.mark.parametrize(
    ("round_trip", "seconds", "window", "variation", "expected"),
    [
        (0.0, 1.0, 64, 3.0, 1),  # however much it varies, nothing is to be bridged
        (0.005, 1.0, 64, 0.0, 1),  # hardly anything
        (0.0051, 1.0, 64, 0.0, 2),
        (0.012, 0.1, 64, 0.0, 2),
        (0.5, 0.75, 64, 0.0, 2),  # one behind the first lasts exactly one and a half round trips
        (0.501, 0.75, 64, 0.0, 3),
        (0.5, 1.0, 64, 0.14, 2),  # surely 0.756 s
        (0.5, 1.0, 64, 0.15, 3),  # surely 0.741 s
        (0.125, 1 / 64, 64, 0.0, 13),
        (0.125, 1 / 64, 64, 0.5, 17),  # 16 × exp(-1 / √16) = 12.5, 15 of them only 11.6
        (0.125, 1 / 64, 5, 0.5, 5),  # never over the worker's window
        (0.5, 1.0, 1, 0.5, 1),
    ],
)
def test_credit_hides_the_round_trip(
    round_trip: float, seconds: float, window: int, variation: float, expected: int
) -> None:
    view = worker("a", seconds, round_trip=round_trip, window=window, variation=variation)
    assert credit(view, 1.0) == expected


def test_credit_counts_work_and_not_jobs() -> None:
    # At 0.5 s away, 0.75 s of work must wait behind the first: one long job, or three short ones.
    def holding(*costs: float) -> WorkerView:
        held = tuple(InFlight(str(number), cost, 0.0) for number, cost in enumerate(costs))
        return WorkerView("a", 1.0, 0.5, 64, 1.0, held, variation=0.0)

    assert holding(9.0).wants
    assert not holding(0.1, 0.75).wants
    assert holding(9.0, 0.25, 0.25).wants
    assert not holding(9.0, 0.25, 0.25, 0.25).wants


def test_jobs_still_to_come_send_a_job_to_a_slow_worker() -> None:
    # a is full and would answer 1, 2, 3 at 3, 4, 5. A fourth would be answered by b at 5.5, by a at 6:
    # if one is to come until 5, b takes the last of those that wait.
    full = worker("a", 1.0, ("x", 0.0), ("y", 0.0))
    slow = worker("b", 5.5)
    rule = EctStar(still_to_come=0.25, load_power=0.0)
    assert sent(rule, jobs(3), full, slow, rate=0.79) == ""  # 0.25 × 0.79 × 5 = 0.99: none to come
    assert sent(rule, jobs(3), full, slow, rate=0.8) == "3b"  # exactly one
    assert sent(EctStar(still_to_come=0.0), jobs(3), full, slow, rate=100.0) == ""


def test_jobs_still_to_come_count_by_the_load() -> None:
    # Capacity 1 + 1/5.5 = 1.1818; a rate of half of it is a load of 0.5: a quarter of 0.59 × 5 jobs.
    full = worker("a", 1.0, ("x", 0.0), ("y", 0.0))
    slow = worker("b", 5.5)
    half = (1 + 1 / 5.5) / 2
    assert sent(EctStar(), jobs(3), full, slow, rate=half) == ""
    assert sent(EctStar(still_to_come=1.36), jobs(3), full, slow, rate=half) == "3b"  # 1.005
    assert sent(EctStar(still_to_come=1.35), jobs(3), full, slow, rate=half) == ""  # 0.997


def test_what_waits_behind_the_head_uses_a_slow_worker() -> None:
    # a is full and would answer at 3, 4, 5, 6; b at 5.5. Two of the four turns before b's are the head's.
    full = worker("a", 1.0, ("x", 0.0), ("y", 0.0))
    slow = worker("b", 5.5)

    def with_behind(cost: float) -> str:
        chosen = EctStar().assign(jobs(2), [full, slow], 0.0, ArrivalEstimate(0.0, behind=cost))
        return " ".join(f"{a.job}{a.worker}" for a in chosen)

    assert with_behind(1.0) == ""  # the third job is answered at 5 by a
    assert with_behind(1.99) == ""
    assert with_behind(2.0) == "2b"  # the fourth at 5.5 by b


def test_the_head_is_bounded_and_the_rest_is_counted() -> None:
    # b answers before the fourth job of a. Of four jobs it gets the last of the head.
    full = worker("a", 1.0, ("x", 0.0), ("y", 0.0))
    slow = worker("b", 5.5)
    assert sent(EctStar(head=3), jobs(3), full, slow) == ""
    assert sent(EctStar(head=3), jobs(4), full, slow) == "3b"
    assert sent(EctStar(head=4), jobs(4), full, slow) == "4b"
    assert sent(EctStar(aside=2), jobs(4), full, slow) == "4b"
    assert sent(EctStar(aside=2), jobs(3), full, slow) == ""


def test_what_a_worker_holds_is_foreseen() -> None:
    half = 0.1
    assert worker("a", 1.0, round_trip=2 * half).free_at(5.0) == float("-inf")
    assert worker("a", 1.0, ("x", 5.0), round_trip=2 * half).free_at(5.0) == pytest.approx(6.1)
    # The second job was sent in time: it begins as the first ends.
    two = worker("a", 1.0, ("x", 5.0), ("y", 5.5), round_trip=2 * half)
    assert two.free_at(5.5) == pytest.approx(7.1)
    # An answer at 6.0 left the worker at 5.9; then it took y.
    after = worker("a", 1.0, ("y", 5.5), round_trip=2 * half, last_answer=6.0)
    assert after.free_at(6.0) == pytest.approx(6.9)


def test_an_overdue_worker_is_trusted_less_and_less() -> None:
    # x should have ended at 1.0. At 1.0 it is not late; at 4.0 it is 3 s late and given 3 s more.
    late = worker("a", 1.0, ("x", 0.0))
    assert late.free_at(1.0) == 1.0
    assert late.free_at(4.0) == 7.0
    other = worker("b", 3.5)
    assert sent(EctStar(), jobs(1), late, other, now=1.0) == ""  # waits for a
    assert sent(EctStar(), jobs(1), late, other, now=4.0) == "1b"


@settings(max_examples=100, deadline=None)
@given(
    seconds=st.lists(st.sampled_from([0.5, 1.0, 2.0, 4.0]), min_size=1, max_size=5),
    costs=st.lists(st.sampled_from([1.0, 1.0, 2.0, 8.0]), min_size=1, max_size=20),
)
def test_the_plan_is_what_its_definition_says(seconds: list[float], costs: list[float]) -> None:
    workers = [worker(str(number), each, round_trip=0.25) for number, each in enumerate(seconds)]
    free = [0.125] * len(seconds)
    room = [credit(view, costs[0]) for view in workers]
    expected = []
    for number, cost in enumerate(costs):
        if max(room) <= 0:
            break
        best = min(range(len(free)), key=lambda n: (free[n] + seconds[n] * cost, n))
        free[best] += seconds[best] * cost
        room[best] -= 1
        if room[best] >= 0:
            expected.append((str(number), str(best)))
    waiting = [WaitingJob(str(number), cost) for number, cost in enumerate(costs)]
    chosen = EctStar().assign(waiting, workers, 0.0, QUIET)
    assert [(a.job, a.worker) for a in chosen] == expected


# --- the rules to compare with --------------------------------------------------------------------


def test_pull_is_the_papers_broker() -> None:
    fast, slow = worker("a", 0.1), worker("b", 10.0)
    assert sent(Pull(), jobs(3), fast, slow) == "1a 2b"
    assert sent(Pull(), jobs(1), worker("a", 0.1, ("x", 0.0)), slow) == "1b"
    # Who asked first is served first.
    early, later = worker("b", 1.0, last_answer=1.0), worker("a", 1.0, last_answer=2.0)
    assert sent(Pull(), jobs(1), later, early, now=3.0) == "1b"


def test_pull_with_more_credit_fills_the_emptiest_first() -> None:
    assert sent(Pull(2), jobs(4), worker("a", 1.0, ("x", 0.0)), worker("b", 1.0)) == "1b 2a 3b"
    assert sent(Pull(2), jobs(4), worker("a", 1.0, window=1)) == "1a"


def test_round_robin_takes_turns_across_calls_and_waits_for_a_full_one() -> None:
    rule = RoundRobin()
    a, b = worker("a", 1.0), worker("b", 9.0)
    assert sent(rule, jobs(3), b, a) == "1a 2b 3a"
    assert sent(rule, jobs(1), a, b) == "1b"
    assert sent(rule, jobs(2), worker("a", 1.0, ("x", 0.0), window=1), b) == ""
    assert sent(rule, jobs(1), b) == "1b"  # a is gone


def test_static_weights_share_by_announced_capacity() -> None:
    rule = WeightedRoundRobin()
    order = sent(rule, jobs(10), worker("a", 1 / 6), worker("b", 1 / 3), worker("c", 1.0))
    assert [order.count(name) for name in "abc"] == [6, 3, 1]
    assert order.startswith("1a 2b 3a")


def test_least_in_flight_counts_what_it_sends() -> None:
    a, b = worker("a", 1.0, ("x", 0.0), ("y", 0.0)), worker("b", 1.0)
    assert sent(LeastInFlight(), jobs(4), a, b) == "1b 2b 3a 4b"
    assert sent(LeastInFlight(), jobs(1), worker("a", 1.0, window=0)) == ""


# --- what holds for all of them -------------------------------------------------------------------


@pytest.mark.parametrize("make", RULES)
def test_nothing_to_do_is_nothing_done(make: Callable[[], Rule]) -> None:
    assert make().assign([], [worker("a", 1.0)], 0.0, QUIET) == []
    assert make().assign(jobs(2), [], 0.0, QUIET) == []


views = st.builds(
    lambda seconds, held, window, trip: (seconds, held, window, trip),
    st.floats(0.001, 100),
    st.integers(0, 5),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.012, 0.1, 2.0]),
)


@pytest.mark.parametrize("make", RULES)
@settings(max_examples=60, deadline=None)
@given(
    shapes=st.lists(views, min_size=1, max_size=6),
    count=st.integers(0, 80),
    rate=st.sampled_from([0, 9, 1e4]),
)
def test_no_rule_sends_too_much_or_stalls(
    make: Callable[[], Rule], shapes: list[tuple[float, int, int, float]], count: int, rate: float
) -> None:
    workers = [
        worker(
            f"w{number}",
            seconds,
            *[(f"x{number}{n}", 1.0) for n in range(min(held, window))],
            round_trip=trip,
            window=window,
        )
        for number, (seconds, held, window, trip) in enumerate(shapes)
    ]
    waiting = jobs(count)
    chosen = make().assign(waiting, workers, 2.0, ArrivalEstimate(rate))
    assert len({a.job for a in chosen}) == len(chosen)
    assert {a.job for a in chosen} <= {job.id for job in waiting}
    for view in workers:
        assert sum(a.worker == view.id for a in chosen) <= view.room
    if waiting and all(not view.in_flight for view in workers):
        assert chosen
    assert chosen == make().assign(waiting, workers, 2.0, ArrivalEstimate(rate))


# --- estimates ------------------------------------------------------------------------------------


def test_learning_is_smoothed_and_clipped_exactly() -> None:
    assert learn(1.0, 2.0) == pytest.approx(1.2)
    assert learn(1.0, 3.0) == learn(1.0, 100.0) == pytest.approx(1.4)
    assert learn(3.0, 1.0) == learn(3.0, 1e-9) == pytest.approx(2.6)


def test_a_threefold_slow_down_is_followed_within_ten_jobs() -> None:
    estimate = 1.0
    for _ in range(10):
        estimate = learn(estimate, 3.0)
    assert estimate == pytest.approx(3.0, rel=0.08)


@pytest.mark.parametrize(("estimate", "observed"), [(1.0, 0.0), (0.0, 1.0), (1.0, -1.0), (1.0, float("nan"))])
def test_a_time_that_is_none_is_refused(estimate: float, observed: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        learn(estimate, observed)


def test_the_rate_of_arrivals_is_that_of_the_lesser_half_of_the_window() -> None:
    window = ArrivalWindow(2.0)
    assert window.estimate(0.0).rate == 0.0
    for number in range(4):
        window.arrive(0.5 * number)
    window.arrive(1.75, cost=3.0)
    assert window.estimate(1.75).rate == 2.0  # 0 and 0.5 are older; 1.0, 1.5 and 1.75 hold five
    assert window.estimate(2.0).rate == 2.0  # 0.0 is forgotten; 0.5 and 1.0 are older
    assert window.estimate(2.499).rate == 2.0
    assert window.estimate(2.5).rate == 2.0  # 1.0 and 1.5 against the three of 1.75
    assert window.estimate(2.75).rate == 0.0  # nothing is new


def test_a_batch_is_no_stream() -> None:
    window = ArrivalWindow(2.0)
    for _ in range(20):
        window.arrive(10.0)
    assert [window.estimate(now).rate for now in (10.0, 10.5, 11.0, 11.5, 12.0)] == [0.0] * 5


def test_variation_is_learned_from_how_far_off_the_estimate_was() -> None:
    assert vary(0.5, 1.0, 1.5) == pytest.approx(0.5)
    assert vary(0.0, 1.0, 1.5) == pytest.approx((0.05 * 0.25) ** 0.5)
    assert vary(0.5, 1.0, 100.0) == vary(0.5, 1.0, 3.0)
    assert vary(0.5, 1.0, 1e-9) == vary(0.5, 1.0, 1 / 3)
    assert vary(0.4, 1.0, 1.0) < 0.4
    with pytest.raises(ValueError, match="positive"):
        vary(0.5, 1.0, 0.0)


# --- hedging --------------------------------------------------------------------------------------


def test_a_straggler_is_copied_once_it_is_overdue_and_a_copy_would_win() -> None:
    straggler, idle = worker("a", 1.0, ("x", 0.0)), worker("b", 3.0)
    early = Hedger(overdue=2.0).hedge([straggler, idle], set(), now=1.0)
    assert not early.copies
    assert early.wake_at == 2.0
    # At 2 it is overdue, but the copy needs 3 s and x is taken to need 2 more: worth it after 3 s.
    overdue = Hedger(overdue=2.0).hedge([straggler, idle], set(), now=2.0)
    assert not overdue.copies
    assert overdue.wake_at == pytest.approx(3.0, abs=1e-5)
    assert overdue.wake_at is not None
    worth = Hedger(overdue=2.0).hedge([straggler, idle], set(), now=overdue.wake_at)
    assert [(c.job, c.worker) for c in worth.copies] == [("x", "b")]
    again = Hedger(overdue=2.0).hedge([straggler, idle], {"x"}, now=overdue.wake_at)
    assert not again.copies
    assert again.wake_at is None


def test_what_varies_anyway_is_no_straggler() -> None:
    # Four standard deviations of 0.5 s above 1 s.
    varied, idle = worker("a", 1.0, ("x", 0.0), variation=0.5), worker("b", 0.1)
    assert Hedger().hedge([varied, idle], set(), now=2.9).wake_at == 3.0
    assert Hedger().hedge([varied, idle], set(), now=3.0).copies


def test_what_waits_behind_a_straggler_is_copied_first() -> None:
    straggler = worker("a", 1.0, ("x", 0.0), ("y", 0.0))
    hedge = Hedger().hedge([straggler, worker("b", 1.0)], set(), now=2.0)
    assert [(c.job, c.worker) for c in hedge.copies] == [("y", "b")]
    both = Hedger().hedge([straggler, worker("b", 1.0), worker("c", 1.5)], set(), now=2.0)
    assert [(c.job, c.worker) for c in both.copies] == [("y", "b"), ("x", "c")]


def test_nothing_is_copied_where_nobody_idles() -> None:
    hedge = Hedger().hedge([worker("a", 1.0, ("x", 0.0)), worker("b", 1.0, ("y", 9.0))], set(), now=9.0)
    assert not hedge.copies
    assert hedge.wake_at is None
