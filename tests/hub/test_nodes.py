"""What the orchestrator knows of a node: its availability, its figures, when it may be told to switch."""

from __future__ import annotations

import pytest

from hub_support.orchestra import CLIPS, FACES, a_worker
from meerkat_hub.core.workflows.graph import worker_of
from meerkat_hub.core.workflows.nodes import FORGET_AWAY, PRIOR, SERVE_FACTOR, EdgeWorker, Nodes


def seen(*, serving: str | None = None, switch: float = 2.0, start: float = 0.0) -> tuple[Nodes, EdgeWorker]:
    nodes = Nodes()
    state = a_worker("coral", serving=serving, switch=switch, detect_objects=20, detect_faces=40)
    assert nodes.seen(state, start)
    worker = nodes.get("coral")
    assert worker is not None
    return nodes, worker


def test_availability_is_the_share_of_time_online() -> None:
    nodes, worker = seen()
    assert worker.availability(0.0) == 1
    assert worker.availability(PRIOR) == 1
    nodes.seen(a_worker("coral", online=False), PRIOR)
    assert worker.availability(2 * PRIOR) == pytest.approx(2 / 3)
    nodes.seen(a_worker("coral", start=2, detect_faces=40), 2 * PRIOR)
    assert worker.availability(3 * PRIOR) == pytest.approx(3 / 4)
    nodes.seen(a_worker("coral", start=2, online=False), 3 * PRIOR)
    assert worker.availability(5 * PRIOR) == pytest.approx(3 / 6)


def test_a_short_absence_after_a_minute_is_not_half_of_the_time() -> None:
    nodes, worker = seen()
    nodes.seen(a_worker("coral", online=False), 60)
    assert worker.availability(120) > 0.98


def test_a_stale_figure_is_no_evidence_when_another_task_was_measured() -> None:
    """The hub tells all figures of a node after each answer, of whichever task that was."""
    nodes, worker = seen()
    nodes.measured("coral", {FACES: 20.0, CLIPS: 20.0}, 0.0, 1)
    for second in range(2, 100):
        nodes.measured("coral", {FACES: 20.0, CLIPS: 20 + second / 1000}, 0.0, second)
    assert worker.figures[FACES].steady == 40
    for second in range(100, 132):
        nodes.measured("coral", {FACES: 20.0}, 0.0, second)
    assert worker.figures[FACES].steady == 20
    assert not nodes.measured("somebody-else", {FACES: 1}, 1.0, 7)


def test_the_halves_of_a_node_and_its_way_by_both_figures() -> None:
    nodes, _ = seen()
    nodes.measured("coral", {FACES: 10.0}, 0.1, 1)
    split = frozenset({"coral"})
    (careful, _), steady = nodes.edge_nodes(1.0, split=split), nodes.own_nodes(["coral"], 1.0, split=split)
    assert (careful.capacities[FACES], careful.latency_ms) == (5, 50)
    assert (steady[careful.id].capacities[FACES], steady[careful.id].latency_ms) == (20, 0)
    (known, _) = nodes.edge_nodes(1.0, split=split, known=split)
    assert known.capacities[FACES] == 20


@pytest.mark.parametrize("nonsense", [0.0, -1.0, float("inf"), float("nan")])
def test_figures_that_cannot_be_are_not_planned_with(nonsense: float) -> None:
    nodes, _worker = seen()
    nodes.measured("coral", {FACES: nonsense}, -1.0 if nonsense == 0 else nonsense, 1)
    (node,) = nodes.edge_nodes(0.0)
    assert node.offer(FACES, node.capacities[FACES]).capacity == 40
    assert node.latency_ms == 0


def test_telemetry_is_kept_and_changes_no_plan() -> None:
    nodes, worker = seen()
    state = worker.state.model_copy(update={"temperature": 80.0, "load": 3.0})
    assert not nodes.seen(state, 1.0)
    assert worker.state.temperature == 80


def test_what_a_node_offers_while_it_may_not_switch() -> None:
    nodes, worker = seen(serving=CLIPS)
    assert worker.offers(FACES, 0.0), "from clips it is called away at once"
    nodes.told(worker, FACES, 0.0)
    assert worker.offers(FACES, 0.0)
    assert not worker.offers(CLIPS, 0.0), "it is loading something else"
    nodes.seen(worker.state.model_copy(update={"serving": FACES}), 1.0)
    until = 1.0 + SERVE_FACTOR * 2.0
    assert worker.may_switch_at() == nodes.wake_at(1.0) == until
    assert not worker.offers(CLIPS, until - 0.001)
    assert worker.offers(CLIPS, until)
    assert worker.switch_seconds(CLIPS) == 2.0
    assert worker.switch_seconds(FACES) == 0.0


def test_only_a_node_that_holds_all_at_once_has_halves() -> None:
    nodes, _ = seen()
    halves = nodes.edge_nodes(0.0, split=frozenset({"coral"}))
    assert [half.capacities[FACES] for half in halves] == [20, 20]
    assert {worker_of(half.id) for half in halves} == {"coral"}
    alone, _ = seen(serving=FACES)
    assert [node.id for node in alone.edge_nodes(0.0, split=frozenset({"coral"}))] == ["coral"]


def test_nodes_that_come_once_under_a_name_of_their_own_are_forgotten_after_a_week() -> None:
    """Containers: each start has the host's name of that day."""
    nodes = Nodes()
    for day in range(100):
        nodes.seen(a_worker(f"box{day:03}", detect_faces=40), day * DAY)
        nodes.seen(a_worker(f"box{day:03}", online=False), day * DAY + 60)
    assert [node.id for node in nodes] == [f"box{day:03}" for day in range(92, 100)]


def test_a_node_is_forgotten_at_the_end_of_its_week_and_not_before() -> None:
    for moment, known in ((FORGET_AWAY - 1, True), (FORGET_AWAY, False)):
        nodes, worker = seen()
        nodes.seen(a_worker("coral", online=False), 0.0)
        nodes.seen(a_worker("other", detect_faces=40), moment)
        assert (nodes.get(worker.id) is not None) == known


DAY = 24 * 3600.0
