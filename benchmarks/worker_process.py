"""What `meerkat worker` costs as a process: its start, its rest, and its work on pictures of 50 kB.

    python benchmarks/worker_process.py [--model NAME] [--task TASK] [--jobs N] [--ahead N]

A real broker, a real worker process, and this program in the hub's place. *start* is from the exec of
the process to its announcement, measuring included. *idle* is the CPU time of ten seconds in which
nothing happens. The work: so many JPEGs of 1280 x 720 and about 50 kB, `--ahead` of them sent before
the first answer is awaited; *CPU per job* is that of the worker's process, all threads.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from meerkat_contract.ids import new_id
from meerkat_contract.messages import Job, Result, WorkerState, read
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import WorkerTopic
from support.broker import Mosquitto
from support.usage import usage

NAME = "bench"
IDLE_SECONDS = 10.0


class Hub:
    """Sends jobs and counts answers."""

    def __init__(self, broker: Mosquitto) -> None:
        self.online = threading.Event()
        self.state: WorkerState | None = None
        self.answers: list[Result] = []
        self.answered = threading.Condition()
        self.session = Session(broker.connection, client_id="hub")
        self.session.subscribe(WorkerTopic(NAME, "state"), self._state)
        self.session.subscribe(WorkerTopic(NAME, "results"), self._result, join_parts=True)
        self.session.start()
        self.session.wait_subscribed(10)

    def _state(self, message: Incoming) -> None:
        self.state = read(WorkerState, message.payload)
        if self.state.online:
            self.online.set()

    def _result(self, message: Incoming) -> None:
        with self.answered:
            self.answers.append(read(Result, message.payload))
            self.answered.notify_all()

    def work(self, task: str, picture: bytes, count: int, ahead: int) -> float:
        """Seconds for so many jobs."""
        del self.answers[:]
        begin = time.monotonic()
        for number in range(count):
            with self.answered:
                self.answered.wait_for(lambda sent=number: sent - len(self.answers) < ahead, 60)
            self._send(task, picture)
        with self.answered:
            assert self.answered.wait_for(lambda: len(self.answers) == count, 120), "answers are missing"
        return time.monotonic() - begin

    def _send(self, task: str, picture: bytes) -> None:
        job = Job(
            job=new_id(), token=1, task=task, device="bench", camera="bench", media=new_id(),
            content_type="image/jpeg", captured_at=datetime.now(UTC), lease=60,
        )  # fmt: skip
        metadata = Metadata(id=job.job, captured_at=job.captured_at, content_type="image/jpeg")
        properties = [("job", job.to_json().decode())]
        self.session.publish(
            WorkerTopic(NAME, "jobs"), picture, qos=1, metadata=metadata, properties=properties
        )


def picture(size: int = 50_000) -> bytes:
    """A JPEG of 1280 x 720 of about so many bytes: soft tones with grain."""
    random = np.random.default_rng(1)
    small = random.integers(40, 200, (45, 80, 3)).astype(np.uint8)
    tones = cv2.resize(small, (1280, 720), interpolation=cv2.INTER_CUBIC)
    for quality in range(95, 20, -5):
        data = cv2.imencode(".jpg", tones, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= size:
            break
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", help="as for `meerkat worker`")
    parser.add_argument("--task", default="detect_objects")
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--ahead", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Mosquitto(folder / "broker")
        broker.start()
        hub = Hub(broker)
        arguments = ["worker", "--id", NAME, "--broker", broker.connection.url, "--data", str(folder)]
        arguments += ["--model", options.model] if options.model else []
        begin = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "meerkat_cli", "-q", *arguments], env={**os.environ}, cwd=folder
        )
        try:
            assert hub.online.wait(60), "the worker does not announce itself"
            start = time.monotonic() - begin
            report(hub, process.pid, start, options)
        finally:
            process.terminate()
            process.wait(20)
            hub.session.stop()
            broker.stop()


def report(hub: Hub, pid: int, start: float, options: argparse.Namespace) -> None:
    def spent() -> float:
        now = usage(pid)
        assert now is not None, "the worker has ended"
        return now.cpu

    began = spent()
    time.sleep(IDLE_SECONDS)
    idle = spent() - began
    data = picture()
    hub.work(options.task, data, 20, options.ahead)
    before = spent()
    seconds = hub.work(options.task, data, options.jobs, options.ahead)
    cpu = spent() - before
    after = usage(pid)
    assert after is not None
    assert hub.state is not None
    done = [answer for answer in hub.answers if answer.state == "done"]
    assert len(done) == options.jobs, next(a.reason for a in hub.answers if a.state != "done")
    inside = sum(answer.seconds for answer in done) / len(done)
    table = Table(title=f"{hub.state.tasks[0].model.name}, {options.task}, {len(data) / 1000:.0f} kB")
    row = {
        "start, s": f"{start:.2f}",
        "start, s CPU": f"{began:.2f}",
        "idle, % of a core": f"{100 * idle / IDLE_SECONDS:.2f}",
        "private MB": f"{after.private:.0f}",
        "jobs/s": f"{options.jobs / seconds:.0f}",
        "ms inside": f"{1000 * inside:.2f}",
        "CPU ms per job": f"{1000 * cpu / options.jobs:.2f}",
    }
    for heading in row:
        table.add_column(heading, justify="right")
    table.add_row(*row.values())
    Console().print(table)


if __name__ == "__main__":
    main()
