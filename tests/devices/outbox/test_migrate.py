"""A device that is updated hands over what waited in the outbox of an earlier version."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meerkat_contract.ids import new_id
from meerkat_contract.metadata import Metadata
from meerkat_devices.outbox import migrate as outbox_migrate
from meerkat_devices.outbox.outbox import Outbox

SCHEMA_1 = """
CREATE TABLE entry (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, topic TEXT NOT NULL, kind TEXT NOT NULL,
  metadata TEXT NOT NULL, retain INTEGER NOT NULL, size INTEGER NOT NULL
);
CREATE TABLE newest (topic TEXT PRIMARY KEY, captured_at TEXT NOT NULL);
PRAGMA user_version = 1;
"""


def earlier(folder: Path, count: int = 6) -> list[Metadata]:
    """An outbox of schema 1: its database still has a log, as after a kill."""
    folder.mkdir()
    database = sqlite3.connect(folder / "outbox.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.executescript(SCHEMA_1)
    made = []
    for number in range(count):
        picture = number % 3 == 0
        about = Metadata(
            id=new_id(),
            captured_at=datetime(2026, 11, 19, 8, tzinfo=UTC) + timedelta(minutes=number),
            content_type="image/jpeg" if picture else "video/mp4",
        )
        made.append(about)
        (folder / f"{about.id}.bin").write_bytes(content(about))
        row = (number + 5, about.id, "meerkat/device/pi/x/y", "picture" if picture else "clip")
        text = about.model_dump_json(by_alias=True)
        database.execute(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, text, picture, len(content(about)))
        )
    (folder / f"{made[-1].id}.bin").rename(folder / f"{made[-1].id}.part")  # died before the rename
    kept = {name: (folder / name).read_bytes() for name in ("outbox.sqlite", "outbox.sqlite-wal")}
    database.close()
    for name, as_killed in kept.items():
        (folder / name).write_bytes(as_killed)
    return made


def content(about: Metadata) -> bytes:
    return about.id.encode() * 20


def check(folder: Path, made: list[Metadata]) -> None:
    outbox = Outbox(folder, max_bytes=10**7, refused_bytes=10**6)
    assert outbox.trouble is None
    waiting = outbox.waiting()
    assert [entry.metadata for entry in waiting] == made, "in their order, with their times"
    assert [entry.retain for entry in waiting] == [about.content_type == "image/jpeg" for about in made]
    assert [outbox.lend(entry) for entry in waiting] == [content(about) for about in made]
    assert outbox.is_newest(waiting[3])
    assert not outbox.is_newest(waiting[0])
    assert not list(outbox.refused_folder.iterdir())
    new = Metadata(id=new_id(), captured_at=datetime(2026, 11, 20, tzinfo=UTC), content_type="video/mp4")
    assert outbox.add_bytes("t", new, b"new").seq > waiting[-1].seq
    outbox.forget(new.id)
    outbox.close()


def test_what_waited_before_an_update_is_handed_over_after_it(tmp_path: Path) -> None:
    made = earlier(tmp_path / "outbox")
    check(tmp_path / "outbox", made)
    check(tmp_path / "outbox", made)


@pytest.mark.parametrize("step", ["os.truncate", "seal", "sync"])
@pytest.mark.parametrize("time", [0, 3])
def test_an_update_that_is_broken_off_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, time: int
) -> None:
    made = earlier(tmp_path / "outbox")
    owner = os if "." in step else outbox_migrate
    real, left = getattr(owner, step.rsplit(".", maxsplit=1)[-1]), [time]

    def dies(*arguments: object, **options: object) -> object:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(f"meerkat_devices.outbox.migrate.{step}", dies)
        with pytest.raises(KeyboardInterrupt):
            Outbox(tmp_path / "outbox", max_bytes=10**7, refused_bytes=10**6)
    check(tmp_path / "outbox", made)


def test_a_file_that_was_cut_short_is_kept_aside(tmp_path: Path) -> None:
    made = earlier(tmp_path / "outbox")
    path = tmp_path / "outbox" / f"{made[1].id}.bin"
    path.write_bytes(b"half")
    outbox = Outbox(tmp_path / "outbox", max_bytes=10**7, refused_bytes=10**6)
    assert [entry.id for entry in outbox.waiting()] == [about.id for about in made if about is not made[1]]
    assert (outbox.refused_folder / made[1].id).read_bytes() == b"half"
    outbox.close()
