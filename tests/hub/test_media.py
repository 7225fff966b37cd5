"""The media folder, and its words when the disk refuses."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from meerkat_contract.errors import StorageError
from meerkat_contract.ids import new_id
from meerkat_hub.adapters.media import MediaFolder


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
    media: MediaFolder, monkeypatch: pytest.MonkeyPatch, number: int, what: str, remedy: str
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    incoming = media.receive(b"x")
    final = media.path("clips", new_id())
    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr("shutil.disk_usage", refuse)
    for attempt in (lambda: media.receive(b"x"), lambda: media.place(incoming, final), media.free_bytes):
        with pytest.raises(StorageError) as refused:
            attempt()
        assert what in refused.value.what
        assert remedy in refused.value.remedy
        assert refused.value.where.startswith(str(media.root))
    assert list((media.root / "incoming").iterdir()) == [], "nothing half written is left"


def test_the_first_refusal_is_told_even_if_the_rest_cannot_be_removed(
    media: MediaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def broken(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", full)
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
