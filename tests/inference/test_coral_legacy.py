"""The engine suite in the environment of the extra coral-legacy: Python 3.11, NumPy 1, tflite_runtime."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_the_engine_suite_passes_with_tflite_runtime(tmp_path: Path) -> None:
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("needs uv to make the environment")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "-p", "3.11", str(tmp_path / "venv")], check=True)
    install = [
        uv,
        "pip",
        "install",
        "-q",
        "-p",
        str(python),
        "pytest",
        "pytest-timeout",
        f"{ROOT}[coral-legacy]",
    ]
    subprocess.run(install, check=True)
    command = [str(python), "-m", "pytest", "-q", "-ra", "tests/inference/test_engines.py"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "tflite_runtime is not installed" not in done.stdout, done.stdout
