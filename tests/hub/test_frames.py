"""What becomes of a frame: level after level, each frame one fate, bytes forgotten exactly once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_support.frames import MODEL, Bench, a_face, a_track, found
from hub_support.orchestra import WHO, a_spec, an_id
from meerkat_contract.messages import Event, ModelInfo
from meerkat_hub.core.outputs import Announce, EventSaved
from meerkat_hub.core.pool.work import Lease, TryEnded
from meerkat_hub.core.workflows.frames import DROPPED, STRANGE, TRIES

# --- level after level --------------------------------------------------------------------------


def test_the_way_of_a_frame_that_shows_somebody() -> None:
    bench = Bench(lobby=a_spec(max_delay=2.0))
    bench.frame()
    first = bench.only()
    assert (first.flow, first.source, first.size) == ("lobby/measurement", "porch/front", 50_000)
    assert first.deadline == bench.mono + 2.0
    bench.mono += 0.5
    bench.answer(first, tracks=[a_track()])
    second = bench.only()
    assert second.flow == "lobby/feature"
    assert second.deadline == first.deadline, "the time is the frame's, not the level's"
    job = bench.frames.job(Lease(second, WHO, "jetson", an_id(1), 7, 0, 1), 1.5)
    assert (job.job, job.media, job.task, job.token, job.lease) == (second.id, bench.sent[0], WHO, 7, 1.5)
    assert (job.device, job.camera, job.workflow) == ("porch", "front", "lobby")
    assert job.found == (found(),)
    assert not bench.forgotten
    step = bench.answer(second, faces=[a_face(1, picture=b"her face")])
    assert list(bench.forgotten) == bench.sent
    (event,) = bench.events()
    assert (event.identity, event.label, event.workflow, event.alert) == ("ada", "face", "lobby", False)
    assert event.reason == "ada may be here"
    saved = step.changes[0]
    assert isinstance(saved, EventSaved)
    assert (saved.picture, saved.frame) == (b"her face", bench.sent[0])
    assert event.region == event.box, "the picture is the face alone"
    assert bench.counts() == {"received": 1, "decided": 1, "events": 1}


def test_an_event_is_told_whole_on_the_bus() -> None:
    bench = Bench(lobby=a_spec())
    bench.frame((found(),))
    bench.answer(bench.only(), faces=[a_face(9)])
    picture, new, end = (change for change in bench.changes if isinstance(change, Announce))
    assert picture.topic == "meerkat/camera/porch/front/event/picture"
    begun, ended = (Event.model_validate_json(message.payload) for message in (new, end))
    assert (begun.type, ended.type) == ("new", "end")
    assert (begun.after.revision, ended.after.revision) == (1, 2)
    assert begun.after.alert
    assert begun.after.identity is None
    assert begun.after.clips == ()
    assert bench.events() == [ended.after]
    assert ended.after.region is None, "the picture is the whole frame"


def test_a_frame_in_which_nothing_is_found_is_done() -> None:
    bench = Bench(lobby=a_spec())
    bench.frame()
    bench.answer(bench.only(), tracks=[a_track(score=0.49)])
    assert bench.counts() == {"received": 1, "nothing": 1}
    assert list(bench.forgotten) == bench.sent


def test_what_the_device_found_goes_to_the_feature_level_at_once() -> None:
    bench = Bench(lobby=a_spec())
    bench.frame((found(),))
    assert bench.only().flow == "lobby/feature"
    bench.frame(())
    assert bench.counts()["nothing"] == 1
    bench.frame((found(),), by="detect_objects")
    flows = sorted(item.flow for item in bench.waiting.values())
    assert flows == ["lobby/feature", "lobby/measurement"], "boxes of another task are no faces"


def test_a_device_that_was_to_detect_and_says_nothing_of_it() -> None:
    bench = Bench(lobby=a_spec(measurement="device"))
    bench.frame()
    assert bench.counts() == {"received": 1, "unmeasured": 1}
    bench.frame((found(),), by="whatever")
    assert bench.only().flow == "lobby/feature"


def test_without_feature_task_the_rule_is_asked_at_once() -> None:
    rule = {"rule": "seen", "labels": ["dog"], "min_score": 0.7}
    bench = Bench(dogs=a_spec(measurement="detect_objects", feature=None, decision=rule))
    bench.frame()
    job = bench.frames.job(Lease(bench.only(), "detect_objects", "cpu", an_id(1), 1, 0, 1), 1)
    assert job.labels == ("dog",)
    bench.answer(bench.only(), tracks=[a_track(0.69, "dog")])
    assert bench.events() == []
    bench.frame()
    bench.answer(bench.only(), tracks=[a_track(0.75, "dog", b"a dog"), a_track(0.9, "cat")])
    (event,) = bench.events()
    assert (event.label, event.category, event.alert) == ("dog", "animal", True)


def test_a_frame_goes_through_every_workflow_of_its_camera() -> None:
    bench = Bench(lobby=a_spec(), hall=a_spec(10, "porch/front", "porch/back"), other=a_spec(10, "a/b"))
    bench.frame()
    assert sorted(item.flow for item in bench.waiting.values()) == ["hall/measurement", "lobby/measurement"]
    first, second = bench.waiting.values()
    bench.answer(first)
    assert not bench.forgotten, "the other one still needs it"
    bench.drop(second, "late")
    assert list(bench.forgotten) == bench.sent


def test_a_frame_that_nobody_asked_for_is_forgotten_at_once() -> None:
    bench = Bench(lobby=a_spec())
    bench.frame(camera="garden")
    assert list(bench.forgotten) == bench.sent
    assert bench.counts() == {}


def test_a_stranger_is_told_of_and_who_nobody_can_tell_is_not() -> None:
    bench = Bench(lobby=a_spec())
    other = ModelInfo(name="other", sha256="cd" * 32)
    for number, quality, model in ((9, 0.1, MODEL), (1, 0.9, other), (9, 0.9, MODEL)):
        bench.frame((found(),))
        bench.answer(bench.only(), faces=[a_face(number, quality=quality)], model=model)
    (event,) = bench.events()
    assert event.identity is None
    assert event.alert
    counts = {"received": 3, "decided": 3, "incomparable": 1, "events": 1, "alerts": 1}
    assert bench.counts() == counts


def test_faces_that_cannot_be_compared_are_counted_beside_the_fates() -> None:
    """Nobody is told of them: neither the forbidden person nor a burglar."""
    bench = Bench(lobby=a_spec(decision={"rule": "who_may_be_here", "forbidden": ["bob"], "cooldown": 0}))
    other = ModelInfo(name="sface", sha256="cd" * 32)
    for number in range(50):
        bench.frame((found(),))
        bench.answer(bench.only(), faces=[a_face(2), a_face(9)] if number % 2 else [a_face(2)], model=other)
        bench.mono += 1
    assert bench.counts() == {"received": 50, "decided": 50, "incomparable": 75}
    assert bench.frames.strange("lobby") == (other,)
    assert bench.notes == [], "what is wrong with the model is told with the workflow"
    bench.frame((found(),))
    bench.answer(bench.only(), faces=[a_face(2)])
    assert bench.counts()["alerts"] == 1
    assert bench.counts()["incomparable"] == 75
    bench.frames.run(bench.specs, bench.specs)
    assert bench.frames.strange("lobby") == (), "other nodes may look after a new plan"
    assert bench.frames.strange("hall") == ()


def test_numbers_that_are_none_are_told_once_for_each_model() -> None:
    """Of a model with which people are enrolled: its node is broken."""
    bench = Bench(lobby=a_spec())
    broken = a_face(1).model_copy(update={"embedding": b"\0" * 12})
    for _ in range(3):
        bench.frame((found(),))
        bench.answer(bench.only(), faces=[broken])
    assert bench.counts()["incomparable"] == 3
    words = "workflow lobby: a face cannot be compared: these numbers are not those of this model"
    assert bench.notes == [words]


def test_a_broken_worker_that_names_ever_new_models_fills_no_memory() -> None:
    bench = Bench(lobby=a_spec())
    for number in range(3 * STRANGE):
        bench.mono += 1
        bench.frame((found(),))
        nameless = {} if number else {"model": None}
        model = ModelInfo(name="new", sha256=f"{number:064x}")
        bench.answer(bench.only(), **{"faces": [a_face(1)], "model": model, **nameless})
    assert len(bench.frames.strange("lobby")) == STRANGE
    assert bench.counts()["incomparable"] == 3 * STRANGE


# --- fates --------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["full", "late", "gone"])
def test_what_the_pool_drops_is_counted(reason: str) -> None:
    bench = Bench(lobby=a_spec())
    bench.frame()
    bench.drop(bench.only(), reason)
    assert bench.counts() == {"received": 1, reason: 1}
    assert list(bench.forgotten) == bench.sent


def test_a_node_that_fails_is_avoided_once_and_then_the_frame_is_given_up() -> None:
    bench = Bench(lobby=a_spec())
    bench.frame()
    item = bench.only()
    for _ in range(TRIES - 1):
        step = bench.take(bench.frames.try_ended(TryEnded(item, "coral", "it went away"), bench.now))
        (item,) = step.items
        assert "coral" in item.avoid
    assert bench.counts()["in_work"] == 1
    bench.take(bench.frames.try_ended(TryEnded(item, "tpu", "it went away too"), bench.now))
    assert bench.counts() == {"received": 1, "failed": 1}
    assert "it went away too" in bench.notes[-1]


def test_there_is_no_second_try_at_the_very_end_of_its_time() -> None:
    bench = Bench(lobby=a_spec(max_delay=2))
    bench.frame()
    bench.mono += 2
    bench.take(bench.frames.try_ended(TryEnded(bench.only(), "coral", "it went away"), bench.now))
    assert bench.counts() == {"received": 1, "failed": 1}


def test_a_node_that_says_no_and_bytes_that_are_gone() -> None:
    bench = Bench(lobby=a_spec())
    bench.frame()
    bench.answer(bench.only(), state="failed", reason="this is no JPEG")
    bench.frame()
    bench.take(bench.frames.lost(bench.only().id))
    assert bench.counts() == {"received": 2, "failed": 1, "lost": 1}


def test_an_answer_after_its_time_counts_and_is_overdue() -> None:
    bench = Bench(lobby=a_spec(max_delay=2))
    for delay, overdue in ((2.0, 0), (2.001, 1)):
        bench.frame((found(),))
        bench.mono += delay
        bench.answer(bench.only(), faces=[a_face(9)])
        assert bench.counts().get("overdue", 0) == overdue


def test_its_time_counts_from_when_it_came() -> None:
    bench = Bench(lobby=a_spec(max_delay=2))
    bench.frame(came=bench.mono - 2)
    assert bench.counts() == {"received": 1, "late": 1}
    assert list(bench.forgotten) == bench.sent, "and it takes nobody's room"
    bench.frame(came=bench.mono - 1.999)
    item = bench.only()
    assert (item.arrived, item.deadline) == (bench.mono - 1.999, bench.mono - 1.999 + 2)
    bench.mono += 1
    bench.answer(item, tracks=[a_track()])
    assert bench.counts() == {"received": 2, "late": 2}, "no time is left for the next level"
    bench.frame((found(),), came=bench.mono - 1)
    bench.mono += 1.001
    bench.answer(bench.only(), faces=[a_face(9)])
    assert bench.counts()["overdue"] == 1


def test_a_decision_that_needs_no_node_is_made_however_late_it_is() -> None:
    bench = Bench(porch=a_spec(measurement="device", feature=None, decision={"rule": "seen"}, max_delay=1))
    bench.frame((found(),), came=bench.mono - 8)
    counts = {"received": 1, "decided": 1, "overdue": 1, "events": 1, "alerts": 1}
    assert bench.counts("porch") == counts


def test_an_answer_to_what_is_over_means_nothing() -> None:
    bench = Bench(lobby=a_spec())
    bench.frame()
    item = bench.only()
    bench.drop(item, "late")
    bench.waiting[item.id] = item
    bench.answer(item, tracks=[a_track()])
    assert bench.counts() == {"received": 1, "late": 1}
    assert not bench.waiting


def test_a_camera_that_sends_more_than_was_asked_for() -> None:
    bench = Bench(lobby=a_spec(10))
    for _ in range(300):
        bench.frame(())
        bench.mono += 1 / 30
    counts = bench.counts()
    assert counts["received"] == 300
    taken = counts["nothing"]
    assert 10 * 11 <= taken <= 10 * 11 + 11, "ten seconds at 11 a second, and a second's burst"
    assert counts["surplus"] == 300 - taken


def test_a_camera_that_keeps_its_rate_while_the_hub_is_held_up_is_not_blamed() -> None:
    bench = Bench(lobby=a_spec(10, max_delay=60))
    for n in range(300):
        bench.frame((), came=bench.mono + n / 10 - 30)
    assert bench.counts() == {"received": 300, "nothing": 300}
    for n in range(300):
        bench.frame((), came=bench.mono + n / 30)
    assert bench.counts()["surplus"] == pytest.approx(190, abs=11), "three times as many as asked for"


def test_a_camera_that_keeps_its_rate_with_jitter_loses_nothing() -> None:
    bench = Bench(lobby=a_spec(2))
    for n in range(200):
        bench.mono = 100 + n / 2 + (0.2 if n % 3 else -0.2)
        bench.frame(())
    assert bench.counts() == {"received": 200, "nothing": 200}


def test_a_workflow_that_is_refused_for_now_takes_no_frames_and_keeps_its_counts() -> None:
    bench = Bench(lobby=a_spec())
    bench.frame(())
    bench.frame()
    bench.frames.run(bench.specs, [])
    bench.frame()
    assert bench.counts() == {"received": 2, "nothing": 1, "in_work": 1}
    bench.answer(bench.only(), tracks=[a_track()])
    assert bench.counts() == {"received": 2, "nothing": 1, "gone": 1}
    bench.frames.run(bench.specs, bench.specs)
    bench.frame(())
    assert bench.counts()["received"] == 3


def test_the_totals_never_go_back() -> None:
    bench = Bench(lobby=a_spec())
    bench.frame(())
    bench.frame()
    bench.frames.run({}, [])
    assert bench.frames.totals() == {"received": 2, "done": 1}
    bench.drop(bench.only(), "gone")
    assert bench.frames.totals() == {"received": 2, "done": 1, "gone": 1}


def test_a_workflow_of_the_same_name_with_other_wishes_counts_anew() -> None:
    bench = Bench(lobby=a_spec())
    bench.frame()
    bench.specs = {"lobby": a_spec(5)}
    bench.frames.run(bench.specs, bench.specs)
    assert bench.counts() == {}
    bench.answer(bench.only(), tracks=[a_track()])
    assert list(bench.forgotten) == bench.sent


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 10_000)), max_size=60))
def test_every_frame_meets_one_fate_and_is_forgotten_once(steps: list[tuple[int, int]]) -> None:
    """The counts are checked after every step (Bench.take)."""
    bench = Bench(lobby=a_spec(5, max_delay=3), hall=a_spec(5, "porch/front", measurement="device"))
    for what, number in steps:
        items = list(bench.waiting.values())
        item = items[number % len(items)] if items else None
        bench.mono += number % 7 / 10
        if what <= 2 or item is None:
            bench.frame([None, (), (found(),)][what % 3], came=bench.mono - number % 13 / 3)
        elif what == 3:
            bench.answer(item, tracks=[a_track()], faces=[a_face(number % 4)])
        elif what == 4:
            bench.answer(item, state="failed")
        elif what == 5:
            bench.drop(item, "late")
        elif what == 6:
            del bench.waiting[item.id]
            bench.take(bench.frames.try_ended(TryEnded(item, "coral", "gone"), bench.now))
        else:
            running = [name for n, name in enumerate(bench.specs) if number >> n & 1]
            bench.frames.run(bench.specs, running)
    for item in list(bench.waiting.values()):
        bench.drop(item, "gone")
    while bench.waiting:
        bench.drop(bench.only(), "gone")
    assert set(bench.forgotten) == set(bench.sent)
    totals = bench.frames.totals()
    assert totals["received"] == totals["done"] + sum(totals.get(reason, 0) for reason in DROPPED)
