"""The catalogue's data, the search path, and `meerkat models list`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from meerkat_contract.errors import ModelError
from meerkat_contract.vocabulary import LABELS
from meerkat_inference import catalogue, store
from meerkat_inference.catalogue import Entry
from meerkat_inference.models_command import models
from support.shared import FOLDER, shared

ENTRIES = catalogue.entries()
DETECTORS = [entry for entry in ENTRIES if entry.embedding is None]
HERE = [entry for entry in DETECTORS if entry.model.pinned]
"""The models whose files lie among the development models."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MEERKAT_MODELS", raising=False)
    return tmp_path / "cache" / "meerkat" / "models"


def test_names_are_unique() -> None:
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)
    by_name = {file.name: file.sha256 for entry in ENTRIES for file in entry.files if file.pinned}
    assert len(set(by_name.values())) == len(by_name)


@pytest.mark.parametrize("task", ["detect_objects", "detect_faces", "recognise_faces"])
def test_each_task_has_one_default(task: str) -> None:
    assert sum(entry.default for entry in ENTRIES if entry.task == task) == 1
    assert catalogue.ranked(task)[0] == catalogue.default(task)


@pytest.mark.parametrize("entry", DETECTORS, ids=lambda entry: entry.name)
def test_an_entry_states_all_that_is_needed(entry: Entry) -> None:
    assert entry.licence
    assert entry.calibrated_on
    assert entry.urls(entry.model)
    for file in entry.files:
        for url in entry.urls(file):
            assert (file.release or entry.commit or entry.branch) in url
            assert url.startswith("https://")
            assert url.endswith(file.path)
    words = entry.labels or store.find(entry, folders=[shared("models/coco.names").parent]).labels()
    assert set(words) - {""} <= {*LABELS, "face"}
    assert set(entry.factors) <= set(words)


@pytest.mark.shared
@pytest.mark.parametrize("entry", HERE, ids=lambda entry: entry.name)
def test_the_development_files_are_those_of_the_catalogue(entry: Entry) -> None:
    folder = shared("models/SOURCES.txt").parent
    for file in entry.files:
        data = (folder / file.name).read_bytes()
        assert len(data) == file.bytes
        assert hashlib.sha256(data).hexdigest() == file.sha256


def test_a_calibration_that_does_not_rise_is_refused() -> None:
    data = ENTRIES[0].model_dump()
    data["calibration"] = ((0, 0), (0.6, 0.5), (0.5, 0.8), (1, 1))
    with pytest.raises(ValidationError, match="does not rise"):
        Entry.model_validate(data)


def test_a_calibration_without_a_working_point_is_refused() -> None:
    data = ENTRIES[0].model_dump()
    data["calibration"] = ((0, 0), (0.5, 0.4), (1, 1))
    with pytest.raises(ValidationError, match=r"point at 0\.5"):
        Entry.model_validate(data)


def test_models_of_the_cloud_come_first_there_and_not_at_home() -> None:
    home, cloud = (catalogue.ranked("detect_objects", place) for place in ("home", "cloud"))
    assert {entry.place for entry in home} == {"home"}
    assert [entry.place for entry in cloud] == sorted(entry.place for entry in cloud)
    assert cloud[0].place == "cloud"
    assert cloud[len(cloud) - len(home) :] == home


def test_all_are_those_of_the_house(monkeypatch: pytest.MonkeyPatch) -> None:
    pulled: list[str] = []
    monkeypatch.setattr(
        "meerkat_inference.download.pull", lambda entry, folder, **_: pulled.append(entry.name) or folder
    )
    assert CliRunner().invoke(models, ["pull", "--all"]).exit_code == 0
    assert "yolo-fastest" in pulled
    assert "yolov7" not in pulled
    pulled.clear()
    assert CliRunner().invoke(models, ["pull", "--cloud"]).exit_code == 0
    assert pulled == ["yolov7", "yolov4", "yolov7-tiny", "yolov4-tiny"]


# --- the search path ------------------------------------------------------------------------------


@pytest.fixture
def entry() -> Entry:
    """A one-file model of five bytes."""
    real = catalogue.get("yolox-nano")
    file = real.model.model_copy(update={"bytes": 5, "sha256": hashlib.sha256(b"bytes").hexdigest()})
    return real.model_copy(update={"files": (file,)})


def test_the_path_is_environment_then_cache_then_configuration(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEERKAT_MODELS", os.pathsep.join(["/one", "", "/two"]))
    assert store.search_path([Path("/mine"), Path("/one")]) == (
        Path("/one"),
        Path("/two"),
        home,
        Path("/mine"),
    )


def test_the_cache_lies_in_the_home_folder_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert store.cache_folder() == Path.home() / ".cache" / "meerkat" / "models"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert store.cache_folder() == Path.home() / ".cache" / "meerkat" / "models"


def test_a_file_is_known_by_its_content(entry: Entry, tmp_path: Path) -> None:
    (tmp_path / "any-name.bin").write_bytes(b"bytes")
    (tmp_path / entry.model.name).write_bytes(b"other")
    files = store.locate(entry, folders=[tmp_path])
    assert files is not None
    assert files.model == tmp_path / "any-name.bin"


def test_a_file_that_changes_is_looked_at_again(entry: Entry, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"other")
    assert store.locate(entry, folders=[tmp_path]) is None
    path.write_bytes(b"bytes")
    os.utime(path, ns=(1, 1))
    assert store.locate(entry, folders=[tmp_path]) is not None


def test_a_file_that_is_still_arriving_does_not_count(entry: Entry, tmp_path: Path) -> None:
    (tmp_path / "model.part").write_bytes(b"bytes")
    assert store.locate(entry, folders=[tmp_path]) is None


def test_a_file_that_cannot_be_read_hides_no_other(
    entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    locked, good = tmp_path / "a-locked", tmp_path / "good"
    for path in (locked, good):
        path.write_bytes(b"bytes")
    (tmp_path / "loop").symlink_to("loop")
    really = store.file_hash

    def refused(path: Path, size: int, changed: int) -> str:
        if path == locked:
            raise PermissionError(13, "Permission denied")
        return really(path, size, changed)

    monkeypatch.setattr(store, "file_hash", refused)
    files = store.locate(entry, folders=[tmp_path])
    assert files is not None
    assert files.model == good
    assert caplog.messages == [f"{locked}: this file is left out: Permission denied"]


def test_a_model_with_a_file_missing_is_not_there(tmp_path: Path) -> None:
    real = catalogue.get("yolo-fastest")
    (tmp_path / "x.cfg").write_bytes(b"")
    with pytest.raises(ModelError, match="meerkat models pull yolo-fastest") as caught:
        store.find(real, folders=[tmp_path])
    assert str(tmp_path) in caught.value.where


def test_labels_of_a_file_are_in_the_words_of_the_house(tmp_path: Path) -> None:
    names = tmp_path / "labels.txt"
    names.write_text("Person\n???\nTraffic Light\nmotorbike\n")
    assert store.Files(tmp_path, names=names).labels() == ("person", "", "traffic_light", "motorcycle")


# --- meerkat models list --------------------------------------------------------------------------


def test_list_names_every_model_and_marks_the_defaults() -> None:
    result = CliRunner().invoke(models, ["list"])
    assert result.exit_code == 0, result.output
    for entry in ENTRIES:
        assert f"{entry.name} *" in result.output if entry.default else entry.name in result.output
    assert "the built-in people detector is used" in result.output
    (large,) = (line.split() for line in result.output.splitlines() if line.startswith("yolov7 "))
    assert large[:4] == ["yolov7", "80", "kinds", "cloud"]


def test_list_json_tells_where_a_model_is(tmp_path: Path) -> None:
    folder = shared("models/SOURCES.txt").parent
    result = CliRunner().invoke(models, ["list", "--json", "--folder", str(folder)])
    rows = [json.loads(line) for line in result.output.splitlines()]
    assert [row["name"] for row in rows] == [entry.name for entry in ENTRIES]
    assert rows[0]["path"] == str(FOLDER / "models" / ENTRIES[0].model.name)
    assert rows[0]["licence"] == ENTRIES[0].licence


def test_listing_loads_no_engine() -> None:
    code = (
        "import sys, meerkat_inference.models_command, meerkat_inference.catalogue, meerkat_inference.store;"
        "meerkat_inference.catalogue.entries();"
        "print([m for m in ('cv2', 'numpy', 'onnxruntime', 'ai_edge_litert') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
