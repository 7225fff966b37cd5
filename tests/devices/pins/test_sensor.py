"""From edges to a state that counts: bounces, what is high at the start, buttons."""

from __future__ import annotations

import math
import threading

import pytest

from meerkat_devices.pins.sensor import Sensor
from meerkat_devices.settings.pins import SensorSettings
from support.pins import HandClock, Pin


class Bench:
    def __init__(self, kind: str = "motion", *, high: bool = False, **settings: object) -> None:
        self.clock = HandClock()
        self.said: list[bool] = []
        self.news = threading.Event()
        self.pin = Pin(level=float(high))
        self.sensor = Sensor(
            "it",
            SensorSettings.model_validate({"kind": kind, "gpio": 17, "debounce": 0.05, **settings}),
            clock=self.clock,
            news=self.news,
            said=lambda sensor, on: self.said.append(on),
        )
        self.pin.changed = self.sensor.edge
        self.sensor.attach(self.pin)

    def after(self, seconds: float) -> float:
        self.clock.seconds += seconds
        return self.sensor.work()


def test_a_motion_sensor_that_is_high_already_counts() -> None:
    bench = Bench(high=True)
    assert bench.news.is_set()
    bench.sensor.work()
    assert bench.said == [True]


def test_quiet_at_the_start_is_said_too() -> None:
    bench = Bench()
    bench.sensor.work()
    assert bench.said == [False]


def test_a_level_counts_at_the_instant_that_it_has_lasted() -> None:
    bench = Bench()
    bench.sensor.work()
    bench.pin.drive(True)
    due = bench.sensor.work()
    assert due == pytest.approx(bench.clock.seconds + 0.05)
    bench.after(0.049)
    assert bench.said == [False]
    bench.after(0.001)
    assert bench.said == [False, True]
    assert bench.sensor.on
    assert bench.sensor.work() == math.inf


def test_bounces_are_one_change() -> None:
    bench = Bench("door")
    bench.sensor.work()
    for _ in range(20):
        bench.pin.drive(True)
        bench.after(0.002)
        bench.pin.drive(False)
        bench.after(0.002)
    assert bench.said == [False]
    bench.pin.drive(True)
    bench.after(0.05)
    assert bench.said == [False, True]


def test_a_needle_is_nothing() -> None:
    bench = Bench()
    bench.sensor.work()
    bench.pin.drive(True)
    bench.after(0.04)
    bench.pin.drive(False)
    bench.after(1)
    assert bench.said == [False]


def test_a_door_is_on_when_it_is_open() -> None:
    """A closed contact to ground is low; open, the resistor pulls the pin up."""
    bench = Bench("door", high=True)
    bench.sensor.work()
    assert bench.said == [True]


def test_a_button_is_pressed_when_it_is_low() -> None:
    bench = Bench("button", high=True)
    bench.sensor.work()
    bench.pin.drive(False)
    bench.after(0.05)
    bench.pin.drive(True)
    bench.after(0.05)
    assert bench.said == [True, False]


def test_a_button_that_is_held_at_the_start_was_not_pressed() -> None:
    bench = Bench("button", high=False)
    bench.sensor.work()
    assert bench.said == []
    bench.pin.drive(True)
    bench.after(0.05)
    bench.pin.drive(False)
    bench.after(0.05)
    assert bench.said == [False, True]


def test_levels_can_be_the_other_way_round() -> None:
    bench = Bench("motion", active="low", pull="up")
    bench.sensor.work()
    assert bench.said == [True]


def test_a_press_that_is_over_before_anybody_looked_counts() -> None:
    """The sensors' thread was late: a small Pi writes a clip meanwhile."""
    bench = Bench("button", high=True)
    bench.sensor.work()
    bench.pin.drive(False)
    bench.clock.seconds += 0.15
    bench.pin.drive(True)
    bench.after(0.15)
    assert bench.said == [True, False]


def test_all_that_happened_is_told_in_turn() -> None:
    bench = Bench("door")
    for high in (True, False, True):
        bench.clock.seconds += 0.05
        bench.pin.drive(high)
    bench.after(0.05)
    assert bench.said == [False, True, False, True]


def test_a_bounce_that_nobody_looked_at_is_nothing() -> None:
    bench = Bench("door")
    for high in (True, False, True, False):
        bench.pin.drive(high)
        bench.clock.seconds += 0.049
    bench.after(1)
    assert bench.said == [False]


def test_a_button_that_is_let_go_before_anybody_looked_was_not_pressed() -> None:
    bench = Bench("button", high=False)
    bench.pin.drive(True)
    bench.after(0.05)
    assert bench.said == [False]
