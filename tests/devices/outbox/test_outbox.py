"""The outbox: durable at every instant, and bounded."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from meerkat_contract.errors import StorageError
from meerkat_contract.ids import new_id
from meerkat_contract.metadata import Metadata
from meerkat_devices.outbox.outbox import Entry, Outbox
from meerkat_devices.outbox.room import RESERVE

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)


def opened(folder: Path, *, max_bytes: int = 1_000_000, refused_bytes: int = 10_000) -> Outbox:
    return Outbox(folder, max_bytes=max_bytes, refused_bytes=refused_bytes)


def described(*, video: bool = True, at: datetime = NOW) -> Metadata:
    return Metadata(id=new_id(), captured_at=at, content_type="video/mp4" if video else "image/jpeg")


def put(outbox: Outbox, size: int = 100, *, video: bool = True, at: datetime = NOW) -> Entry:
    metadata = described(video=video, at=at)
    return outbox.add_bytes("meerkat/device/pi/x", metadata, b"x" * size, retain=not video)


def test_entries_survive_a_restart_in_their_order(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    entries = [put(outbox, 100 + n) for n in range(5)]
    outbox.close()
    again = opened(tmp_path)
    assert again.waiting() == entries
    assert again.lend(entries[3]) == b"x" * 103
    assert again.counts().bytes == sum(entry.size for entry in entries)
    again.close()


def test_a_receipt_forgets_row_and_file(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    entry = put(outbox)
    assert outbox.forget(entry.id)
    assert not outbox.forget(entry.id), "a second receipt changes nothing"
    assert outbox.waiting() == []
    assert not outbox.path(entry.id).exists()
    outbox.close()


def test_what_is_refused_is_kept_aside_within_bounds(tmp_path: Path) -> None:
    outbox = opened(tmp_path, refused_bytes=250)
    entries = [put(outbox, 100) for _ in range(4)]
    for number, entry in enumerate(entries):
        assert outbox.refuse(entry.id, "no MP4")
        os.utime(outbox.refused_folder / entry.id, (number, number))
    assert outbox.waiting() == []
    kept = {path.name for path in outbox.refused_folder.iterdir()}
    assert kept == {name for e in entries[2:] for name in (e.id, f"{e.id}.json")}
    assert '"reason": "no MP4"' in (outbox.refused_folder / f"{entries[3].id}.json").read_text()
    outbox.close()


def test_when_full_the_oldest_clips_go_first_then_pictures(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    outbox = opened(tmp_path, max_bytes=1_000_000)
    outbox.on_evicted = lambda count, size: not told.append((count, size))  # type: ignore[func-returns-value]
    picture = put(outbox, 300_000, video=False)
    first, second = put(outbox, 300_000), put(outbox, 300_000)
    assert outbox.lend(first) is not None
    third = put(outbox, 300_000)
    assert [e.id for e in outbox.waiting()] == [picture.id, first.id, third.id], "first is on its way"
    assert not outbox.path(second.id).exists()
    outbox.give_back(first.id)
    fourth = put(outbox, 900_000)
    assert [e.id for e in outbox.waiting()] == [fourth.id]
    assert told == [(1, 300_000), (3, 900_000)]
    assert outbox.counts().evicted == 4
    assert outbox.lend(picture) is None
    outbox.close()


def test_what_went_is_counted_over_restarts_and_told_once_somebody_hears_it(tmp_path: Path) -> None:
    outbox = opened(tmp_path, max_bytes=1_000_000)
    outbox.on_evicted = lambda count, size: False
    for _ in range(4):
        put(outbox, 600_000)
    outbox.refuse(outbox.waiting()[0].id, "no MP4")
    outbox.close()
    again = opened(tmp_path, max_bytes=1_000_000)
    told: list[tuple[int, int]] = []
    again.on_evicted = lambda count, size: not told.append((count, size))  # type: ignore[func-returns-value]
    again.remind()
    again.remind()
    assert told == [(3, 1_800_000)], "once"
    assert again.counts().evicted == 3
    assert again.counts().refused == 1
    again.close()
    last = opened(tmp_path)
    last.on_evicted = again.on_evicted
    last.remind()
    assert told == [(3, 1_800_000)]
    last.close()


def test_nothing_is_given_up_for_what_cannot_be_kept_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = opened(tmp_path, max_bytes=1_000_000)
    entries = [put(outbox, 1000) for _ in range(3)]
    with pytest.raises(StorageError, match="more than the whole outbox may hold"):
        put(outbox, 1_000_001)
    monkeypatch.setattr(
        "meerkat_devices.outbox.room.shutil.disk_usage", lambda _: SimpleNamespace(free=500, total=10**10)
    )
    with pytest.raises(StorageError, match="No space left"):
        put(outbox, 4_000)
    assert outbox.waiting() == entries
    assert not list(tmp_path.glob("*.part"))
    outbox.close()


def test_a_receipt_for_what_is_just_being_written_takes_nothing(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    about = described()
    outbox.temporary(about.id).write_bytes(b"half")
    assert not outbox.forget(about.id)
    assert outbox.temporary(about.id).exists()
    outbox.close()


def test_a_full_disk_costs_the_oldest_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = opened(tmp_path)
    entries = [put(outbox, 1000) for _ in range(4)]

    def usage(_: Path) -> SimpleNamespace:
        used = 1000 * len([p for p in tmp_path.iterdir() if p.suffix in (".bin", ".part")])
        return SimpleNamespace(free=RESERVE + 3500 - used, total=10**10)

    monkeypatch.setattr("meerkat_devices.outbox.room.shutil.disk_usage", usage)
    newest = put(outbox, 1000)
    assert [e.id for e in outbox.waiting()] == [entries[2].id, entries[3].id, newest.id]
    outbox.close()


def test_an_older_picture_is_not_the_newest(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    older = put(outbox, video=False)
    newer = put(outbox, video=False)
    assert outbox.is_newest(newer)
    assert not outbox.is_newest(older)
    outbox.forget(newer.id)
    outbox.close()
    again = opened(tmp_path)
    assert not again.is_newest(older)
    again.close()


def test_a_clock_that_was_ahead_does_not_silence_a_meter(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    ahead = put(outbox, video=False, at=NOW.replace(year=2036))
    after = put(outbox, video=False, at=NOW)
    assert outbox.is_newest(after)
    assert not outbox.is_newest(ahead)
    outbox.close()


def test_room_is_made_before_a_clip_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = opened(tmp_path)
    entries = [put(outbox, 1000) for _ in range(3)]

    def usage(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=RESERVE + 3500 - 1000 * len(list(tmp_path.glob("*.bin"))), total=10**10)

    monkeypatch.setattr("meerkat_devices.outbox.room.shutil.disk_usage", usage)
    outbox.make_room(1500)
    assert outbox.waiting() == entries[1:]
    assert usage(tmp_path).free >= RESERVE + 1500
    outbox.close()


def test_the_file_goes_before_its_row_so_that_a_full_disk_can_be_emptied(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    entry = put(outbox)
    there: list[bool] = []
    assert outbox._index.database
    outbox._index.database.set_trace_callback(
        lambda sql: there.append(outbox.path(entry.id).exists()) if sql.startswith("DELETE") else None
    )
    outbox.forget(entry.id)
    assert there == [False]
    outbox.close()


def test_opening_writes_nothing_so_that_a_full_disk_does_not_hinder_it(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    entry = put(outbox)
    outbox.close()
    before = (tmp_path / "outbox.sqlite").read_bytes()
    again = opened(tmp_path)
    assert not (tmp_path / "outbox.sqlite-shm").exists()
    wal = tmp_path / "outbox.sqlite-wal"
    assert not wal.exists() or wal.stat().st_size == 0
    assert again.waiting() == [entry]
    again.close()
    assert (tmp_path / "outbox.sqlite").read_bytes() == before


def test_a_picture_that_finds_no_room_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = opened(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("meerkat_devices.outbox.files.os.fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        put(outbox)
    assert not list(tmp_path.glob("*.part"))
    outbox.close()


@pytest.mark.parametrize("damage", ["header", "page", "empty rows"])
def test_a_damaged_database_is_set_aside_and_what_can_be_saved_goes_on(tmp_path: Path, damage: str) -> None:
    outbox = opened(tmp_path, refused_bytes=10_000_000)
    entries = [put(outbox, 100) for _ in range(60)]
    outbox.close()
    path = tmp_path / "outbox.sqlite"
    content = bytearray(path.read_bytes())
    if damage == "header":
        content[:100] = bytes(100)
    elif damage == "page":
        content[-3 * 4096 :] = bytes(3 * 4096)
    else:
        content[4096:] = bytes(len(content) - 4096)
    path.write_bytes(content)
    again = opened(tmp_path, refused_bytes=10_000_000)
    assert again.damaged
    assert path.with_name("outbox.sqlite.damaged").exists()
    waiting = again.waiting()
    assert waiting == entries, "the files say what the database has lost"
    assert not list(again.refused_folder.iterdir())
    new = put(again)
    assert again.waiting()[-1] == new
    again.close()
    whole = opened(tmp_path)
    assert not whole.damaged
    whole.close()


def test_a_row_that_cannot_be_read_is_read_from_the_file(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    first, second, third = (put(outbox) for _ in range(3))
    assert outbox._index.database
    outbox._index.database.execute("UPDATE entry SET metadata = '{' WHERE id = ?", (first.id,))
    outbox._index.database.execute("UPDATE entry SET metadata = '{}' WHERE id = ?", (second.id,))
    outbox.close()
    outbox.path(second.id).write_bytes(b"neither")
    again = opened(tmp_path)
    assert again.waiting() == [first, third]
    assert {p.name for p in again.refused_folder.iterdir()} == {second.id, f"{second.id}.json"}
    again.close()


@pytest.mark.parametrize("damage", ["shorter", "other", "no tail"])
def test_a_file_that_is_not_what_was_written_is_never_lent(tmp_path: Path, damage: str) -> None:
    outbox = opened(tmp_path)
    entry, other = put(outbox, 500), put(outbox, 500)
    path = outbox.path(entry.id)
    content = bytearray(path.read_bytes())
    if damage == "other":
        content[250] ^= 1
    path.write_bytes(content[: {"shorter": 250, "other": len(content), "no tail": 500}[damage]])
    with pytest.raises(StorageError, match="was damaged on the disk"):
        outbox.lend(entry)
    assert outbox.lend(entry) is None
    assert outbox.waiting() == [other]
    assert outbox.counts().refused == 1
    assert (outbox.refused_folder / entry.id).exists()
    outbox.close()


def test_what_is_given_up_is_told_by_name(tmp_path: Path) -> None:
    outbox = opened(tmp_path, max_bytes=1_000_000)
    first = put(outbox, 600_000)
    gone: list[str] = []
    outbox.watch(lambda entry: None, gone.append)
    put(outbox, 600_000)
    assert gone == [first.id]
    outbox.close()


def test_two_processes_cannot_share_it(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    with pytest.raises(StorageError, match="another process"):
        opened(tmp_path)
    outbox.close()
    opened(tmp_path).close()


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    assert outbox._index.database
    outbox._index.database.execute("PRAGMA user_version = 99")
    outbox.close()
    with pytest.raises(StorageError, match="newer version"):
        opened(tmp_path)


def test_leftovers_are_cleared_and_half_done_steps_completed(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    renamed, unrenamed, rowless, lost, refused = (put(outbox) for _ in range(5))
    assert outbox._index.database
    outbox._index.database.execute("DELETE FROM entry WHERE id IN (?, ?)", (unrenamed.id, rowless.id))
    outbox.close()
    outbox.path(unrenamed.id).rename(outbox.temporary(unrenamed.id))  # died between seal and rename
    outbox.path(lost.id).unlink()
    outbox.path(refused.id).rename(outbox.refused_folder / refused.id)  # died before its row went
    half, strange, cut = new_id(), new_id(), new_id()
    outbox.temporary(half).write_bytes(b"half a cl")
    whole = outbox.path(renamed.id).read_bytes()
    outbox.temporary(cut).write_bytes(whole[:50] + bytes(40) + whole[90:])  # a power cut
    outbox.path(strange).write_bytes(b"of another version")
    again = opened(tmp_path)
    assert again.waiting() == [renamed, unrenamed, rowless], "each with its place in the order"
    assert again.lend(unrenamed) == b"x" * 100
    assert again.repaired == 3
    assert {p.stem for p in tmp_path.glob("*.bin")} == {renamed.id, unrenamed.id, rowless.id}
    assert not list(tmp_path.glob("*.part"))
    assert (again.refused_folder / strange).read_bytes() == b"of another version"
    assert put(again).seq == refused.seq + 1
    again.close()


CHILD = """
import sys, random
from datetime import UTC, datetime
from pathlib import Path
from meerkat_contract.ids import new_id
from meerkat_contract.metadata import Metadata
from meerkat_devices.outbox.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]), max_bytes=10**9, refused_bytes=10**6)
mine = [entry.id for entry in outbox.waiting()]
def say(word, id): print(word, id, flush=True)
while True:
    id = new_id()
    say("adding", id)
    outbox.add_bytes("t", Metadata(id=id, captured_at=datetime.now(UTC), content_type="video/mp4"),
                     id.encode() * random.randint(1, 3000))
    say("added", id)
    mine.append(id)
    if len(mine) > 3:
        gone = mine.pop(0)
        say("ending", gone)
        if random.random() < 0.3: outbox.refuse(gone, "r")
        else: outbox.forget(gone)
        say("ended", gone)
"""


def test_kill_9_at_any_instant_loses_nothing(tmp_path: Path) -> None:
    chance = random.Random(20261120)
    must: set[str] = set()
    may: set[str] = set()
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout
            lines = [child.stdout.readline() for _ in range(chance.randint(8, 60))]
            time.sleep(chance.uniform(0, 0.01))
            child.kill()
            lines += child.stdout.readlines()
        for line in lines:
            if not line.endswith("\n"):
                continue
            word, entry_id = line.split()
            if word == "adding":
                may.add(entry_id)
            elif word == "added":
                must.add(entry_id)
            else:
                must.discard(entry_id)
                (may.discard if word == "ended" else may.add)(entry_id)
        outbox = opened(tmp_path, max_bytes=10**9)
        waiting = outbox.waiting()
        found = {entry.id for entry in waiting}
        assert must <= found <= may | must
        for entry in waiting:
            content = outbox.lend(entry)
            assert content is not None
            assert len(content) == entry.size
            assert content == entry.id.encode() * (entry.size // 36)
        assert {path.stem for path in tmp_path.glob("*.bin")} == found
        assert not list(tmp_path.glob("*.part"))
        outbox.close()
        must = set(found)
        may = set(found)
