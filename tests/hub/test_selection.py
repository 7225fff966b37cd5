"""Node selection, method by method against its definition written down a second time, naively."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat_contract.errors import BadMessage, UsageError
from meerkat_hub.core.workflows.selection import (
    METHODS,
    Method,
    Node,
    Outage,
    Selection,
    Shortfall,
    Weights,
    select_nodes,
)

EVEN = Weights()


def eighths(least: int, most: int) -> st.SearchStrategy[float]:
    """Numbers that binary fractions hold exactly: sums and ties are what they are on paper."""
    return st.integers(least, most).map(lambda n: n / 8)


@st.composite
def pools(draw: st.DrawFn, most: int = 8) -> tuple[float, list[Node], Weights]:
    capacity = draw(st.sampled_from([eighths(1, 480), st.sampled_from([10.0, 20.0, 40.0])]))
    node = st.tuples(capacity, eighths(0, 200), eighths(0, 80), eighths(0, 8), eighths(0, 40))
    kinds = draw(st.lists(node, min_size=1, max_size=most))
    repeats = draw(st.integers(1, most // len(kinds)))
    nodes = [Node(f"n{i}", *kind) for i, kind in enumerate(kinds * repeats)]
    demand = draw(eighths(1, math.ceil(8 * 1.1 * sum(n.capacity for n in nodes))))
    weight = st.sampled_from([0.0, 0.25, 1.0, 64.0])
    outage: Outage = draw(st.sampled_from(["all_down", "any_down"]))
    return demand, nodes, Weights(*(draw(weight) for _ in range(4)), outage, draw(weight))


def price(chosen: Sequence[Node], demand: float, w: Weights) -> float:
    down = math.prod(1 - n.availability for n in chosen)
    up = math.prod(n.availability for n in chosen)
    return (
        w.waste * (sum(n.capacity for n in chosen) - demand)
        + w.latency * max(n.latency_ms for n in chosen)
        + w.energy * sum(n.energy for n in chosen)
        + w.unavailability * (down if w.outage == "all_down" else 1 - up)
        + w.switching * sum(n.switching for n in chosen)
    )


def enough(chosen: Sequence[Node], demand: float) -> bool:
    return sum(n.capacity for n in chosen) >= demand


def shortest_prefix(order: Sequence[Node], demand: float) -> list[Node]:
    return next(list(order[:n]) for n in range(1, len(order) + 1) if enough(order[:n], demand))


def pivot_sets(demand: float, nodes: Sequence[Node]) -> Iterator[list[Node]]:
    order = sorted(nodes, key=lambda n: -n.capacity)
    for k in range(len(order)):
        if enough([order[k]], demand):
            yield [order[k]]
            continue
        s = [order[k]]
        for i in range(k + 1, len(order)):
            missing = demand - sum(n.capacity for n in s)
            fitting = [n for n in order[i:] if n.capacity == missing]
            if fitting:
                yield [*s, fitting[0]]
                break
            if enough([*s, order[i]], demand):
                yield [*s, order[i]]
            else:
                s.append(order[i])


def by_definition(method: Method, demand: float, nodes: Sequence[Node], weights: Weights) -> list[Node]:
    match method:
        case "first_fit":
            return shortest_prefix(nodes, demand)
        case "best_fit":
            return shortest_prefix(sorted(nodes, key=lambda n: -n.capacity), demand)
        case "worst_fit":
            return shortest_prefix(sorted(nodes, key=lambda n: n.capacity), demand)
        case _:
            return min(pivot_sets(demand, nodes), key=lambda s: price(s, demand, weights))


def cheapest(demand: float, nodes: Sequence[Node], weights: Weights) -> float:
    return min(
        price(s, demand, weights)
        for size in range(1, len(nodes) + 1)
        for s in combinations(nodes, size)
        if enough(s, demand)
    )


def select(method: Method, demand: float, nodes: Sequence[Node], weights: Weights = EVEN) -> Selection:
    selection = select_nodes(method, demand, nodes, weights)
    assert isinstance(selection, Selection)
    return selection


@pytest.mark.parametrize("method", [method for method in METHODS if method != "exact"])
@settings(max_examples=200, deadline=None)
@given(pool=pools(most=12))
def test_a_heuristic_chooses_what_its_definition_says(
    method: Method, pool: tuple[float, list[Node], Weights]
) -> None:
    demand, nodes, weights = pool
    answer = select_nodes(method, demand, nodes, weights)
    if not enough(nodes, demand):
        assert answer == Shortfall(demand, sum(n.capacity for n in nodes), len(nodes))
        return
    assert isinstance(answer, Selection)
    assert list(answer.nodes) == by_definition(method, demand, nodes, weights)
    assert answer.cost.total == pytest.approx(price(answer.nodes, demand, weights), abs=1e-9)
    assert not answer.optimal


@settings(max_examples=300, deadline=None)
@given(pool=pools())
def test_exact_is_the_cheapest_of_all_sets(pool: tuple[float, list[Node], Weights]) -> None:
    demand, nodes, weights = pool
    answer = select_nodes("exact", demand, nodes, weights)
    if not enough(nodes, demand):
        assert isinstance(answer, Shortfall)
        return
    assert isinstance(answer, Selection)
    assert answer.optimal
    assert enough(answer.nodes, demand)
    assert len({n.id for n in answer.nodes}) == len(answer.nodes)
    assert answer.cost.total == pytest.approx(cheapest(demand, nodes, weights), abs=1e-9)
    assert answer.cost.total == pytest.approx(price(answer.nodes, demand, weights), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(pool=pools(most=20), budget=st.integers(0, 60))
def test_exact_never_costs_more_than_a_heuristic_however_short_its_budget(
    pool: tuple[float, list[Node], Weights], budget: int
) -> None:
    demand, nodes, weights = pool
    answer = select_nodes("exact", demand, nodes, weights, budget=budget)
    if isinstance(answer, Shortfall):
        return
    assert answer.steps <= budget
    for method in METHODS:
        assert answer.cost.total <= select(method, demand, nodes, weights).cost.total or method == "exact"
    assert answer == select_nodes("exact", demand, nodes, weights, budget=budget)


def capacities(*values: float) -> list[Node]:
    return [Node(f"n{i}", value) for i, value in enumerate(values)]


def ids(selection: Selection) -> list[str]:
    return [node.id for node in selection.nodes]


def test_the_fits_differ_by_their_order_alone() -> None:
    nodes = capacities(20, 40, 10, 40)
    assert ids(select("first_fit", 45, nodes)) == ["n0", "n1"]
    assert ids(select("best_fit", 45, nodes)) == ["n1", "n3"]
    assert ids(select("worst_fit", 45, nodes)) == ["n2", "n0", "n1"]


def test_melinda_takes_the_exact_complement_before_the_next_in_line() -> None:
    answer = select("melinda", 50, capacities(40, 30, 10))
    assert ids(answer) == ["n0", "n2"]
    assert answer.cost.waste == 0
    assert answer.reason == "pivot n0, completed by n2 to the very demand: the cheapest of 1 proposed"


def test_melinda_goes_on_to_the_next_pivot_after_an_exact_complement() -> None:
    """The second of two equal complements would be cheaper; the rule does not look at it."""
    nodes = [Node("a", 40), Node("dear", 10, energy=9), Node("cheap", 10, energy=1)]
    assert ids(select("melinda", 50, nodes)) == ["a", "dear"]
    assert ids(select("exact", 50, nodes)) == ["a", "cheap"]


def test_melinda_does_not_keep_a_node_that_completes_a_set() -> None:
    """30 would complete the set and is left; 15 and 10 after it still make a cheaper one."""
    answer = select("melinda", 60, capacities(40, 30, 15, 10))
    assert ids(answer) == ["n0", "n2", "n3"]
    assert answer.reason == "pivot n0, completed by n3: the cheapest of 2 proposed"


def test_of_equally_cheap_sets_melinda_takes_the_first() -> None:
    assert ids(select("melinda", 20, capacities(20, 20, 20))) == ["n0"]


def test_a_pool_that_meets_the_demand_to_the_frame_is_enough() -> None:
    nodes = capacities(40, 20)
    for method in METHODS:
        assert sorted(ids(select(method, 60, nodes))) == ["n0", "n1"]
        short = select_nodes(method, 60.125, nodes)
        assert isinstance(short, Shortfall)
        assert short.reason == "60.125 frames/s are asked for and 2 nodes have 60: 0.125 are missing"
    assert isinstance(select_nodes("exact", 1, []), Shortfall)


def test_rounding_neither_refuses_nor_adds_a_node() -> None:
    thirds = capacities(*[0.1] * 3, 5)
    assert sum(n.capacity for n in thirds[:3]) != 0.3
    for method in METHODS:
        assert isinstance(select_nodes(method, 3 * 0.1 + 5, thirds), Selection)
    assert ids(select("first_fit", 0.3000000000001, thirds)) == ["n0", "n1", "n2"]


def test_a_cost_is_told_in_its_terms() -> None:
    nodes = [Node("coral", 40, 8, 6, 0.75), Node("jetson", 20, 12, 10, 0.5)]
    answer = select("first_fit", 50, nodes)
    assert answer.cost.waste == 0.25 * 10
    assert answer.cost.latency == 0.25 * 12
    assert answer.cost.energy == 0.25 * 16
    assert answer.cost.unavailability == 0.25 * 0.25 * 0.5
    assert answer.cost.total == 2.5 + 3 + 4 + 0.03125
    either = select("first_fit", 50, nodes, Weights(outage="any_down"))
    assert either.cost.unavailability == 0.25 * (1 - 0.75 * 0.5)


def test_a_spare_node_is_bought_when_an_outage_is_dear_enough() -> None:
    """More nodes than the demand asks for: no heuristic ever proposes that."""
    nodes = [Node("a", 20, availability=0.5), Node("b", 20, availability=0.5)]
    dear = Weights(waste=0.25, unavailability=100)
    assert ids(select("melinda", 20, nodes, dear)) == ["a"]
    assert sorted(ids(select("exact", 20, nodes, dear))) == ["a", "b"]
    never = Weights(waste=0.25, unavailability=100, outage="any_down")
    assert len(ids(select("exact", 20, nodes, never))) == 1


def test_a_hundred_equal_sticks_are_proven_at_once() -> None:
    sticks = [Node(f"s{i}", 20, 8, 2, 0.99) for i in range(100)]
    answer = select("exact", 1010, sticks)
    assert answer.optimal
    assert len(answer.nodes) == 51
    assert answer.steps < 1000
    assert answer.reason.startswith("no set is cheaper, proven in ")


def test_a_search_that_is_cut_short_says_so() -> None:
    nodes = [Node(f"n{i}", 10 + i * i % 17, 3 * i % 11, 1 + 7 * i % 13, 0.9) for i in range(20)]
    answer = select_nodes("exact", 155, nodes, budget=3)
    assert isinstance(answer, Selection)
    assert not answer.optimal
    assert answer.steps == 3
    assert answer.reason.startswith("perhaps not the cheapest, the best found in 3 steps")


@pytest.mark.parametrize(
    "figures",
    [(0, 1, 1, 1), (math.inf, 1, 1, 1), (math.nan, 1, 1, 1), (1, -1, 1, 1), (1, 1, -1, 1), (1, 1, 1, 1.1)],
)
def test_a_node_with_impossible_figures_is_refused(figures: tuple[float, float, float, float]) -> None:
    with pytest.raises(BadMessage, match="node broken"):
        Node("broken", *figures)


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(UsageError, match="demand"):
        select_nodes("exact", 0, capacities(10))
    with pytest.raises(UsageError, match="weights"):
        Weights(energy=-1)
    with pytest.raises(UsageError, match="method"):
        select_nodes("random", 1, capacities(10))  # type: ignore[arg-type]
    with pytest.raises(BadMessage, match="same id"):
        select_nodes("exact", 1, [Node("a", 1), Node("a", 2)])
