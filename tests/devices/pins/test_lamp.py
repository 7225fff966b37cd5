"""A lamp that is never left on: holders, the watchdog at the exact instant, pins that refuse."""

from __future__ import annotations

import math
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from meerkat_contract.errors import DeviceError, MeerkatError, UsageError
from meerkat_devices.pins.lamp import RETRY_SECONDS, PinLamp
from meerkat_devices.settings.pins import LightSettings
from support.pins import HandClock, Pin


class Bench:
    def __init__(self, **settings: object) -> None:
        self.clock = HandClock()
        self.errors: list[MeerkatError] = []
        self.told: list[float] = []
        self.lamp = PinLamp(
            "ir",
            LightSettings.model_validate({"gpio": 18, "longest": 120, **settings}),
            clock=self.clock,
            report=self.errors.append,
            changed=lambda lamp: self.told.append(lamp.level),
        )
        self.pin: Pin = Pin()
        self.lamp.attach(self.pin)


def test_it_is_lit_while_somebody_holds_it() -> None:
    bench = Bench(brightness=0.8)
    with bench.lamp.lit():
        assert bench.pin.level == 0.8
        with bench.lamp.lit(0.5):
            assert bench.pin.level == 0.8, "the brighter wish counts"
        assert bench.pin.level == 0.8, "and it stays on for the one that still holds it"
    assert bench.pin.levels == [0, 0.8, 0]
    assert bench.told == [0.8, 0]


def test_it_goes_off_when_the_holder_fails() -> None:
    bench = Bench()
    with pytest.raises(ZeroDivisionError), bench.lamp.lit():
        raise ZeroDivisionError
    assert bench.pin.level == 0


def test_a_hand_is_one_holder_more() -> None:
    bench = Bench()
    bench.lamp.set(0.3)
    with bench.lamp.lit(1.0):
        bench.lamp.set(0)
        assert bench.pin.level == 1.0
    assert bench.pin.level == 0
    bench.lamp.set(0.3)
    bench.lamp.set(0.6)
    assert bench.pin.level == 0.6
    bench.lamp.set(0)
    assert bench.pin.level == 0


def test_without_pwm_it_is_on_or_off() -> None:
    bench = Bench(dimmable=False)
    bench.lamp.set(0.2)
    assert bench.pin.level == 1.0


@pytest.mark.parametrize("brightness", [0.0, -0.1, 1.1, math.nan])
def test_what_is_no_brightness(brightness: float) -> None:
    bench = Bench()
    with pytest.raises(UsageError, match="no brightness"), bench.lamp.lit(brightness):
        pass
    assert bench.pin.levels == [0]


def test_the_watchdog_at_the_exact_instant() -> None:
    bench = Bench(longest=120)
    assert bench.lamp.overdue() == math.inf
    with bench.lamp.lit():
        assert bench.lamp.overdue() == 120
        bench.clock.seconds += 119.999
        bench.lamp.watch()
        assert bench.pin.level == 1
        bench.clock.seconds = 100 + 120
        bench.lamp.watch()
        assert bench.pin.level == 0
        (error,) = bench.errors
        assert "lit for 120 s, and switched off" in str(error)
        assert bench.lamp.overdue() == math.inf
    assert bench.pin.levels == [0, 1, 0]


def test_holders_in_turn_cannot_prolong_it() -> None:
    bench = Bench(longest=10)
    first, second = bench.lamp.lit(), bench.lamp.lit()
    first.__enter__()
    bench.clock.seconds += 8
    second.__enter__()
    first.__exit__(None, None, None)
    bench.lamp.set(1.0)
    bench.clock.seconds += 2
    bench.lamp.watch()
    assert bench.pin.level == 0
    second.__exit__(None, None, None)
    with bench.lamp.lit():
        assert bench.pin.level == 1, "who comes afterwards has light"
        assert bench.lamp.overdue() == 10


def test_another_brightness_does_not_prolong_it() -> None:
    bench = Bench(longest=10)
    bench.lamp.set(0.4)
    bench.clock.seconds += 9
    bench.lamp.set(0.8)
    assert bench.lamp.overdue() == 1


def test_a_lamp_that_does_not_go_off_is_tried_again() -> None:
    bench = Bench()
    bench.lamp.set(1.0)
    bench.pin.broken = DeviceError("stuck", where="GPIO 18")
    bench.lamp.set(0)
    assert bench.lamp.overdue() == RETRY_SECONDS
    assert "light ir, GPIO 18: does not go off: stuck" in str(bench.errors[0])
    bench.lamp.watch()
    assert bench.pin.level == 1
    bench.pin.broken = None
    bench.lamp.watch()
    assert bench.pin.level == 0
    assert bench.lamp.overdue() == math.inf


def test_the_watchdog_says_off_only_when_it_is() -> None:
    bench = Bench(longest=5)
    bench.lamp.set(1.0)
    bench.pin.broken = DeviceError("stuck", where="GPIO 18")
    bench.clock.seconds += 5
    bench.lamp.watch()
    assert not [error for error in bench.errors if "switched off" in str(error)]
    bench.pin.broken = None
    bench.lamp.watch()
    assert bench.pin.level == 0
    assert bench.told[-1] == 0


def test_a_lamp_that_does_not_go_on_is_told_and_put_out() -> None:
    bench = Bench()
    bench.pin.broken = DeviceError("no current", where="GPIO 18")
    with pytest.raises(DeviceError, match="does not go on: no current"), bench.lamp.lit():
        pytest.fail("it never began")
    bench.pin.broken = None
    bench.lamp.watch()
    assert bench.pin.level == 0
    assert bench.pin.levels == [0, 0], "nobody knows what it showed, so it was told again"


def test_without_a_pin_it_says_why() -> None:
    bench = Bench()
    bench.lamp.close()
    assert bench.pin.closed
    with pytest.raises(DeviceError, match="the device ends"):
        bench.lamp.set(1)
    bench.lamp.missing(DeviceError("the pin is used by another program", where="light ir, GPIO 18"))
    with pytest.raises(DeviceError, match="used by another"):
        bench.lamp.set(1)


def test_closing_puts_it_out_whoever_holds_it() -> None:
    bench = Bench()
    with bench.lamp.lit():
        bench.lamp.close()
        assert bench.pin.level == 0
    assert bench.told == [1, 0]


def test_whatever_happens_in_whatever_order_it_is_not_left_on() -> None:
    """Holders that come and go, a hand, a watchdog, a pin that refuses for a while."""
    for seed in range(200):
        chance, bench, open_ = random.Random(seed), Bench(longest=20), ExitStack()
        for _ in range(60):
            bench.pin.broken = DeviceError("stuck", where="GPIO 18") if chance.random() < 0.2 else None
            with suppress(DeviceError):
                match chance.choice(["hold", "hold", "let go", "hand", "dark", "time"]):
                    case "hold":
                        open_.enter_context(bench.lamp.lit(chance.choice([0.2, 0.5, 1.0])))
                    case "let go":
                        open_.close()
                    case "hand":
                        bench.lamp.set(chance.choice([0.3, 0.9]))
                    case "dark":
                        bench.lamp.set(0)
                    case "time":
                        bench.clock.seconds += chance.uniform(0, 15)
            bench.lamp.watch()
            if bench.pin.broken is None:
                assert bench.pin.level == bench.lamp.level, seed
                assert not bench.lamp.level or bench.lamp.overdue() > 0, seed
        bench.pin.broken = None
        open_.close()
        bench.lamp.set(0)
        bench.lamp.watch()
        assert bench.pin.level == 0, seed


class SlowPin(Pin):
    """Lets other threads go first while it is written."""

    def write(self, value: float) -> None:
        time.sleep(random.uniform(0, 0.0005))
        super().write(value)


def test_holders_on_many_threads_leave_it_dark() -> None:
    bench = Bench()
    bench.pin = SlowPin()
    bench.lamp.attach(bench.pin)

    def hold(brightness: float) -> None:
        for _ in range(200):
            with bench.lamp.lit(brightness):
                assert bench.pin.level >= brightness

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(hold, share / 4) for share in (1, 2, 3, 4)]:
            done.result()
    assert bench.pin.level == 0
