"""The outbox: durable at every instant, bounded, and what is sent when."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat_contract.errors import StorageError
from meerkat_contract.ids import new_id
from meerkat_contract.metadata import Metadata
from meerkat_devices.lanes import RECEIPT_SECONDS, WINDOW, Lanes
from meerkat_devices.outbox import RESERVE, Entry, Outbox

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
    outbox.on_evicted = lambda count, size: told.append((count, size))
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


def test_a_full_disk_costs_the_oldest_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = opened(tmp_path)
    entries = [put(outbox, 1000) for _ in range(4)]

    def usage(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=RESERVE + 2500 - sum(p.stat().st_size for p in tmp_path.glob("*.bin")))

    monkeypatch.setattr("meerkat_devices.outbox.shutil.disk_usage", usage)
    newest = put(outbox, 1000)
    assert [e.id for e in outbox.waiting()] == [entries[2].id, entries[3].id, newest.id]
    outbox.close()


def test_an_older_picture_is_not_the_newest(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    newer = put(outbox, video=False, at=NOW + timedelta(seconds=1))
    older = put(outbox, video=False, at=NOW)
    assert outbox.is_newest(newer)
    assert not outbox.is_newest(older)
    outbox.forget(newer.id)
    outbox.close()
    again = opened(tmp_path)
    assert not again.is_newest(older)
    again.close()


def test_two_processes_cannot_share_it(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    with pytest.raises(StorageError, match="another process"):
        opened(tmp_path)
    outbox.close()
    opened(tmp_path).close()


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox._db.execute("PRAGMA user_version = 99")
    outbox.close()
    with pytest.raises(StorageError, match="newer version"):
        opened(tmp_path)


def test_leftovers_are_cleared_and_half_done_steps_completed(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    renamed, unrenamed, lost, refused = (put(outbox) for _ in range(4))
    outbox.close()
    outbox.path(unrenamed.id).rename(outbox.temporary(unrenamed.id))  # died between commit and rename
    outbox.path(lost.id).unlink()
    outbox.path(refused.id).rename(outbox.refused_folder / refused.id)  # died before its row went
    half, orphan = new_id(), new_id()
    outbox.temporary(half).write_bytes(b"half a cl")
    outbox.path(orphan).write_bytes(b"receipt came, row is gone")
    again = opened(tmp_path)
    assert [e.id for e in again.waiting()] == [renamed.id, unrenamed.id]
    assert again.lend(unrenamed) == b"x" * 100
    assert again.repaired == 3
    assert {p.stem for p in tmp_path.glob("*.bin")} == {renamed.id, unrenamed.id}
    assert not list(tmp_path.glob("*.part"))
    again.close()


CHILD = """
import sys, random
from datetime import UTC, datetime
from pathlib import Path
from meerkat_contract.ids import new_id
from meerkat_contract.metadata import Metadata
from meerkat_devices.outbox import Outbox
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


# --- lanes -------------------------------------------------------------------------------------------


def entry(seq: int, size: int = 1000) -> Entry:
    return Entry(seq, f"id-{seq}", "t", described(), False, size)


def test_live_goes_first_and_each_lane_keeps_its_order() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9, window=10)
    lanes.spool([entry(1), entry(2)])
    lanes.add(entry(3))
    assert lanes.next(0) is None, "not connected"
    lanes.connected()
    lanes.add(entry(4))
    lanes.add(entry(5))
    order = []
    now = 0.0
    while chosen := lanes.next(now):
        order.append(chosen.seq)
        now += 1
    assert order == [4, 5, 1, 2, 3]


def test_the_window_bounds_what_is_on_its_way() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    for seq in range(5):
        lanes.add(entry(seq))
    assert [bool(lanes.next(0)) for _ in range(4)] == [True] * WINDOW + [False] * (4 - WINDOW)
    lanes.settled("id-0")
    assert (third := lanes.next(0))
    assert third.seq == 2
    assert lanes.next(0) is None


def test_a_backlog_is_sent_at_its_rate_and_live_does_not_wait_for_it() -> None:
    lanes = Lanes(spooled_bytes_per_second=1000, window=10)
    lanes.spool([entry(1, 5000), entry(2, 5000)])
    lanes.connected()
    assert (first := lanes.next(0))
    assert first.seq == 1
    assert lanes.next(4.999) is None
    assert lanes.wake_at(1) == 5
    lanes.add(entry(3))
    assert (live := lanes.next(1))
    assert live.seq == 3
    assert (second := lanes.next(5))
    assert second.seq == 2


def test_no_receipt_within_the_time_means_again_and_later_each_time() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    lanes.add(entry(1))
    assert lanes.next(0)
    assert lanes.wake_at(0) == RECEIPT_SECONDS
    assert lanes.overdue(RECEIPT_SECONDS - 0.001) == []
    assert lanes.overdue(RECEIPT_SECONDS) == ["id-1"]
    assert lanes.next(RECEIPT_SECONDS)
    assert lanes.overdue(3 * RECEIPT_SECONDS - 0.001) == []
    assert lanes.overdue(3 * RECEIPT_SECONDS) == ["id-1"]


def test_a_reconnect_sends_at_once_what_had_no_receipt() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    lanes.add(entry(1))
    assert lanes.next(0)
    assert lanes.disconnected() == ["id-1"]
    assert lanes.next(1) is None
    assert lanes.wake_at(1) is None
    lanes.connected()
    assert (again := lanes.next(1))
    assert again.seq == 1


def test_what_the_broker_does_not_take_backs_off() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    lanes.add(entry(1))
    assert lanes.next(0)
    lanes.failed("id-1", 0)
    assert lanes.next(0.999) is None
    assert lanes.next(1)


def test_while_the_hub_is_away_nothing_is_sent_and_all_at_once_when_it_is_back() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    lanes.add(entry(1))
    assert lanes.next(0)
    assert lanes.hub_is(away=True) == []
    lanes.add(entry(2))
    assert lanes.next(0) is None
    assert lanes.hub_is(away=False) == ["id-1"]
    assert lanes.hub_is(away=False) == [], "nothing new"
    assert lanes.next(1)
    assert lanes.next(1)
    assert lanes.on_way == {"id-1", "id-2"}


def test_a_hub_that_says_it_is_online_anew_gets_again_what_it_may_have_lost() -> None:
    lanes = Lanes(spooled_bytes_per_second=1e9)
    lanes.connected()
    lanes.add(entry(1))
    assert lanes.next(0)
    assert lanes.hub_is(away=False, news=True) == ["id-1"]
    assert lanes.next(0)


@given(st.lists(st.sampled_from("a c d n s f o h H".split()), max_size=60), st.randoms())
def test_no_entry_is_ever_lost_or_in_two_places(steps: list[str], chance: random.Random) -> None:
    lanes = Lanes(spooled_bytes_per_second=1e5)
    expected: set[str] = set()
    now = 0.0
    for seq, step in enumerate(steps):
        now += chance.uniform(0, 40)
        some = chance.choice(sorted(expected)) if expected else "none"
        match step:
            case "a":
                lanes.add(entry(seq))
                expected.add(f"id-{seq}")
            case "c":
                lanes.connected()
            case "d":
                lanes.disconnected()
                assert not lanes.on_way
            case "n":
                lanes.next(now)
            case "s":
                lanes.settled(some)
                expected.discard(some)
            case "f":
                lanes.failed(some, now)
            case "o":
                lanes.overdue(now)
            case "h" | "H":
                lanes.hub_is(away=step == "h")
        assert len(lanes) == len(expected)
        assert lanes.on_way <= expected
        assert len(lanes.on_way) <= WINDOW
    lanes.hub_is(away=False)
    lanes.disconnected()
    lanes.connected()
    while expected:
        now = max(now, lanes.wake_at(now) or now)
        sent = lanes.next(now)
        assert sent is not None
        lanes.settled(sent.id)
        expected.remove(sent.id)
    assert len(lanes) == 0
