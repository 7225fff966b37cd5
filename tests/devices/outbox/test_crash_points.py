"""Killed before every single line of the outbox: what was safe is there afterwards, whole and once."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.crash_points import DONE, IDS, NEW

DRIVER = Path(__file__).parents[2] / "support" / "crash_points.py"


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder that needs no disk to sync: a kill takes nothing from the system."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


def at_every_point(folder: Path, step: str) -> list[dict[str, Any]]:
    """What is found after a kill at each point; the last one was not killed."""
    command = [sys.executable, str(DRIVER), str(folder), step]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) > 10
    for point in found:
        assert len(point["whole"]) == point["waiting"], point
        assert point["files"] == sorted(f"{entry_id}.bin" for entry_id in point["whole"]), point
        assert point["repaired again"] == 0, "it was repaired at once"
        assert point["same again"], point
        assert point["whole"] == sorted(point["whole"]), "in their order"
    assert found[-1]["status"] == DONE
    return found


def changes(found: list[dict[str, Any]]) -> list[list[str]]:
    """What was found, each followed by the next that differs from it."""
    seen: list[list[str]] = []
    for point in found:
        if point["whole"] not in seen[-1:]:
            seen.append(point["whole"])
    return seen


def test_while_it_is_added(memory: Path) -> None:
    found = at_every_point(memory, "add")
    assert changes(found) == [IDS[:3], IDS], "from one line on it is there, and stays"


def test_while_it_is_added_and_synced_by_another_thread(memory: Path) -> None:
    found = at_every_point(memory, "add and go on")
    assert NEW in found[-1]["whole"]
    assert changes(found) == [IDS[:3], IDS]


def test_while_it_is_forgotten(memory: Path) -> None:
    assert changes(at_every_point(memory, "forget")) == [IDS[:3], IDS[1:3]]


def test_while_it_is_put_aside(memory: Path) -> None:
    found = at_every_point(memory, "refuse")
    assert changes(found) == [IDS[:3], IDS[1:3]]
    for point in found:
        if IDS[0] not in point["whole"]:
            assert point["refused"] == [IDS[0], f"{IDS[0]}.json"], point


def test_while_room_is_made(memory: Path) -> None:
    assert changes(at_every_point(memory, "make room")) == [IDS[:3], IDS[1:3], IDS[2:3]]


def test_while_a_damaged_folder_is_repaired(memory: Path) -> None:
    assert changes(at_every_point(memory, "open")) == [IDS[:3]]
