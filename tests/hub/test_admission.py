"""Algorithm 1 and Eq. 1 to 7, against the paper's own numbers and against every graph of small pools."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat_contract.errors import BadMessage, UsageError
from meerkat_hub.core.workflows import admission, selection
from meerkat_hub.core.workflows.admission import provision, service
from meerkat_hub.core.workflows.answers import Admitted, Refused
from meerkat_hub.core.workflows.graph import EdgeNode, Workflow, processing_time
from meerkat_hub.core.workflows.selection import METHODS, Method, Weights

DETECT, RECOGNISE, DECIDE = "detect_faces", "recognise_faces", "decide"
HUB = EdgeNode("hub", {DECIDE: 1000})


def workflow(name: str = "doorway", *fps: float, max_delay: float = 10.0, shared: bool = False) -> Workflow:
    cameras = {f"{name}-{i}": rate for i, rate in enumerate(fps or (20, 20))}
    return Workflow(name, cameras, DETECT, RECOGNISE, DECIDE, max_delay, shared)


def node(name: str, detect: float = 0, recognise: float = 0, latency: float = 0.0) -> EdgeNode:
    does = {task: fps for task, fps in ((DETECT, detect), (RECOGNISE, recognise)) if fps}
    return EdgeNode(name, does, latency)


def admit(
    wanted: Workflow, nodes: Sequence[EdgeNode], runs: Sequence[Admitted] = (), **how: float
) -> Admitted:
    answer = provision(wanted, nodes, runs, **how)  # type: ignore[arg-type]
    assert isinstance(answer, Admitted), answer.reason
    return answer


def refuse(
    wanted: Workflow, nodes: Sequence[EdgeNode], runs: Sequence[Admitted] = (), **how: float
) -> Refused:
    answer = provision(wanted, nodes, runs, **how)  # type: ignore[arg-type]
    assert isinstance(answer, Refused), answer.reason
    return answer


def names(level: Sequence[object]) -> set[str]:
    return {operator.node for operator in level}  # type: ignore[attr-defined]


FIGURE_5 = [node("u1", 8), node("u2", 10), node("u3", 12), node("v1", 0, 16), node("v2", 0, 20)]
"""The paper's text gives three nodes for U, two for V, IC = 30, and 8 and 16 as the least; the others
are ours."""


def test_figure_5() -> None:
    answer = admit(workflow("figure", 30), [*FIGURE_5, HUB])
    graph = answer.graph
    assert answer.idle_capacity == 30
    assert names(graph.measurement) == {"u1", "u2", "u3"}
    assert names(graph.feature) == {"v1", "v2"}
    least = [min(operator.capacity for operator in level) for level in (graph.measurement, graph.feature)]
    assert least == [8, 16]
    assert round(1 / sum(least), 4) == 0.0417, "Eq. 4 as it is printed"
    assert processing_time([[8, 10, 12], [16, 20]]) == 0.1875
    assert graph.processing_time == pytest.approx(0.1875 + 1 / 1000)


def test_figure_5_refuses_the_thirty_first_frame() -> None:
    answer = refuse(workflow("figure", 31), [*FIGURE_5, HUB])
    assert answer.cause == "capacity"
    assert (answer.measurement_capacity, answer.feature_capacity, answer.idle_capacity) == (30, 36, 30)
    assert answer.reason == (
        "workflow figure is refused: its cameras give 31 frames/s, and what is free can do 30 of "
        "detect_faces and 36 of recognise_faces"
    )


def e1_pool() -> list[EdgeNode]:
    """Table 1: 25, 50 and 8 ms; a hop takes 4 ms on the wire and 4 ms to send (Table 3)."""
    corals = [node(f"coral{i}", detect=40, latency=8) for i in range(2)]
    jetsons = [node(f"jetson{i}", recognise=20, latency=8) for i in range(4)]
    return [*corals, *jetsons, EdgeNode("pi", {DECIDE: 125})]


def test_table_1_and_the_107_ms() -> None:
    graph = admit(workflow(max_delay=0.107), e1_pool()).graph
    assert graph.processing_time == pytest.approx(0.025 + 0.050 + 0.008)
    assert graph.network_latency == pytest.approx(3 * (0.004 + 0.004))
    assert graph.workflow_time == pytest.approx(0.107)
    assert graph.decision.node == "pi"


def test_the_delay_may_be_reached_and_not_passed() -> None:
    answer = refuse(workflow(max_delay=0.1069), e1_pool())
    assert answer.cause == "delay"
    assert answer.graph is not None
    assert answer.reason == (
        "workflow doorway is refused: 83 ms of work and 24 ms on the way are 107 ms, more than 106.9 ms"
    )


def test_e1_takes_four_nodes_when_every_frame_is_of_interest() -> None:
    first = admit(workflow("a", shared=True), e1_pool())
    second = admit(workflow("b", shared=True), e1_pool(), [first])
    assert (first.plan, second.plan) == ("start", "start"), "the service has nothing left"
    assert len(names(first.graph.feature) | names(second.graph.feature)) == 4
    third = refuse(workflow("c", shared=True), e1_pool(), [first, second])
    assert (third.measurement_capacity, third.feature_capacity) == (0, 0)


def test_e1_takes_two_nodes_when_they_may_be_booked_twice() -> None:
    first = admit(workflow("a", shared=True), e1_pool(), overbooking=2)
    second = admit(workflow("b", shared=True), e1_pool(), [first], overbooking=2)
    assert len(first.graph.feature) == 1
    assert len(names(first.graph.feature) | names(second.graph.feature)) == 2
    assert second.graph.workflow_time == pytest.approx(0.107), "a frame takes what it takes"
    booked = service(RECOGNISE, e1_pool(), [first, second], overbooking=2)
    assert [(s.booked, s.residual) for s in booked] == [(40, 0), (40, 0)]


def test_only_a_shared_service_is_overbooked() -> None:
    answer = admit(workflow(), e1_pool(), overbooking=2)
    assert len(answer.graph.feature) == 2
    assert answer.overbooking == 1


def test_a_running_service_is_reused_without_any_idle_node_for_it() -> None:
    """Line 3 of the paper would ask the idle nodes for capacity that is not needed."""
    pool = [node("c0", 40), node("c1", 40), node("big", 0, 100), HUB]
    first = admit(workflow("a", shared=True), pool)
    second = admit(workflow("b", shared=True), pool, [first])
    assert second.plan == "reuse"
    assert names(second.graph.feature) == {"big"}
    (left,) = service(RECOGNISE, pool, [first, second])
    assert (left.node.id, left.booked, left.residual) == ("big", 80, 20)
    assert refuse(workflow("b"), pool, [first]).cause == "capacity", "a task of one's own is not shared"


def test_a_service_that_is_too_small_is_extended_by_what_is_missing() -> None:
    pool = [node("c0", 40), node("c1", 40), node("f0", 0, 60), node("f1", 0, 25), node("f2", 0, 90), HUB]
    first = admit(workflow("a", shared=True), [n for n in pool if n.id in {"c0", "f0", "hub"}])
    second = admit(workflow("b", shared=True), pool, [first])
    assert second.plan == "extend"
    assert names(second.graph.feature) == {"f0", "f1"}
    shares = {operator.node: operator.share for operator in second.graph.feature}
    assert sum(shares.values()) == pytest.approx(40)
    assert shares["f0"] <= 20
    assert shares["f1"] <= 25


def test_a_service_that_is_too_slow_is_left_for_idle_nodes() -> None:
    pool = [node("c0", 40), node("c1", 40), node("far", 0, 100, latency=400), node("near", 0, 50), HUB]
    first = admit(workflow("a", shared=True), [pool[0], pool[2], HUB])
    second = admit(workflow("b", max_delay=0.1, shared=True), pool, [first])
    assert second.plan == "start"
    assert names(second.graph.feature) == {"near"}
    third = refuse(workflow("b", max_delay=0.1, shared=True), [*pool[:3], HUB], [first])
    assert third.cause == "delay"


def test_an_extension_delays_nobody_who_was_there() -> None:
    pool = [node("c0", 40), node("c1", 40), node("f0", 0, 60), node("slow", 0, 25, latency=300), HUB]
    first = admit(workflow("a", max_delay=0.2, shared=True), pool)
    second = admit(workflow("b", shared=True), pool, [first])
    assert second.plan == "extend"
    assert names(first.graph.feature) == {"f0"}
    assert first.graph.workflow_time < 0.2 < second.graph.workflow_time


@pytest.mark.parametrize("method", METHODS)
def test_a_node_that_breaks_the_delay_is_left_out_before_the_workflow_is(method: Method) -> None:
    pool = [node("far", 40, latency=500), node("c0", 45), node("f0", 0, 45), node("f1", 0, 40, 500), HUB]
    answer = provision(workflow(max_delay=0.1), pool, method=method, weights=Weights(latency=0))
    assert isinstance(answer, Admitted)
    assert names(answer.graph.measurement) == {"c0"}
    assert names(answer.graph.feature) == {"f0"}


def test_a_workflow_is_released_by_leaving_it_out() -> None:
    pool = e1_pool()
    first = admit(workflow("a"), pool)
    second = admit(workflow("b"), pool, [first])
    waiting = workflow("c")
    assert isinstance(provision(waiting, pool, [first, second]), Refused)
    third = admit(waiting, pool, [second])
    assert third.graph == first.graph


def test_a_service_shrinks_with_its_nodes() -> None:
    pool = [node("c0", 40), node("c1", 40), node("big", 0, 100), HUB]
    first = admit(workflow("a", shared=True), pool)
    slowed = [replace(n, capacities={RECOGNISE: 30}) if n.id == "big" else n for n in pool]
    assert [s.residual for s in service(RECOGNISE, slowed, [first])] == [0]
    assert service(RECOGNISE, pool[:2], [first]) == ()
    answer = refuse(workflow("b", shared=True), slowed, [first])
    assert (answer.measurement_capacity, answer.feature_capacity) == (40, 0)


def test_nodes_that_can_do_both_are_divided_so_that_both_levels_suffice() -> None:
    both = [node("x", 40, 10), node("y", 40, 40), node("z", 10, 40)]
    answer = admit(workflow("w", 40), [*both, HUB])
    assert answer.idle_capacity in {40, 50}
    assert not names(answer.graph.measurement) & names(answer.graph.feature)
    answer = admit(workflow("w", 400), [*[node(f"n{i}", 20, 20) for i in range(40)], HUB])
    assert answer.idle_capacity == 400


def test_decisions_are_light_but_not_free() -> None:
    pool = [node(f"c{i}", 40) for i in range(3)] + [node(f"f{i}", 0, 40) for i in range(3)]
    pi = EdgeNode("pi", {DECIDE: 80})
    runs: list[Admitted] = []
    for name in "ab":
        runs.append(admit(workflow(name), [*pool, pi], runs))
    answer = refuse(workflow("c"), [*pool, pi], runs)
    assert answer.cause == "decision"
    assert answer.decision_capacity == 0
    full = "workflow c is refused: its cameras give 40 frames/s, and what is free can do 0 of decide"
    assert answer.reason == full
    assert refuse(workflow("c", 50), [*pool, pi], runs[:1]).decision_capacity == 40
    assert admit(workflow("c"), [*pool, pi, HUB], runs).graph.decision.node == "hub"


def test_an_ordinary_node_decides_before_an_accelerator() -> None:
    quick = EdgeNode("quick", {DETECT: 40, DECIDE: 1000})
    slow = EdgeNode("slow", {DECIDE: 50})
    answer = admit(workflow(), [quick, slow, node("f", 0, 40)])
    assert answer.graph.decision.node == "slow"
    assert names(answer.graph.measurement) == {"quick"}


def test_a_node_decides_or_runs_deep_learning_not_both() -> None:
    able = EdgeNode("able", {DETECT: 40, DECIDE: 1000})
    answer = refuse(workflow(), [able, node("f", 0, 40)])
    assert (answer.cause, answer.measurement_capacity) == ("capacity", 0)
    pool = [able, node("f", 0, 40), EdgeNode("slow", {DECIDE: 50})]
    first = admit(workflow("a"), pool)
    second = refuse(workflow("b"), pool, [first])
    assert second.cause == "decision", "slow is full and able detects"
    assert second.decision_capacity == pytest.approx(10), "what slow has left; able is busy"


def test_a_refusal_names_the_numbers_of_an_empty_pool() -> None:
    answer = refuse(workflow(), [HUB])
    assert (answer.cause, answer.idle_capacity) == ("capacity", 0)
    assert refuse(workflow(), []).cause == "decision"


def test_what_cannot_be_asked_is_refused() -> None:
    first = admit(workflow("a"), e1_pool())
    with pytest.raises(UsageError, match="runs already"):
        provision(workflow("a"), e1_pool(), [first])
    with pytest.raises(UsageError, match="overbooking"):
        provision(workflow("b"), e1_pool(), overbooking=0.5)
    with pytest.raises(UsageError, match="camera"):
        replace(workflow("b"), cameras={})
    with pytest.raises(UsageError, match="workflow b, max_delay"):
        workflow("b", max_delay=0)
    with pytest.raises(UsageError, match="workflow b, b-1"):
        workflow("b", 20, 0)
    with pytest.raises(BadMessage, match="same id"):
        provision(workflow("b"), [HUB, HUB])
    with pytest.raises(BadMessage, match="node pi"):
        provision(workflow("b"), [EdgeNode("pi", {DECIDE: -1})])


Speed = st.sampled_from([0, 0, 5, 10, 20, 25, 40])


@st.composite
def houses(draw: st.DrawFn) -> list[EdgeNode]:
    latency = st.sampled_from([0.0, 8.0, 50.0])
    count = draw(st.integers(1, 6))
    return [node(f"n{i}", draw(Speed), draw(Speed), draw(latency)) for i in range(count)]


def divisions(nodes: Sequence[EdgeNode]) -> Iterator[tuple[float, float]]:
    """The capacity of both levels for every way to give each node one task."""
    for tasks in product((DETECT, RECOGNISE), repeat=len(nodes)):
        given_to = {DETECT: 0.0, RECOGNISE: 0.0}
        for each, task in zip(nodes, tasks, strict=True):
            given_to[task] += each.capacities.get(task, 0)
        yield given_to[DETECT], given_to[RECOGNISE]


@settings(max_examples=200, deadline=None)
@given(house=houses(), flow=st.integers(1, 80), method=st.sampled_from(METHODS))
def test_capacity_is_refused_exactly_when_no_division_has_it(
    house: list[EdgeNode], flow: int, method: Method
) -> None:
    answer = provision(workflow("w", flow), [*house, HUB], method=method)
    possible = max(min(both) for both in divisions(house))
    assert isinstance(answer, Admitted) == (possible >= flow)
    assert answer.idle_capacity == possible


@settings(max_examples=150, deadline=None)
@given(
    house=houses(),
    wanted=st.lists(st.tuples(st.integers(1, 30), st.booleans(), st.sampled_from([0.2, 1.0])), max_size=5),
    overbooking=st.sampled_from([1.0, 1.5, 3.0]),
    method=st.sampled_from(METHODS),
)
def test_whatever_is_admitted_can_be_kept(
    house: list[EdgeNode], wanted: list[tuple[int, bool, float]], overbooking: float, method: Method
) -> None:
    runs: list[Admitted] = []
    pool = [*house, HUB]
    for number, (fps, shared, max_delay) in enumerate(wanted):
        asked = workflow(f"w{number}", fps, max_delay=max_delay, shared=shared)
        answer = provision(asked, pool, runs, method=method, overbooking=overbooking)
        if isinstance(answer, Admitted):
            assert answer.graph.workflow_time <= max_delay * (1 + 1e-9)
            runs.append(answer)
        else:
            assert answer.cause in {"capacity", "delay"}
            assert (answer.graph is None) == (answer.cause == "capacity")
    check_bookings(pool, runs, overbooking)


def check_bookings(pool: Sequence[EdgeNode], runs: Sequence[Admitted], overbooking: float) -> None:
    """A node does one task, for one workflow unless that is a shared service, within what it can."""
    speed = {n.id: n.capacities for n in pool}
    uses: dict[str, list[tuple[str, bool]]] = {}
    booked: dict[str, float] = {}
    for run in runs:
        shared = run.workflow.shared
        for level, private in ((run.graph.measurement, True), (run.graph.feature, not shared)):
            assert sum(operator.share for operator in level) == pytest.approx(run.workflow.flow)
            for operator in level:
                uses.setdefault(operator.node, []).append((operator.task, private))
                booked[operator.node] = booked.get(operator.node, 0.0) + operator.share
                most = speed[operator.node][operator.task] * (1 if private else overbooking)
                assert booked[operator.node] <= most * (1 + 1e-6)
    for use in uses.values():
        assert len(set(use)) == 1
        assert len(use) == 1 or use == [(RECOGNISE, False)] * len(use)


def test_nodes_that_can_do_both_are_divided_by_what_each_level_asks_for() -> None:
    """30 frames a second, of which the devices measure 20 themselves: 10 and 30."""
    cameras = {"a": 10.0, "b": 20.0}
    wanted = Workflow("mixed", cameras, DETECT, RECOGNISE, DECIDE, 10.0, on_device=frozenset({"b"}))
    assert wanted.demands == (10, 30)
    for nodes in ([node("s", 10, 10), node("l", 30, 30)], [node("l", 30, 30), node("s", 10, 10)]):
        graph = admit(wanted, [*nodes, HUB]).graph
        assert (names(graph.measurement), names(graph.feature)) == ({"s"}, {"l"})


def test_a_level_that_asks_for_nothing_takes_no_node_and_no_time() -> None:
    seen = Workflow("seen", {"a": 10.0}, DETECT, None, DECIDE, 0.101)
    graph = admit(seen, [node("s", 10, 10), HUB]).graph
    assert (names(graph.measurement), graph.feature) == ({"s"}, ())
    assert graph.workflow_time == pytest.approx(0.101)
    alone = Workflow("alone", {"a": 10.0}, DETECT, None, DECIDE, 0.001, on_device=frozenset({"a"}))
    answer = admit(alone, [HUB])
    assert answer.graph.accelerators == set()
    assert answer.graph.workflow_time == pytest.approx(0.001)
    refused = refuse(Workflow("late", {"a": 10.0}, DETECT, None, DECIDE, 0.1), [node("s", 10, 10), HUB])
    assert refused.cause == "delay"
    assert refused.idle_capacity == 10
    short = refuse(Workflow("short", {"a": 11.0}, DETECT, None, DECIDE, 1), [node("s", 10, 10), HUB])
    assert short.reason.endswith("what is free can do 10 of detect_faces")


@pytest.mark.parametrize("count", [30, 60, 100])
def test_many_nodes_that_can_do_both_are_divided_almost_as_well_as_if_they_were_divisible(count: int) -> None:
    chance = random.Random(count)
    pool = [node(f"n{i}", chance.uniform(5, 60), chance.uniform(5, 60)) for i in range(count)]
    answer = refuse(workflow("large", 1e6), [*pool, EdgeNode("hub", {DECIDE: 1e9})])
    order = sorted(pool, key=lambda n: n.capacities[RECOGNISE] / n.capacities[DETECT])
    u, v = 0.0, sum(n.capacities[RECOGNISE] for n in order)
    for best in order:  # the cut of divisible nodes, which no division of whole ones can beat
        detect, recognise = best.capacities[DETECT], best.capacities[RECOGNISE]
        part = min(1.0, max(0.0, (v - u) / (detect + recognise)))
        u, v = u + part * detect, v - part * recognise
    bound = min(u, v)
    assert 0.98 * bound <= answer.idle_capacity <= bound * (1 + 1e-9)


def test_a_delay_that_no_choice_can_meet_costs_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    methods: list[str] = []

    def select(method: Method, *args: object, **more: object) -> object:
        methods.append(method)
        return selection.select_nodes(method, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(admission, "select_nodes", select)
    pool = [node(f"n{i}", 10 + i, 10 + i) for i in range(50)]
    answer = refuse(workflow("hasty", 20, max_delay=0.001), [*pool, HUB])
    assert answer.cause == "delay"
    assert answer.graph is not None
    assert answer.graph.workflow_time > 0.001
    assert methods == ["best_fit", "best_fit"]
