from __future__ import annotations

import logging
import queue
import signal
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from unittest.mock import create_autospec

import pytest
from click.testing import CliRunner

from meerkat_contract.connection import Connection
from meerkat_contract.errors import ModelError, StorageError, UsageError
from meerkat_contract.ids import is_name
from meerkat_contract.messages import ModelInfo
from meerkat_inference import node, store
from meerkat_inference.detector import FALLBACK, Found
from meerkat_inference.looking import opener
from meerkat_inference.measure import RUNS, SIZE, frames_per_second
from meerkat_inference.sampling import Picture
from meerkat_inference.serving import (
    FACES,
    METERS,
    OBJECTS,
    RECOGNITION,
    Plan,
    Serving,
    describe,
    fitting,
    offer,
)
from meerkat_inference.settings import WorkerSettings
from meerkat_inference.tasks import Tasks
from meerkat_inference.worker_command import ID_FILE, fetch_first, kept_name, worker
from support.shared import shared
from support.wait import wait_for


def test_a_worker_keeps_the_name_it_was_given_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Keller-Pi.fritz.box")
    name = kept_name(tmp_path / "data")
    assert name.startswith("keller-pi-")
    assert is_name(name)
    monkeypatch.setattr("socket.gethostname", lambda: "other")
    assert kept_name(tmp_path / "data") == name
    assert kept_name(tmp_path / "elsewhere").startswith("other-")


def test_a_host_without_a_usable_name_is_called_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "телефон")
    assert kept_name(tmp_path).startswith("worker-")


def test_a_spoiled_or_unwritable_name_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / ID_FILE).write_text("Not A Name\n")
    with pytest.raises(UsageError, match="Delete the file"):
        kept_name(tmp_path)
    with pytest.raises(StorageError, match="--id"):
        kept_name(tmp_path / ID_FILE / "below-a-file")


def test_without_a_model_and_a_network_the_fallback_looks_and_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("MEERKAT_MODELS", "")
    monkeypatch.setenv("MEERKAT_MODELS_MIRROR", "http://127.0.0.1:9")
    fetch = fetch_first([])
    assert fetch is not None
    assert not fetch.here
    skill = opener("detect_objects")("")
    assert (skill.info.name, skill.info.fallback, skill.device) == (FALLBACK, True, "cpu")

    def warned(words: str) -> bool:
        return any(words in one.getMessage() for one in caplog.records if one.levelno == logging.WARNING)

    # A refusal that takes long is told later: nobody waits for a network that is silent.
    wait_for(lambda: warned("could not be fetched"), what="the word on the refusal")
    assert warned("meerkat models pull")


def test_a_named_model_is_the_one_or_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("MEERKAT_MODELS", "")
    assert opener("detect_objects", model=FALLBACK)("").info.fallback
    assert not caplog.records, "it was chosen: nothing is missing"
    with pytest.raises(ModelError, match="Known"):
        opener("detect_objects")("no-such-model")


@pytest.mark.shared
def test_a_named_engine_takes_a_model_that_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("MEERKAT_MODELS", str(shared("models/yolox_nano_drq.tflite").parent))
    load = opener("detect_objects", engine="opencv")
    assert (load("").info.name, load("").info.engine) == ("yolo-fastest", "opencv")
    assert load("yolox-nano").info.engine == "litert"  # the hub's wish goes before
    assert load(FALLBACK).info.fallback
    with pytest.raises(ModelError, match="engine 'opencv' does not read"):
        opener("detect_objects", model="yolox-nano", engine="opencv")("")


@pytest.mark.parametrize("place", [(), ("verify",)])
def test_a_models_folder_that_is_not_there_is_told(place: tuple[str, ...], tmp_path: Path) -> None:
    told = CliRunner().invoke(worker, [*place, "--models-folder", str(tmp_path / "nowhere")])
    assert told.exit_code == 2
    assert "does not exist" in told.output


def test_a_models_folder_of_the_settings_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MEERKAT__WORKER__MODELS_FOLDER", str(tmp_path / "nowhere"))
    CliRunner().invoke(worker, ["--id", "No Name"])
    assert f"there is no folder {tmp_path / 'nowhere'}" in caplog.text


def test_nothing_is_fetched_when_a_model_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("MEERKAT_MODELS", "")
    monkeypatch.setattr(store, "locate", lambda entry, *, folders: folders)
    assert fetch_first([tmp_path]) is None


@pytest.mark.parametrize("options", [["--model", FALLBACK], []])
def test_the_command_fetches_only_if_no_model_is_named_and_it_may(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(folders: list[Path]) -> None:
        raise AssertionError("fetched")

    monkeypatch.setattr("meerkat_inference.worker_command.fetch_first", fetch)
    monkeypatch.setattr(Serving, "run", lambda serving, fetch: 7 if fetch is None else 8)
    if not options:
        monkeypatch.setenv("MEERKAT__WORKER__FETCH", "false")
    address = ["--broker", "mqtt://127.0.0.1", "--data", str(tmp_path), "--id", "bench"]
    done = CliRunner().invoke(worker, [*address, *options])
    assert done.exit_code == 7, done.output


def test_settings_refuse_what_they_do_not_know() -> None:
    assert WorkerSettings().window == 16
    with pytest.raises(ValueError, match="windows"):
        WorkerSettings.model_validate({"windows": 3})


class Steady:
    """Takes so many seconds of a simulated clock for each picture."""

    def __init__(self, spans: list[float]) -> None:
        self.info = ModelInfo(name="steady")
        self.at = 0.0
        self.shapes: list[tuple[int, ...]] = []
        self._spans = (spans[min(n, len(spans) - 1)] for n in count())

    def detect(self, picture: Picture) -> list[Found]:
        self.shapes.append(picture.shape)
        self.at += next(self._spans)
        return []

    def close(self) -> None:
        """Nothing is held."""


def test_speed_is_the_median_without_the_warm_up_and_bounded_in_time() -> None:
    quick = Steady([2.0, 0.02, 0.2, 0.02])
    assert frames_per_second(quick.detect, now=lambda: quick.at) == pytest.approx(50)
    assert len(quick.shapes) == RUNS + 1
    assert set(quick.shapes) == {(SIZE[1], SIZE[0], 3)}
    slow = Steady([9.0, 4.0])
    assert frames_per_second(slow.detect, now=lambda: slow.at) == pytest.approx(0.25)
    assert len(slow.shapes) == 2


@pytest.mark.parametrize(
    ("model", "coral", "used"),
    [
        ("yolox-person", None, "yolox-person"),
        ("yolox-person", "usb:0", None),
        ("ssdlite-mobiledet", None, None),
        ("ssdlite-mobiledet", "usb:0", "ssdlite-mobiledet"),
        (FALLBACK, None, FALLBACK),
        (FALLBACK, "usb:0", None),
        ("no-such-model", None, "no-such-model"),
        (None, None, None),
        (None, "usb:0", None),
    ],
)
def test_a_model_is_used_where_it_runs(model: str | None, coral: str | None, used: str | None) -> None:
    assert fitting(model, coral) == used


def test_the_tasks_whose_models_are_here_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here: set[str] = set()
    monkeypatch.setattr(store, "locate", lambda entry, *, folders: entry.name in here or None)

    def offered(model: str | None = None, coral: str | None = None) -> tuple[str, ...]:
        return offer(Plan("x", Connection("h", 1), WorkerSettings(), model, (), coral))

    assert offered() == (OBJECTS, METERS), "their models come with the program"
    assert offered(coral="usb:0") == (OBJECTS,)
    here |= {"yunet", "sface"}
    assert offered() == (OBJECTS, FACES, RECOGNITION, METERS)
    assert offered("yunet") == (FACES, RECOGNITION, METERS)
    assert offered(coral="usb:0") == (OBJECTS,), "to say that no model for it is here"
    here |= {"ssd-mobilenet-v2-face"}
    assert offered(coral="usb:0") == (FACES,)
    here |= {"ssdlite-mobiledet"}
    assert offered(coral="usb:0") == (OBJECTS, FACES)


@pytest.mark.parametrize(
    ("wanted", "devices", "words"),
    [
        ("auto", ("cpu",), "Jetson Nano, cpu"),
        ("auto", ("cpu", "cuda"), "Jetson Nano, cpu, cuda"),
        ("cuda", ("cuda",), "Jetson Nano, cuda"),
        ("cuda", ("cpu",), "Jetson Nano, cpu (cuda was asked for and does not work)"),
        ("tensorrt", ("cuda",), "Jetson Nano, cuda (tensorrt was asked for and does not work)"),
    ],
)
def test_the_hardware_names_a_fallback(
    wanted: str, devices: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "hardware", lambda: "Jetson Nano")
    tasks = create_autospec(Tasks, instance=True)
    tasks.devices = devices
    assert describe(tasks, wanted=wanted) == words


def test_a_signal_while_it_is_measured_ends_it_before_it_is_on_the_bus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = Serving(Plan("w", Connection("127.0.0.1", 1), WorkerSettings(), folders=(tmp_path,)))
    tasks = create_autospec(Tasks, instance=True)

    def prepare(*, go_on: Callable[[], bool]) -> None:
        assert go_on()
        signal.raise_signal(signal.SIGTERM)
        wait_for(lambda: not go_on(), what="the signal to be told")

    tasks.prepare.side_effect = prepare
    monkeypatch.setattr("meerkat_inference.serving.make_tasks", lambda plan: tasks)
    monkeypatch.setattr("meerkat_inference.worker.Worker", None)  # none is made
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert serving.run(None) == 0
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    tasks.close.assert_called_once_with()


class Waiting:
    """A worker that waits for its end, as the real one on the main thread."""

    idle = True

    def __init__(self, *_: object, **__: object) -> None:
        self._asked: queue.SimpleQueue[int] = queue.SimpleQueue()

    def run(self) -> int:
        # The signal is handled on another thread, and does not interrupt this wait.
        threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
        return self._asked.get(timeout=20)

    def end(self) -> None:
        self._asked.put(0)


def test_a_signal_that_does_not_wake_who_waits_is_heard_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = Serving(Plan("w", Connection("127.0.0.1", 1), WorkerSettings(), folders=(tmp_path,)))
    tasks = create_autospec(Tasks, instance=True, infos=())
    tasks.info.return_value = None
    monkeypatch.setattr("meerkat_inference.serving.make_tasks", lambda plan: tasks)
    monkeypatch.setattr("meerkat_inference.worker.Worker", Waiting)
    assert serving.run(None) == 0
