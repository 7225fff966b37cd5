"""How long `meerkat cloud-worker` takes from its start to its first clip.

    MEERKAT_MODELS=folder python benchmarks/cloud_worker_start.py [--model NAME] [--runs N]

A real worker process against an emulator of AWS on this machine (moto, a process of its own), with one
order in the queue. *Ready*: the weights are open and the hub can read so. *First clip*: the order is taken.
*Answered*: the result of its 5 s is announced. All in seconds from the exec of the process. The first run
finds no compiled Python files, as where nobody may write them; the others find those that it left, and the
median is theirs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from rich.console import Console
from rich.table import Table

from cloud_support.pretend_cloud import order_of
from meerkat_cloud_burst.aws.clients import Clients
from meerkat_cloud_burst.aws.queues import SqsOrderQueue, SqsResultQueue
from meerkat_cloud_burst.aws.store import S3Store
from meerkat_cloud_burst.emulated.emulator import Emulator
from meerkat_cloud_burst.emulated.stack import REGION, credentials
from meerkat_cloud_burst.messages import Announced, Life
from support.media import make_clip

MOST_SECONDS = 60.0


class Cloud:
    """A bucket and queues of the emulator: new ones for each run, as a poll outlives who was killed."""

    def __init__(self, endpoint: str, name: str) -> None:
        self.bucket = name
        self.clients = Clients(region=REGION, endpoint=endpoint)
        with self.clients.asking("s3", "making a bucket", name) as s3:
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.jobs, self.results, dead = (
            self._queue(f"{name}-{queue}") for queue in ("jobs", "results", "dead")
        )
        self.store = S3Store(self.clients, name)
        self.orders = SqsOrderQueue(self.clients, self.jobs, dead)
        self.answers = SqsResultQueue(self.clients, self.results)

    def _queue(self, name: str) -> str:
        with self.clients.asking("sqs", "making a queue", name) as sqs:
            made: dict[str, Any] = sqs.create_queue(QueueName=name)
        return str(made["QueueUrl"])


def measure(
    cloud: Cloud, endpoint: str, clip: Path, model: str, compiled: Path
) -> tuple[float, float, float]:
    """Ready, first clip, answered."""
    order = order_of(clip.read_bytes())
    cloud.store.put_clip(order.key, clip, "video/mp4")
    cloud.orders.send(order)
    environment = {
        **os.environ,
        **credentials(),
        "MEERKAT_BURST_REGION": REGION,
        "MEERKAT_BURST_ENDPOINT": endpoint,
        "MEERKAT_BURST_BUCKET": cloud.bucket,
        "MEERKAT_BURST_JOBS": cloud.jobs,
        "MEERKAT_BURST_RESULTS": cloud.results,
        "MEERKAT_BURST_MODEL": model,
        "MEERKAT_LOG": "warning",
        "PYTHONPYCACHEPREFIX": str(compiled),
        "PYTHONDONTWRITEBYTECODE": "",
    }
    command = [sys.executable, "-m", "meerkat_cli", "cloud-worker", "--stay"]
    begin = time.perf_counter()
    worker = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    ready = taken = answered = 0.0
    try:
        while not answered:
            now = time.perf_counter() - begin
            if worker.poll() is not None or now > MOST_SECONDS:
                raise SystemExit("the worker did not answer; its words are above")
            if not taken and cloud.orders.look().waiting == 0:
                taken = now
            for said, receipt in cloud.answers.receive(0):
                cloud.answers.delete([receipt])
                if isinstance(said, Life) and said.what == "ready":
                    ready = ready or now
                if isinstance(said, Announced) and said.job == order.job.job:
                    answered = now
            time.sleep(0.005)
    finally:
        worker.kill()
        worker.wait()
    return ready, taken or answered, answered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="yolo-fastest")
    parser.add_argument("--runs", type=int, default=5, help="two at least")
    options = parser.parse_args()
    os.environ.update(credentials())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4", seconds=5, size=(1280, 720))
        with Emulator(folder) as emulator:
            runs = [
                measure(
                    Cloud(emulator.endpoint, f"run-{number}"),
                    emulator.endpoint,
                    clip,
                    options.model,
                    folder / "compiled",
                )
                for number in range(options.runs)
            ]
    table = Table(title=f"meerkat cloud-worker with {options.model}, seconds from its start")
    for column in ("run", "ready", "first clip", "answered"):
        table.add_column(column, justify="right")
    for number, times in enumerate(runs, 1):
        table.add_row(str(number), *(f"{each:.2f}" for each in times))
    table.add_row("median", *(f"{statistics.median(column):.2f}" for column in zip(*runs[1:], strict=True)))
    Console().print(table)


if __name__ == "__main__":
    main()
