"""Which way things move, and cameras that look by themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meerkat_contract.frame_region import in_part, in_whole
from meerkat_contract.messages import Box, Found, FrameFindings, ModelInfo, read
from meerkat_devices.frames.followed import LONGEST_STEP, Followed
from support.frames import Station, ask, frames_of, shot


def a_thing(x: float, y: float = 0.4, label: str = "person", score: float = 0.9) -> Found:
    return Found(label=label, score=score, box=(x, y, 0.1, 0.2))


def test_a_thing_that_moves_has_a_velocity_from_the_second_look_on() -> None:
    followed = Followed()
    assert [one.velocity for one in followed.step([a_thing(0.1)], 10.0)] == [None]
    (moved,) = followed.step([a_thing(0.2, 0.35)], 10.5)
    assert moved.velocity == pytest.approx((0.2, -0.1))
    (still,) = followed.step([a_thing(0.2, 0.35)], 11.0)
    assert still.velocity == (0.0, 0.0)


def test_each_comes_from_where_its_nearest_was() -> None:
    followed = Followed()
    followed.step([a_thing(0.1), a_thing(0.3)], 0.0)
    left, right = followed.step([a_thing(0.15), a_thing(0.4)], 1.0)
    assert (left.velocity, right.velocity) == (pytest.approx((0.05, 0)), pytest.approx((0.1, 0)))


@pytest.mark.parametrize(
    ("later", "at"),
    [
        (a_thing(0.9), 0.5),  # too far away
        (a_thing(0.1, label="dog"), 0.5),
        (a_thing(0.1), LONGEST_STEP + 0.001),
        (a_thing(0.1), 0.0),
        (a_thing(0.1), -1.0),  # the stream's clock began again
    ],
)
def test_nobody_is_taken_for_somebody_else(later: Found, at: float) -> None:
    followed = Followed()
    followed.step([a_thing(0.1)], 0.0)
    assert followed.step([later], at)[0].velocity is None


def test_the_longest_step_is_still_one() -> None:
    followed = Followed()
    followed.step([a_thing(0.1)], 0.0)
    assert followed.step([a_thing(0.1)], LONGEST_STEP)[0].velocity == (0.0, 0.0)


# --- a camera that looks by itself ---------------------------------------------------------------

REGION = (0.5, 0.0, 0.5, 1.0)


def seen(*boxes: Box, score: float = 0.9) -> FrameFindings:
    found = tuple(Found(label="person", score=score, box=box) for box in boxes)
    return FrameFindings(task="detect_objects", model=ModelInfo(name="sensor"), found=found)


def told(station: Station) -> FrameFindings:
    return read(FrameFindings, dict(station.sent[-1][2])["found"].encode())


def test_what_the_camera_found_goes_with_the_frame_and_nobody_else_looks() -> None:
    station = Station()
    frames = frames_of(station, when="always", detect="detect_objects")
    ask(frames, "5")
    frames.offer(replace(shot(0), found=seen()), moving=False)
    frames.offer(replace(shot(10), found=seen((0.1, 0.1, 0.2, 0.4), score=0.49)), moving=False)
    assert (frames.counts["nothing"], len(station.sent)) == (2, 0)
    frames.offer(replace(shot(20), found=seen((0.1, 0.1, 0.2, 0.4))), moving=False)
    frames.offer(replace(shot(30), found=seen((0.2, 0.1, 0.2, 0.4))), moving=False)
    assert told(station).model == ModelInfo(name="sensor")
    assert told(station).found[0].velocity == pytest.approx((0.1, 0))


def test_without_detect_every_frame_goes_and_says_what_the_camera_found() -> None:
    station = Station()
    frames = frames_of(station, when="always")
    ask(frames, "5")
    frames.offer(replace(shot(0), found=seen()), moving=False)
    assert told(station).found == ()


def test_what_the_camera_found_is_told_in_fractions_of_the_region() -> None:
    station = Station()
    frames = frames_of(station, when="always", detect="detect_objects", region=REGION)
    ask(frames, "5")
    frames.offer(replace(shot(0), found=seen((0.1, 0.1, 0.2, 0.4))), moving=False)
    assert frames.counts["nothing"] == 1, "it is outside"
    frames.offer(replace(shot(10), found=seen((0.4, 0.25, 0.35, 0.5))), moving=False)
    (found,) = told(station).found
    assert found.box == pytest.approx((0, 0.25, 0.5, 0.5))


def test_there_and_back() -> None:
    box = (0.6, 0.25, 0.1, 0.5)
    part = in_part(box, REGION)
    assert part is not None
    assert in_whole(part, REGION) == pytest.approx(box)
    assert in_part(box, None) == box
    assert in_part((0.0, 0.0, 0.5, 1.0), REGION) is None
