"""What a threshold would accept: counted, and drawn boxes that stay on their digits."""

from __future__ import annotations

import numpy as np
import pytest

from meerkat_contract.meter_layout import MeterLayout
from meerkat_inference.meter import verdict
from meerkat_training.calibrate import Outcome, hand_drawn, is_right, main, shares


def layout(**more: object) -> MeterLayout:
    digits = [[100 + 40 * i, 200, 30, 48] for i in range(4)]
    return MeterLayout.model_validate({"digits": digits, "width": 640, "height": 480, **more})


def test_a_threshold_counts_what_it_lets_pass() -> None:
    outcomes = [Outcome(True, 0.9, True), Outcome(True, 0.75, False), Outcome(False, 1.0, True)] * 2
    assert shares(outcomes, 0.75) == (1 / 3, 1 / 3)
    assert shares(outcomes, 0.76) == (1 / 3, 0)


@pytest.mark.parametrize(("value", "right"), [(1234, True), (1233, True), (1236, False), (9999, False)])
def test_a_last_wheel_is_right_to_a_step(value: float, right: bool) -> None:
    assert is_right(layout(), value, 1234.3) is right


def test_past_the_top_is_beside_zero() -> None:
    assert is_right(layout(), 0, 9999.6)


def test_a_last_needle_is_right_to_two_steps() -> None:
    dial = layout(pointers=[[100, 300, 80, 80]])
    assert is_right(dial, 1234.5, 1234.7)
    assert not is_right(dial, 1234.5, 1234.8)


def test_boxes_drawn_by_hand_lie_near_the_true_ones() -> None:
    exact = layout(rotation_deg=20)
    drawn = hand_drawn(exact, np.random.default_rng(1))
    assert drawn.digits != exact.digits
    for one, other in zip(drawn.digits, exact.digits, strict=True):
        assert np.hypot(one[0] - other[0], one[1] - other[1]) < 16  # a degree turns them, too


def test_it_prints_a_table_and_leaves_the_threshold_alone(capsys: pytest.CaptureFixture[str]) -> None:
    before = verdict.SURE
    main(["--meters", "1"])
    assert capsys.readouterr().out.count("\n") == 9
    assert before == verdict.SURE
