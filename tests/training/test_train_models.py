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
def test_nothing_is_transposed_or_computed_in_floats(kind: str) -> None:
    assert set(operators(MODELS / f"{kind}.tflite")) == {"QUANTIZE", "PAD", "CONV_2D", "RESHAPE"}


def test_a_wheel_is_no_needle() -> None:
    with pytest.raises(ModelError, match=r"the input is not uint8 \(1, 48, 48, 3\)"):
        check_int8(MODELS / "wheel.tflite", "needle")


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_tells_of_these_files(kind: str) -> None:
    entry = card.read(MODELS)["networks"][kind]

    facts = entry["files"][f"{kind}.tflite"]
    assert facts["sha256"] == card.fingerprint(MODELS / f"{kind}.tflite"), "--score writes the card anew"
    assert entry["input"] == [1, SHAPES[kind].height, SHAPES[kind].width, 3]
    assert 0.5 < entry["temperature"] < 2


def test_the_page_is_the_cards() -> None:
    written = (ROOT / "docs/reference/meter-models.md").read_text(encoding="utf-8")

    assert written == card.page(card.read(MODELS)), "scripts/train-meter --score writes it anew"


@pytest.mark.parametrize(("kind", "within"), [("wheel", 0.88), ("needle", 0.85)])
def test_reads_renders_it_never_saw(kind: str, within: float) -> None:
    render = dataset.wheels if kind == "wheel" else dataset.needles
    pictures, positions = render(150, 987_654, 1)

    logits = Runner(MODELS / f"{kind}.tflite").logits(pictures)

    assert score(softmax(logits), positions).within >= within


def test_neighbouring_bins_agree_all_but() -> None:
    bins = np.eye(101, dtype=np.float32)
    full, small = bins[[0, 5, 100, 7, 100]], bins[[99, 5, 100, 9, 99]]

    assert agreement(full, small) == {"same": 0.4, "within_one_bin": 0.6}


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
