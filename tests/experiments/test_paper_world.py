"""The paper's world by hand, and what no dispatcher can beat."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from meerkat_contract.errors import UsageError
from meerkat_experiments.paper.bounds import ideal_queue, shortest_makespan
from meerkat_experiments.paper.dispatchers import Answered, MakeDispatcher, Sent
from meerkat_experiments.paper.metrics import balance, delayed_ratio, percentile, throughput
from meerkat_experiments.paper.parameters import Parameters
from meerkat_experiments.paper.production import by_pool
from meerkat_experiments.paper.world import Image, simulate
from meerkat_hub.core.rules import Pull

PARAMETERS = Parameters()


def images(*arrived: float) -> list[Image]:
    return [Image(f"i{n}", "w", "c", at, at) for n, at in enumerate(arrived)]


def test_table_3() -> None:
    assert PARAMETERS.hop == pytest.approx(0.008)
    assert PARAMETERS.round_trip == pytest.approx(0.012)
    assert PARAMETERS.workflow_time == pytest.approx(0.107)
    assert PARAMETERS.flow == 80
    assert ("data sensing interval", "50 ms") in PARAMETERS.rows()
    assert ("nodes used of its 5 MLO, 5 FLO, 5 DLO", "2 MLO, 2 DLO; FLO by row") in PARAMETERS.rows()


@pytest.mark.parametrize("field", ["flo_fps", "bandwidth_mbps", "delay"])
def test_impossible_parameters_are_refused(field: str) -> None:
    with pytest.raises(UsageError, match=rf"{field}: -1.0 is not a possible value\. Give "):
        Parameters(**{field: -1.0})


def test_one_image_there_and_back() -> None:
    (done,) = simulate(images(1.0), [20.0], by_pool("pull", Pull), PARAMETERS)
    assert (done.begun, done.ended, done.answered) == pytest.approx((1.008, 1.058, 1.062))


def test_a_link_carries_one_message_at_a_time() -> None:
    # Both are sent at once; the second is 4 ms later at the node, and waits for the first anyway.
    first, second = simulate(images(0.0, 0.0), [1000.0], by_pool("pull 2", lambda: Pull(2)), PARAMETERS)
    assert first.begun == pytest.approx(0.008)
    assert second.begun == pytest.approx(0.012)


def test_credit_1_waits_out_the_link_and_credit_2_does_not() -> None:
    slow = simulate(images(0.0, 0.0), [20.0], by_pool("pull", Pull), PARAMETERS)[-1]
    assert slow.ended == pytest.approx(0.008 + 0.050 + 0.012 + 0.050)
    fast = simulate(images(0.0, 0.0), [20.0], by_pool("pull 2", lambda: Pull(2)), PARAMETERS)[-1]
    assert fast.ended == pytest.approx(0.008 + 0.050 + 0.050)


class Broken:
    """Sends nothing, or what it never was given."""

    name = "broken"

    def __init__(self, sends: list[Sent]) -> None:
        self.sends = sends

    def arrive(self, message: str, flow: str, source: str, now: float, /) -> None:
        pass

    def answered(self, answer: Answered, now: float, /) -> None:
        pass

    def send(self, now: float, /) -> tuple[list[Sent], float | None]:
        sent, self.sends = self.sends, []
        return sent, None


@pytest.mark.parametrize(
    ("sends", "said"), [([], "never answered"), ([Sent("other", "flo-1")], "never given")]
)
def test_a_dispatcher_that_loses_or_invents_is_caught(sends: list[Sent], said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        simulate(images(0.0), [20.0], lambda _: Broken(sends), PARAMETERS)


def test_of_two_copies_the_first_answer_counts() -> None:
    copies = [Sent("i0", "flo-1"), Sent("i0", "flo-2")]
    (done,) = simulate(images(0.0), [20.0, 40.0], lambda _: Broken(copies), PARAMETERS)
    assert done.node == "flo-2"


class Sleeper(Broken):
    """Asks to be woken at 0.5 s, and only then sends."""

    def send(self, now: float, /) -> tuple[list[Sent], float | None]:
        return super().send(now) if now >= 0.5 else ([], 0.5)


def test_who_asks_to_be_woken_is_asked_again_then() -> None:
    (done,) = simulate(images(0.0), [20.0], lambda _: Sleeper([Sent("i0", "flo-1")]), PARAMETERS)
    assert done.begun == pytest.approx(0.508)


@pytest.mark.parametrize("fair", [False, True])
def test_the_pool_queues_the_workflows_together_or_shares_between_them(fair: bool) -> None:
    # Three seconds of one workflow's work are there before one image of another: who waits for whom?
    many = [Image(f"a{n}", "a", "c", 0.0, 0.0) for n in range(60)]
    one = Image("b", "b", "c", 0.001, 0.001)
    done = simulate([*many, one], [20.0], by_pool("pool", fair=fair), PARAMETERS)
    place = [one.image.id for one in done].index("b")
    assert place == 60 if not fair else place <= 25, "a second of service, and what the node holds"


# --- metrics --------------------------------------------------------------------------------------


def test_a_message_exactly_at_its_limit_is_not_delayed() -> None:
    assert delayed_ratio([0.107, 0.107 + 1e-12, 0.1071, 0.2], 0.107) == 0.5
    assert delayed_ratio([], 0.107) == 0.0


def test_balance_by_hand() -> None:
    # Workloads 0.8 and 0.4: their mean is 0.6 and both are 0.2 from it.
    assert balance({"a": 8, "b": 2}, {"a": 10.0, "b": 5.0}, 1.0) == pytest.approx(0.2)
    assert balance({"a": 10, "b": 5}, {"a": 10.0, "b": 5.0}, 1.0) == 0
    assert balance({}, {"a": 10.0, "b": 5.0}, 1.0) == 0, "a node that did nothing counts"
    assert throughput(100, 1.1) == pytest.approx(90.9, abs=0.01)


def test_percentiles_are_values_that_occur() -> None:
    values = [float(n) for n in range(10, 0, -1)]
    assert (percentile(values, 0.1), percentile(values, 0.9), percentile(values, 1.0)) == (2.0, 10.0, 10.0)


# --- the bounds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_the_ideal_queue_has_the_least_longest_time_of_all_schedules(seed: int) -> None:
    chance = Random(seed)
    arrived = sorted(round(chance.uniform(0, 2), 2) for _ in range(6))
    ends = ideal_queue(arrived, 2, 0.5)
    longest = max(end - at for end, at in zip(ends, arrived, strict=True))
    assert longest == pytest.approx(_best_longest(arrived, 2, 0.5))


def _best_longest(arrived: list[float], nodes: int, seconds: float) -> float:
    """The least longest time over all orders of service (each image begins as early as the order lets it)."""
    from itertools import permutations

    best = float("inf")
    for order in permutations(range(len(arrived))):
        free = [0.0] * nodes
        longest = 0.0
        for number in order:
            free.sort()
            free[0] = max(free[0], arrived[number]) + seconds
            longest = max(longest, free[0] - arrived[number])
        best = min(best, longest)
    return best


@pytest.mark.parametrize(
    "make",
    [
        by_pool("pull", Pull),
        by_pool("pull 3", lambda: Pull(3)),
        by_pool("pool"),
        by_pool("fair", fair=True),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_no_rule_ends_a_message_before_the_ideal_queue_does(make: MakeDispatcher, seed: int) -> None:
    chance = Random(seed)
    batch = images(*sorted(chance.uniform(0, 2) for _ in range(60)))
    done = sorted(one.ended for one in simulate(batch, [20.0, 20.0], make, PARAMETERS))
    ends = ideal_queue([image.arrived + PARAMETERS.hop for image in batch], 2, 0.05)
    assert all(mine >= best - 1e-9 for mine, best in zip(done, ends, strict=True))


@pytest.mark.parametrize("capacities", [(3.0, 2.0, 1.0), (5.0, 1.0)])
@pytest.mark.parametrize("messages", [1, 4, 7])
def test_the_shortest_makespan_is_that_of_all_ways_to_share(
    capacities: tuple[float, ...], messages: int
) -> None:
    shares = (s for s in product(range(messages + 1), repeat=len(capacities)) if sum(s) == messages)
    best = min(max(0.15 + n / c for n, c in zip(s, capacities, strict=True) if n) for s in shares)
    assert shortest_makespan(messages, capacities, there=0.1, back=0.05) == pytest.approx(best, abs=1e-6)


def test_a_link_slower_than_its_node_sets_the_pace() -> None:
    # 8 ms until the first is there, nine more each 4 ms later, 1 ms of work, 4 ms back.
    best = shortest_makespan(10, [1000.0], there=0.008, back=0.004, apart=0.004)
    assert best == pytest.approx(0.008 + 9 * 0.004 + 0.001 + 0.004)
    done = simulate(images(*[0.0] * 10), [1000.0], by_pool("ours"), PARAMETERS)
    assert max(one.answered for one in done) == pytest.approx(best, abs=1e-6)
