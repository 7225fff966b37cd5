"""Verdicts at their exact boundaries, and the reasons that a picture's condition gives."""

from __future__ import annotations

import numpy as np
import pytest

from meerkat_contract.meter_messages import Candidate
from meerkat_inference.meter.condition import Condition, blank, condition, why
from meerkat_inference.meter.decode import Decoded
from meerkat_inference.meter.distribution import Peak
from meerkat_inference.meter.verdict import AGREES, DISTINCT, NOTHING, READABLE, SURE, TRUSTED, judge
from meter_support.painted import row

CLEAR = Condition(mean=120, contrast=150, burnt=0.0, sharpness=0.3)
WHEELS = 4


def decoded(sure: float = 1.0, fits: tuple[float, ...] = (1.0,) * WHEELS) -> Decoded:
    return Decoded(
        candidates=(Candidate(value=1234, likelihood=sure), Candidate(value=7234, likelihood=1 - sure)),
        sure=sure,
        wheel_digits=(1, 2, 3, 4),
        needle_digits=(),
        wheel_fits=fits,
        needle_fits=(),
    )


def verdict(
    masses: tuple[float, ...] = (1.0,) * WHEELS,
    *,
    nothing: float = 0.0,
    seen: Condition = CLEAR,
    **more: object,
) -> tuple[str, str]:
    peaks = [Peak(3.0, mass, nothing if i == 1 else 0.0) for i, mass in enumerate(masses)]
    judged = judge(row(WHEELS), decoded(**more), peaks, [], [seen] * WHEELS)  # type: ignore[arg-type]
    return judged.verdict, judged.reason


def test_a_clear_picture_is_accepted() -> None:
    assert verdict() == ("accepted", "")


@pytest.mark.parametrize(
    ("mean", "wanted"),
    [(TRUSTED, "accepted"), (TRUSTED - 0.001, "held"), (READABLE, "held"), (READABLE - 0.001, "unreadable")],
)
def test_the_mean_of_the_peaks_parts_pictures(mean: float, wanted: str) -> None:
    assert verdict((mean,) * WHEELS)[0] == wanted


def test_one_faint_wheel_waits_for_a_history_and_is_named() -> None:
    assert verdict((1.0, 1.0, DISTINCT, 1.0))[0] == "accepted"
    said, reason = verdict((1.0, 1.0, DISTINCT - 0.001, 1.0))
    assert said == "held"
    assert reason.startswith("wheel 3 can hardly be made out")


def test_what_is_no_wheel_is_unreadable_and_named() -> None:
    assert verdict(nothing=NOTHING)[0] == "accepted"
    said, reason = verdict(nothing=NOTHING + 0.001)
    assert said == "unreadable"
    assert reason.startswith("wheel 2 cannot be seen")


def test_a_wheel_against_the_others_is_held() -> None:
    assert verdict(fits=(1.0, 1.0, AGREES, 1.0))[0] == "accepted"
    said, reason = verdict(fits=(1.0, 1.0, AGREES - 0.001, 1.0))
    assert said == "held"
    assert reason.startswith("wheel 3 does not agree")


def test_an_open_question_is_told_with_both_answers() -> None:
    assert verdict(sure=SURE)[0] == "accepted"
    said, reason = verdict(sure=SURE - 0.001)
    assert said == "held"
    assert reason == "the picture alone does not tell whether it is 1234 or 7234"


def grey(mean: float, spread: float, *, fine: bool = True) -> np.ndarray:
    """(32, 20, 3): stripes of two greys, sharp or as a slow slope."""
    across = np.arange(20) % 4 < 2 if fine else np.linspace(0, 1, 20)
    shade = np.clip(mean + spread * (across - 0.5), 0, 255)
    return np.broadcast_to(shade[None, :, None], (32, 20, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("crop", "reason"),
    [
        (grey(4, 3), "too dark"),
        (grey(252, 6), "burnt out"),
        (grey(130, 8), "no contrast"),
        (grey(130, 60, fine=False), ""),
        (grey(40, 60), ""),  # dark and readable
        (grey(128, 200), ""),
    ],
)
def test_each_condition_has_its_reason_and_remedy(crop: np.ndarray, reason: str) -> None:
    said = why([condition(crop)] * 3)
    assert said.startswith(reason)
    assert bool(said) == bool(reason)
    if reason:
        assert ":" in said  # and what to do


def test_a_slope_without_an_edge_is_blurred() -> None:
    slope = np.linspace(60, 200, 32 * 20).reshape(32, 20)
    assert (
        why([condition(np.repeat(slope[..., None], 3, axis=2).astype(np.uint8))]).startswith("blurred")
        is False
    )
    very = Condition(mean=120, contrast=100, burnt=0, sharpness=0.02)
    assert why([very]).startswith("blurred")


def test_blank_is_half_of_the_boxes() -> None:
    nothing = Condition(mean=2, contrast=3, burnt=0, sharpness=0.5)
    assert blank([nothing, CLEAR])
    assert not blank([nothing, CLEAR, CLEAR])
    assert verdict(seen=nothing)[0] == "unreadable"


def test_nothing_to_look_at_has_no_reason() -> None:
    assert why([]) == ""
