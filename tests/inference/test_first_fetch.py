"""A model whose hash nobody knew: believed at the first fetch, and held to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from meerkat_contract.errors import ModelError
from meerkat_inference import catalogue, download, store
from meerkat_inference.catalogue import Entry
from support.darknet import write_random
from support.model_server import ModelServer

MODEL = b"\x1c\x00\x00\x00TFL3" + bytes(range(256)) * 20
HASH = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture
def entry() -> Entry:
    return catalogue.get("ssd-mobilenet-v2-face")


@pytest.fixture
def server(entry: Entry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModelServer]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MEERKAT_MODELS", raising=False)
    with ModelServer({entry.model.name: MODEL}).running() as running:
        monkeypatch.setenv("MEERKAT_MODELS_MIRROR", running.url)
        yield running


def test_the_first_fetch_notes_the_hash(
    entry: Entry, server: ModelServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = download.pull(entry, tmp_path)
    assert path.read_bytes() == MODEL
    assert store.noted_hash(path) == HASH
    assert HASH in caplog.text
    files = store.find(entry, folders=[tmp_path])
    assert files.model == path
    assert store.as_found(entry, files).model.sha256 == HASH


def test_what_is_there_as_noted_is_left(entry: Entry, server: ModelServer, tmp_path: Path) -> None:
    download.pull(entry, tmp_path)
    download.pull(entry, tmp_path)
    assert len(server.requests) == 1


def test_a_file_that_differs_from_the_note_is_not_used(
    entry: Entry, server: ModelServer, tmp_path: Path
) -> None:
    path = download.pull(entry, tmp_path)
    path.write_bytes(MODEL + b"!")
    assert store.locate(entry, folders=[tmp_path]) is None
    server.files[entry.model.name] = MODEL + b"?"
    with pytest.raises(ModelError, match="is not what its first fetch brought"):
        download.pull(entry, tmp_path)
    assert path.read_bytes() == MODEL + b"!"


def test_a_file_without_a_note_is_not_used(entry: Entry, tmp_path: Path) -> None:
    (tmp_path / entry.model.name).write_bytes(MODEL)
    assert store.locate(entry, folders=[tmp_path]) is None


def test_who_knows_the_hash_writes_it_down_before(entry: Entry, server: ModelServer, tmp_path: Path) -> None:
    note = tmp_path / (entry.model.name + store.NOTE)
    note.write_text("0" * 64)
    with pytest.raises(ModelError, match="is not what"):
        download.pull(entry, tmp_path)
    note.write_text(HASH)
    assert download.pull(entry, tmp_path).read_bytes() == MODEL


def test_an_error_page_is_no_model(entry: Entry, server: ModelServer, tmp_path: Path) -> None:
    server.files[entry.model.name] = b"<html>busy, try again later</html>"
    with pytest.raises(ModelError, match="no TensorFlow Lite file"):
        download.pull(entry, tmp_path)
    assert not (tmp_path / entry.model.name).exists()


def test_a_model_that_comes_with_a_package_is_not_fetched(server: ModelServer, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"pip install 'meerkat-home\[faces\]'"):
        download.pull(catalogue.get("dlib-resnet"), tmp_path)
    assert not server.requests


def test_files_in_git_lfs_are_fetched_where_they_are() -> None:
    entry = catalogue.get("sface")
    assert entry.urls(entry.model)[0].startswith(
        "https://media.githubusercontent.com/media/opencv/opencv_zoo/"
    )


# --- Darknet's pairs --------------------------------------------------------------------------------


def darknet_server(folder: Path, monkeypatch: pytest.MonkeyPatch, entry: Entry, cut: int = 0) -> ModelServer:
    """Serves a small network under the names of a large one, `cut` bytes short."""
    weights, config = write_random(folder)
    data = weights.read_bytes()
    server = ModelServer(
        {entry.model.name: data[: len(data) - cut], entry.files[1].name: config.read_bytes()}
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.delenv("MEERKAT_MODELS", raising=False)
    return server


def test_a_pair_that_fits_together_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = catalogue.get("yolov4-tiny")
    with darknet_server(tmp_path, monkeypatch, entry).running() as server:
        monkeypatch.setenv("MEERKAT_MODELS_MIRROR", server.url)
        path = download.pull(entry, tmp_path / "models")
    assert store.find(entry, folders=[tmp_path / "models"]).model == path


def test_a_pair_that_does_not_fit_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = catalogue.get("yolov4-tiny")
    with darknet_server(tmp_path, monkeypatch, entry, cut=4).running() as server:
        monkeypatch.setenv("MEERKAT_MODELS_MIRROR", server.url)
        with pytest.raises(ModelError, match="truncated or belongs to another"):
            download.pull(entry, tmp_path / "models")
    assert store.locate(entry, folders=[tmp_path / "models"]) is None
    assert not [path for path in (tmp_path / "models").iterdir() if "yolov4" in path.name]


def test_a_release_and_a_branch_have_their_addresses() -> None:
    entry = catalogue.get("yolov7")
    weights, config = entry.files
    base = "https://github.com/AlexeyAB/darknet"
    assert entry.urls(weights) == (f"{base}/releases/download/yolov4/yolov7.weights",)
    assert entry.urls(config)[1] == f"{base}/raw/master/cfg/yolov7.cfg"
