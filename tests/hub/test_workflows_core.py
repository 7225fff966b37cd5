"""The orchestrator and the frames together, as the hub's core calls them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from hub_support.orchestra import FACES, WHO, a_spec, a_worker, an_id
from meerkat_contract.messages import Face, Found, ModelInfo, Result, WorkerState
from meerkat_hub.core.pool.work import Dropped
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import (
    AnswerRequest,
    DeployTask,
    FrameArrived,
    Policy,
    PublishWorkflow,
    ShowWorkflows,
    Stored,
    WorkflowRemoved,
    WorkflowRequested,
    WorkflowsAsked,
    WorkflowStored,
    WorkflowWithdrawn,
)
from meerkat_hub.core.workflows.gallery import Gallery, Match, Meaning, Sample
from meerkat_hub.core.workflows.orchestrator import Orchestrator
from meerkat_hub.core.workflows.outcome import Outcome
from meerkat_hub.core.workflows.workflows import TELL_EVERY, Workflows

START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
DLIB = ModelInfo(name="dlib-resnet", sha256="ab" * 32)
SFACE = ModelInfo(name="sface", sha256="cd" * 32)
FACE = Found(label="face", score=0.9, box=(0.25, 0.25, 0.125, 0.25))


class House:
    """Who is enrolled, which may change at any time."""

    def __init__(self) -> None:
        self.gallery = Gallery()

    def enrol(self, *models: ModelInfo) -> None:
        """One person with each of these."""
        samples = [Sample(str(n), f"person {n}", model.sha256, (0.0, 0.0)) for n, model in enumerate(models)]
        self.gallery = Gallery(samples, {DLIB.sha256: Meaning(0.5), SFACE.sha256: Meaning(0.5)})

    def who_all(self, faces: Sequence[Face], model_sha256: str) -> Sequence[Match]:
        return self.gallery.who_all(faces, model_sha256)

    def doubt(self, model: ModelInfo) -> str:
        return self.gallery.doubt(model)

    @property
    def known_by(self) -> str:
        return self.gallery.known_by


class Bench:
    def __init__(self) -> None:
        self._numbers = 0
        policy = Policy(reserve=0, gather=0)
        self.house = House()
        self.workflows = Workflows(new_id=self._new_id, recogniser=self.house, policy=policy)
        self.mono = 0.0

    def _new_id(self) -> str:
        self._numbers += 1
        return an_id(self._numbers)

    @property
    def now(self) -> Now:
        return Now(START + timedelta(seconds=self.mono), self.mono)

    def nodes(self) -> None:
        for worker in (a_worker("coral", detect_faces=40), a_worker("jetson", recognise_faces=20)):
            self.workflows.worker_seen(worker, self.now)

    def frame(self) -> Outcome:
        arrived = FrameArrived(self._new_id(), "porch", "front", self.now.wall, 1000)
        return self.workflows.happened(arrived, self.now)


def told(outcome: Outcome) -> list[dict[str, int] | None]:
    published = [effect for effect in outcome.effects if isinstance(effect, PublishWorkflow)]
    return [effect.state.frames if effect.state else None for effect in published]


def test_a_request_is_stored_planned_and_answered_in_one_step() -> None:
    bench = Bench()
    bench.nodes()
    out = bench.workflows.happened(WorkflowRequested("lobby", a_spec(), "ticket"), bench.now)
    assert out.changes == [WorkflowStored(Stored("lobby", a_spec(), START))]
    assert out.plan is not None
    assert {flow.id for flow in out.plan.flows} == {"lobby/measurement", "lobby/feature"}
    (answer,) = (effect for effect in out.effects if isinstance(effect, AnswerRequest))
    assert (answer.ticket, answer.outcome) == ("ticket", "admitted")
    assert answer.state is not None
    assert answer.state.state == "running"
    ended = bench.workflows.happened(WorkflowWithdrawn("lobby"), bench.now)
    assert ended.changes == [WorkflowRemoved("lobby")]
    assert ended.plan is not None
    assert ended.plan.flows == ()
    assert not any(isinstance(effect, AnswerRequest) for effect in ended.effects), "nobody asked"


def test_what_is_refused_changes_nothing() -> None:
    bench = Bench()
    out = bench.workflows.happened(WorkflowRequested("lobby", a_spec(), "ticket"), bench.now)
    assert (out.changes, out.plan, out.items) == ([], None, [])
    assert [effect.outcome for effect in out.effects if isinstance(effect, AnswerRequest)] == ["refused"]


def test_counts_are_published_now_and_then_and_only_when_they_changed() -> None:
    bench = Bench()
    bench.nodes()
    bench.workflows.happened(WorkflowRequested("lobby", a_spec()), bench.now)
    (item,) = bench.frame().items
    bench.workflows.dropped(Dropped(item, "late"), bench.now)
    wake = bench.workflows.wake_at()
    assert wake is not None
    assert wake <= TELL_EVERY
    bench.mono = wake - 0.001
    assert told(bench.workflows.pass_time(bench.now)) == []
    bench.mono = wake
    assert told(bench.workflows.pass_time(bench.now)) == [{"received": 1, "late": 1}]
    bench.mono += 10 * TELL_EVERY
    assert told(bench.workflows.pass_time(bench.now)) == []


def test_telemetry_that_changes_nothing_plans_nothing() -> None:
    bench = Bench()
    bench.nodes()
    bench.workflows.happened(WorkflowRequested("lobby", a_spec()), bench.now)
    warmer = a_worker("coral", detect_faces=40).model_copy(update={"temperature": 70.0, "load": 1.0})
    assert bench.workflows.worker_seen(warmer, bench.now) == Outcome()
    assert bench.workflows.measured("coral", {"detect_faces": 39}, 0.0001, bench.now) == Outcome()
    plans = []
    for _ in range(32):
        plans.append(bench.workflows.measured("coral", {"detect_faces": 5}, 0.0001, bench.now).plan)
        bench.mono += 1
    assert sum(plan is not None for plan in plans) == 1, "when the dip has lasted"


def test_the_configuration_goes_before_what_was_stored_and_both_keep_their_order() -> None:
    bench = Bench()
    stored = [Stored("young", a_spec(), START), Stored("old", a_spec(), START - timedelta(days=1))]
    configured = {"zebra": a_spec(5), "ant": a_spec(6), "old": a_spec(7)}
    bench.workflows.load(configured, stored, bench.now)
    out = bench.workflows.happened(WorkflowsAsked("ticket"), bench.now)
    (shown,) = out.effects
    assert isinstance(shown, ShowWorkflows)
    assert [state.workflow for state in shown.view.workflows] == ["zebra", "ant", "old", "young"]
    assert shown.view.specs["old"] == a_spec(7)
    assert shown.view.configured == {"zebra", "ant", "old"}
    assert out.changes == []
    answer = bench.workflows.happened(WorkflowWithdrawn("ant", "ticket"), bench.now)
    assert [effect.outcome for effect in answer.effects if isinstance(effect, AnswerRequest)] == [
        "configured"
    ]


def test_the_last_frames_of_a_workflow_that_stops_are_told_of_too() -> None:
    bench = Bench()
    bench.nodes()
    bench.workflows.happened(WorkflowRequested("lobby", a_spec(), wait=True), bench.now)
    (item,) = bench.frame().items
    bench.mono += TELL_EVERY
    assert told(bench.workflows.pass_time(bench.now)) == [{"received": 1, "in_work": 1}]
    stopped = bench.workflows.worker_seen(a_worker("coral", online=False), bench.now)
    assert told(stopped) == [{"received": 1, "in_work": 1}], "it is refused for now"
    bench.workflows.dropped(Dropped(item, "gone"), bench.now)
    bench.mono = bench.workflows.wake_at() or 0.0
    assert told(bench.workflows.pass_time(bench.now)) == [{"received": 1, "gone": 1}]
    assert bench.workflows.wake_at() is None, "nothing is to come"


def test_while_nothing_changes_nothing_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.nodes()
    bench.workflows.happened(WorkflowRequested("lobby", a_spec()), bench.now)
    settled: list[float] = []
    monkeypatch.setattr(Orchestrator, "_settle", lambda *_: settled.append(bench.mono))
    outcomes = []
    for second in range(120):
        bench.mono += 1
        load = a_worker("coral", detect_faces=40).model_copy(update={"load": second / 100})
        outcomes.append(bench.workflows.worker_seen(load, bench.now))
        speeds = {"detect_faces": 40 + second % 3 / 2}
        outcomes.append(bench.workflows.measured("coral", speeds, 0.0001, bench.now))
        outcomes.append(bench.workflows.pass_time(bench.now))
    assert settled == []
    assert all(outcome == Outcome() for outcome in outcomes)


# --- whom its nodes can recognise -------------------------------------------------------------------

NOBODY = (
    "nobody can be recognised by sface: they were enrolled with another model. "
    "Enrol them again: `meerkat faces enrol NAME PICTURES --model sface`"
)


def embedding(name: str, model: ModelInfo) -> WorkerState:
    """A node that recognises with this model."""
    node = a_worker(name, recognise_faces=20)
    (task,) = node.tasks
    return node.model_copy(update={"tasks": (task.model_copy(update={"model": model}),)})


def warned(outcome: Outcome) -> list[tuple[str, str]]:
    """What is published of warnings: workflow and text."""
    published = [effect.state for effect in outcome.effects if isinstance(effect, PublishWorkflow)]
    return [(state.workflow, state.warning) for state in published if state is not None]


def test_a_node_whose_model_nobody_is_enrolled_with_is_told_of_at_once_and_until_it_is_mended() -> None:
    bench = Bench()
    bench.house.enrol(DLIB)
    for detector in ("coral", "tpu"):
        bench.workflows.worker_seen(a_worker(detector, detect_faces=40), bench.now)
    bench.workflows.worker_seen(embedding("jetson", SFACE), bench.now)
    asked = bench.workflows.happened(WorkflowRequested("lobby", a_spec(), "ticket"), bench.now)
    assert warned(asked) == [("lobby", NOBODY)]
    assert f"workflow lobby: {NOBODY}" in asked.notes
    (answer,) = (effect for effect in asked.effects if isinstance(effect, AnswerRequest))
    assert answer.state is not None
    assert (answer.state.state, answer.state.warning) == ("running", NOBODY)
    second = bench.workflows.happened(WorkflowRequested("hall", a_spec(5)), bench.now)
    assert ("hall", NOBODY) in warned(second)
    assert not any(NOBODY in note for note in second.notes), "the log has it once for each model"

    def later() -> Outcome:
        bench.mono += TELL_EVERY
        return bench.workflows.pass_time(bench.now)

    assert (warned(later()), later().notes) == ([], [])
    bench.house.enrol(DLIB, SFACE)
    some = NOBODY.replace("nobody can", "1 of 2 people cannot")
    out = later()
    assert warned(out) == [("lobby", some), ("hall", some)]
    assert len(out.notes) == 1
    bench.house.enrol(SFACE, SFACE)
    state = bench.workflows.state("lobby")
    assert state is not None
    assert state.warning == "", "whoever asks is told how it is now"
    assert warned(later()) == [("lobby", ""), ("hall", "")]
    bench.house.enrol(DLIB)
    assert [NOBODY in note for note in later().notes] == [True], "it was mended, and is broken again"


@pytest.mark.parametrize(("enrolled", "meant"), [((), ""), ((DLIB, SFACE, SFACE), SFACE.sha256)])
def test_a_node_fetches_the_model_with_which_people_are_enrolled(
    enrolled: tuple[ModelInfo, ...], meant: str
) -> None:
    bench = Bench()
    bench.house.enrol(*enrolled)
    bare = a_worker("pc", detect_objects=20).model_copy(update={"fetchable": (FACES, WHO)})
    bench.workflows.worker_seen(bare, bench.now)
    asked = bench.workflows.happened(WorkflowRequested("lobby", a_spec()), bench.now)
    orders = [effect.deploy for effect in asked.effects if isinstance(effect, DeployTask)]
    assert [(order.task, order.sha256, order.fetch) for order in orders] == [
        (FACES, "", True),
        (WHO, meant, True),
    ]


@pytest.mark.parametrize("enrolled", [(), (SFACE,), (SFACE, SFACE)])
def test_where_all_can_be_recognised_nothing_is_said(enrolled: tuple[ModelInfo, ...]) -> None:
    bench = Bench()
    bench.house.enrol(*enrolled)
    bench.workflows.worker_seen(a_worker("coral", detect_faces=40), bench.now)
    bench.workflows.worker_seen(embedding("jetson", SFACE), bench.now)
    assert warned(bench.workflows.happened(WorkflowRequested("lobby", a_spec()), bench.now)) == [
        ("lobby", "")
    ]


def test_a_rule_that_asks_for_nobody_needs_nobody_enrolled() -> None:
    bench = Bench()
    bench.house.enrol(DLIB)
    bench.workflows.worker_seen(a_worker("coral", detect_faces=40), bench.now)
    bench.workflows.worker_seen(embedding("jetson", SFACE), bench.now)
    spec = a_spec(decision={"rule": "seen"})
    assert warned(bench.workflows.happened(WorkflowRequested("lobby", spec), bench.now)) == [("lobby", "")]


def test_a_node_that_does_not_say_its_models_hash_is_known_by_its_answers() -> None:
    bench = Bench()
    bench.house.enrol(DLIB)
    bench.nodes()
    asked = bench.workflows.happened(WorkflowRequested("lobby", a_spec()), bench.now)
    assert warned(asked) == [("lobby", "")]
    numbers = b64encode(bytes(8))
    for _ in range(2):
        frame = FrameArrived(bench._new_id(), "porch", "front", START, 9, found=(FACE,), found_by=FACES)
        (item,) = bench.workflows.happened(frame, bench.now).items
        face = Face(box=FACE.box, score=0.9, quality=0.9, embedding=numbers)
        result = Result(job=item.id, token=1, incarnation=an_id(1), state="done", model=SFACE, faces=(face,))
        assert bench.workflows.result(item.id, result, bench.now).notes == []
    bench.mono += TELL_EVERY
    out = bench.workflows.pass_time(bench.now)
    assert warned(out) == [("lobby", NOBODY)]
    assert out.notes == [f"workflow lobby: {NOBODY}"]
    assert told(out) == [{"received": 2, "incomparable": 2, "decided": 2}]
