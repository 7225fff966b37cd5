"""One number turns all wheels: joint decoding against counters that are simulated gear by gear."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat_contract.errors import UsageError
from meerkat_contract.meter_layout import CounterLayout
from meerkat_inference.meter.decode import MOST, decode
from meerkat_inference.meter.verdict import SURE
from meter_support.painted import distribution


def counter(wheels: int, whole: int, needles: int = 0, **more: object) -> CounterLayout:
    return CounterLayout.model_validate(
        {
            "digits": [[20 * i, 0, 18, 30] for i in range(wheels)],
            "integer_digits": whole,
            "pointers": [[40 * i, 50, 36, 36] for i in range(needles)],
            **more,
        }
    )


def positions(
    layout: CounterLayout, reading: float, *, width: float = 1.0
) -> tuple[list[float], list[float]]:
    """Where the wheels and needles of a counter without play stand at a reading.

    `width`: over the last part of its neighbour's turn from 9 to 0 a wheel goes on.
    """
    needles = [reading / factor % 10 for factor in layout.pointer_factors]
    wheels: list[float] = []
    for factor in reversed(layout.wheel_factors):
        turned = reading / factor
        if not wheels:
            wheels.append(turned % 10)
            continue
        below = wheels[-1]
        carried = max(0.0, below - 10 + width) / width
        # Of a reading a hair below a whole digit, floating point may say that it is there.
        wheels.append((np.floor(turned + (1e-9 if carried == 0 else 0)) + carried) % 10)
    return wheels[::-1], needles


def read(layout: CounterLayout, wheels: list[float], needles: list[float], **more: float):
    return decode(
        layout,
        [distribution(place, **more) for place in wheels],
        [distribution(place, **more) for place in needles],
    )


def steps_off(layout: CounterLayout, value: float, truth: float) -> int:
    span = round(layout.span / layout.step)
    off = (round(value / layout.step) - int(truth / layout.step + 1e-6)) % span
    return min(off, span - off)


LAYOUTS = {
    "5 wheels": counter(5, 5),
    "8 wheels": counter(8, 5),
    "5 wheels, 4 dials": counter(5, 5, 4),
    "8 wheels, 1 dial": counter(8, 5, 1),
    "4 dials": counter(0, 0, 4),
}
any_layout = st.sampled_from(sorted(LAYOUTS))


@settings(deadline=None)
@given(any_layout, st.floats(0, 1, exclude_max=True))
def test_a_counter_without_play_is_read_exactly(name: str, share: float) -> None:
    layout = LAYOUTS[name]
    # In the middle of a tenth of the last step: at its edge the tenths themselves are rounded.
    truth = (np.floor(share * layout.span / layout.step * 10) + 0.4) / 10 * layout.step
    decoded = read(layout, *positions(layout, truth))
    best = decoded.candidates[0].value
    if layout.digits and layout.pointers:
        # 3.9 above a needle at 9.0: a wheel that creeps, or one that rests a little low on its 4.
        assert steps_off(layout, best, truth) <= 1 or decoded.sure < SURE
    else:
        assert steps_off(layout, best, truth) <= 1
        assert decoded.sure > 0.5


@settings(deadline=None)
@given(any_layout, st.floats(0, 1, exclude_max=True), st.data())
def test_play_and_offsets_cost_at_most_the_last_step(name: str, share: float, data: st.DataObject) -> None:
    layout = LAYOUTS[name]
    truth = share * layout.span
    wheels, needles = positions(layout, truth)
    row = data.draw(st.floats(-0.1, 0.1), label="row")
    loose = st.floats(-0.1, 0.1)
    tight = bool(needles)  # above a dial the last wheel's offset and the digit are one and the same
    wheels = [
        place + row + data.draw(loose) * (0 if tight and i == len(wheels) - 1 else 1)
        for i, place in enumerate(wheels)
    ]
    needles = [place + data.draw(st.floats(-0.15, 0.15)) for place in needles]
    decoded = read(layout, wheels, needles, sigma=0.12, nothing=0.02)
    best = decoded.candidates[0].value
    assert steps_off(layout, best, truth) <= 1 or decoded.sure < SURE


@pytest.mark.parametrize("place", range(1, 8))
@pytest.mark.parametrize("tenths", [-5, -2, -1, 0, 1, 2, 5])
@pytest.mark.parametrize("width", [0.7, 1.0, 1.5])
def test_a_carry_at_every_place(place: int, tenths: int, width: float) -> None:
    """…and of every sort of counter: some wheels jump, some start early."""
    layout = LAYOUTS["8 wheels"]
    truth = 4 * 10.0 ** (place - 3) + 20_000 + tenths * layout.step / 10
    decoded = read(layout, *positions(layout, truth + 1e-7, width=width))
    assert steps_off(layout, decoded.candidates[0].value, truth + 1e-7) <= 1


def test_a_wheel_between_two_digits_goes_with_its_neighbour() -> None:
    layout = LAYOUTS["5 wheels"]
    # The tens wheel stands at 3.6: with the last one at 9.7 it is on its way, at 0.2 it is late.
    assert read(layout, [0, 0, 0, 3.6, 9.6], []).candidates[0].value == 39
    assert read(layout, [0, 0, 0, 3.7, 0.2], []).candidates[0].value == 40
    assert read(layout, [0, 0, 0, 3.7, 5.2], []).candidates[0].value == 45


def test_a_row_that_is_laid_out_low_is_read_all_the_same() -> None:
    layout = LAYOUTS["8 wheels"]
    wheels = [0.25, 0.2, 0.25, 2.2, 6.25, 9.2, 2.2, 2.2]
    assert read(layout, wheels, []).candidates[0].value == pytest.approx(26.922)


def test_the_last_needle_says_the_last_digit() -> None:
    layout = LAYOUTS["8 wheels, 1 dial"]
    decoded = read(layout, [0, 0, 2, 0, 6, 9, 2, 2.5], [5.2])
    assert decoded.candidates[0].value == pytest.approx(206.9225)
    assert decoded.wheel_digits == (0, 0, 2, 0, 6, 9, 2, 2)
    assert decoded.needle_digits == (5,)


@pytest.mark.parametrize(("wheel", "value"), [(2.0, 206.9228), (2.95, 206.9238), (2.6, 206.9226)])
def test_a_wheel_above_a_needle_creeps_or_rests(wheel: float, value: float) -> None:
    layout = LAYOUTS["8 wheels, 1 dial"]
    needle = value * 10_000 % 10 + 0.4
    assert read(layout, [0, 0, 2, 0, 6, 9, 2, wheel], [needle]).candidates[0].value == pytest.approx(value)


def test_a_rollover_begins_again_at_zero() -> None:
    layout = LAYOUTS["5 wheels"]
    decoded = read(layout, [9.9] * 5, [])
    assert decoded.candidates[0].value == 0
    assert decoded.wheel_digits == (0,) * 5
    assert decoded.sure > 0.6  # 99,999 is its neighbour


def test_an_open_question_is_answered_with_both() -> None:
    layout = LAYOUTS["5 wheels"]
    both = (distribution(3.0) + distribution(8.0)) / 2
    plain = [distribution(0.0)] * 2
    decoded = decode(layout, [*plain, both, distribution(4.0), distribution(7.0)], [])
    assert {one.value for one in decoded.candidates[:2]} == {347.0, 847.0}
    assert decoded.sure == pytest.approx(0.5, abs=0.1)
    assert len(decoded.candidates) <= MOST
    assert all(one.likelihood >= other.likelihood for one, other in pairwise(decoded.candidates))
    assert sum(one.likelihood for one in decoded.candidates) <= 1 + 1e-6


def test_a_wheel_that_cannot_stand_so_fits_badly() -> None:
    layout = LAYOUTS["5 wheels"]
    good = read(layout, [0, 0, 2, 3, 4.5], [])
    bad = read(layout, [0, 0, 2, 3.5, 4.5], [])
    assert min(good.wheel_fits) > 0.7
    assert bad.wheel_fits[3] < 0.2


def test_what_is_not_seen_leaves_every_digit_open() -> None:
    layout = LAYOUTS["5 wheels"]
    nothing = np.append(np.zeros(100), 1.0).astype(np.float32)
    decoded = decode(layout, [distribution(1.0)] * 4 + [nothing], [])
    assert len(decoded.candidates) >= 10
    assert decoded.sure < 0.4


def test_a_dial_that_counts_the_same_as_a_wheel_confirms_it() -> None:
    layout = counter(5, 5, 1, pointer_factors=[1])
    decoded = read(layout, [0, 0, 1, 2, 3.5], [3.5])
    assert decoded.candidates[0].value == 123


def test_dials_that_leave_a_place_out() -> None:
    layout = counter(3, 3, 1, pointer_factors=[0.01])
    decoded = read(layout, [1, 2, 3.25], [5.0])
    assert decoded.candidates[0].value in {123.15, 123.25, 123.35}


def test_factors_that_fit_no_gear_are_refused() -> None:
    layout = counter(3, 3, 1, pointer_factors=[0.3])
    with pytest.raises(UsageError, match="not ten times"):
        read(layout, [1, 2, 3], [5.0])


def test_a_wheel_that_stands_off_says_more_where_the_others_stand_exactly() -> None:
    """8.77 above a needle at 6.9: it creeps from 8 to 9, or it is a loose one that rests low on its 9."""
    layout = counter(4, 4, 1)
    exact = read(layout, [1.0, 2.0, 3.0, 8.77], [6.9])
    loose = read(layout, [0.75, 2.3, 2.8, 8.77], [6.9])
    assert exact.candidates[0].value == pytest.approx(1238.6, abs=0.11)
    assert exact.sure > SURE
    assert loose.sure < exact.sure - 0.1


def test_a_needle_that_may_be_two_steps_off_is_still_sure() -> None:
    """…as no one sees a needle more exactly; a last wheel is seen to one step."""
    both = (distribution(4.3) + distribution(6.3)) / 2
    layout = counter(3, 3, 1)
    assert decode(layout, [distribution(place) for place in (1, 2, 3)], [both]).sure > 0.9
    assert decode(counter(3, 3), [distribution(1), distribution(2), both], []).sure < SURE
