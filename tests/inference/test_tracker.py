from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat_inference.detector import Found
from meerkat_inference.tracker import GAP, Followed, Tracker, distinct, merit, overlap, settle, whole

Box = tuple[float, float, float, float]


def person(box: Box, score: float = 0.8, label: str = "person") -> Found:
    return Found(label, score, box)


def follow(
    scene: Callable[[float], list[Found]], *, seconds: float = 5.0, fps: float = 5.0
) -> list[Followed]:
    """The tracks of a scene, in order of appearance."""
    tracker = Tracker()
    tracks: list[Followed] = []
    for index in range(round(seconds * fps)):
        at = index / fps
        tracks += tracker.update(at, scene(at))[1]
    return sorted(tracks + tracker.finish(), key=lambda track: track.number)


def walker(
    at: float, *, start: float = 0.0, speed: float = 0.18, score: float = 0.8, y: float = 0.3
) -> Found:
    return person((start + speed * at, y, 0.08, 0.4), score)


def test_one_who_crosses_is_one_track_with_all_its_sightings() -> None:
    (track,) = follow(lambda at: [walker(at)])
    message = track.message()
    assert message.hits == 25
    assert [sighting.at for sighting in message.sightings] == [round(n / 5, 3) for n in range(25)]
    assert message.label == "person"
    assert message.score == 0.8


def test_two_who_pass_each_other_stay_two() -> None:
    tracks = follow(lambda at: [walker(at), walker(at, start=0.9, speed=-0.18, y=0.35)])
    assert len(tracks) == 2
    assert [len(track.founds) for track in tracks] == [25, 25]
    assert tracks[0].founds[-1].box[0] > 0.8
    assert tracks[1].founds[-1].box[0] < 0.1


def test_a_weak_box_keeps_a_track_alive_and_starts_none() -> None:
    (track,) = follow(lambda at: [walker(at, score=0.2 if 1 < at < 4 else 0.8)])
    assert len(track.founds) == 25
    assert track.hits == 11
    assert follow(lambda at: [walker(at, score=0.49)]) == []


def test_a_track_survives_a_gap_of_its_length_and_no_longer() -> None:
    def scene(gap: float) -> Callable[[float], list[Found]]:
        stands = person((0.4, 0.3, 0.1, 0.4))
        return lambda at: [] if 1 < at < 1 + gap - 0.001 else [stands]

    assert len(follow(scene(GAP), fps=20)) == 1
    assert len(follow(scene(GAP + 0.05), fps=20)) == 2


def test_a_walker_hidden_for_a_second_is_found_where_the_walk_leads() -> None:
    (track,) = follow(lambda at: [] if 2 <= at < 3 else [walker(at)])
    assert track.hits == 20


def test_who_enters_where_another_left_is_somebody_else() -> None:
    def scene(at: float) -> list[Found]:
        x = 0.6 + 0.4 * at if at < 1 else 1 - 0.3 * (at - 1.6)
        if 1 <= at < 1.8 or x < 0:
            return []
        return [person((x, 0.3, min(0.15, 1 - x), 0.4))]

    assert len(follow(scene, seconds=4)) == 2


def test_a_fast_one_is_one_track_though_its_boxes_never_overlap() -> None:
    (track,) = follow(lambda at: [person((0.45 * at, 0.3, 0.08, 0.4))], seconds=2)
    assert track.hits == 10


def test_a_van_that_is_now_car_now_truck_is_one_vehicle_by_majority() -> None:
    def scene(at: float) -> list[Found]:
        box = (0.1 + 0.1 * at, 0.5, 0.3, 0.2)
        label = "truck" if round(at * 5) % 3 == 0 else "car"
        return [person(box, 0.7, label)]

    (track,) = follow(scene)
    assert track.label == "car"


def test_a_head_that_is_called_a_cat_at_first_is_the_person_who_then_comes_into_view() -> None:
    def scene(at: float) -> list[Found]:
        if at < 0.5:
            return [person((0.34, 0.9 - 0.8 * at, 0.16, 0.1 + 0.8 * at), 0.6, "cat")]
        return [person((0.33, 0.35, 0.28, 0.65), 0.9)]

    (track,) = settle(follow(scene))
    assert track.label == "person"
    assert len(track.founds) == 25
    assert track.message().best.score == 0.9


def test_a_person_who_is_called_a_dog_in_between_stays_one() -> None:
    (track,) = follow(
        lambda at: [person((0.18 * at, 0.3, 0.1, 0.4), 0.7, "dog" if 2 < at < 2.5 else "person")]
    )
    assert track.label == "person"
    assert track.hits == 25


def test_a_cat_that_crosses_behind_nobody_is_a_cat() -> None:
    def scene(at: float) -> list[Found]:
        cat = [person((0.1 + 0.3 * at, 0.8, 0.1, 0.1), 0.8, "cat")] if at < 0.5 else []
        return [person((0.7, 0.3, 0.1, 0.4)), *cat]

    assert [track.label for track in settle(follow(scene))] == ["person", "cat"]


def test_a_person_and_a_dog_together_are_two() -> None:
    tracks = follow(lambda at: [walker(at), person((0.18 * at, 0.5, 0.08, 0.2), label="dog")])
    assert sorted(track.label for track in tracks) == ["dog", "person"]


def test_one_object_found_twice_counts_once() -> None:
    body, torso = person((0.4, 0.2, 0.2, 0.6), 0.9), person((0.42, 0.22, 0.16, 0.3), 0.6)
    assert distinct([torso, body]) == [body]
    face = person((0.45, 0.2, 0.1, 0.1), 0.7, "face")
    assert distinct([body, face]) == [body, face]
    bicycle = person((0.38, 0.4, 0.24, 0.5), 0.8, "bicycle")
    assert distinct([body, bicycle]) == [body, bicycle]
    assert distinct([person(body.box, 0.7, "truck"), person(body.box, 0.8, "car")]) == [
        person(body.box, 0.8, "car")
    ]


def test_the_best_frame_shows_the_whole_object_near_and_sure() -> None:
    far, near, cut = (0.4, 0.4, 0.05, 0.2), (0.4, 0.3, 0.1, 0.4), (0.88, 0.3, 0.12, 0.4)
    assert whole(near)
    assert not whole(cut)
    assert merit(person(near)) > merit(person(far, 0.9))
    assert merit(person(near, 0.7)) > merit(person(cut, 0.9))
    tracker = Tracker()
    better = [bool(tracker.update(n / 5, [person(box)])[0]) for n, box in enumerate([far, near, far])]
    assert better == [True, True, False]
    assert tracker.finish()[0].message().best.box == near


def test_a_weak_sighting_is_never_the_best() -> None:
    tracker = Tracker()
    tracker.update(0.0, [person((0.4, 0.4, 0.05, 0.1), 0.5)])
    tracker.update(0.2, [person((0.39, 0.38, 0.06, 0.14), 0.49)])
    assert tracker.finish()[0].message().best.score == 0.5


def test_the_gap_is_media_time_at_any_rate() -> None:
    for fps in (2, 5, 10, 25):
        assert len(follow(lambda at: [walker(at)], fps=fps)) == 1


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0.0, 0.0, 0.5, 0.5), (0.0, 0.0, 0.5, 0.5), 1.0),
        ((0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 0.5, 0.5), 0.0),
        ((0.0, 0.0, 0.5, 0.5), (0.25, 0.0, 0.5, 0.5), 1 / 3),
    ],
)
def test_overlap(a: Box, b: Box, expected: float) -> None:
    assert overlap(a, b) == pytest.approx(expected)


fraction = st.floats(0, 1, width=32)
boxes = st.builds(
    lambda x, y, w, h: (x, y, min(w, 1 - x), min(h, 1 - y)), fraction, fraction, fraction, fraction
)
founds = st.lists(
    st.builds(Found, st.sampled_from(["person", "car", "truck"]), st.floats(0.1, 1), boxes), max_size=6
)


@given(st.lists(founds, max_size=12))
def test_whatever_is_found_every_strong_distinct_box_is_in_exactly_one_track(
    scene: list[list[Found]],
) -> None:
    tracks = follow(lambda at: scene[round(at * 5)], seconds=len(scene) / 5)
    seen = [(at, id(found)) for track in tracks for at, found in zip(track.times, track.founds, strict=True)]
    assert len(seen) == len(set(seen))
    strong = sum(found.score >= 0.5 for frame in scene for found in distinct(frame))
    assert sum(track.hits for track in tracks) == strong
    for track in tracks:
        message = track.message()
        assert message.best in message.sightings
        assert all(box.box[0] + box.box[2] <= 1 + 1e-9 for box in message.sightings)
