"""The debounced motion state at its exact instants."""

from __future__ import annotations

from meerkat_devices.motion.detector import MotionState
from meerkat_devices.motion.scene import Look
from meerkat_devices.settings.motion import MotionSettings

SETTINGS = MotionSettings(
    certain_area=0.01, confirm_seconds=0.5, clear_seconds=0.2, quiet_seconds=4.0, change_seconds=0.4
)
NOTHING = Look()
THERE = Look(present=True)
SMALL = Look(area=0.005, change=0.005, present=True)
LARGE = Look(area=0.05, change=0.01, present=True)


def state(*history: tuple[float, Look]) -> MotionState:
    machine = MotionState(SETTINGS)
    for at, look in history:
        machine.step(at, look)
    return machine


def test_large_motion_starts_at_once() -> None:
    assert state((0, NOTHING)).step(0.1, LARGE)


def test_small_motion_starts_when_it_has_lasted_long_enough() -> None:
    assert not state((0.0, SMALL)).step(0.49, SMALL)
    assert state((0.0, SMALL)).step(0.5, SMALL)


def test_small_motion_starts_anew_after_too_long_a_pause() -> None:
    assert state((0.0, SMALL), (0.1, NOTHING)).step(0.5, SMALL)
    assert not state((0.0, SMALL), (0.1, NOTHING)).step(0.51, SMALL)


def test_motion_ends_when_the_scene_is_clear_for_long_enough() -> None:
    assert state((0.0, LARGE)).step(0.19, NOTHING)
    assert not state((0.0, LARGE)).step(0.2, NOTHING)


LASTED = ((-1.0, LARGE), (-0.5, LARGE), (0.0, LARGE))


def test_motion_is_held_while_somebody_stands_there_but_not_for_ever() -> None:
    assert state(*LASTED, (2.0, THERE)).step(3.99, THERE)
    assert not state(*LASTED, (2.0, THERE)).step(4.0, THERE)


def test_a_flash_is_not_held() -> None:
    assert not state((0.0, LARGE), (0.4, LARGE)).step(0.6, THERE)


def test_new_motion_begins_the_hold_anew() -> None:
    assert state(*LASTED, (3.9, THERE), (3.95, SMALL)).step(7.9, THERE)


def test_what_only_stands_there_starts_nothing() -> None:
    assert not state((0.0, THERE), (1.0, THERE)).step(2.0, THERE)


def test_a_clock_that_jumps_back_ends_the_motion() -> None:
    assert not state((100.0, LARGE)).step(1.0, THERE)
