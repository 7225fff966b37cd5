"""Twenty steps from renders to a file that a worker opens. Only where torch is: .venv-train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs .venv-train, which scripts/train-meter makes")
pytest.importorskip("litert_torch", reason="the export needs .venv-train, which scripts/train-meter makes")

from meerkat_training import dataset  # noqa: E402
from meerkat_training.augment import augment  # noqa: E402
from meerkat_training.evaluate import Runner, agreement  # noqa: E402
from meerkat_training.export import check_int8, export_float, export_int8  # noqa: E402
from meerkat_training.networks import build, folded  # noqa: E402
from meerkat_training.train import Look, Plan, predict, train  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporters' own


def test_twenty_steps_give_a_file_that_agrees(tmp_path: Path) -> None:
    looks: list[Look] = []
    plan = Plan(samples=20 * 64, batch=64, stock=1024, uses=100, held_out=64, looks=4)
    trained = train("wheel", dataset.wheels, plan, extra=dataset.wheels(3, 8), tell=looks.append)
    assert trained.samples == 1280
    assert looks[-1].loss < looks[0].loss

    full, small = tmp_path / "wheel-float.tflite", tmp_path / "wheel.tflite"
    pictures, _ = dataset.wheels(100, 5)
    export_float(trained.network, "wheel", full)
    export_int8(full, pictures, small)

    check_int8(small, "wheel")
    np.testing.assert_allclose(Runner(full).logits(pictures), predict(trained.network, pictures), atol=1e-3)
    assert agreement(Runner(full).logits(pictures), Runner(small).logits(pictures))["same"] > 0.5


@pytest.mark.parametrize("kind", ["wheel", "needle"])
def test_folding_changes_nothing_but_the_scale(kind: str) -> None:
    network = build(kind).eval()
    pictures = torch.rand(2, 3, 32, 20) if kind == "wheel" else torch.rand(2, 3, 48, 48)

    assert torch.allclose(folded(network)(pictures * 255), network(pictures), atol=1e-4)


def test_pictures_suffer_but_stay_where_they_are() -> None:
    pictures = torch.full((64, 3, 32, 20), 0.2)
    pictures[:, :, 12:20] = 0.8
    suffered = augment(pictures, torch.Generator().manual_seed(1))

    assert suffered.shape == pictures.shape
    assert 0 <= float(suffered.min()) <= float(suffered.max()) <= 1
    edge = (suffered[:, :, 12] - suffered[:, :, 11]).abs().mean((1, 2))
    assert float((edge > 0.2).float().mean()) > 0.9
