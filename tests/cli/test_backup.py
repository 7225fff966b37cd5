"""A backup is one moment of the house, and goes back whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import io
import random
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meerkat_cli import main
from meerkat_contract.connection import default_data_folder
from meerkat_contract.put_back import media_left_out
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.store import Store


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder as `meerkat up` leaves it, and a configuration beside it."""
    monkeypatch.delenv("MEERKAT_CONFIG", raising=False)
    monkeypatch.setenv("MEERKAT_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    folder = default_data_folder()
    files = {
        "connections.json": "{}",
        "worker-id": "attic",
        "up.lock": "",
        "broker/passwords.json": "secret",
        "broker/mosquitto.db": "retained",
        "devices/porch/settings.json": "{}",
        "devices/porch/pins.lock": "",
        "devices/porch/outbox/a.mp4": "waits",
        "devices/porch/archive/b.jpg": "mine",
        "burst-demo/connections.json": "{}",
        "hub/media/clips/1.mp4": "clip",
        "hub/media/incoming/2.part": "half",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    with closing(sqlite3.connect(folder / "hub" / "hub.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE events (id TEXT)")
    (tmp_path / "meerkat.yaml").write_text("hub: {}\n")
    return folder


def names(file: Path) -> set[str]:
    with tarfile.open(file) as archive:
        return set(archive.getnames())


def events(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "hub" / "hub.db")) as database:
        return [row[0] for row in database.execute("SELECT id FROM events")]


KEPT = {
    "meerkat-backup.json",
    "meerkat.yaml",
    "hub/hub.db",
    "connections.json",
    "worker-id",
    "broker/passwords.json",
    "devices/porch/settings.json",
}


def test_what_a_house_would_miss_is_kept_and_nothing_else(
    house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["backup", "small.tar.gz"]) == 0
    assert "with meerkat.yaml, no clips and pictures (--media takes them)" in capsys.readouterr().out
    assert names(tmp_path / "small.tar.gz") == KEPT
    assert (tmp_path / "small.tar.gz").stat().st_mode & 0o777 == 0o600
    assert main.run(["backup", "--media", "large.tar.gz"]) == 0
    assert names(tmp_path / "large.tar.gz") == {*KEPT, "hub/media/clips/1.mp4"}
    assert {path.name for path in tmp_path.iterdir()} == {
        "data",
        "meerkat.yaml",
        "small.tar.gz",
        "large.tar.gz",
    }, "nothing else lies about"


def test_what_the_hub_has_committed_is_in_it_while_the_hub_writes(house: Path, tmp_path: Path) -> None:
    writing = sqlite3.connect(house / "hub" / "hub.db", isolation_level=None)
    writing.execute("INSERT INTO events VALUES ('committed')")
    writing.execute("BEGIN IMMEDIATE")
    writing.execute("INSERT INTO events VALUES ('not yet')")
    assert main.run(["backup", "b.tar.gz"]) == 0
    writing.close()
    assert main.run(["restore", "b.tar.gz", "--data", str(tmp_path / "other")]) == 0
    assert events(tmp_path / "other") == ["committed"]


def test_that_clips_and_pictures_are_missing_is_said_and_noted_for_the_hub(
    house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["backup", "small.tar.gz"]) == 0
    assert main.run(["backup", "--media", "large.tar.gz"]) == 0
    capsys.readouterr()
    assert main.run(["restore", "small.tar.gz", "--data", str(tmp_path / "small")]) == 0
    assert "without clips and pictures: what waited to be looked at cannot be" in capsys.readouterr().out
    made_at = media_left_out(tmp_path / "small" / "hub")
    assert made_at is not None
    assert abs((datetime.now(UTC) - made_at).total_seconds()) < 3600
    assert main.run(["restore", "large.tar.gz", "--data", str(tmp_path / "large")]) == 0
    assert "without clips" not in capsys.readouterr().out
    assert media_left_out(tmp_path / "large" / "hub") is None


def test_what_was_there_before_is_moved_aside(
    house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["backup", "b.tar.gz"]) == 0
    with closing(sqlite3.connect(house / "hub" / "hub.db", isolation_level=None)) as database:
        database.execute("INSERT INTO events VALUES ('later')")
    capsys.readouterr()
    assert main.run(["restore", "b.tar.gz"]) == 0
    told = capsys.readouterr().out
    (aside,) = tmp_path.glob("data.before-*")
    assert f"What was there before is in {aside}" in told
    assert f"meerkat up --config {house}/meerkat.yaml" in told
    assert (events(house), events(aside)) == ([], ["later"])
    assert (house.stat().st_mode & 0o777, (house / "connections.json").stat().st_mode & 0o777) == (
        0o700,
        0o600,
    )
    (tmp_path / "meerkat.yaml").unlink()
    assert main.run(["backup", "again.tar.gz"]) == 0
    assert "meerkat.yaml" in names(tmp_path / "again.tar.gz"), "the one that was put back"


def test_nothing_is_restored_under_a_running_house(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["backup", "b.tar.gz"]) == 0
    with (house / "up.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main.run(["restore", "b.tar.gz"]) == 2
    assert "another `meerkat up` uses this data folder" in capsys.readouterr().err


def test_nothing_is_restored_under_a_hub_that_runs_by_itself(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["backup", "b.tar.gz"]) == 0
    (house / "hub" / "hub.db").unlink()
    engine = open_database(house / "hub" / "hub.db")
    Store(engine).new_epoch()
    assert main.run(["restore", "b.tar.gz"]) == 2
    assert "a hub uses this data folder" in capsys.readouterr().err
    engine.dispose()
    assert main.run(["restore", "b.tar.gz"]) == 0
    damaged = house.parent / "damaged"
    (damaged / "hub").mkdir(parents=True)
    (damaged / "hub" / "hub.db").write_bytes(b"no database at all" * 500)
    assert main.run(["restore", "b.tar.gz", "--data", str(damaged)]) == 0


def crafted(file: Path, *entries: tuple[str, bytes]) -> None:
    with tarfile.open(file, "w:gz") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


MANIFEST = ("meerkat-backup.json", b'{"schema": 1, "made_at": "2026-11-21T06:00:00+00:00"}')


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([("etc", b"x")], "meerkat-backup.json is not its first entry"),
        ([MANIFEST, ("../outside", b"x")], "it holds '../outside'"),
        ([MANIFEST, ("/etc/outside", b"x")], "it holds '/etc/outside'"),
        ([MANIFEST, ("a", b"x"), ("a", b"y")], "twice"),
        ([("meerkat-backup.json", b"[]")], "meerkat-backup.json: "),
        ([("meerkat-backup.json", b'{"schema": 2, "made_at": "2030-01-01", "software": "9"}')], "newer"),
    ],
)
def test_what_is_no_backup_changes_nothing(
    house: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    entries: list[tuple[str, bytes]],
    said: str,
) -> None:
    before = set(tmp_path.rglob("*"))
    crafted(tmp_path / "b.tar.gz", *entries)
    assert main.run(["restore", "b.tar.gz"]) == 2
    assert said in capsys.readouterr().err
    assert set(tmp_path.rglob("*")) - {tmp_path / "b.tar.gz"} == before


def test_a_backup_that_was_cut_short_changes_nothing(
    house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["backup", "b.tar.gz"]) == 0
    whole = (tmp_path / "b.tar.gz").read_bytes()
    (tmp_path / "b.tar.gz").write_bytes(whole[: len(whole) // 2])
    assert main.run(["restore", "b.tar.gz"]) == 2
    assert "is no backup of Meerkat's, or not whole" in capsys.readouterr().err
    assert (house / "worker-id").read_text() == "attic"
    assert main.run(["restore", "nowhere.tar.gz"]) == 2
    assert "nowhere.tar.gz: there is no such file" in capsys.readouterr().err


def test_a_backup_with_one_wrong_bit_changes_nothing(
    house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (house / "worker-id").write_bytes(random.Random(1).randbytes(50_000))
    assert main.run(["backup", "b.tar.gz"]) == 0
    content = bytearray((tmp_path / "b.tar.gz").read_bytes())
    content[len(content) // 2] ^= 0x10
    (tmp_path / "b.tar.gz").write_bytes(content)
    assert main.run(["restore", "b.tar.gz", "--data", str(tmp_path / "other")]) == 2
    assert "is no backup of Meerkat's, or not whole" in capsys.readouterr().err
    (tmp_path / "b.tar.gz").write_bytes(content[:-4])
    assert main.run(["restore", "b.tar.gz", "--data", str(tmp_path / "other")]) == 2
    assert not (tmp_path / "other" / "worker-id").exists()


def test_what_links_lead_to_is_kept(house: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    (house / "hub" / "media").rename(disk)
    (house / "hub" / "media").symlink_to(disk)
    (disk / "round").symlink_to(house)
    (house / "worker-id-too").hardlink_to(house / "worker-id")
    (tmp_path / "meerkat.yaml").rename(tmp_path / "real.yaml")
    (tmp_path / "meerkat.yaml").symlink_to("real.yaml")
    assert main.run(["backup", "--media", "b.tar.gz"]) == 0
    assert names(tmp_path / "b.tar.gz") == {*KEPT, "worker-id-too", "hub/media/clips/1.mp4"}
    other = tmp_path / "other"
    assert main.run(["restore", "b.tar.gz", "--data", str(other)]) == 0
    assert not (other / "hub" / "media").is_symlink()
    assert (other / "meerkat.yaml").read_text() == "hub: {}\n"
    assert (other / "worker-id").read_text() == (other / "worker-id-too").read_text() == "attic"


def test_when_it_cannot_take_its_place_what_was_there_stays(
    house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main.run(["backup", "b.tar.gz"]) == 0
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "data" and path != house:
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    assert main.run(["restore", "b.tar.gz"]) == 1
    assert "Input/output error" in capsys.readouterr().err
    assert (house / "worker-id").read_text() == "attic"


def test_where_it_cannot_be_written(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("taken").touch()
    for named, said in (("taken", "is there already"), (str(house / "b"), "lies in the data folder")):
        assert main.run(["backup", named]) == 2
        assert said in capsys.readouterr().err
    assert main.run(["backup", "no/such/folder/b"]) == 1
    assert "cannot be written (No such file or directory" in capsys.readouterr().err
    assert main.run(["backup", "b", "--config", "no.yaml"]) == 2
    assert main.run(["backup", "b", "--data", "nowhere"]) == 2


def test_a_damaged_database_is_told_of(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (house / "hub" / "hub.db").write_bytes(b"no database at all" * 500)
    for beside in ("hub.db-wal", "hub.db-shm"):
        (house / "hub" / beside).unlink(missing_ok=True)
    assert main.run(["backup", "b"]) == 1
    assert "the database cannot be copied (file is not a database)" in capsys.readouterr().err
    assert not Path("b").exists()
