"""Training the network for displays: what it begins with, what it shall say, and what is good enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meerkat_contract.errors import ModelError, UsageError
from meerkat_training.command import _weights
from meerkat_training.segment_score import check
from meerkat_training.targets import right, shown_targets, targets


def test_it_begins_with_its_own_weights_or_those_of_the_wheels(tmp_path: Path) -> None:
    assert _weights(None, "segment", tmp_path) is None
    wheel, own = tmp_path / "wheel.pt", tmp_path / "segment.pt"
    wheel.touch()
    assert _weights(None, "segment", tmp_path) == wheel
    assert _weights(tmp_path, "segment", Path("elsewhere")) == wheel
    assert _weights(None, "wheel", tmp_path) is None
    own.touch()
    assert _weights(tmp_path, "segment", tmp_path) == own


def test_nothing_else_begins_with_wheels(tmp_path: Path) -> None:
    (tmp_path / "wheel.pt").touch()
    with pytest.raises(UsageError, match="no weights to go on from"):
        _weights(tmp_path, "needle", tmp_path)


def test_targets_are_nearly_sure() -> None:
    wanted = shown_targets(np.array([3, 10, np.nan], np.float32))
    assert wanted.shape == (3, 12)
    np.testing.assert_array_equal(wanted.argmax(1), [3, 10, 11])
    np.testing.assert_allclose(wanted.sum(1), 1, rtol=1e-5)
    assert 0.98 < wanted.max() < 1
    np.testing.assert_array_equal(targets("segment", np.array([3.0])), wanted[:1])


def test_what_is_read_right_leaves_out_what_is_no_digit() -> None:
    said = np.eye(12, dtype=np.float32)[[3, 10, 5, 2]]
    assert right("segment", said, np.array([3, 10, 4, np.nan], np.float32)) == pytest.approx(2 / 3)


def test_a_network_that_misreads_is_not_installed() -> None:
    check({"readable": {"right": 0.97}})
    with pytest.raises(ModelError, match=r"96\.9 % of readable digits right, and 97 % are wanted"):
        check({"readable": {"right": 0.969}})


def test_all_but_the_last_layer_is_taken_over() -> None:
    torch = pytest.importorskip("torch")
    from meerkat_training.networks import build
    from meerkat_training.train import begin_with

    wheel, display = build("wheel"), build("segment")
    begin_with(display, wheel.state_dict())
    taken = [
        torch.equal(mine, his)
        for mine, his in zip(display.state_dict().values(), wheel.state_dict().values(), strict=True)
        if mine.shape == his.shape
    ]
    assert all(taken)
    assert len(taken) == len(display.state_dict()) - 2
    with pytest.raises(UsageError, match="of another shape"):
        begin_with(display, build("needle").state_dict())
