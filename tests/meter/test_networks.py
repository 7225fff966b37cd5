"""The two networks as they are shipped, and what goes wrong with their files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from meerkat_contract.errors import ModelError
from meerkat_inference.meter.networks import FOLDER, Networks, softmax

pytest.importorskip("ai_edge_litert")


@pytest.mark.parametrize("suffix", ["", "-float"])
def test_each_network_gives_distributions(suffix: str) -> None:
    if not (FOLDER / f"wheel{suffix}.tflite").exists():
        assert suffix, "the network is part of the product"
        pytest.skip("float networks are there where they were trained: scripts/train-meter")
    networks = Networks(suffix=suffix)
    rng = np.random.default_rng(1)
    for run, shape in ((networks.wheels, (3, 32, 20, 3)), (networks.needles, (2, 48, 48, 3))):
        found = run(rng.integers(0, 256, shape, np.uint8))
        assert found.shape == (shape[0], 101)
        assert found.dtype == np.float32
        assert found.sum(axis=1) == pytest.approx(np.ones(shape[0]), abs=1e-4)
    networks.close()
    assert networks.wheels(np.zeros((1, 32, 20, 3), np.uint8)).shape == (1, 101)  # it loads again


def test_no_crops_need_no_network(tmp_path: Path) -> None:
    assert Networks(tmp_path).wheels(np.zeros((0, 32, 20, 3), np.uint8)).shape == (0, 101)


def test_the_temperature_of_the_card_counts(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "wheel.tflite", tmp_path)
    crop = np.random.default_rng(3).integers(0, 256, (1, 32, 20, 3), np.uint8)
    plain = Networks(tmp_path).wheels(crop)
    (tmp_path / "card.json").write_text(json.dumps({"networks": {"wheel": {"temperature": 4.0}}}))
    soft = Networks(tmp_path).wheels(crop)
    assert soft.max() < plain.max()
    assert soft.argmax() == plain.argmax()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"needle\.tflite"):
        Networks(tmp_path).needles(np.zeros((1, 48, 48, 3), np.uint8))


def test_an_edge_tpu_takes_the_compiled_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"wheel_edgetpu\.tflite"):
        Networks(tmp_path, device="usb:0").wheels(np.zeros((1, 32, 20, 3), np.uint8))


def test_a_broken_card_is_named(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "wheel.tflite", tmp_path)
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(ModelError, match=r"card\.json"):
        Networks(tmp_path).wheels(np.zeros((1, 32, 20, 3), np.uint8))


def test_softmax_of_large_numbers() -> None:
    assert softmax(np.array([[1000.0, 999.0, -1000.0]], np.float32))[0, 0] == pytest.approx(0.731, abs=1e-3)


def test_the_files_are_small() -> None:
    for name in ("wheel", "needle"):
        assert (FOLDER / f"{name}.tflite").stat().st_size <= 300_000


def test_the_command_imports_no_heavy_library() -> None:
    """`meerkat meter --help` on a Pi Zero, and no torch anywhere on the way to a reading."""
    light = "import sys, meerkat_inference.meter.command; sys.exit(bool({'numpy', 'cv2'} & set(sys.modules)))"
    reader = "import sys, meerkat_inference.meter.reader; sys.exit('torch' in sys.modules)"
    for code in (light, reader):
        assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
