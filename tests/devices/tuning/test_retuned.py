"""What counts at once when a camera's settings change: its recorder, its motion, a recording by hand."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from meerkat_devices.by_hand import ByHand
from meerkat_devices.motion.detector import MotionDetector
from meerkat_devices.recording.recorder import TICKS, Chunk, Clip, Limits, Recorder
from meerkat_devices.settings.motion import MotionSettings
from support.frames import Clock
from support.media import background


def test_a_recording_by_hand_lasts_to_the_instant_and_says_once_that_it_is_over() -> None:
    clock, over = Clock(), []
    by_hand = ByHand(clock)
    by_hand.ended = lambda: over.append(clock.turned)
    assert not by_hand.active()
    clock.turned = 100.0
    by_hand.ask(True, 30.0)
    clock.turned = 129.999
    assert by_hand.active()
    clock.turned = 130.0
    assert not by_hand.active()
    assert not by_hand.active()
    assert (by_hand.on, over) == (False, [130.0])


def test_a_recording_by_hand_can_be_lengthened_and_called_off() -> None:
    clock, over = Clock(), []
    by_hand = ByHand(clock)
    by_hand.ended = lambda: over.append(clock.turned)
    by_hand.ask(True, 30.0)
    clock.turned = 20.0
    by_hand.ask(True, 30.0)
    clock.turned = 49.0
    assert by_hand.active()
    by_hand.ask(False, 30.0)
    assert not by_hand.active()
    assert over == [], "who called it off knows"


def fed(recorder: Recorder, begin: int, end: int) -> list[Clip]:
    """A picture a second, each a key frame; something moves all the time."""
    clips: list[Clip] = []
    for second in range(begin, end):
        at = second * TICKS
        chunk = Chunk(at, at, TICKS, key=True, size=1000, captured=float(second), packet=None)
        clips += recorder.add(chunk)
        clips += recorder.motion(second < end - 1, at)
    return clips


def test_other_limits_count_for_the_open_recording() -> None:
    recorder = Recorder(Limits(pre_roll=0, post_roll=3, clip_seconds=5))
    assert [clip.seconds for clip in fed(recorder, 0, 12)] == [5, 5]
    recorder.retune(Limits(pre_roll=0, post_roll=3, clip_seconds=2))
    assert [clip.seconds for clip in fed(recorder, 12, 17)] == [2, 2, 2]


def test_a_shorter_post_roll_counts_from_the_next_motion_on() -> None:
    recorder = Recorder(Limits(pre_roll=0, post_roll=10, clip_seconds=60))
    fed(recorder, 0, 5)
    recorder.retune(Limits(pre_roll=0, post_roll=1, clip_seconds=60))
    closed = [clip for second in range(5, 30) for clip in fed(recorder, second, second + 1)]
    assert [(clip.last, clip.seconds) for clip in closed] == [(True, 13)], "ten seconds had been promised"


def test_another_sensitivity_counts_at_once_and_the_scene_stays_known() -> None:
    """A faint square, 10 grey levels: below the threshold at first."""
    detector = MotionDetector(MotionSettings(sensitivity=0.0))
    grey = background((320, 180))[:, :, 0]

    def look(second: float) -> bool:
        picture = grey.copy()
        left = 20 + round(40 * (second % 5))
        picture[60:130, left : left + 70] = np.minimum(picture[60:130, left : left + 70] + 14, 255)
        return detector.step(picture, second).active

    seen = [look(number / 10) for number in range(40)]
    assert not any(seen[10:])
    detector.retune(MotionSettings(sensitivity=1.0))
    assert any(look(4.0 + number / 10) for number in range(10))
    assert not detector.step(grey, 5.1).calibrating, "what was learnt is not lost"


@pytest.mark.parametrize("area", [0.0006, 0.5])
def test_the_smallest_area_counts_at_once(area: float) -> None:
    detector = MotionDetector(MotionSettings())
    grey = background((320, 180))[:, :, 0]
    for number in range(20):
        detector.step(grey, number / 10)
    detector.retune(MotionSettings(minimum_area=area))
    active = []
    for number in range(20, 40):
        picture = grey.copy()
        picture[60:110, number * 5 : number * 5 + 50] = 250
        active.append(detector.step(picture, number / 10).active)
    assert any(active) == (area < 0.1)


@pytest.mark.parametrize("gop", [8, 15, 60, 140])
@pytest.mark.parametrize("seed", range(5))
def test_clips_hold_together_whatever_is_set_meanwhile(gop: int, seed: int) -> None:
    """Three minutes of pictures, motion that comes and goes, and other limits now and then."""
    chance, tick = random.Random(f"{gop} {seed}"), TICKS // 15
    recorder, clips, moving = Recorder(Limits()), list[Clip](), False
    for number in range(15 * 180):
        moving ^= chance.random() < 0.01
        if chance.random() < 0.02:
            limits = Limits(
                pre_roll=chance.uniform(0, 10),
                post_roll=chance.uniform(0.5, 10),
                clip_seconds=chance.uniform(1, 20),
                max_recording=chance.choice((20, 600)),
            )
            recorder.retune(limits)
        at = number * tick
        clips += recorder.add(Chunk(at, at, tick, number % gop == 0, 1000, at / TICKS, number))
        clips += recorder.motion(moving, at)
    clips += recorder.finish()
    assert len(clips) > 5
    recordings = [list(group) for _, group in itertools.groupby(clips, key=lambda clip: clip.recording)]
    for recording in recordings:
        assert [clip.sequence for clip in recording] == list(range(len(recording)))
        assert [clip.last for clip in recording] == [False] * (len(recording) - 1) + [True]
        assert all(clip.chunks[0].key for clip in recording)
        shown = [chunk.packet for clip in recording for chunk in clip.chunks]
        assert shown == list(range(shown[0], shown[0] + len(shown))), "a gap or an overlap"
    everything = [chunk.packet for clip in clips for chunk in clip.chunks]
    assert len(set(everything)) == len(everything), "in two recordings"
