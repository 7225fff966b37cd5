"""`meerkat backup` and `meerkat restore`: what a house would miss, in one file.

    meerkat-backup.json     what this is: schema, version, time, whether clips and pictures are in it
    meerkat.yaml            the configuration in use, if there is one
    hub/hub.db              events, readings, faces, layouts; copied page by page while the hub goes on
    cameras.yaml            cameras that were added on the page
    broker/ …, devices/ …   passwords, and settings that were changed at run time
    hub/media/              with --media alone

Left out: retained messages, outboxes, locks and the burst's demonstration, which heal by themselves, and the
archives of meters, which may be large.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO

import click

from meerkat_contract.configfile import FILE_NAME, find_file
from meerkat_contract.connection import default_data_folder
from meerkat_contract.errors import StorageError, UsageError
from meerkat_contract.put_back import note_media_left_out

from .folder_lock import LOCK_FILE, hold

MANIFEST = "meerkat-backup.json"
SCHEMA = 1
DATABASE = PurePosixPath("hub/hub.db")
MEDIA = PurePosixPath("hub/media")
_LEFT_OUT = ("burst-demo", LOCK_FILE, "hub/media/incoming", "broker/mosquitto.db", FILE_NAME)
"""What heals by itself; and below devices/<name>, outbox and archive."""


@click.command()
@click.argument("named", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option("--media", is_flag=True, help="Clips and pictures too; as large as they are.")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="The folder of `meerkat up`.")
@click.option("--config", type=click.Path(path_type=Path), help="The configuration file (meerkat.yaml).")
def backup(named: Path | None, media: bool, data: Path | None, config: Path | None) -> None:
    """Copy what this house would miss into FILE, while everything goes on.

    Without FILE it is meerkat-DATE-TIME.tar.gz here. It holds passwords: only its owner can read it.
    """
    folder = (data or default_data_folder()).absolute()
    if not folder.is_dir():
        raise UsageError("there is no data folder", where=str(folder), remedy="Name it with --data")
    made_at = datetime.now(UTC)
    target = (named or Path(f"meerkat-{made_at.astimezone():%Y-%m-%d-%H%M%S}.tar.gz")).absolute()
    if target.exists():
        raise UsageError("is there already", where=str(target), remedy="Choose another name, or remove it")
    if target.is_relative_to(folder):
        raise UsageError("lies in the data folder", where=str(target), remedy="Write it to another disk")
    settings = _configuration(folder, config)
    try:
        with tempfile.TemporaryDirectory(prefix=".meerkat-backup-", dir=target.parent) as scratch:
            part = Path(scratch) / "backup"
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                _write(file, folder, settings, media=media, made_at=made_at, scratch=Path(scratch))
            part.rename(target)
    except OSError as error:
        raise StorageError(
            f"cannot be written ({error.strerror or error}: {error.filename or target})",
            where=str(target),
            remedy="Is there room, and may you read and write there?",
        ) from None
    held = f"with {settings}" if settings else f"no {FILE_NAME} (--config names it)"
    kept = "clips and pictures" if media else "no clips and pictures (--media takes them)"
    click.echo(f"{target}: {target.stat().st_size / 1e6:.1f} MB, {held}, {kept}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="The folder of `meerkat up`.")
def restore(file: Path, data: Path | None) -> None:
    """Put back what `meerkat backup` wrote into FILE; end `meerkat up` before.

    What is in the data folder now is moved aside, not removed.
    """
    folder = (data or default_data_folder()).absolute()
    with hold(folder):  # nobody may use what is moved aside now
        _check_unused(folder / DATABASE)
        aside = folder.with_name(f"{folder.name}.before-{datetime.now().astimezone():%Y-%m-%d-%H%M%S}")
        try:
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
                fresh = Path(scratch) / "data"
                fresh.mkdir(mode=0o700)
                made_at = _unpack(file, fresh)
                media = any(path.is_file() for path in (fresh / MEDIA).rglob("*"))
                if not media:
                    note_media_left_out(fresh / DATABASE.parent, made_at)
                folder.rename(aside)
                try:
                    fresh.rename(folder)
                except OSError:
                    aside.rename(folder)
                    raise
        except OSError as error:
            raise StorageError(
                f"cannot be put back into {folder} ({error.strerror or error})",
                where=str(file),
                remedy="Is there room, and may that folder be renamed (a mounted one may not)?",
            ) from None
        if {path.name for path in aside.iterdir()} <= {LOCK_FILE}:
            shutil.rmtree(aside)
        else:
            click.echo(f"What was there before is in {aside}")
    without = "" if media else ", without clips and pictures: what waited to be looked at cannot be"
    click.echo(f"{folder} is as it was on {made_at.astimezone():%Y-%m-%d at %H:%M}{without}")
    if (folder / FILE_NAME).exists():
        click.echo(f"With its configuration: meerkat up --config {folder / FILE_NAME}")


def _configuration(folder: Path, named: Path | None) -> Path | None:
    """The file in use: as every command finds it, else the one that `restore` put into the data folder."""
    found = find_file(named)
    if found is not None and not found.is_file():
        raise UsageError("there is no such file", where=str(found), remedy="Name it with --config")
    if found is None and (folder / FILE_NAME).is_file():
        return folder / FILE_NAME
    return found


# --- writing ------------------------------------------------------------------------------------


def _write(
    file: IO[bytes], folder: Path, config: Path | None, *, media: bool, made_at: datetime, scratch: Path
) -> None:
    manifest = {
        "schema": SCHEMA,
        "software": version("meerkat-home"),
        "made_at": made_at.isoformat(),
        "media": media,
    }
    # Clips and pictures are compressed already: nothing that is large here shrinks much. A link would point
    # to nothing on another machine: what it leads to is kept.
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1, dereference=True) as archive:
        _add_bytes(archive, MANIFEST, json.dumps(manifest).encode(), made_at)
        if config is not None:
            archive.add(config, FILE_NAME)
        if (folder / DATABASE).exists():
            # First, so that of media that come or go meanwhile there is a file too many rather than too few.
            copy = scratch / DATABASE.name
            _copy_database(folder / DATABASE, copy)
            archive.add(copy, str(DATABASE))
            copy.unlink()
        for path in _files(folder, media=media):
            try:
                archive.add(path, str(path.relative_to(folder)), recursive=False)
            except FileNotFoundError:
                continue  # its time was over just now


def _files(folder: Path, *, media: bool) -> Iterator[Path]:
    """What is copied as it is: everything but what is left out. Raises OSError."""
    for path in _below(folder):
        name = PurePosixPath(path.relative_to(folder))
        of_device = name.parts[0] == "devices" and name.parts[2:3] in (("outbox",), ("archive",))
        database = name.parent == DATABASE.parent and name.name.startswith(DATABASE.name)
        left_out = any(name.is_relative_to(one) for one in _LEFT_OUT) or name.suffix == ".lock"
        if not (left_out or of_device or database) and (media or not name.is_relative_to(MEDIA)):
            yield path


def _below(folder: Path) -> Iterator[Path]:
    """All files, in order; also of folders that are links, as to a disk for clips, each folder once."""
    seen: set[Path] = set()
    for here, folders, names in os.walk(folder, onerror=_unless_gone, followlinks=True):
        real = Path(here).resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (path for name in sorted(names) if (path := Path(here, name)).is_file())


def _unless_gone(error: OSError) -> None:
    """A folder that may not be read is not left out in silence."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _copy_database(source: Path, target: Path) -> None:
    """One moment of a database that somebody may be writing to. Raises StorageError."""
    try:
        with closing(sqlite3.connect(source, timeout=30)) as there, closing(sqlite3.connect(target)) as here:
            there.backup(here)
            (said,) = here.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        raise StorageError(
            f"the database cannot be copied ({said})", where=str(source), remedy="The hub's log says more"
        )


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes, at: datetime) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), 0o600, int(at.timestamp())
    archive.addfile(entry, io.BytesIO(content))


def _check_unused(database: Path) -> None:
    """A hub that was started by itself holds no lock of `meerkat up`, but its database. Raises UsageError."""
    if not database.exists():
        return
    with closing(sqlite3.connect(database, timeout=0)) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:  # a damaged one is nobody's, and a reason to restore
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                return
            raise UsageError(
                "a hub uses this data folder", where=str(database), remedy="End it first"
            ) from None


# --- reading ------------------------------------------------------------------------------------


def _unpack(file: Path, folder: Path) -> datetime:
    """All files of a backup, only their owner's; when it was made. Raises UsageError, OSError."""
    try:
        with tarfile.open(file, "r:gz") as archive:
            made_at = _read_manifest(file, archive)
            for entry in archive:
                name = PurePosixPath(entry.name)
                if not entry.isfile() or name.is_absolute() or ".." in name.parts:
                    raise _no_backup(file, f"it holds {entry.name!r}")
                target = folder / name
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                content = archive.extractfile(entry)
                assert content is not None, "a file has content"
                with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                    shutil.copyfileobj(content, out)
            while archive.fileobj is not None and archive.fileobj.read(1 << 20):
                pass  # to its very end, where the checksum of all is
    except FileNotFoundError:
        raise UsageError("there is no such file", where=str(file), remedy="Name a backup") from None
    except FileExistsError as error:
        raise _no_backup(file, f"it holds {error.filename} twice") from None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _no_backup(file, str(error)) from None
    return made_at


def _read_manifest(file: Path, archive: tarfile.TarFile) -> datetime:
    first = archive.next()
    content = archive.extractfile(first) if first is not None and first.name == MANIFEST else None
    if content is None:
        raise _no_backup(file, f"{MANIFEST} is not its first entry")
    try:
        said = json.loads(content.read(10_000))
        schema, made_at = int(said["schema"]), datetime.fromisoformat(said["made_at"])
    except (ValueError, KeyError, TypeError) as error:
        raise _no_backup(file, f"{MANIFEST}: {error}") from None
    if schema > SCHEMA:
        raise UsageError(
            f"it was made by Meerkat {said.get('software', '')}, which is newer",
            where=str(file),
            remedy="Restore it with that version",
        )
    return made_at


def _no_backup(file: Path, why: str) -> UsageError:
    return UsageError(
        f"is no backup of Meerkat's, or not whole ({why})", where=str(file), remedy="Take another"
    )
