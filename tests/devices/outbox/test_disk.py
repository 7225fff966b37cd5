"""The outbox on disks that are full, damaged, read-only, or cut off from the power."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meerkat_contract.errors import StorageError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import ErrorReport, read
from meerkat_contract.metadata import Metadata
from meerkat_devices.outbox.outbox import Entry, Outbox
from meerkat_devices.service import Device, Replay
from meerkat_devices.settings.device import DeviceSettings
from support.broker import Mosquitto
from support.disks import SdCard, locked, memory_disk, sd_card
from support.media import make_clip
from support.stand_in_hub import StandInHub
from support.wait import wait_for

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)


def opened(folder: Path) -> Outbox:
    return Outbox(folder, max_bytes=10**9, refused_bytes=10**7)


def content_of(entry_id: str, size: int) -> bytes:
    return (entry_id.encode() * (size // 36 + 1))[:size]


def put(outbox: Outbox, size: int = 1000, *, video: bool = True) -> Entry:
    kind = "video/mp4" if video else "image/jpeg"
    metadata = Metadata(id=new_id(), captured_at=NOW, content_type=kind)
    topic = f"meerkat/device/pi/{'porch/clip' if video else 'water/picture'}"
    return outbox.add_bytes(topic, metadata, content_of(metadata.id, size), retain=not video)


def check_whole(outbox: Outbox, entries: list[Entry]) -> None:
    for entry in entries:
        assert outbox.lend(entry) == content_of(entry.id, entry.size)
        outbox.give_back(entry.id)


# --- full --------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with memory_disk(tmp_path / "disk", 8) as folder:
        yield folder


def test_a_disk_of_8_megabytes_holds_the_newest(small: Path) -> None:
    outbox = opened(small / "outbox")
    picture = put(outbox, 100_000, video=False)
    entries = [put(outbox, 1_000_000) for _ in range(30)]
    waiting = outbox.waiting()
    assert waiting[0] == picture
    assert 4 <= len(waiting[1:]) <= 8
    assert waiting[1:] == entries[-len(waiting[1:]) :]
    assert outbox.counts().evicted == 31 - len(waiting)
    check_whole(outbox, waiting)
    outbox.close()


def test_a_disk_that_others_fill_is_told_and_used_again_when_there_is_room(small: Path) -> None:
    outbox = opened(small / "outbox")
    entries = [put(outbox, 500_000) for _ in range(3)]
    free = shutil.disk_usage(small).free
    (small / "other").write_bytes(bytes(free))
    for entry in entries:
        assert outbox.lend(entry) is not None, "on its way: it cannot be given up"
    with pytest.raises(StorageError, match="No space left"):
        put(outbox, 500_000)
    assert not list(outbox.folder.glob("*.part"))
    assert outbox.waiting() == entries
    assert outbox.forget(entries[0].id)
    (small / "other").unlink()
    entries.append(put(outbox, 500_000))
    outbox.close()
    again = opened(small / "outbox")
    assert again.waiting() == entries[1:]
    check_whole(again, entries[1:])
    again.close()


def test_an_outbox_starts_on_a_full_disk_and_is_emptied(small: Path) -> None:
    outbox = opened(small / "outbox")
    entries = [put(outbox, 500_000) for _ in range(3)]
    outbox.close()
    (small / "other").write_bytes(bytes(shutil.disk_usage(small).free))
    again = opened(small / "outbox")
    assert again.trouble is None
    assert again.waiting() == entries
    check_whole(again, entries)
    for entry in entries:
        assert again.forget(entry.id)
    assert again.counts().waiting == 0
    assert again.counts().bytes == 0
    again.close()


# --- read-only ---------------------------------------------------------------------------------------


@pytest.fixture
def card(tmp_path: Path) -> Iterator[SdCard]:
    with sd_card(tmp_path / "card", 32) as made:
        yield made


def test_a_card_that_turns_read_only_is_used_again_when_it_is_repaired(card: SdCard) -> None:
    outbox = opened(card.folder / "outbox")
    told: list[str] = []
    outbox.on_trouble = lambda error: told.append(str(error))
    outbox.watch(lambda entry: None)
    entries = [put(outbox, 100_000) for _ in range(3)]
    card.fail()
    for _ in range(3):
        with pytest.raises(StorageError, match=r"[Rr]ead-only|readonly"):
            put(outbox, 100_000)
    assert outbox.waiting() == entries
    check_whole(outbox, entries)
    with pytest.raises(StorageError, match="Read-only"):
        outbox.forget(entries[0].id)
    outbox.close()
    card.unmount()
    card.repair()
    card.mount()
    again = opened(card.folder / "outbox")
    entries.append(put(again, 100_000))
    assert again.waiting() == entries
    check_whole(again, entries)
    again.close()


def test_a_card_that_is_read_only_at_the_start_is_used_once_it_is_not(card: SdCard) -> None:
    outbox = opened(card.folder / "outbox")
    entries = [put(outbox, 100_000) for _ in range(3)]
    outbox.close()
    card.remount("ro")
    late = opened(card.folder / "outbox")
    assert late.trouble
    assert "ead-only" in str(late.trouble) or "readonly" in str(late.trouble)
    added: list[Entry] = []
    assert late.watch(added.append) == []
    with pytest.raises(StorageError):
        put(late)
    card.remount("rw")
    new = put(late)
    assert added == [*entries, new], "the sender hears of what waited before"
    assert late.waiting() == added
    check_whole(late, added)
    late.close()


def test_a_device_whose_folder_is_locked_shows_its_picture_says_so_and_recovers(
    broker: Mosquitto, tmp_path: Path
) -> None:
    hub = StandInHub(broker.connection)
    hub.start()
    video = make_clip(tmp_path / "in.mp4", seconds=4, fps=10, gop=0.5)
    camera = {"source": str(video), "pre_roll": 0, "post_roll": 0, "clip_seconds": 1}
    camera["picture_seconds_motion"] = 0.2
    settings = DeviceSettings.model_validate({"cameras": {"porch": camera}})
    own = Device("pi", settings, broker.connection, tmp_path, replay=Replay(loop=True))
    own.start()
    try:
        wait_for(hub.clips, what="a first clip")
        with locked(own.outbox.folder):
            wait_for(lambda: hub.states.get("meerkat/device/pi/error"), what="the report")
            before = len(hub.states["meerkat/device/pi/porch/picture"])
            wait_for(
                lambda: len(hub.states["meerkat/device/pi/porch/picture"]) >= before + 5, what="live pictures"
            )
        count = len(hub.clips())
        wait_for(lambda: len(hub.clips()) > count + 1, what="clips again")
    finally:
        own.stop()
        hub.stop()
    error = read(ErrorReport, hub.states["meerkat/device/pi/error"][0])
    assert "the clip cannot be written" in error.what or "the disk refuses" in error.what
    assert "program" not in str(hub.states["meerkat/device/pi/error"])


def test_a_device_starts_on_a_card_that_is_read_only_and_shows_its_picture(
    broker: Mosquitto, card: SdCard, tmp_path: Path
) -> None:
    hub = StandInHub(broker.connection)
    hub.start()
    video = make_clip(tmp_path / "in.mp4", seconds=4, fps=10, gop=0.5)
    camera = {"source": str(video), "pre_roll": 0, "post_roll": 0, "clip_seconds": 1}
    settings = DeviceSettings.model_validate({"cameras": {"porch": camera}})
    card.remount("ro")
    own = Device("pi", settings, broker.connection, card.folder, replay=Replay(loop=True))
    own.start()
    try:
        wait_for(lambda: hub.states.get("meerkat/device/pi/porch/picture"), what="a live picture")
        wait_for(lambda: hub.states.get("meerkat/device/pi/error"), what="the report")
        card.remount("rw")
        wait_for(hub.clips, what="a clip")
    finally:
        own.stop()
        hub.stop()
    assert "program" not in str(hub.states["meerkat/device/pi/error"])


# --- damaged -----------------------------------------------------------------------------------------


def damage(folder: Path, chance: random.Random) -> str:
    """Something a worn card does to the database or its log; says what."""
    path = folder / chance.choice(("outbox.sqlite", "outbox.sqlite", "outbox.sqlite-wal"))
    content = bytearray(path.read_bytes())
    what = chance.choice(("cut", "zeros", "noise", "bits"))
    if what == "cut":
        del content[chance.randrange(len(content)) :]
    elif what == "bits":
        for _ in range(chance.randint(1, 30)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    else:
        for _ in range(chance.randint(1, 3)):
            start = chance.randrange(0, len(content), 4096)
            length = min(4096, len(content) - start)
            content[start : start + length] = bytes(length) if what == "zeros" else chance.randbytes(length)
    path.write_bytes(content)
    return f"{what} in {path.name}"


@pytest.mark.parametrize("in_log", [True, False])
def test_whatever_is_damaged_in_the_database_nothing_is_lost(tmp_path: Path, in_log: bool) -> None:
    """Copies of the folder as a power cut leaves it, each with a damage: all comes back in order."""
    outbox = opened(tmp_path / "original")
    entries = [put(outbox, 200, video=n % 3 > 0) for n in range(60)]
    if not in_log:
        assert outbox._index.database
        outbox._index.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for entry in entries[::4]:
        outbox.forget(entry.id)
    left = [entry for entry in entries if entry not in entries[::4]]
    chance = random.Random(20261120)
    anew = 0
    for number in range(100):
        folder = tmp_path / str(number)
        shutil.copytree(outbox.folder, folder)
        context = damage(folder, chance)
        again = opened(folder)
        assert again.waiting() == left, context
        check_whole(again, left)
        new = put(again)
        assert again.waiting()[-1] == new, context
        assert again.counts().waiting == len(left) + 1, context
        anew += again.damaged
        again.close()
        whole = opened(folder)
        assert whole.waiting() == [*left, new], context
        assert not whole.damaged, context
        whole.close()
        shutil.rmtree(folder)
    assert (anew == 0) if in_log else (20 <= anew < 100), "a log has sums of its own"
    outbox.close()


def test_a_database_that_breaks_while_it_is_used_is_made_anew(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    told: list[str] = []
    outbox.on_trouble = lambda error: told.append(str(error))
    entries = [put(outbox) for _ in range(5)]
    assert outbox._index.database
    outbox._index.database.close()
    entries.append(put(outbox))
    assert outbox.waiting() == entries, "it is safe, and told, without its row"
    (tmp_path / "outbox.sqlite").write_bytes(random.Random(1).randbytes(8192))
    entries.append(put(outbox))
    assert outbox.waiting() == entries
    assert [("refuses" in text, "made anew" in text) for text in told] == [(True, True), (False, True)]
    outbox.close()
    again = opened(tmp_path)
    assert again.waiting() == entries
    assert not again.damaged
    again.close()


# --- power -------------------------------------------------------------------------------------------

ADD_TWO = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from meerkat_contract.ids import new_id
from meerkat_contract.metadata import Metadata
from meerkat_devices.outbox.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]), max_bytes=10**9, refused_bytes=10**6)
for _ in range(2):
    about = Metadata(id=new_id(), captured_at=datetime.now(UTC), content_type="video/mp4")
    outbox.add_bytes("meerkat/device/pi/porch/clip", about, bytes(2_000_000))
os._exit(0)
"""


def test_a_clip_is_on_the_disk_before_its_name_and_its_name_before_its_row(tmp_path: Path) -> None:
    """By the system calls: what a power cut can take is what was not synced before."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    log, folder = tmp_path / "calls", tmp_path / "outbox"
    watched = "trace=fsync,fdatasync,?rename,?renameat,?renameat2,pwrite64,write"
    command = [
        "strace",
        "-f",
        "-y",
        "-o",
        str(log),
        "-e",
        watched,
        sys.executable,
        "-c",
        ADD_TWO,
        str(folder),
    ]
    command += ["-c", ADD_TWO, str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if "ptrace" in done.stderr:
        pytest.skip("strace is not allowed here")
    assert done.returncode == 0, done.stderr
    names = {str(folder): "folder", "outbox.sqlite-wal": "row"}
    calls: list[str] = []
    for line in log.read_text().splitlines():
        if not (found := re.search(r"(\w+)\((?:AT_FDCWD[^,]*, )?(?:\d+<([^>]*)>|\"([^\"]*)\")", line)):
            continue
        path = Path(found[2] or found[3])
        what = names.get(str(path)) or names.get(path.name) or path.suffix
        call = f"{found[1].replace('fdata', 'f').replace('64', '').replace('at', '')} {what}"
        if folder in (path, path.parent) and (not calls or calls[-1] != call):
            calls.append(call)
    one = ["write .part", "fsync .part", "rename .part", "fsync folder", "pwrite row"]
    assert calls[-5:] == one, calls
    assert calls[-10:-5] == one, "two syncs a clip"


def test_many_threads_and_a_database_that_breaks_again_and_again(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    told: list[Entry] = []
    outbox.watch(told.append)
    made: list[Entry] = []
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        mine: list[Entry] = []
        try:
            for _ in range(60):
                mine.append(put(outbox, chance.randint(1, 3000)))
                if chance.random() < 0.3:
                    assert outbox.forget(mine.pop(chance.randrange(len(mine))).id)
                if chance.random() < 0.05:
                    with outbox._lock:
                        if outbox._index.database:
                            outbox._index.database.close()
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)
        made.extend(mine)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    expected = sorted(made, key=lambda entry: entry.seq)
    assert outbox.waiting() == expected
    assert outbox.counts().bytes == sum(entry.size for entry in expected)
    assert len(told) == len({entry.id for entry in told}) == 240, "each is told once"
    outbox.close()
    again = opened(tmp_path)
    assert again.waiting() == expected
    check_whole(again, expected)
    again.close()
