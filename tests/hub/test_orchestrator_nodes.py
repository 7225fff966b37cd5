"""What nodes are told to load, which of them stay with clips of motion, and the hub's start."""

from __future__ import annotations

import pytest

from hub_support.orchestra import CLIPS, FACES, WHO, Orchestra, a_spec, a_worker
from meerkat_hub.core.workflow_records import ClearLeftovers
from meerkat_hub.core.workflows.nodes import DEPLOY_PATIENCE, REST, SERVE_FACTOR
from meerkat_hub.core.workflows.selection import Weights

# --- one task at a time -------------------------------------------------------------------------


def test_a_node_is_told_what_to_load_and_takes_frames_when_it_has() -> None:
    house = Orchestra()
    house.obedient = False
    house.see(a_worker("coral", serving=CLIPS, detect_objects=20, detect_faces=40))
    house.see(a_worker("jetson", recognise_faces=20))
    house.ask("lobby")
    assert house.deploys == [("coral", FACES)]
    assert house.state("lobby").state == "starting"
    assert house.flow("lobby/measurement").nodes == frozenset()
    house.turn(5)
    assert house.deploys == [("coral", FACES)], "it is told once"
    house.see(house.states["coral"].model_copy(update={"serving": FACES}))
    assert house.state("lobby").state == "running"
    assert house.flow("lobby/measurement").nodes == {"coral"}


def test_a_node_that_does_not_load_is_replaced() -> None:
    house = Orchestra()
    house.obedient = False
    tasks = {"detect_objects": 20.0, "detect_faces": 40.0}
    house.see(a_worker("coral", serving=CLIPS, **tasks), a_worker("jetson", recognise_faces=20))
    house.ask("lobby")
    assert house.orchestrator.wake_at(house.mono) == DEPLOY_PATIENCE
    house.turn(DEPLOY_PATIENCE - 0.001)
    assert house.state("lobby").state == "starting"
    house.turn(0.001)
    assert house.state("lobby").state == "refused"
    assert "did not load detect_faces" in " ".join(house.notes)
    house.see(a_worker("coral", serving=FACES, start=2, **tasks))
    assert house.state("lobby").state == "running", "after a new start it is believed again"


def a_stubborn_house() -> Orchestra:
    """A node that was told to load what the only workflow needs, and has not done it."""
    house = Orchestra()
    house.obedient = False
    house.see(a_worker("coral", serving=CLIPS, detect_objects=20, detect_faces=40))
    house.see(a_worker("jetson", recognise_faces=20))
    house.ask("lobby")
    assert house.deploys == [("coral", FACES)]
    return house


def test_a_node_that_loads_too_late_is_taken_all_the_same() -> None:
    house = a_stubborn_house()
    house.turn(DEPLOY_PATIENCE)
    assert house.state("lobby").state == "refused"
    house.see(house.states["coral"].model_copy(update={"serving": FACES}))
    assert house.state("lobby").state == "running", "it fetched its model over a slow line"


def test_a_node_that_did_not_load_is_told_again_after_a_rest() -> None:
    house = a_stubborn_house()
    house.turn(DEPLOY_PATIENCE)
    assert house.orchestrator.wake_at(house.mono) == house.mono + REST
    house.turn(REST - 0.001)
    assert house.deploys == [("coral", FACES)]
    house.turn(0.001)
    assert house.deploys == [("coral", FACES)] * 2, "the first order may have been lost on the way"


def test_a_node_that_says_that_it_cannot_is_not_waited_for() -> None:
    house = a_stubborn_house()
    reason = "its file is not what its hash says"
    house.see(house.states["coral"].model_copy(update={"failed": {FACES: reason}}))
    assert house.state("lobby").state == "refused"
    assert any(reason in note for note in house.notes)
    house.turn(REST)
    assert house.deploys == [("coral", FACES)] * 2
    house.see(house.states["coral"].model_copy(update={"load": 1.0}))
    assert house.state("lobby").state == "starting", "what it said of the first order is old"


def test_a_node_on_its_way_back_to_clips_is_called_back() -> None:
    house = a_stubborn_house()
    house.see(house.states["coral"].model_copy(update={"serving": FACES}))
    house.withdraw("lobby")
    assert house.plan.clip_nodes == frozenset(), "it is on its way, and not there yet"
    house.ask("lobby")
    assert house.deploys == [("coral", FACES), ("coral", CLIPS), ("coral", FACES)]
    house.see(house.states["coral"].model_copy(update={"serving": CLIPS}))
    assert house.state("lobby").state == "starting"
    house.see(house.states["coral"].model_copy(update={"serving": FACES}))
    assert house.state("lobby").state == "running"


def test_a_node_that_never_left_its_task_need_not_say_so() -> None:
    house = a_stubborn_house()
    house.see(house.states["coral"].model_copy(update={"serving": FACES}))
    house.withdraw("lobby")
    house.ask("lobby")
    house.turn(DEPLOY_PATIENCE)
    assert house.state("lobby").state == "running"
    house.turn(DEPLOY_PATIENCE)
    assert house.state("lobby").state == "running"


def test_of_equal_nodes_the_one_that_serves_the_task_already_is_taken() -> None:
    for serving in ("a", "b"):
        house = Orchestra(gather=5)  # in which nobody is called back to clips
        for name in ("a", "b"):
            task = FACES if name == serving else CLIPS
            house.see(a_worker(name, serving=task, detect_objects=20, detect_faces=40))
        house.see(a_worker("jetson", recognise_faces=20))
        house.ask("lobby")
        assert house.on("lobby")[FACES] == [serving]


def test_a_node_serves_for_ten_times_what_loading_takes() -> None:
    house = Orchestra(weights=Weights(switching=0))
    other = "detect_plates"
    tasks = {"detect_objects": 9.0, "detect_faces": 40.0, other: 40.0}
    house.see(a_worker("coral", serving=CLIPS, switch=3, **tasks), a_worker("jetson", recognise_faces=20))
    house.see(a_worker("cpu", detect_objects=2))  # so that clips need not have the coral back at once
    house.mono = 100
    house.ask("faces")
    house.withdraw("faces")
    plates = a_spec(10, measurement=other, feature=None, decision={"rule": "seen"})
    assert house.ask("plates", plates, wait=True) == "kept"
    house.turn(SERVE_FACTOR * 3 - 0.001)
    assert house.state("plates").state == "refused"
    assert house.orchestrator.wake_at(house.mono) == pytest.approx(100 + SERVE_FACTOR * 3)
    house.turn(0.001)
    assert house.state("plates").state == "running"
    assert house.deploys == [("coral", FACES), ("coral", other)]


def test_a_node_that_is_given_back_looks_at_clips_again() -> None:
    house = Orchestra()
    house.see(a_worker("coral", serving=CLIPS, switch=3, detect_objects=9, detect_faces=40))
    house.see(a_worker("jetson", recognise_faces=20))
    house.ask("lobby")
    house.withdraw("lobby")
    assert house.deploys == [("coral", FACES), ("coral", CLIPS)], "nobody else looks at clips"
    house.see(a_worker("cpu", detect_objects=2))
    house.ask("lobby")
    house.withdraw("lobby")
    assert house.deploys[2:] == [("coral", FACES)]
    house.turn(SERVE_FACTOR * 3)
    assert house.deploys[3:] == [("coral", CLIPS)]


def test_at_a_start_nodes_are_listened_to_before_they_are_told_anything() -> None:
    house = Orchestra(gather=2.0)
    house.ask("lobby", wait=True)
    tasks = {"detect_faces": 40.0, "recognise_faces": 40.0}
    house.see(a_worker("a", serving=WHO, **tasks))
    house.see(a_worker("b", serving=WHO, **tasks))
    house.see(a_worker("c", serving=FACES, **tasks))
    assert house.orchestrator.wake_at(house.mono) == 2.0
    house.turn(1.999)
    assert house.deploys == []
    assert house.published == {}, "nobody is told that it is refused because its nodes are not heard of yet"
    house.turn(0.001)
    assert house.on("lobby")[FACES] == ["c"]
    assert house.deploys == []


# --- clips of motion come first -----------------------------------------------------------------


def test_the_last_node_that_can_look_at_clips_is_lent_to_nobody() -> None:
    house = Orchestra(reserve=1)
    house.see(a_worker("cpu", detect_objects=9, detect_faces=40), a_worker("jetson", recognise_faces=20))
    assert house.ask("lobby") == "refused"
    state = house.state("lobby")
    assert state.reserved == ("cpu",)
    assert "cpu is kept for clips of motion" in state.reason
    assert house.plan.clip_nodes is None
    house.see(a_worker("old-laptop", detect_objects=1))
    assert house.ask("lobby") == "admitted"
    assert house.on("lobby")[FACES] == ["cpu"]
    assert house.plan.clip_nodes == {"old-laptop"}


def test_the_reserve_is_taken_back_when_it_is_lost() -> None:
    house = Orchestra(reserve=1)
    house.see(a_worker("cpu", detect_objects=9, detect_faces=40), a_worker("jetson", recognise_faces=20))
    house.see(a_worker("old-laptop", detect_objects=1))
    house.ask("lobby")
    house.leave("old-laptop")
    assert house.state("lobby").state == "refused"
    assert house.plan.clip_nodes is None


def test_of_several_the_reserve_is_what_the_workflow_can_best_do_without() -> None:
    house = Orchestra(reserve=1)
    house.see(
        a_worker("fast", detect_objects=9, detect_faces=40),
        a_worker("slow", detect_objects=9, detect_faces=5),
    )
    house.see(a_worker("jetson", recognise_faces=20))
    assert house.ask("lobby", a_spec(20)) == "admitted"
    assert house.on("lobby")[FACES] == ["fast"]


def test_the_reserve_is_the_node_that_is_of_least_use() -> None:
    house = Orchestra(reserve=1, weights=Weights(waste=0, latency=0, unavailability=0))
    house.see(a_worker("large", energy=1, detect_objects=9, detect_faces=40, recognise_faces=40))
    house.see(a_worker("small", energy=1, detect_objects=9, detect_faces=20, recognise_faces=20))
    house.see(a_worker("spare", energy=100, recognise_faces=40))
    assert house.ask("lobby", a_spec(15)) == "admitted"
    assert house.on("lobby") == {FACES: ["large"], WHO: ["spare"]}
    assert house.plan.clip_nodes == {"small"}


def test_a_house_with_one_machine_shares_it_unless_told_otherwise() -> None:
    house = Orchestra(reserve=None)
    house.see(a_worker("pc", detect_objects=40, detect_faces=40, recognise_faces=20))
    assert house.ask("lobby", a_spec(5)) == "admitted"
    assert house.plan.clip_nodes is None, "it goes on looking at clips"
    house.see(a_worker("old-laptop", detect_objects=1))
    assert house.on("lobby") == {FACES: ["pc"], WHO: ["pc"]}
    assert house.plan.clip_nodes == {"old-laptop"}, "of two, one is kept for clips"
    house.leave("old-laptop")
    assert house.state("lobby").state == "running", "the one that is left does both"
    assert house.plan.clip_nodes is None


def test_a_single_machine_that_loads_one_task_at_a_time_is_kept_for_clips() -> None:
    house = Orchestra(reserve=None)
    house.see(a_worker("coral", serving=CLIPS, detect_objects=9, detect_faces=40))
    house.see(a_worker("jetson", recognise_faces=20))
    assert house.ask("lobby") == "refused"
    assert house.state("lobby").reserved == ("coral",)


def test_without_a_reserve_clips_go_everywhere() -> None:
    house = Orchestra(reserve=0)
    house.see(a_worker("cpu", detect_objects=9, detect_faces=40), a_worker("jetson", recognise_faces=20))
    assert house.ask("lobby") == "admitted"
    assert house.plan.clip_nodes is None


def test_without_a_reserve_the_log_says_when_nobody_looks_at_clips() -> None:
    house = Orchestra(reserve=0)
    house.see(a_worker("coral", serving=CLIPS, detect_objects=9, detect_faces=40))
    house.see(a_worker("jetson", recognise_faces=20))
    house.ask("lobby")
    assert house.plan.clip_nodes == frozenset()
    assert sum("no node looks at clips" in note for note in house.notes) == 1
    house.withdraw("lobby")
    assert house.plan.clip_nodes is None


# --- nodes that hold all their tasks at once ----------------------------------------------------


def test_one_machine_can_run_both_levels_by_halves() -> None:
    house = Orchestra(reserve=0)
    house.see(a_worker("pc", detect_objects=9, detect_faces=40, recognise_faces=20))
    assert house.ask("lobby", a_spec(10)) == "admitted"
    assert house.on("lobby") == {FACES: ["pc"], WHO: ["pc"]}
    assert [operator.capacity for operator in house.state("lobby").nodes] == [20, 10]
    assert house.flow("lobby/feature").nodes == {"pc"}
    assert house.ask("hall", a_spec(1)) == "refused", "the half that detects is taken"
    house.withdraw("lobby")
    assert house.ask("hall", a_spec(10.1)) == "refused"


def test_a_whole_node_is_preferred_to_halves() -> None:
    house = Orchestra(reserve=0)
    house.see(a_worker("pc", detect_faces=40, recognise_faces=20))
    house.see(a_worker("nuc", detect_faces=40, recognise_faces=20))
    house.ask("lobby", a_spec(10))
    assert sorted(operator.capacity for operator in house.state("lobby").nodes) == [20, 40]


# --- the hub's start ----------------------------------------------------------------------------


def test_the_first_plan_says_what_stays_of_an_earlier_run_though_nobody_wants_anything() -> None:
    house = Orchestra(gather=2.0)
    house.orchestrator.begin(house.now)
    assert house.orchestrator.wake_at(house.mono) == 2.0
    house.turn(1.999)
    assert house.leftovers == []
    house.turn(0.001)
    house.turn(100)
    assert house.leftovers == [ClearLeftovers(frozenset(), frozenset())]


def test_the_first_plan_keeps_what_is_wanted_again() -> None:
    house = Orchestra(gather=2.0)
    house.ask("lobby", wait=True)
    house.ask("attic", a_spec(10, "house/attic"), wait=True)
    house.see(a_worker("coral", detect_faces=40), a_worker("jetson", recognise_faces=20))
    house.turn(2)
    assert house.leftovers == [ClearLeftovers(frozenset({"lobby", "attic"}), frozenset({"porch/front"}))]
