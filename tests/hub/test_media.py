"""The media folder, and its words when the disk refuses."""

from __future__ import annotations

import errno
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meerkat_contract.errors import StorageError
from meerkat_contract.ids import new_id
from meerkat_contract.put_back import note_media_left_out
from meerkat_hub.adapters import sync
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.sync import LOOK_AGAIN, Syncer


@pytest.fixture
def media(tmp_path: Path) -> MediaFolder:
    return MediaFolder(tmp_path)


@pytest.mark.parametrize(
    ("number", "what", "remedy"),
    [
        (errno.ENOSPC, "the disk is full", "Free some space"),
        (errno.EDQUOT, "quota", "raise the quota"),
        (errno.EACCES, "permission is denied", "user that runs the hub"),
        (errno.EPERM, "permission is denied", "user that runs the hub"),
        (errno.EROFS, "read-only", "Mount it for writing"),
        (errno.EIO, "an error of its own", "replace the disk"),
        (errno.ENOENT, "is not there", "mount"),
        (errno.EMFILE, os.strerror(errno.EMFILE), "kernel's log"),
    ],
)
def test_each_refusal_has_its_reason_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, what: str, remedy: str
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    media = MediaFolder(tmp_path, syncer=Syncer(tmp_path, refuse))
    incoming = media.receive(b"x")
    final = media.path("clips", new_id())
    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr("shutil.disk_usage", refuse)
    monkeypatch.setattr(os, "open", refuse)
    for attempt in (lambda: media.receive(b"x"), lambda: media.place(incoming, final), media.free_bytes):
        with pytest.raises(StorageError) as refused:
            attempt()
        assert what in refused.value.what
        assert remedy in refused.value.remedy
        assert refused.value.where.startswith(str(media.root))
    assert list((media.root / "incoming").iterdir()) == [], "nothing half written is left"
    assert not final.exists(), "nor anything at its place"


def test_why_a_file_cannot_be_read(tmp_path: Path) -> None:
    media, made_at = MediaFolder(tmp_path / "media"), datetime(2026, 11, 21, 6, 32, tzinfo=UTC)
    path, gone = media.path("clips", new_id()), FileNotFoundError(errno.ENOENT, "No such file or directory")
    assert "its file was removed" in media.unreadable(path, gone, taken=made_at)
    note_media_left_out(tmp_path, made_at)
    at_its_time = media.unreadable(path, gone, taken=made_at)
    assert "not in the backup of 2026-11-21 " in at_its_time
    assert "--media" in at_its_time
    later = media.unreadable(path, gone, taken=made_at + timedelta(microseconds=1))
    assert "its file was removed" in later, "it came after the backup was made"
    for text in (at_its_time, later):
        assert "disk" not in text
    broken = OSError(errno.EIO, "Input/output error")
    assert "replace the disk" in media.unreadable(path, broken, taken=made_at)
    shutil.rmtree(media.root)
    assert "mount that" in media.unreadable(path, gone, taken=made_at), "its disk is not there"


def test_of_many_that_are_moved_together_none_stays_when_one_is_refused(
    media: MediaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = [(media.receive(b"x"), media.path("clips", new_id())) for _ in range(3)]
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if path == moves[1][0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StorageError, match="the disk is full") as refused:
        media.place_all(moves)
    assert refused.value.where == str(moves[1][1])
    assert [path for pair in moves for path in pair if path.exists()] == []


class Disk:
    """What was asked to be synced; a whole file system can be refused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: set[Path] = set()
        self.wholes = 0
        self.refuses_whole = False
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, descriptor: int) -> None:
        self.synced.add(Path(f"/proc/self/fd/{descriptor}").readlink())

    def whole(self, descriptor: int) -> None:
        assert Path(f"/proc/self/fd/{descriptor}").readlink()
        if self.refuses_whole:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.wholes += 1


def test_everything_that_was_moved_is_synced_once_with_its_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    disk.refuses_whole = True
    media = MediaFolder(tmp_path, syncer=Syncer(tmp_path, disk.whole))
    moves = [(media.receive(b"x"), media.path("clips", new_id())) for _ in range(5)]
    media.place_all(moves)
    finals = {final for _, final in moves}
    assert disk.synced == finals | {final.parent for final in finals} | {tmp_path / "clips"}
    disk.synced.clear()
    media.place(media.receive(b"x"), moves[0][1])
    assert disk.synced == {moves[0][1], moves[0][1].parent}, "the folder was there"


def test_many_are_synced_with_one_call_where_the_kernel_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    media = MediaFolder(tmp_path, syncer=Syncer(tmp_path, disk.whole))
    media.place_all([(media.receive(b"x"), media.path("clips", new_id())) for _ in range(5)])
    assert (disk.wholes, disk.synced) == (1, set())


def test_the_quicker_way_is_taken_and_the_other_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one takes a second each; the whole file system as long as the others' work takes."""
    clock, took, ways = [0.0], [3.0], []

    def whole(descriptor: int) -> None:
        del descriptor
        ways.append("whole")
        clock[0] += took[0]

    def one(path: str) -> None:
        ways.append(path)
        clock[0] += 1

    monkeypatch.setattr(sync, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(sync, "_sync_one", one)
    syncer = Syncer(tmp_path, whole)
    syncer.sync(["a", "b", "c", "d"])
    syncer.sync(["a"])
    assert ways == ["whole", "a"], "one alone needs no others"
    syncer.sync(["a", "b"])
    assert ways[2:] == ["a", "b"], "three seconds are longer than two"
    syncer.sync(["a", "b", "c", "d"])
    assert ways[4:] == ["whole"], "and shorter than four"
    took[0] = 1000
    ways.clear()
    for _ in range(2 * LOOK_AGAIN):
        syncer.sync(["a", "b", "c", "d"])
    assert ways.count("whole") == 3, "seen to be slow once, and tried again in every 64th group"


def test_the_first_refusal_is_told_even_if_the_rest_cannot_be_removed(
    media: MediaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def broken(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(Path, "unlink", broken)
    with pytest.raises(StorageError, match="the disk is full"):
        media.receive(b"x")


def test_one_file_that_stays_does_not_hold_the_others(
    media: MediaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [media.path("clips", new_id()) for _ in range(3)]
    for path in paths:
        media.place(media.receive(b"12345"), path)
    assert sum(file.size for file in media.files("clips")) == 15
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == paths[1]:
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match="cannot be removed: permission is denied"):
        media.remove(paths)
    assert [file.path for file in media.files("clips")] == [paths[1]]
    monkeypatch.undo()
    assert media.remove(paths) == 5, "what is gone already counts for nothing"


def test_what_a_crash_left_half_received_goes_at_start(media: MediaFolder) -> None:
    media.receive(b"x")
    assert media.clear_incoming() == 1
    assert media.clear_incoming() == 0


def test_a_folder_that_went_is_said_in_words(media: MediaFolder) -> None:
    (media.root / "clips").rmdir()
    with pytest.raises(StorageError, match="the folder is not there"):
        list(media.files("clips"))


def test_only_ids_made_by_the_program_name_a_file(media: MediaFolder) -> None:
    for name in ("../../etc/passwd", "", "porch"):
        with pytest.raises(StorageError, match="is not a media id"):
            media.path("clips", name)


def a_place(media: MediaFolder) -> Path:
    """Of a clip, in a folder that is there."""
    final = media.path("clips", new_id())
    final.parent.mkdir(exist_ok=True)
    return final


def test_a_file_is_received_at_its_place_unless_there_is_one(media: MediaFolder) -> None:
    final = media.path("clips", new_id())
    assert media.receive(b"x", final).parent == media.root / "incoming", "its folder is not there yet"
    final.parent.mkdir()
    assert media.receive(b"first", final) == final
    again = media.receive(b"again", final)
    assert (again.parent, final.read_bytes()) == (media.root / "incoming", b"first")
    media.place(again, final)
    assert final.read_bytes() == b"again"


def test_what_was_received_at_its_place_is_synced_once_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    disk.refuses_whole = True
    media = MediaFolder(tmp_path, syncer=Syncer(tmp_path, disk.whole))
    finals = [media.receive(b"x", a_place(media)) for _ in range(5)]
    media.place_all([(final, final) for final in finals])
    assert disk.synced == {*finals, *(final.parent for final in finals)}


def test_none_stays_when_one_cannot_be_synced_at_its_place(
    media: MediaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    finals = [media.receive(b"x", a_place(media)) for _ in range(3)]

    def refuse(*_args: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Syncer, "sync", refuse)
    with pytest.raises(StorageError, match="an error of its own"):
        media.place_all([(final, final) for final in finals])
    assert not any(final.exists() for final in finals)


def test_what_came_last_is_read_from_memory_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meerkat_hub.adapters.media.LATELY", 10)
    media = MediaFolder(tmp_path)
    paths = [media.receive(bytes([n] * 5), a_place(media)) for n in range(3)]
    for path in paths:
        path.write_bytes(b"disk")
    assert media.read(paths[0]) == b"disk", "ten bytes are kept, and two came after it"
    assert [media.read(paths[2]) for _ in range(2)] == [bytes([2] * 5), b"disk"]
