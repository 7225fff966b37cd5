"""What the networks shall say, and how it is read back: a circle of ten, and nothing."""

from __future__ import annotations

import numpy as np
import pytest

from meerkat_training.targets import distance, read_back, soft_targets, softmax


@pytest.mark.parametrize("position", [0.0, 0.04, 3.0, 3.45, 9.6, 9.97])
@pytest.mark.parametrize("sigma", [0.7, 1.0])
def test_a_target_read_back_is_the_position(position: float, sigma: float) -> None:
    found, mass, nothing = read_back(soft_targets(np.array([position], np.float32), sigma))

    assert distance(found, np.array([position], np.float32))[0] < 0.02
    assert mass[0] > 0.99
    assert nothing[0] == 0


def test_nothing_is_a_bin_of_its_own() -> None:
    target = soft_targets(np.array([np.nan], np.float32), 0.7)

    assert target.sum() == 1
    assert target[0, 100] == 1


def test_bin_99_neighbours_bin_0() -> None:
    target = soft_targets(np.array([0.0], np.float32), 0.7)[0]

    assert target[99] == target[1] > 0.1
    assert target[50] < 1e-6


def test_a_spike_loses_against_a_wider_peak() -> None:
    shares = np.zeros((1, 101), np.float32)
    shares[0, [19, 20, 21]] = 0.2
    shares[0, 70] = 0.4

    found, mass, _ = read_back(shares)

    assert found[0] == pytest.approx(2.0)
    assert mass[0] == pytest.approx(0.6)


def test_a_higher_temperature_is_less_sure() -> None:
    logits = np.zeros((1, 101), np.float32)
    logits[0, 3] = 5

    assert softmax(logits, 2.0)[0, 3] < softmax(logits)[0, 3]
    assert softmax(logits, 2.0).sum() == pytest.approx(1)


def test_the_way_round_is_the_shorter_one() -> None:
    away = distance(np.array([9.9, 3], np.float32), np.array([0.1, 8], np.float32))

    assert away == pytest.approx([0.2, 5], abs=1e-5)
