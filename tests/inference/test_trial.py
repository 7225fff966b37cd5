"""What a worker believes: a model that does not see what it must is not offered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meerkat_contract.errors import ModelError
from meerkat_contract.messages import ModelInfo
from meerkat_inference import catalogue, families, known, trial
from meerkat_inference.detector import Found
from meerkat_inference.faces.embedder import Description
from meerkat_inference.faces.trial import must_tell_apart
from meerkat_inference.loading import load_detector
from meerkat_inference.looking import opener
from meerkat_inference.recognising import recogniser
from support.edge_tpu import build_stub, write_compiled_model
from support.shared import shared

PUBLISHED = [entry for entry in catalogue.entries() if entry.name in known.published()]
CORAL = catalogue.get("ssdlite-mobiledet")
YOLOX = catalogue.get("yolox-nano")


class Says:
    """A detector that answers each picture with the same."""

    device = "cpu"

    def __init__(self, *founds: Found) -> None:
        self.info = ModelInfo(name="yolox-nano", engine="litert")
        self.founds = list(founds)
        self.closed = False

    def detect(self, picture: Any) -> list[Found]:
        return self.founds

    def close(self) -> None:
        self.closed = True


class Describes:
    """An embedder that describes each face by the same numbers."""

    device = "cuda"

    def __init__(self, *numbers: float) -> None:
        self.info = ModelInfo(name="sface", engine="onnxruntime")
        self.numbers = np.array(numbers, np.float32)

    def describe(self, picture: Any, box: Any) -> Description:
        return Description(self.numbers, 1.0)


@pytest.fixture
def coral(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The stub's library, and a file that is compiled for it on the search path."""
    monkeypatch.setenv("MEERKAT_MODELS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_compiled_model(tmp_path / CORAL.model.name, side=CORAL.input[0])
    return str(build_stub(tmp_path))


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: entry.name)
def test_a_model_that_works_is_believed(entry: catalogue.Entry) -> None:
    if entry.embedding is not None:
        pytest.importorskip("dlib", reason="needs the extra faces")
        recogniser(model=entry.name)("").close()
        return
    folder = shared(f"models/{entry.model.name}").parent
    skill = opener(entry.task, folders=(folder,))(entry.name)
    assert skill.info.name == entry.name
    skill.close()


def test_a_coral_that_answers_with_nothing_is_not(coral: str) -> None:
    load = opener("detect_objects", device="usb:7", library=coral)
    with pytest.raises(ModelError, match=r"edgetpu usb:7, sees nothing at all .*`meerkat worker verify`"):
        load("")
    opener("detect_objects", device="usb:0", library=coral)("").close()
    quiet = load_detector(device="usb:7", library=coral)
    assert quiet.detect(known.PICTURES[0].load()) == [], "nothing else shows it"
    quiet.close()


@pytest.mark.parametrize("change", [{"score": 0.29}, {"label": "car"}, {"box": (0.0, 0.0, 0.3, 0.3)}])
def test_what_is_published_must_be_found(change: dict[str, Any]) -> None:
    (person, *_) = known.published()["yolox-nano"].founds["person"]
    trial.must_see(Says(person), YOLOX)
    with pytest.raises(ModelError, match="does not see the person"):
        trial.must_see(Says(replace(person, **change)), YOLOX)


def test_the_next_model_is_taken_where_one_is_blind(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shared("models/yolox_nano_drq.tflite").parent
    blind = Says()
    build = families.build

    def half_broken(entry: catalogue.Entry, *files: Any, **how: Any) -> Any:
        return blind if entry.name == "yolox-nano" else build(entry, *files, **how)

    monkeypatch.setattr(families, "build", half_broken)
    told: list[str] = []
    taken = load_detector(folders=(folder,), tried=True, log=told.append)
    assert taken.info.name == "yolo-fastest"
    assert "yolox-nano on litert, cpu, does not see the person" in told[0]
    assert blind.closed
    taken.close()
    with pytest.raises(ModelError, match="does not see the person"):
        load_detector("yolox-nano", folders=(folder,), tried=True)


def test_an_owners_model_may_know_only_what_our_pictures_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = CORAL.model_copy(update={"name": "foxes", "vocabulary": "own", "words": ("person", "dog")})
    with pytest.raises(ModelError, match="sees nothing at all in pictures of a person"):
        trial.must_see(Says(), entry)
    monkeypatch.setattr(catalogue, "own_file", lambda name: tmp_path if name == "foxes" else None)
    trial.must_see(Says(), entry)


@pytest.mark.parametrize("numbers", [(0.0, 0.0), (0.6, 0.8), (float("nan"), 0.0)])
def test_an_embedder_to_whom_all_are_alike_is_not_believed(numbers: tuple[float, float]) -> None:
    with pytest.raises(ModelError, match=r"sface on onnxruntime, cuda, describes a face and a car alike"):
        must_tell_apart(Describes(*numbers), catalogue.get("sface"))  # type: ignore[arg-type]
