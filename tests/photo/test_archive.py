"""The archive: named by local time, never overwritten, bounded, whole or not there."""

from __future__ import annotations

import errno
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from meerkat_contract.errors import StorageError
from meerkat_devices.photo.archive import Archive
from meerkat_devices.settings.photo import ArchiveSettings
from support.disks import memory_disk

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)


def archive(folder: Path, **limits: int) -> Archive:
    return Archive(
        folder, ArchiveSettings.model_construct(**{**ArchiveSettings().model_dump(), **limits}), zone=BERLIN
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_pictures_are_named_by_local_time(tmp_path: Path) -> None:
    path = archive(tmp_path / "new" / "folder").add(b"jpeg", NOON)
    assert path == tmp_path / "new" / "folder" / "2026-11-20_1200.jpg"
    assert path.read_bytes() == b"jpeg"
    assert names(path.parent) == ["2026-11-20_1200.jpg"]


def test_a_second_picture_of_a_minute_gets_a_number(tmp_path: Path) -> None:
    kept = archive(tmp_path)
    for number in range(3):
        kept.add(b"%d" % number, NOON + timedelta(seconds=number))
    assert names(tmp_path) == ["2026-11-20_1200.jpg", "2026-11-20_1200_2.jpg", "2026-11-20_1200_3.jpg"]
    assert (tmp_path / "2026-11-20_1200.jpg").read_bytes() == b"0"


def test_the_hour_that_comes_twice_overwrites_nothing(tmp_path: Path) -> None:
    kept = archive(tmp_path)
    half_past = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    kept.add(b"summer", half_past)
    kept.add(b"winter", half_past + timedelta(hours=1))
    assert names(tmp_path) == ["2026-10-25_0230.jpg", "2026-10-25_0230_2.jpg"]


def test_the_oldest_go_by_number(tmp_path: Path) -> None:
    kept = archive(tmp_path, max_files=3)
    for minute in (0, 0, 1, 2, 3):
        kept.add(b"x", NOON + timedelta(minutes=minute))
    assert names(tmp_path) == ["2026-11-20_1201.jpg", "2026-11-20_1202.jpg", "2026-11-20_1203.jpg"]


def test_the_tenth_of_a_minute_is_younger_than_the_second(tmp_path: Path) -> None:
    kept = archive(tmp_path, max_files=10)
    for _ in range(11):
        kept.add(b"x", NOON)
    assert "2026-11-20_1200_11.jpg" in names(tmp_path)
    assert "2026-11-20_1200_2.jpg" in names(tmp_path)
    assert "2026-11-20_1200.jpg" not in names(tmp_path)


def test_the_oldest_go_by_size(tmp_path: Path) -> None:
    kept = archive(tmp_path, max_bytes=1000)
    for minute in range(4):
        kept.add(bytes(400), NOON + timedelta(minutes=minute))
    assert names(tmp_path) == ["2026-11-20_1202.jpg", "2026-11-20_1203.jpg"]


def test_the_oldest_go_by_day_at_the_very_minute(tmp_path: Path) -> None:
    kept = archive(tmp_path, keep_days=2)
    kept.add(b"x", NOON)
    kept.add(b"x", NOON + timedelta(days=2))
    assert names(tmp_path) == ["2026-11-20_1200.jpg", "2026-11-22_1200.jpg"]
    kept.add(b"x", NOON + timedelta(days=2, minutes=1))
    assert names(tmp_path) == ["2026-11-22_1200.jpg", "2026-11-22_1201.jpg"]


def test_a_clock_that_is_not_set_ages_nothing(tmp_path: Path) -> None:
    kept = archive(tmp_path, keep_days=1)
    kept.add(b"x", datetime(1970, 1, 1, tzinfo=UTC), dated=False)
    kept.add(b"x", NOON, dated=False)
    assert len(names(tmp_path)) == 2


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    others = ["notes.txt", "2026-01-01_0000.png", "cat.jpg", "2026-01-01_0000_xx.jpg"]
    for name in others:
        (tmp_path / name).write_bytes(bytes(2000))
    kept = archive(tmp_path, max_files=1, max_bytes=1000)
    kept.add(b"x", NOON)
    kept.add(b"y", NOON + timedelta(minutes=1))
    assert names(tmp_path) == sorted([*others, "2026-11-20_1201.jpg"])


def test_a_full_disk_is_said_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = archive(tmp_path)
    kept.add(b"first", NOON)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left on device") as caught:
            kept.add(b"second", NOON + timedelta(minutes=1))
    assert caught.value.where == str(tmp_path)
    assert names(tmp_path) == ["2026-11-20_1200.jpg"]
    kept.add(b"third", NOON + timedelta(minutes=2))
    assert len(names(tmp_path)) == 2


def test_a_real_disk_that_is_full_or_read_only(tmp_path: Path) -> None:
    """What is there stays whole, and it goes on by itself when there is room again."""
    with memory_disk(tmp_path / "stick", 1) as stick:
        kept = archive(stick / "water")
        half_a_megabyte = b"x" * 500_000
        kept.add(half_a_megabyte, NOON)
        with pytest.raises(StorageError, match="No space left on device"):
            kept.add(b"y" * 700_000, NOON + timedelta(minutes=1))
        assert names(stick / "water") == ["2026-11-20_1200.jpg"]
        kept.add(b"z" * 100_000, NOON + timedelta(minutes=2))
        subprocess.run(["mount", "-o", "remount,ro", str(stick)], check=True)
        with pytest.raises(StorageError, match="Read-only"):
            kept.add(b"y", NOON + timedelta(minutes=3))
        subprocess.run(["mount", "-o", "remount,rw", str(stick)], check=True)
        kept.add(b"y", NOON + timedelta(minutes=4))
        assert names(stick / "water") == [f"2026-11-20_12{minute:02}.jpg" for minute in (0, 2, 4)]
        assert (stick / "water" / "2026-11-20_1200.jpg").read_bytes() == half_a_megabyte


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="not in the archive"):
        archive(tmp_path / "file" / "below").add(b"x", NOON)


def test_half_a_picture_of_a_crash_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".meerkat-half-written").write_bytes(b"half")
    archive(tmp_path).add(b"whole", NOON)
    assert names(tmp_path) == ["2026-11-20_1200.jpg"]
