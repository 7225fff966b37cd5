"""What a machine could do with a model that it has not, and the fetching of one."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from meerkat_contract.connection import Connection
from meerkat_contract.messages import Deploy
from meerkat_inference import catalogue, fetching
from meerkat_inference.fetching import Fetcher, fetchable, models_here
from meerkat_inference.serving import FACES, RECOGNITION, Plan, make_fetcher
from meerkat_inference.settings import WorkerSettings
from support.model_server import ModelServer
from support.shared import shared
from support.wait import wait_for

YUNET = catalogue.get("yunet")


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is here, and none can be had from elsewhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MEERKAT_MODELS", "")
    monkeypatch.setenv("MEERKAT_MODELS_MIRROR", "http://127.0.0.1:9")


class Heard:
    """What a fetcher said of some orders until it was through with them."""

    def __init__(self, fetcher: Fetcher, *orders: Deploy) -> None:
        self.errors: list[str] = []
        self.here = 0
        for order in orders:
            fetcher.ask(order, here=self._here, failed=lambda error: self.errors.append(str(error)))
        wait_for(lambda: not fetching_threads(), seconds=30, what="the end of the fetch")

    def _here(self) -> None:
        self.here += 1


def fetching_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "fetch"]


def names(tasks: dict[str, tuple[catalogue.Entry, ...]]) -> dict[str, list[str]]:
    return {task: [entry.name for entry in entries] for task, entries in tasks.items()}


def test_what_recognises_faces_needs_what_finds_the_eyes() -> None:
    assert names(fetchable([FACES, RECOGNITION])) == {FACES: ["yunet"], RECOGNITION: ["sface", "yunet"]}


def test_what_is_here_or_has_no_engine_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shared("models/yunet_n_320_320.onnx").parent
    here = models_here([FACES, RECOGNITION], [folder])
    assert {"yunet", "slim-face"} <= here
    assert names(fetchable([FACES, RECOGNITION], here=here)) == {RECOGNITION: ["sface", "yunet"]}
    monkeypatch.setattr(fetching, "installed", lambda engine: engine == "dlib")
    assert fetchable([FACES, RECOGNITION]) == {}


@pytest.mark.parametrize(
    ("settings", "coral", "tasks"),
    [
        ({}, None, {FACES, RECOGNITION}),
        ({"fetch": False}, None, set()),
        ({"tasks": ("detect_objects",)}, None, set()),
        ({}, "usb:0", set()),
    ],
)
def test_an_owner_who_names_the_tasks_means_those(
    settings: dict[str, object], coral: str | None, tasks: set[str]
) -> None:
    plan = Plan("pc", Connection("127.0.0.1", 1), WorkerSettings.model_validate(settings), coral=coral)
    assert set(make_fetcher(plan, ["detect_objects"]).tasks) == tasks
    assert RECOGNITION not in make_fetcher(plan, ["detect_objects", RECOGNITION]).tasks


def test_a_model_comes_from_the_hub() -> None:
    data = shared("models/yunet_n_320_320.onnx").read_bytes()
    fetcher = Fetcher(fetchable([FACES, RECOGNITION]))
    with ModelServer({f"api/models/{YUNET.model.sha256}": data}).running() as hub:
        orders = [Deploy(task=task, fetch=True, address=hub.url) for task in (FACES, RECOGNITION)]
        heard = Heard(fetcher, *orders)
    assert ["sface" in error for error in heard.errors] == [True], "one after the other"
    assert (heard.here, fetcher.brought) == (1, True)
    assert fetchable([FACES], here=models_here([FACES])) == {}, "it is here"


def test_what_nobody_expected_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(fetching, "bring_model", broken)
    heard = Heard(Fetcher(fetchable([FACES])), Deploy(task=FACES, fetch=True))
    assert "it could not be fetched (ValueError: no such thing)" in heard.errors[0]


def test_what_is_here_and_does_not_load_is_no_reason_to_start_anew() -> None:
    folder = shared("models/yunet_n_320_320.onnx").parent
    order = Deploy(task=FACES, fetch=True)
    heard = Heard(Fetcher({FACES: (YUNET,)}, [folder], here=models_here([FACES], [folder])), order)
    assert "yunet is here, and does not load" in heard.errors[0]
    assert heard.here == 0
    came = Heard(Fetcher({FACES: (YUNET,)}, [folder]), order)
    assert (came.errors, came.here) == ([], 1), "somebody has put it there since"


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"task": FACES}, "could not be fetched"),
        ({"task": RECOGNITION}, "no model for recognise_faces can be fetched here"),
        ({"task": FACES, "sha256": "0" * 64}, "no model with the SHA-256 000000000000… is known here"),
        (
            {"task": RECOGNITION, "sha256": catalogue.get("dlib-resnet").model.sha256},
            "dlib-resnet comes with a Python package",
        ),
    ],
)
def test_what_cannot_be_had_says_why_and_can_be_asked_again(order: dict[str, str], words: str) -> None:
    fetcher = Fetcher(fetchable([FACES]))
    for _ in range(2):
        heard = Heard(fetcher, Deploy.model_validate(order | {"fetch": True}))
        assert words in heard.errors[0]
        assert heard.here == 0
    assert not fetcher.brought
