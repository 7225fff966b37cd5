"""The networks that are committed: what every worker can run, what the card says, what they are worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meerkat_contract.errors import ModelError
from meerkat_training import card, dataset
from meerkat_training.evaluate import Runner, agreement, confident, nothings, score
from meerkat_training.export import check_int8, operators
from meerkat_training.networks import SHAPES
from meerkat_training.targets import softmax

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "hub/meerkat_inference/meter/models"
KINDS = ("wheel", "needle")


@pytest.mark.parametrize("kind", KINDS)
def test_runs_on_every_worker(kind: str) -> None:
    check_int8(MODELS / f"{kind}.tflite", kind)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unquantised_file_is_refused_with_its_faults(kind: str) -> None:
    path = MODELS / f"{kind}-float.tflite"

    with pytest.raises(ModelError, match=r"bytes, 300000 at most.*is not quantised.*not uint8"):
        check_int8(path, kind)
    assert "TRANSPOSE" not in operators(path)


def test_a_wheel_is_no_needle() -> None:
    with pytest.raises(ModelError, match=r"the input is not uint8 \(1, 48, 48, 3\)"):
        check_int8(MODELS / "wheel.tflite", "needle")


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_tells_of_these_files(kind: str) -> None:
    entry = card.read(MODELS)["networks"][kind]

    for name, facts in entry["files"].items():
        assert facts["sha256"] == card.fingerprint(MODELS / name), f"{name}: write its card anew (--score)"
    assert entry["input"] == [1, SHAPES[kind].height, SHAPES[kind].width, 3]
    assert 0.5 < entry["temperature"] < 2


def test_the_page_is_the_cards() -> None:
    written = (ROOT / "docs/reference/meter-models.md").read_text(encoding="utf-8")

    assert written == card.page(card.read(MODELS)), "scripts/train-meter --score writes it anew"


@pytest.mark.parametrize(("kind", "within"), [("wheel", 0.8), ("needle", 0.6)])
def test_reads_renders_it_never_saw_as_the_float_file_does(kind: str, within: float) -> None:
    render = dataset.wheels if kind == "wheel" else dataset.needles
    pictures, positions = render(150, 987_654, 1)

    small = Runner(MODELS / f"{kind}.tflite").logits(pictures)
    full = Runner(MODELS / f"{kind}-float.tflite").logits(pictures)

    assert score(softmax(small), positions).within >= within
    assert agreement(full, small)["within_one_bin"] >= 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_believes_nothing_that_is_no_meter(kind: str) -> None:
    shape = SHAPES[kind]
    pictures = nothings(150, shape.height, shape.width, 3)

    assert confident(softmax(Runner(MODELS / f"{kind}.tflite").logits(pictures))) <= 0.02


def test_a_score_leaves_out_what_shows_nothing() -> None:
    shares = np.zeros((3, 101), np.float32)
    shares[0, 30] = shares[1, 99] = shares[2, 100] = 1

    found = score(shares, np.array([3.1, 0.0, np.nan], np.float32))

    assert found.pictures == 2
    assert found.within == 1
    assert found.error == pytest.approx(0.1, abs=1e-5)
    assert found.steady == 1
