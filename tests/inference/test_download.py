"""Downloads against a real server on loopback that truncates, stalls, lies and forgets."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from meerkat_contract.errors import ModelError, StorageError
from meerkat_inference import catalogue, download, store
from meerkat_inference.catalogue import Entry
from meerkat_inference.download import Patience, fetch_default, pull
from meerkat_inference.models_command import models
from support.broker import free_port
from support.model_server import ModelServer

DATA = random.Random(7).randbytes(300_000)
CONFIG = b"[net]\n" * 10


@pytest.fixture
def entry() -> Entry:
    """Yolo-Fastest's entry with the files that the test's server has."""
    real = catalogue.get("yolo-fastest")
    contents = {"model": DATA, "config": CONFIG}
    files = tuple(
        file.model_copy(
            update={
                "bytes": len(contents[file.role]),
                "sha256": hashlib.sha256(contents[file.role]).hexdigest(),
            }
        )
        for file in real.files
    )
    return real.model_copy(update={"files": files})


@pytest.fixture
def server(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    contents = {entry.files[0].name: DATA, entry.files[1].name: CONFIG}
    with ModelServer(contents).running() as running:
        monkeypatch.setenv("MEERKAT_MODELS_MIRROR", running.url + "/")
        yield running


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MEERKAT_MODELS", raising=False)
    return tmp_path / "cache" / "meerkat" / "models"


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def patience(pauses: list[float]) -> Patience:
    """Never sleeps, and gives a silent server a fifth of a second."""
    return Patience(stall=0.2, pause=pauses.append)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.part*"))


def test_all_files_of_a_model_arrive(entry: Entry, server: ModelServer, home: Path) -> None:
    seen: list[tuple[str, int]] = []
    path = pull(entry, progress=lambda file, have: seen.append((file.name, have)))
    assert path == home / entry.model.name
    assert path.read_bytes() == DATA
    assert (home / "yolo-fastest-1.1.cfg").read_bytes() == CONFIG
    assert leftovers(home) == []
    counts = [have for name, have in seen if name == entry.model.name]
    assert counts == sorted(counts)
    assert counts[-1] == len(DATA)


def test_what_is_there_and_sound_is_not_fetched_again(entry: Entry, server: ModelServer) -> None:
    pull(entry)
    server.requests.clear()
    pull(entry)
    assert server.requests == []


def test_a_damaged_copy_is_replaced(entry: Entry, server: ModelServer, home: Path) -> None:
    pull(entry)
    (home / entry.model.name).write_bytes(bytes(len(DATA)))
    pull(entry)
    assert (home / entry.model.name).read_bytes() == DATA


def test_a_cut_connection_is_resumed_where_it_ended(
    entry: Entry, server: ModelServer, patience: Patience, pauses: list[float]
) -> None:
    server.tricks = ["cut", "cut"]
    assert pull(entry, patience=patience).read_bytes() == DATA
    first, second, third = server.requests[:3]
    assert "Range" not in first
    assert second["Range"] == "bytes=150000-"
    assert second["If-Range"] == '"v1"'
    assert third["Range"] == "bytes=225000-"
    assert len(pauses) == 2


def test_a_later_start_goes_on_too(entry: Entry, server: ModelServer, home: Path, patience: Patience) -> None:
    server.tricks = ["cut"]
    with pytest.raises(ModelError):
        pull(entry, patience=Patience(attempts=1))
    assert leftovers(home) == ["yolo-fastest-1.1.weights.part", "yolo-fastest-1.1.weights.part.json"]
    server.requests.clear()
    pull(entry, patience=patience)
    assert server.requests[0]["Range"] == "bytes=150000-"


def test_a_stalled_server_is_given_up_and_resumed(
    entry: Entry, server: ModelServer, patience: Patience
) -> None:
    server.tricks = ["stall"]
    assert pull(entry, patience=patience).read_bytes() == DATA
    assert server.requests[1]["Range"] == "bytes=150000-"


def test_a_server_without_ranges_starts_over(entry: Entry, server: ModelServer, patience: Patience) -> None:
    server.ranges = False
    server.tricks = ["cut"]
    assert pull(entry, patience=patience).read_bytes() == DATA


def test_a_file_that_changed_upstream_is_not_glued_together(
    entry: Entry, server: ModelServer, patience: Patience
) -> None:
    server.tricks = ["cut"]
    with pytest.raises(ModelError):
        pull(entry, patience=Patience(attempts=1))
    server.etag = '"v2"'
    assert pull(entry, patience=patience).read_bytes() == DATA


def test_a_weak_mark_is_not_sent_back(entry: Entry, server: ModelServer, patience: Patience) -> None:
    server.etag = 'W/"v1"'
    server.tricks = ["cut"]
    assert pull(entry, patience=patience).read_bytes() == DATA
    assert "If-Range" not in server.requests[1]
    assert "Range" in server.requests[1]


@pytest.mark.parametrize("trick", ["416", "other-part", "wrong"])
def test_a_failed_resume_starts_over(
    entry: Entry, server: ModelServer, patience: Patience, trick: str
) -> None:
    server.tricks = ["cut", trick]  # type: ignore[list-item]
    assert pull(entry, patience=patience).read_bytes() == DATA
    assert "Range" not in server.requests[2]


def test_wrong_bytes_are_refused_and_not_kept(
    entry: Entry, server: ModelServer, home: Path, patience: Patience
) -> None:
    server.tricks = ["wrong"]
    with pytest.raises(ModelError, match="SHA-256 is"):
        pull(entry, patience=patience)
    assert [path.name for path in home.iterdir()] == [".lock"]
    assert len(server.requests) == 1


def test_too_many_bytes_are_refused(
    entry: Entry, server: ModelServer, home: Path, patience: Patience
) -> None:
    server.tricks = ["too-long"]
    with pytest.raises(ModelError, match="more than the 300000 bytes"):
        pull(entry, patience=patience)
    assert leftovers(home) == []


def test_a_404_is_not_tried_again_and_names_address_and_folder(
    entry: Entry, server: ModelServer, home: Path, patience: Patience, pauses: list[float]
) -> None:
    server.tricks = ["404"]
    with pytest.raises(ModelError) as caught:
        pull(entry, patience=patience)
    assert "404" in str(caught.value)
    assert entry.urls(entry.model)[0] in caught.value.remedy
    assert str(home) in caught.value.remedy
    assert pauses == []


def test_a_server_error_is_tried_again_with_growing_pauses(
    entry: Entry, server: ModelServer, patience: Patience, pauses: list[float]
) -> None:
    server.tricks = ["500", "500", "500"]
    assert pull(entry, patience=patience).read_bytes() == DATA
    assert pauses[0] < pauses[1] < pauses[2]


def test_the_second_address_is_tried_when_the_first_fails(
    entry: Entry, server: ModelServer, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        download, "addresses", lambda entry, file: (f"{server.url}/gone", f"{server.url}/{file.name}")
    )
    assert pull(entry, patience=patience).read_bytes() == DATA


def test_a_folder_that_cannot_be_written_is_named(entry: Entry, server: ModelServer, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StorageError, match="--folder"):
        pull(entry, blocked / "models")


def test_the_total_time_is_kept(entry: Entry, server: ModelServer) -> None:
    server.tricks = ["500", "500"]
    now = iter(range(0, 1000, 10))
    patience = Patience(total=5, pause=lambda seconds: None, clock=lambda: float(next(now)))
    with pytest.raises(ModelError):
        pull(entry, patience=patience)
    assert len(server.requests) == 1


# --- on a first start -----------------------------------------------------------------------------


@pytest.fixture
def default(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> Entry:
    monkeypatch.setattr(catalogue, "entries", lambda: (entry.model_copy(update={"default": True}),))
    return entry


def test_a_first_start_fetches_the_default(default: Entry, server: ModelServer, home: Path) -> None:
    assert fetch_default() == home / default.model.name
    server.requests.clear()
    assert fetch_default() == home / default.model.name
    assert server.requests == []


def test_a_first_start_uses_what_is_in_the_configured_folder(
    default: Entry, server: ModelServer, tmp_path: Path
) -> None:
    pull(default, tmp_path / "mine")
    server.requests.clear()
    assert fetch_default(folders=[tmp_path / "mine"]) == tmp_path / "mine" / default.model.name
    assert server.requests == []


def test_a_first_start_without_network_goes_on_with_one_line(
    default: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEERKAT_MODELS_MIRROR", f"http://127.0.0.1:{free_port()}")
    lines: list[str] = []
    assert fetch_default(log=lines.append) is None
    (line,) = lines
    assert "could not be fetched, going on without it" in line
    assert default.urls(default.model)[0] in line


@pytest.mark.parametrize("mirror", ["http://house:eighty", "house:8000", "/srv/models"])
def test_a_mirror_that_is_no_address_is_named(
    default: Entry, monkeypatch: pytest.MonkeyPatch, mirror: str
) -> None:
    monkeypatch.setenv("MEERKAT_MODELS_MIRROR", mirror)
    lines: list[str] = []
    assert fetch_default(log=lines.append) is None
    (line,) = lines
    assert f"could not be fetched ({mirror}/" in line


# --- the command ----------------------------------------------------------------------------------


def test_pull_prints_where_the_model_is(default: Entry, server: ModelServer, home: Path) -> None:
    result = CliRunner().invoke(models, ["pull"])
    assert result.exit_code == 0, result.output
    assert str(home / default.model.name) in result.output


def test_pull_into_a_folder(default: Entry, server: ModelServer, tmp_path: Path) -> None:
    result = CliRunner().invoke(models, ["pull", default.name, "--folder", str(tmp_path / "here")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "here" / default.model.name).read_bytes() == DATA
    assert store.locate(default, folders=[tmp_path / "here"]) is not None


def test_pull_without_network_names_address_and_folder(
    default: Entry, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEERKAT_MODELS_MIRROR", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(download, "Patience", lambda: Patience(pause=lambda seconds: None))
    result = CliRunner().invoke(models, ["pull"])
    assert result.exit_code == 1
    assert result.output.startswith("error: ")
    assert result.output.count("rror") == 1
    assert default.model.name not in result.output.splitlines()[-1], "no bar after the error"
    assert default.urls(default.model)[0] in result.output.replace("\n", "")
    assert str(home) in result.output.replace("\n", "")


def test_pull_of_an_unknown_name_suggests_the_near_one() -> None:
    result = CliRunner().invoke(models, ["pull", "yolox-nan"])
    assert "Did you mean yolox-nano" in str(result.exception)


def test_the_list_keeps_paths_whole_and_tells_small_sizes(default: Entry, tmp_path: Path) -> None:
    folder = tmp_path / ("a-folder-with-a-long-name-" * 5)
    folder.mkdir()
    for file, content in zip(default.files, (DATA, CONFIG), strict=True):
        (folder / file.name).write_bytes(content)
    result = CliRunner(env={"COLUMNS": "80"}).invoke(models, ["list", "--folder", str(folder)])
    assert result.exit_code == 0, result.output
    (line,) = (line for line in result.output.splitlines() if line.startswith(default.name))
    assert line.endswith(f"  {folder / default.model.name}")
    assert " kB  " in line
    assert " 0.0 MB" not in result.output
