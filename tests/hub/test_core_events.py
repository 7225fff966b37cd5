"""From tracks of clips to events: one person is one event, whatever the order of the results."""

from __future__ import annotations

import itertools

import pytest

from hub_support.core_driver import CoreDriver, a_clip, an_id, track
from meerkat_hub.core.outputs import Announce, EventSaved, RecordingClosed
from meerkat_hub.core.recording import HOLD, Recording
from meerkat_hub.core.records import RecordingSnapshot, Settled


def walk(sequence: int, **changes: object) -> object:
    """A person who crosses in three clips, a third of the picture in each."""
    begin = 0.3 * sequence
    return track(x=(begin, begin + 0.29), score=0.7 + sequence / 100, **changes)  # type: ignore[arg-type]


def test_a_person_in_one_clip_is_new_and_ends_with_the_recording(core: CoreDriver) -> None:
    core.worker()
    core.answer(core.clip(1, last=True), track())
    new, end = core.events()
    assert (new.type, end.type) == ("new", "end")
    assert new.before is None
    assert end.before == new.after
    assert (new.after.revision, end.after.revision) == (1, 2)
    assert new.after.label == "person"
    assert new.after.category == "person"


def test_the_picture_is_published_before_its_event(core: CoreDriver) -> None:
    core.worker()
    core.answer(core.clip(1), track())
    topics = [
        c.topic.removeprefix("meerkat/camera/porch/front/") for c in core.changes if isinstance(c, Announce)
    ]
    assert topics[:2] == ["event/picture", "event"]
    saved = [c for c in core.changes if isinstance(c, EventSaved)]
    assert saved[0].picture == b"jpeg"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_person_who_walks_through_three_clips_is_one_event_in_any_order(
    core: CoreDriver, order: tuple[int, ...]
) -> None:
    core.worker("one")
    core.worker("two")
    clips = [core.clip(n + 1, sequence=n, last=n == 2) for n in range(3)]
    for n in order:
        core.answer(clips[n], walk(n))  # type: ignore[arg-type]
    events = core.events()
    assert len({event.after.id for event in events}) == 1
    assert events[0].type == "new"
    assert events[-1].type == "end"
    assert events[-1].after.clips == tuple(clip.id for clip in clips)
    assert events[-1].after.score == pytest.approx(0.72)


def test_a_later_result_waits_for_the_clip_before_it_and_no_longer(core: CoreDriver) -> None:
    core.worker(window=3)
    first, second = core.clip(1, sequence=0), core.clip(2, sequence=1)
    core.answer(second, walk(1))  # type: ignore[arg-type]
    assert core.events() == []
    core.answer(first, state="failed", reason="damaged")
    assert [event.type for event in core.events()] == ["new"]


def test_a_missing_clip_holds_the_others_back_for_a_bounded_time(core: CoreDriver) -> None:
    core.worker()
    core.answer(core.clip(2, sequence=1), walk(1))  # type: ignore[arg-type]
    core.turn(HOLD - 0.001)
    assert core.events() == []
    core.turn(0.001)
    assert [event.type for event in core.events()] == ["new"]


def test_a_late_clip_joins_its_recording_and_not_a_second_event(core: CoreDriver) -> None:
    core.worker()
    core.answer(core.clip(2, sequence=1), walk(1))  # type: ignore[arg-type]
    core.turn(HOLD)
    core.answer(core.clip(1, sequence=0), walk(0))  # type: ignore[arg-type]
    assert [event.type for event in core.events()] == ["new", "update"]
    assert len(core.events()[1].after.clips) == 2


@pytest.mark.parametrize(
    ("score", "seconds", "event"),
    [(0.5, 0.4, True), (0.499, 5.0, False), (0.5, 0.2, False)],
    ids=["two frames at the working point", "below it", "one frame only"],
)
def test_what_makes_an_event(core: CoreDriver, score: float, seconds: float, event: bool) -> None:
    core.worker()
    core.answer(core.clip(1), track(score=score, end=seconds))
    assert bool(core.events()) is event


def test_two_people_far_apart_are_two(core: CoreDriver) -> None:
    core.worker()
    core.answer(core.clip(1), track(0, x=(0.0, 0.1)), track(1, x=(0.8, 0.9)))
    assert len({event.after.id for event in core.events()}) == 2


def test_someone_who_comes_after_a_pause_is_another(core: CoreDriver) -> None:
    core.worker()
    core.answer(core.clip(1, sequence=0), track(end=2.0))
    core.answer(core.clip(2, sequence=1), track(start=1.0))
    assert len({event.after.id for event in core.events()}) == 2


def test_a_car_that_is_taken_for_a_truck_in_one_clip_is_one_vehicle(core: CoreDriver) -> None:
    core.worker()
    core.answer(core.clip(1, sequence=0), track(label="car", x=(0.0, 0.3)))
    core.answer(core.clip(2, sequence=1), track(label="truck", x=(0.31, 0.6), score=0.6))
    assert len({event.after.id for event in core.events()}) == 1
    assert core.events()[-1].after.label == "car"


def test_a_first_guess_in_the_same_place_is_the_same_object(core: CoreDriver) -> None:
    core.worker()
    core.answer(core.clip(1, sequence=0), track(label="cat", start=4.4, end=5.0, x=(0.1, 0.12)))
    core.answer(core.clip(2, sequence=1), track(label="person", x=(0.12, 0.6)))
    assert len({event.after.id for event in core.events()}) == 1
    assert core.events()[-1].after.label == "person"


def test_a_dog_beside_its_owner_is_not_the_owner(core: CoreDriver) -> None:
    core.worker()
    core.answer(core.clip(1, sequence=0), track(label="dog", x=(0.1, 0.4)))
    core.answer(core.clip(2, sequence=1), track(label="person", x=(0.4, 0.6)))
    assert {event.after.label for event in core.events()} == {"dog", "person"}


def test_counts_in_view_go_up_and_down(core: CoreDriver) -> None:
    core.worker()
    core.answer(core.clip(1, sequence=0), track())
    core.answer(core.clip(2, sequence=1, last=True))
    counts = [c.payload for c in core.changes if isinstance(c, Announce) and c.topic.endswith("/person")]
    assert counts == [b"1", b"0"]


def test_a_recording_without_its_last_clip_closes_after_a_while(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1)
    core.answer(clip, track())
    core.turn(HOLD + clip.duration - 0.001)
    assert [event.type for event in core.events()] == ["new"]
    core.turn(0.001)
    assert [event.type for event in core.events()] == ["new", "end"]
    assert [c for c in core.changes if isinstance(c, RecordingClosed)] == [
        RecordingClosed(clip.recording, pictured=True)
    ]


def test_a_recording_says_whether_its_tracks_still_carry_pictures(core: CoreDriver) -> None:
    core.worker()
    core.answer(core.clip(1, last=True), track(picture=None))
    assert [c.pictured for c in core.changes if isinstance(c, RecordingClosed)] == [False]
    joined = Settled(a_clip(2, sequence=0), "done", (track(),))
    kept = RecordingSnapshot(joined.clip.recording, "porch", "front", joined=(joined,))
    restored = Recording.restore(kept, 0.0)
    assert restored.close()[-1] == RecordingClosed(kept.id, pictured=True), "though it has forgotten them"


def test_nothing_is_waited_for_while_an_earlier_clip_has_no_worker(core: CoreDriver) -> None:
    core.worker("a", window=1)
    core.worker("b", window=1, start=2)
    core.clip(1, sequence=0)
    second = core.clip(2, sequence=1)
    core.answer(second, start=2)
    core.worker("a", online=False)
    core.worker("b", online=False, start=2)
    core.turn(HOLD + 1)
    wake = core.core.wake_at()
    assert wake is None or wake > core.mono


def test_a_missing_clip_holds_up_its_recording_once_and_not_every_clip_after_it(core: CoreDriver) -> None:
    core.worker()
    for sequence in (1, 2, 3):
        core.answer(core.clip(sequence, sequence=sequence))
        if sequence == 1:
            core.turn(HOLD)
    assert len(core.outcomes()) == 3


def test_clips_of_long_ago_are_not_in_view_now(core: CoreDriver) -> None:
    core.mono = 7200.0
    core.worker()
    core.answer(core.clip(1, start=0.0), track())
    assert not [c for c in core.changes if isinstance(c, Announce) and c.topic.endswith("/person")]
    assert [event.type for event in core.events()] == ["new"]


def test_a_best_frame_saved_before_a_restart_is_not_saved_again() -> None:
    first = Settled(a_clip(1, sequence=0), "done", (track(),), None, "", 25)
    recording = Recording(first.clip.recording, "porch", "front")
    recording.arrive(first.clip, 0)
    recording.settle(first, 0)
    recording.advance(0, lambda: an_id(77))
    events = tuple(recording.events.values())
    again = Recording.restore(RecordingSnapshot(recording.id, "porch", "front", (first,), (), events), 0)
    second = Settled(a_clip(2, sequence=1), "done", (track(x=(0.5, 0.6), score=0.6),), None, "", 25)
    again.arrive(second.clip, 0)
    again.settle(second, 0)
    saved = [c for c in again.advance(0, lambda: an_id(78)) if isinstance(c, EventSaved)]
    assert [change.picture for change in saved] == [None]
