"""`meerkat worker` with Coral accelerators: a node on the bus for each, started, watched and ended."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from meerkat_contract.ids import new_id
from meerkat_contract.messages import Found, Job, Result, WorkerState, read
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import ANY, WorkerTopic
from meerkat_inference import catalogue
from support.broker import Mosquitto
from support.edge_tpu import build_stub, write_compiled_model
from support.processes import Program
from support.usage import tree
from support.wait import wait_for

EMBEDDER = """
[[model]]
name = "mine"
title = "Mine"
task = "recognise_faces"
family = "embedding"
engines = ["litert"]
devices = ["edgetpu"]
licence = "mine"
input = [64, 64]

[model.embedding]
dimensions = 40
alignment = "box"
normalise = false
threshold = 0.4
margin = 0.05
measured_on = "nothing"

[[model.files]]
role = "model"
name = "mine.tflite"
bytes = {bytes}
sha256 = "{sha256}"
"""

Start = Callable[..., Program]


class Hub:
    """Hears every worker, and gives any of them a job."""

    def __init__(self, broker: Mosquitto) -> None:
        self.states: dict[str, WorkerState] = {}
        self.results: dict[str, Result] = {}
        self.session = Session(broker.connection, client_id="hub")
        self.session.subscribe(WorkerTopic(ANY, "state"), self._state)
        self.session.subscribe(WorkerTopic(ANY, "results"), self._result)
        self.session.start()
        self.session.wait_subscribed(10)

    def _state(self, message: Incoming) -> None:
        state = read(WorkerState, message.payload)
        self.states[state.worker] = state

    def _result(self, message: Incoming) -> None:
        result = read(Result, message.payload)
        self.results[result.job] = result

    def online(self, *names: str, but: tuple[str, ...] = ()) -> list[WorkerState]:
        """The states of these workers, once they are all there (with incarnations other than `but`)."""

        def there() -> bool:
            known = [self.states.get(name) for name in names]
            return all(state and state.online and state.incarnation not in but for state in known)

        wait_for(there, seconds=40, what=f"workers {names}")
        return [self.states[name] for name in names]

    def look(self, worker: str, picture: bytes, **changes: Any) -> Result:
        job = Job(
            job=new_id(),
            token=1,
            device="porch",
            camera="front",
            media=new_id(),
            content_type="image/jpeg",
            captured_at=datetime.now(UTC),
            lease=60,
            **changes,
        )
        self.session.publish(
            WorkerTopic(worker, "jobs"),
            picture,
            qos=1,
            metadata=Metadata(id=job.job, captured_at=job.captured_at, content_type="image/jpeg"),
            properties=[("job", job.to_json().decode())],
        ).wait(10)
        return wait_for(lambda: self.results.get(job.job), seconds=30, what="the answer")


@pytest.fixture
def hub(broker: Mosquitto) -> Iterator[Hub]:
    peer = Hub(broker)
    yield peer
    peer.session.stop()


@pytest.fixture
def start(broker: Mosquitto, tmp_path: Path) -> Iterator[Start]:
    """`meerkat worker --id pi` with the stub for a library and compiled files for it."""
    stub = build_stub(tmp_path)
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("ssdlite-mobiledet", "ssd-mobilenet-v2-face"):
        write_compiled_model(folder / catalogue.get(name).model.name)
    programs: list[Program] = []

    def begin(devices: str, **environment: str) -> Program:
        given = {
            "MEERKAT_MODELS": str(folder),
            "MEERKAT__WORKER__FETCH": "false",
            "MEERKAT__WORKER__TASKS": "[detect_objects, detect_faces]",
            "MEERKAT__WORKER__CORAL": devices,
            "MEERKAT__WORKER__CORAL_LIBRARY": str(stub),
            **environment,
        }
        program = Program(
            "worker",
            ["worker", "--id", "pi", "--data", str(tmp_path)],
            connection=broker.connection,
            folder=tmp_path,
            environment={name: value for name, value in given.items() if value},
        )
        programs.append(program)
        program.start()
        return program

    yield begin
    for program in programs:
        program.kill()


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    """Something bright in the left half of the middle."""
    made = np.full((480, 640, 3), 90, np.uint8)
    made[192:384, 160:320] = 250
    return cv2.imencode(".jpg", made)[1].tobytes()


def test_each_stick_is_a_node_that_is_started_again_when_it_dies(hub: Hub, start: Start, jpeg: bytes) -> None:
    program = start("[usb:0, usb:1, usb:5]")
    main, first, second = hub.online("pi", "pi-coral0", "pi-coral1")
    assert {task.task for task in first.tasks} == {"detect_objects", "detect_faces"}
    assert [task.model.name for task in first.tasks] == ["ssdlite-mobiledet", "ssd-mobilenet-v2-face"]
    assert first.hardware.endswith("edgetpu usb:0")
    assert second.hardware.endswith("edgetpu usb:1")
    assert main.tasks[0].model.fallback
    for name in ("pi-coral0", "pi-coral1"):
        result = hub.look(name, jpeg)
        (track,) = result.tracks
        assert (track.label, track.hits, result.frames) == ("person", 1, 1)
        np.testing.assert_allclose(track.best.box, (0.25, 0.4, 0.25, 0.4), atol=0.02)

    wait_for(lambda: "pi-coral2 waits" in program.text(), what="the word on the absent stick")
    wait_for(lambda: "No such device" in program.text(), what="why")
    assert "pi-coral2" not in hub.states

    assert program.process is not None
    victim = next(pid for pid in tree(program.process.pid) if b"pi-coral0" in _command(pid))
    os.kill(victim, signal.SIGKILL)
    (again,) = hub.online("pi-coral0", but=(first.incarnation,))
    assert "pi-coral0 was ended by SIGKILL; starting again" in program.text()
    assert hub.look("pi-coral0", jpeg).incarnation == again.incarnation
    assert hub.states["pi"].incarnation == main.incarnation
    assert hub.states["pi-coral1"].incarnation == second.incarnation

    assert program.stop() == 0
    wait_for(lambda: not any(state.online for state in hub.states.values()), what="three goodbyes")


def test_a_library_that_crashes_and_a_stick_that_breaks_harm_nobody_else(
    hub: Hub, start: Start, jpeg: bytes
) -> None:
    program = start("[usb:9, usb:8, pci:0]")
    hub.online("pi", "pi-coral2")
    wait_for(lambda: "SIGSEGV" in program.text(), what="the word on the crash")
    wait_for(lambda: "pi-coral1 ended with status 1; starting again" in program.text(), what="the back-off")
    assert hub.look("pi-coral2", jpeg).state == "done"
    assert hub.look("pi", jpeg).state == "done"
    assert program.stop() == 0


def test_a_stick_recognises_faces_too_where_an_embedder_is_compiled_for_it(
    hub: Hub, start: Start, jpeg: bytes, tmp_path: Path
) -> None:
    """The stand-in's ten boxes, taken as 40 numbers, are the embedding."""
    path = write_compiled_model(tmp_path / "models" / "mine.tflite", side=64)
    (tmp_path / "mine.toml").write_text(EMBEDDER.format(bytes=path.stat().st_size, sha256=_sha256(path)))
    start("[usb:0]", MEERKAT_CATALOGUE=str(tmp_path / "mine.toml"), MEERKAT__WORKER__TASKS="")
    _, stick = hub.online("pi", "pi-coral0")
    models = {task.task: task.model.name for task in stick.tasks}
    assert models["recognise_faces"] == "mine"
    assert stick.hardware.endswith("edgetpu usb:0")
    face = Found(label="face", score=0.9, box=(0.1, 0.1, 0.8, 0.8))
    result = hub.look("pi-coral0", jpeg, task="recognise_faces", found=(face,))
    assert (result.state, len(result.faces), len(result.faces[0].embedding)) == ("done", 1, 160)


def test_the_nodes_end_with_the_one_that_started_them(hub: Hub, start: Start) -> None:
    program = start("[usb:0]")
    hub.online("pi", "pi-coral0")
    program.kill()
    wait_for(lambda: not any(state.online for state in hub.states.values()), what="two wills or goodbyes")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
