"""A card that takes its time to sync holds up neither who records nor what is handed over."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meerkat_contract.ids import new_id
from meerkat_contract.metadata import Metadata
from meerkat_devices.outbox.keeper import MOST
from meerkat_devices.outbox.outbox import Entry, Outbox
from support.wait import wait_for


class Card:
    """Its syncs wait until it `goes`."""

    def __init__(self) -> None:
        self.goes = threading.Event()
        self.goes.set()
        self.asked = 0
        self.fails: OSError | None = None

    def sync(self, _: int) -> None:
        self.asked += 1
        assert self.goes.wait(30)
        if self.fails:
            raise self.fails


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Card]:
    made = Card()
    monkeypatch.setattr("meerkat_devices.outbox.files.os.fsync", made.sync)
    yield made
    made.goes.set()


def opened(folder: Path) -> Outbox:
    return Outbox(folder, max_bytes=10**7, refused_bytes=10**6)


def put(outbox: Outbox, payload: bytes = b"x" * 500) -> Entry:
    about = Metadata(id=new_id(), captured_at=datetime(2026, 11, 20, tzinfo=UTC), content_type="video/mp4")
    outbox.temporary(about.id).write_bytes(payload)
    return outbox.add("meerkat/device/pi/porch/clip", about, wait=False)


def named(outbox: Outbox) -> set[str]:
    return {path.stem for path in outbox.folder.glob("*.bin")}


def test_a_clip_is_handed_over_while_the_card_syncs(tmp_path: Path, card: Card) -> None:
    outbox = opened(tmp_path)
    told: list[Entry] = []
    outbox.watch(told.append)
    card.goes.clear()
    first, second = put(outbox), put(outbox, b"y" * 700)
    assert told == [first, second] == outbox.waiting()
    assert outbox.lend(second) == b"y" * 700
    outbox.make_room(100)  # nor is the next clip held up
    assert named(outbox) == set()
    card.goes.set()
    wait_for(lambda: named(outbox) == {first.id, second.id}, what="their names")
    assert outbox.lend(first) == b"x" * 500
    outbox.close()
    again = opened(tmp_path)
    assert again.waiting() == [first, second]
    again.close()


def test_a_hub_that_is_quicker_than_the_card_leaves_nothing_behind(tmp_path: Path, card: Card) -> None:
    outbox = opened(tmp_path)
    card.asked = 0
    card.goes.clear()
    stored, refused = put(outbox), put(outbox)
    wait_for(lambda: card.asked == 1, what="the card to be at it")
    assert outbox.forget(stored.id)
    assert outbox.refuse(refused.id, "no MP4")
    card.goes.set()
    outbox.close()
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".bin", ".part")]
    assert (outbox.refused_folder / refused.id).read_bytes() == b"x" * 500
    again = opened(tmp_path)
    assert again.waiting() == []
    assert again.repaired == 0
    again.close()


def test_a_card_that_refuses_to_sync_is_told_and_the_clip_goes_on(tmp_path: Path, card: Card) -> None:
    outbox = opened(tmp_path)
    told: list[str] = []
    outbox.on_trouble = lambda error: told.append(str(error))
    card.fails = OSError(5, "Input/output error")
    entry = put(outbox)
    wait_for(lambda: told, what="the report")
    assert "Input/output error" in told[0]
    assert outbox.lend(entry) == b"x" * 500
    outbox.close()
    card.fails = None
    again = opened(tmp_path)
    assert again.waiting() == [entry]
    again.close()


def test_no_more_than_a_few_clips_wait_for_the_card(tmp_path: Path, card: Card) -> None:
    outbox = opened(tmp_path)
    card.goes.clear()
    made: list[Entry] = []
    recording = threading.Thread(target=lambda: made.extend(put(outbox) for _ in range(MOST + 5)))
    recording.start()
    wait_for(lambda: len(outbox.waiting()) == MOST + 2, what="the camera to wait")  # one is being synced
    assert recording.is_alive()
    card.goes.set()
    recording.join(30)
    outbox.close()
    assert named(outbox) == {entry.id for entry in made}


def test_an_end_does_not_wait_for_a_card_that_hangs(tmp_path: Path, card: Card) -> None:
    outbox = opened(tmp_path)
    card.asked = 0
    card.goes.clear()
    entries = [put(outbox) for _ in range(3)]
    outbox.close()
    card.goes.set()
    wait_for(lambda: card.asked >= 3, what="the thread that was left behind")
    wait_for(lambda: named(outbox) == {entry.id for entry in entries}, what="their names")
    wait_for(lambda: not (outbox._keeper._thread and outbox._keeper._thread.is_alive()), what="its end")
    again = opened(tmp_path)
    assert again.waiting() == entries
    again.close()


def test_the_card_that_is_waited_for_is_a_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def sync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().suffix)
        real(descriptor)

    monkeypatch.setattr("meerkat_devices.outbox.files.os.fsync", sync)
    outbox = opened(tmp_path)
    synced.clear()
    put(outbox)
    wait_for(lambda: len(synced) == 2, what="both syncs")
    assert synced == [".part", ""], "the file before its name, then the folder"
    outbox.close()
