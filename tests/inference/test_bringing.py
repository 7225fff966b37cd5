"""A deployed model comes from the hub, with its hash checked."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from meerkat_contract.errors import ModelError
from meerkat_contract.messages import Deploy
from meerkat_inference import catalogue, store
from meerkat_inference.bringing import bring_model
from meerkat_inference.catalogue import Entry
from support.model_server import ModelServer

DATA = b"a network of faces" * 1000


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """A model of the owner's own catalogue, which no upstream serves."""
    digest = hashlib.sha256(DATA).hexdigest()
    file = tmp_path / "own.toml"
    file.write_text(
        f"""
[[model]]
name = "own-faces"
title = "Faces of the house"
task = "detect_faces"
family = "yunet"
engines = ["onnxruntime"]
repository = "nobody/nothing"
commit = "000000000000"
licence = "own"
input = [320, 320]
words = ["face"]
calibration = [[0, 0], [0.5, 0.5], [1, 1]]
calibrated_on = "nothing"
[[model.files]]
role = "model"
name = "own.onnx"
path = "own.onnx"
bytes = {len(DATA)}
sha256 = "{digest}"
"""
    )
    monkeypatch.setenv("MEERKAT_CATALOGUE", str(file))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MEERKAT_MODELS", "")
    monkeypatch.setenv("MEERKAT_MODELS_MIRROR", "http://127.0.0.1:9")
    return catalogue.get("own-faces")


def order(entry: Entry, **changes: str) -> Deploy:
    values = {"task": entry.task, "model": entry.name, "sha256": entry.model.sha256}
    return Deploy.model_validate(values | changes)


def test_it_is_fetched_from_the_hub_by_its_hash_once(entry: Entry) -> None:
    path = f"api/models/{entry.model.sha256}"
    with ModelServer({path: DATA}).running() as hub:
        bring_model(order(entry, address=hub.url + "/"))
        files = store.locate(entry)
        assert files is not None
        assert files.model.read_bytes() == DATA
        bring_model(order(entry, address=hub.url))
        assert [request["path"] for request in hub.requests] == ["/" + path]


def test_what_is_not_the_catalogues_file_is_not_believed(entry: Entry) -> None:
    false = {f"api/models/{entry.model.sha256}": DATA[:-1] + b"?"}
    with ModelServer(false).running() as hub, pytest.raises(ModelError, match="SHA-256"):
        bring_model(order(entry, address=hub.url))
    assert store.locate(entry) is None


def test_an_order_without_a_model_leaves_the_choice(entry: Entry) -> None:
    bring_model(Deploy(task="detect_faces"))
    bring_model(Deploy(task="detect_objects", model="hog-people"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "detect_objects"}, "is for detect_faces, not for detect_objects"),
        ({"sha256": "0" * 64}, "another file by own-faces.*same version of Meerkat"),
        ({"model": "nobody-knows"}, "no model is named"),
        ({"address": ""}, "could not be fetched"),
        ({"address": "file:///etc"}, "could not be fetched"),
    ],
)
def test_what_cannot_be_followed_says_why(entry: Entry, changes: dict[str, str], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        bring_model(order(entry, **changes))
