from __future__ import annotations

from pathlib import Path

import pytest

from meerkat_inference import node


def zone(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir()
    (folder / name / "temp").write_text(text)


def test_the_hottest_zone_counts_and_those_that_cannot_be_read_do_not(tmp_path: Path) -> None:
    assert node.temperature(tmp_path) is None
    zone(tmp_path, "thermal_zone0", "48312\n")
    zone(tmp_path, "thermal_zone1", "61790\n")
    zone(tmp_path, "thermal_zone2", "")
    zone(tmp_path, "thermal_zone3", "-274000\n")
    zone(tmp_path, "cooling_device0", "99000\n")
    (tmp_path / "thermal_zone4").mkdir()
    (tmp_path / "thermal_zone4" / "temp").mkdir()
    assert node.temperature(tmp_path) == 61.8


def test_free_memory_is_what_programs_can_have(tmp_path: Path) -> None:
    path = tmp_path / "meminfo"
    assert node.memory_free(path) is None
    path.write_text("MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable:     500 kB\n")
    assert node.memory_free(path) == 512_000
    path.write_text("MemTotal: 1000 kB\n")
    assert node.memory_free(path) is None


def test_a_board_has_a_name_and_any_machine_its_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = tmp_path / "model"
    monkeypatch.setattr(node, "MODEL_FILES", (tmp_path / "none", board))
    assert node.hardware().endswith("cores")
    board.write_bytes(b"Raspberry Pi 4 Model B Rev 1.5\0")
    assert node.hardware() == "Raspberry Pi 4 Model B Rev 1.5"
