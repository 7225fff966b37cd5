"""Which workflows run on which nodes, when nodes come, go, slow down and are told to load tasks."""

from __future__ import annotations

import pytest

from hub_support.orchestra import CLIPS, FACES, WHO, Orchestra, a_spec, a_worker
from meerkat_hub.core.workflows.figures import FORGET, LASTING


def test_a_workflow_takes_a_node_for_each_level_and_says_so() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=40), a_worker("jetson", recognise_faces=20))
    assert house.ask("lobby", a_spec(20, weight=3.0)) == "admitted"
    assert house.on("lobby") == {FACES: ["coral"], WHO: ["jetson"]}
    first, second = house.flow("lobby/measurement"), house.flow("lobby/feature")
    assert (first.task, first.nodes, first.weight) == (FACES, frozenset({"coral"}), 3.0)
    assert (second.task, second.nodes) == (WHO, frozenset({"jetson"}))
    assert first.bound == 200, "as many as may wait for max_delay"
    state = house.published["lobby"]
    assert state is not None
    assert state.state == "running"
    assert state.flow == 20
    assert state.capacity == {FACES: 40, WHO: 20}
    assert state.delay == pytest.approx(1 / 40 + 1 / 20 + 1 / 2000)
    assert house.rates == {"porch/front": 20}


def test_a_refusal_carries_the_numbers_and_leaves_no_trace() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=40), a_worker("jetson", recognise_faces=20))
    assert house.ask("lobby", a_spec(21)) == "refused"
    state = house.state("lobby")
    assert (state.state, state.cause) == ("refused", "capacity")
    assert (state.flow, state.capacity) == (21, {FACES: 40, WHO: 20})
    assert "20 of recognise_faces" in state.reason
    assert house.plan.flows == ()
    assert house.published == {}
    assert house.ask("hall", a_spec(20)) == "admitted", "its nodes are free"
    assert house.ask("lobby", a_spec(20, max_delay=0.05)) == "refused"


def test_a_refusal_names_who_holds_the_nodes() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=40), a_worker("jetson", recognise_faces=20))
    assert house.ask("lobby", a_spec(20)) == "admitted"
    assert house.ask("hall", a_spec(20)) == "refused"
    assert "coral works for lobby" in house.state("hall").reason


def test_a_refusal_by_delay_names_both_times() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=40), a_worker("jetson", recognise_faces=20))
    house.ask("lobby", a_spec(10, max_delay=0.0754))
    state = house.state("lobby")
    assert state.cause == "delay"
    assert state.delay == pytest.approx(0.0755)
    assert state.max_delay == 0.0754
    assert house.ask("lobby", a_spec(10, max_delay=0.0755)) == "admitted", "at the very limit it holds"


def test_a_name_is_taken_once() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=40), a_worker("jetson", recognise_faces=20))
    assert house.ask("lobby") == "admitted"
    assert house.ask("lobby") == "exists"
    assert house.withdraw("lobby")
    assert not house.withdraw("lobby")
    assert house.published == {"lobby": None}
    assert house.rates == {"porch/front": 0}
    assert house.ask("lobby") == "admitted"


def test_a_workflow_that_may_wait_runs_as_soon_as_there_are_nodes() -> None:
    house = Orchestra()
    assert house.ask("lobby", wait=True) == "kept"
    house.see(a_worker("coral", detect_faces=40))
    assert house.state("lobby").state == "refused"
    assert house.state("lobby").capacity == {FACES: 40, WHO: 0}
    house.see(a_worker("jetson", recognise_faces=20))
    assert house.state("lobby").state == "running"


def test_a_camera_is_asked_for_what_the_most_demanding_workflow_wants() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=40), a_worker("tpu", detect_faces=40))
    house.see(a_worker("jetson", recognise_faces=20))
    house.ask("lobby", a_spec(2, "porch/front", "porch/back"))
    house.ask("hall", a_spec(5, "porch/front"))
    assert house.rates == {"porch/front": 5, "porch/back": 2}
    house.withdraw("hall")
    assert house.rates == {"porch/front": 2, "porch/back": 2}


# --- levels without nodes -----------------------------------------------------------------------


def test_a_device_that_detects_needs_no_node_for_it() -> None:
    house = Orchestra()
    house.see(a_worker("jetson", recognise_faces=20))
    assert house.ask("lobby", a_spec(20, measurement="device")) == "admitted"
    assert [flow.id for flow in house.plan.flows] == ["lobby/feature"]
    assert house.state("lobby").capacity == {WHO: 20}
    assert house.state("lobby").delay == pytest.approx(0.0505)


def test_only_the_cameras_that_do_not_detect_count_at_the_measurement_level() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=5), a_worker("jetson", recognise_faces=20))
    cameras = {"porch/front": 5, "porch/back": {"fps": 15, "measurement": "device"}}
    assert house.ask("lobby", a_spec(cameras=cameras)) == "admitted"
    shares = {operator.node: operator.share for operator in house.state("lobby").nodes}
    assert shares == {"coral": 5, "jetson": 20}


def test_a_workflow_without_feature_task_and_one_without_nodes_at_all() -> None:
    house = Orchestra()
    rule = {"rule": "seen", "labels": ["dog"]}
    alone = a_spec(5, measurement="device", feature=None, decision=rule)
    assert house.ask("alone", alone) == "admitted"
    assert house.state("alone").state == "running"
    house.see(a_worker("coral", detect_objects=10))
    assert house.ask("dogs", a_spec(10, measurement=CLIPS, feature=None, decision=rule)) == "admitted"
    assert house.on("dogs") == {CLIPS: ["coral"]}


# --- nodes come and go --------------------------------------------------------------------------


def test_when_a_node_leaves_its_workflow_moves_and_the_others_stay() -> None:
    house = Orchestra()
    house.see(*(a_worker(f"coral-{n}", detect_faces=40) for n in range(3)))
    house.see(a_worker("jetson", recognise_faces=60))
    house.ask("lobby")
    house.ask("hall")
    before = house.state("hall")
    (node,) = house.on("lobby")[FACES]
    house.leave(node)
    assert house.state("lobby").state == "running"
    assert house.on("lobby")[FACES] != [node]
    assert house.state("hall") == before
    house.see(a_worker(node, detect_faces=40, start=2))
    assert house.on("lobby")[FACES] != [node], "nothing moves back: it runs well where it is"


def test_what_fits_nowhere_is_refused_for_now_and_comes_back() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=40), a_worker("jetson", recognise_faces=20))
    house.ask("lobby")
    house.leave("coral")
    shown = house.published["lobby"]
    assert shown is not None
    assert (shown.state, shown.capacity) == ("refused", {FACES: 0, WHO: 20})
    assert house.plan.flows == ()
    house.see(a_worker("coral", detect_faces=40, start=2))
    assert house.state("lobby").state == "running"


def test_the_older_one_gets_what_is_left_and_the_younger_gives_way() -> None:
    house = Orchestra()
    house.see(a_worker("coral-a", detect_faces=40), a_worker("coral-b", detect_faces=40))
    house.see(a_worker("jetson", recognise_faces=60))
    house.ask("old")
    house.ask("young")
    house.leave(house.on("old")[FACES][0])
    assert house.state("old").state == "running"
    assert house.state("young").state == "refused"
    house.see(a_worker("coral-c", detect_faces=40))
    assert house.state("young").state == "running"
    house.leave(house.on("young")[FACES][0])
    assert house.state("old").state == "running"
    assert house.state("young").state == "refused"


def test_only_as_many_give_way_as_must_the_youngest_first() -> None:
    house = Orchestra()
    house.see(*(a_worker(f"coral-{n}", detect_faces=10) for n in range(3)))
    house.see(a_worker("jetson", recognise_faces=60))
    for name in ("first", "second", "third"):
        house.ask(name)
    second = house.state("second")
    house.leave(house.on("first")[FACES][0])
    assert house.state("second") == second, "the youngest gives way, and nobody in between moves"
    assert [house.state(name).state for name in ("first", "second", "third")] == [
        "running",
        "running",
        "refused",
    ]


def test_who_was_never_admitted_displaces_nobody() -> None:
    house = Orchestra()
    house.ask("large", a_spec(40), wait=True)
    house.see(a_worker("coral-a", detect_faces=20), a_worker("jetson", recognise_faces=60))
    house.ask("small", a_spec(20))
    house.see(a_worker("coral-b", detect_faces=20))
    assert house.state("small").state == "running"
    assert house.state("large").state == "refused"
    house.withdraw("small")
    assert house.state("large").state == "running"


def test_a_node_that_slows_for_a_moment_keeps_its_workflow() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=428), a_worker("jetson", recognise_faces=428))
    house.ask("lobby", a_spec(200, "porch/front", "porch/back"))
    before = house.state("lobby")
    for worker, task in (("coral", FACES), ("jetson", WHO)):
        house.last(worker, LASTING - 1, **{task: 277})
        house.last(worker, 1, **{task: 428})
        house.last(worker, LASTING - 1, **{task: 277})
    assert house.state("lobby") == before, "nothing was moved, and nothing was said"
    house.last("coral", 2, detect_faces=277)
    assert house.state("lobby").state == "refused", "but what lasts counts"


def test_newcomers_are_judged_by_the_careful_figure() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=40), a_worker("jetson", recognise_faces=40))
    house.ask("lobby", a_spec(20, measurement="device"))
    house.slow("jetson", recognise_faces=30)
    assert house.state("lobby").state == "running"
    assert house.ask("hall", a_spec(15, measurement="device")) == "refused"
    assert house.state("hall").capacity == {WHO: 10}
    assert house.ask("hall", a_spec(10, measurement="device")) == "admitted"


def test_who_is_displaced_in_a_dip_keeps_what_is_its_own() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=40), a_worker("a", recognise_faces=40))
    house.ask("lobby", a_spec(35))
    house.slow("coral", detect_faces=20)
    house.see(a_worker("b", recognise_faces=40))
    house.leave("a")
    assert house.on("lobby") == {FACES: ["coral"], WHO: ["b"]}


def test_a_workflow_that_lost_a_slow_node_gets_another_try_when_nobody_has_measured_it_since() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=40), a_worker("jetson", recognise_faces=40))
    house.ask("lobby", a_spec(35))
    house.last("coral", LASTING, detect_faces=20)
    assert house.state("lobby").state == "refused"
    for pause in (FORGET, 2 * FORGET, 4 * FORGET):
        at = house.orchestrator.wake_at(house.mono)
        assert at == house.mono + pause, "nothing measures it while nothing runs there"
        house.turn(pause - 0.001)
        assert house.state("lobby").state == "refused"
        house.turn(0.001)
        assert house.state("lobby").state == "running"
        house.last("coral", LASTING + 11, detect_faces=20)
        assert house.state("lobby").state == "refused"
    house.see(a_worker("coral", detect_faces=41))
    assert house.state("lobby").state == "running", "it has measured itself anew"


def test_a_node_that_announces_other_figures_is_judged_by_them() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=1.8), a_worker("jetson", recognise_faces=40))
    assert house.ask("lobby", a_spec(2), wait=True) == "kept"
    house.slow("coral", detect_faces=1.7)
    house.see(a_worker("coral", detect_faces=40))
    assert house.state("lobby").state == "running"


def test_a_link_that_slows_counts_in_the_delay_of_newcomers_and_of_others_when_it_lasts() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=20), a_worker("jetson", recognise_faces=40))
    house.ask("lobby", a_spec(10, max_delay=0.15))
    house.slow("jetson", round_trip=0.1, recognise_faces=40)
    assert house.state("lobby").state == "running"
    assert house.ask("hall", a_spec(10, max_delay=0.15, measurement="device")) == "admitted"
    assert house.ask("attic", a_spec(10, max_delay=0.12, measurement="device")) == "refused"
    assert house.state("attic").delay == pytest.approx(0.025 + 0.0005 + 2 * 0.05)
    house.last("jetson", LASTING, round_trip=0.1, recognise_faces=40)
    assert house.state("lobby").cause == "delay"


def test_a_shared_node_that_slows_keeps_the_older_one() -> None:
    house = Orchestra()
    house.see(*(a_worker(f"coral-{n}", detect_faces=40) for n in range(2)))
    house.see(a_worker("jetson", recognise_faces=40))
    house.ask("old", a_spec(20))
    house.ask("young", a_spec(20))
    assert house.on("old")[WHO] == house.on("young")[WHO] == ["jetson"]
    house.last("jetson", LASTING, recognise_faces=25)
    assert house.state("old").state == "running"
    assert house.state("young").state == "refused"


def test_overbooking_lets_more_share_a_node() -> None:
    for factor, verdict in ((1.0, "refused"), (2.0, "admitted")):
        house = Orchestra(overbooking=factor)
        house.see(*(a_worker(f"coral-{n}", detect_faces=40) for n in range(2)))
        house.see(a_worker("jetson", recognise_faces=20))
        house.ask("lobby", a_spec(20))
        assert house.ask("hall", a_spec(20)) == verdict
    assert house.state("hall").overbooking == 2


def test_a_broken_start_does_not_take_an_old_will_for_a_leave() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=40), a_worker("jetson", recognise_faces=20))
    house.ask("lobby")
    house.see(a_worker("coral", detect_faces=40, start=2))
    house.orchestrator.node_seen(a_worker("coral", start=1, online=False), house.now)
    house.turn()
    assert house.state("lobby").state == "running"
