"""Models over HTTP: a worker that is told to load one fetches it here."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hub_support.web_house import Served
from meerkat_contract.messages import Deploy
from meerkat_inference import catalogue, store
from meerkat_inference.bringing import bring_model

DATA = b"a network of the house" * 5000
SHA256 = hashlib.sha256(DATA).hexdigest()

CATALOGUE = f"""
[[model]]
name = "own-objects"
title = "Objects of the house"
task = "detect_objects"
family = "yolox"
engines = ["litert"]
licence = "own"
input = [320, 320]
words = ["cat"]
calibration = [[0, 0], [0.5, 0.5], [1, 1]]
calibrated_on = "nothing"
[[model.files]]
role = "model"
name = "own.tflite"
bytes = {len(DATA)}
sha256 = "{SHA256}"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's folder of models, with one of the owner's own that no upstream has."""
    made = tmp_path / "models"
    made.mkdir()
    (tmp_path / "own.toml").write_text(CATALOGUE)
    monkeypatch.setenv("MEERKAT_CATALOGUE", str(tmp_path / "own.toml"))
    monkeypatch.setenv("MEERKAT_MODELS", str(made))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return made


def test_the_catalogue_says_what_is_here(folder: Path, web: Served) -> None:
    def own() -> dict[str, object]:
        listed = web.json("/api/models")
        assert len(listed) == len(catalogue.entries())
        (model,) = [model for model in listed if model["name"] == "own-objects"]
        (file,) = model["files"]
        assert (file["sha256"], file["bytes"], model["devices"]) == (SHA256, len(DATA), ["cpu"])
        return dict(file)

    assert own()["here"] is False
    (folder / "whatever.bin").write_bytes(DATA)
    assert own()["here"] is True


def test_a_file_is_had_by_its_hash_whole_or_in_part(folder: Path, web: Served) -> None:
    (folder / "own.tflite").write_bytes(DATA)
    whole = web.get(f"/api/models/{SHA256}")
    assert whole.content == DATA
    assert whole.headers["etag"] == f'"{SHA256}"'
    part = web.get(f"/api/models/{SHA256}", status=206, Range="bytes=1000-")
    assert part.content == DATA[1000:]


@pytest.mark.parametrize(
    ("sha256", "status", "words"),
    [
        (SHA256, 404, "is on the hub's machine"),
        ("0" * 64, 404, "no model of the catalogue"),
        ("..%2f..%2fetc%2fpasswd", 404, ""),
        ("short", 422, "sha256"),
    ],
)
def test_what_is_not_here_says_so(folder: Path, web: Served, sha256: str, status: int, words: str) -> None:
    problem = web.json(f"/api/models/{sha256}", status=status)
    assert words in str(problem)


def test_another_file_of_that_name_is_not_sent(folder: Path, web: Served) -> None:
    (folder / "own.tflite").write_bytes(DATA[::-1])
    web.get(f"/api/models/{SHA256}", status=404)


def test_a_worker_that_is_told_to_load_it_fetches_it_from_the_hub(
    folder: Path, web: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "own.tflite").write_bytes(DATA)
    entry = catalogue.get("own-objects")
    address = web.base
    # The worker searches another folder than the hub.
    found = store.locate
    monkeypatch.setattr(store, "locate", lambda entry, *, folders=(): None)
    bring_model(Deploy(task=entry.task, model=entry.name, sha256=SHA256, address=address))
    assert (tmp_path / "cache/meerkat/models/own.tflite").read_bytes() == DATA
    assert found(entry) is not None
