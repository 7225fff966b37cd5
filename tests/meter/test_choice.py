"""Which of a picture's readings goes with the one before."""

from __future__ import annotations

import pytest

from meerkat_inference.meter.choice import (
    LEAST_BESIDE_FIRM,
    LEAST_SHARE,
    PREFERRED,
    best_fit,
    choose,
    judge,
    units,
)
from meter_support.household import seen_as


def test_without_a_reading_before_the_pictures_own_verdict_stands() -> None:
    choice = choose(seen_as([(2069228, 1.0)]))
    assert (choice.verdict, choice.value) == ("accepted", 206.9228)
    assert choice.expected is None


def test_what_follows_is_accepted_and_says_what_was_expected() -> None:
    choice = choose(seen_as([(2069228, 1.0)]), previous=206.9, elapsed_hours=1, max_flow=3)
    assert (choice.verdict, choice.value) == ("accepted", 206.9228)
    assert choice.expected == pytest.approx((206.9, 206.9 + 3 * 61 / 60 + 0.0003))


def test_of_two_readings_the_one_that_fits_is_taken() -> None:
    seen = seen_as([(2079928, 0.55), (2069928, 0.45)])
    assert seen.verdict == "held"
    choice = choose(seen, previous=206.98, elapsed_hours=1, max_flow=0.5)
    assert (choice.verdict, choice.value) == ("accepted", 206.9928)


def test_of_two_readings_that_both_fit_none_is_taken() -> None:
    seen = seen_as([(2069928, 0.55), (2069528, 0.45)])
    assert choose(seen, previous=206.9, elapsed_hours=1, max_flow=0.5).verdict == "held"


def test_what_is_held_because_it_is_hard_to_see_stays_held_though_it_fits() -> None:
    seen = seen_as([(2069928, 1.0)]).model_copy(update={"verdict": "held", "reason": "fogged"})
    choice = choose(seen, previous=206.9, elapsed_hours=1, max_flow=0.5)
    assert (choice.verdict, choice.reason) == ("held", "fogged")


def test_a_sure_reading_behind_the_one_before_is_implausible() -> None:
    choice = choose(seen_as([(2069228, 1.0)]), previous=207.0)
    assert (choice.verdict, choice.value) == ("implausible", 206.9228)
    assert "behind 207" in choice.reason


def test_a_dial_that_stands_alone_does_not_tremble_by_a_third_of_its_turn() -> None:
    dial = seen_as([(10_000, 1.0)], (0.94,)).model_copy(update={"step": 1.0, "span": 10.0})
    assert dial.value == 1
    assert choose(dial, previous=3).verdict == "implausible"
    assert (choose(dial, previous=2).verdict, choose(dial, previous=2).value) == ("accepted", 2)


def test_a_faint_candidate_does_not_save_a_picture_that_contradicts_the_history() -> None:
    choice = choose(seen_as([(2069228, 0.95), (2079228, 0.05)]), previous=207.0)
    assert choice.verdict == "implausible"


@pytest.mark.parametrize(("behind", "verdict"), [(3, "accepted"), (4, "implausible")])
def test_a_needle_may_tremble_by_three_steps(behind: int, verdict: str) -> None:
    choice = choose(seen_as([(2069228 - behind, 1.0)]), previous=206.9228)
    assert choice.verdict == verdict
    if verdict == "accepted":
        assert choice.value == 206.9228, "nothing has flowed"


@pytest.mark.parametrize(("above", "verdict"), [(1_000_0000, "accepted"), (1_000_0001, "implausible")])
def test_without_a_flow_a_hundredth_of_the_span_may_have_flowed(above: int, verdict: str) -> None:
    assert choose(seen_as([(2069228 + above, 1.0)]), previous=206.9228).verdict == verdict


def test_a_largest_flow_without_times_is_the_largest_rise() -> None:
    seen = seen_as([(2079228, 1.0)])
    assert choose(seen, previous=206.9228, max_flow=2).verdict == "accepted"
    assert choose(seen, previous=206.9228, max_flow=0.9).verdict == "implausible"


def test_past_its_top_it_begins_again_at_zero() -> None:
    choice = choose(seen_as([(123, 1.0)]), previous=99999.99, elapsed_hours=1, max_flow=1)
    assert (choice.verdict, choice.value) == ("accepted", 0.0123)
    trembling = choose(seen_as([(999_999_999, 1.0)]), previous=0.0001, elapsed_hours=1, max_flow=1)
    assert (trembling.verdict, trembling.value) == ("accepted", 0.0001)


def test_what_is_unreadable_stays_so() -> None:
    choice = choose(seen_as([(0, 1.0)], readable=False), previous=206.9)
    assert (choice.verdict, choice.value, choice.reason) == ("unreadable", None, "the picture is too dark")


def test_values_are_the_floats_that_are_nearest_to_their_decimals() -> None:
    assert units(3, 0.1) == 0.3
    assert units(2069228, 0.0001) == 206.9228


STEPS = {"previous": 2069000, "most": 50_000, "span": 10**9, "jitter": 3, "usual": 1000}


def fit(*candidates: tuple[int, float], **more: object):
    return best_fit(candidates, **{**STEPS, **more})  # type: ignore[arg-type]


def test_of_two_usual_rises_the_smaller_is_likelier() -> None:
    found = fit((2069100, 0.85), (2069900, 0.15))
    assert found is not None
    assert found.share > 0.95


def test_but_flow_alone_makes_none_sure_that_the_picture_does_not_prefer() -> None:
    found = fit((2069100, 0.79), (2069900, 0.21))
    assert found is not None
    assert (found.value, found.share) == (2069100, pytest.approx(0.79))
    beyond = fit((2069400, 0.64), (2070250, 0.36))
    assert beyond is not None
    assert beyond.share < 0.9, "nor when the other is a little above what is usual"
    preferred = fit((2069100, PREFERRED), (2069900, 1 - PREFERRED))
    assert preferred is not None
    assert preferred.share > 0.9


def test_what_is_known_of_the_meter_chooses_among_what_fits() -> None:
    candidates = ((2069900, 0.6), (2069100, 0.4))
    found = fit(*candidates, known=(0.01, 2.0))
    assert found is not None
    assert (found.value, found.rank) == (2069100, 1)
    assert found.share > 0.95


def test_what_is_known_of_the_meter_never_makes_a_picture_contradict_the_history() -> None:
    found = fit((2079900, 0.5), (2069100, 0.5), known=(2.0, 0.001), most=5000)
    assert found is not None
    assert (found.value, found.covered) == (2069100, 0.5)


@pytest.mark.parametrize(("share", "firm", "fits"), [
    (LEAST_BESIDE_FIRM, True, True),
    (LEAST_BESIDE_FIRM - 0.01, True, False),
    (LEAST_SHARE - 0.01, False, False),
    (LEAST_SHARE, False, True),
])  # fmt: skip
def test_a_firm_history_needs_less_of_a_picture(share: float, firm: bool, fits: bool) -> None:
    found = fit((1069100, 1 - share), (2069100, share), firm=firm)
    assert (found is not None) == fits
    if found is not None:
        verdict, _ = judge("accepted", 0.95, ((1069100, 1 - share), (2069100, share)), found, 3, firm=firm)
        assert verdict == ("accepted" if firm else "held")
