"""Real `meerkat cloud-worker` processes against the emulator, and a tiny model in its bucket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloud_support.emulator import REGION, Emulator
from cloud_support.pretend_cloud import order_of
from cloud_support.tiny_model import TinyModel
from meerkat_cloud_burst.aws.queues import SqsOrderQueue, SqsResultQueue
from meerkat_cloud_burst.aws.store import S3Store
from meerkat_cloud_burst.messages import Announced, Finished, Life, Order, result_key
from support.media import make_clip
from support.wait import wait_for

COMMAND = (sys.executable, "-m", "meerkat_cli", "cloud-worker")

# The same command with a detector that looks at the clip's size: 64 pixels wide, it kills the process;
# 96 pixels, it hangs as long as the file is there that $HANG names; else it finds nothing.
SCRIPTED = """
import os, signal, time
from pathlib import Path
from meerkat_cloud_burst.worker import metadata, models
from meerkat_contract.messages import ModelInfo

class Scripted:
    info = ModelInfo(name="scripted", engine="test")
    device = "cpu"
    def detect(self, picture):
        width = picture.shape[1]
        if width == 64:
            os.kill(os.getpid(), signal.SIGKILL)
        if width == 96:
            Path(os.environ["HANG"] + ".begun").touch()
            while Path(os.environ["HANG"]).exists():
                time.sleep(0.02)
        return []
    def close(self):
        pass

models.Models.open = lambda self, name="": Scripted()
metadata.NoticeWatch.__init__.__kwdefaults__["seconds"] = 0.05

from meerkat_cli.main import main
main()
"""


class Stack:
    """A stack of the emulator, as the hub and a test see it. It hides a taken order for two seconds."""

    def __init__(self, aws: Emulator, name: str, folder: Path) -> None:
        self.aws, self.name, self.folder = aws, name, folder
        self.outputs = outputs = aws.make_stack(name, visibility=2)
        clients = aws.clients
        self.store = S3Store(clients, outputs["Bucket"])
        self.orders = SqsOrderQueue(clients, outputs["Jobs"], outputs["Dead"])
        self.results = SqsResultQueue(clients, outputs["Results"])
        self.said: list[Announced | Life] = []

    def upload_model(self, *, damaged: bool = False) -> Path:
        """A Darknet pair in the bucket; returns the catalogue that knows it ($MEERKAT_CATALOGUE)."""
        tiny = TinyModel(self.folder)
        for key, data in tiny.objects().items():
            self.put(key, data[:-1] + b"!" if damaged else data)
        return tiny.catalogue

    def put(self, key: str, data: bytes) -> None:
        self.aws.client("s3").put_object(Bucket=self.outputs["Bucket"], Key=key, Body=data)

    def send(self, *, width: int = 128, times: int = 1, content: bytes = b"") -> Order:
        """A clip and its order, `times` times; `width` is what SCRIPTED looks at."""
        path = self.folder / f"clip-{width}.mp4"
        if content:
            path.write_bytes(content)
        else:
            make_clip(path, seconds=0.4, fps=5, size=(width, 64))
        order = order_of(path.read_bytes())
        self.store.put_clip(order.key, path, "video/mp4")
        for _ in range(times):
            self.orders.send(order)
        return order

    def hear(self, wait: float = 0) -> list[Announced | Life]:
        """All that workers have said so far; waits for the next word as long as that."""
        for message, receipt in self.results.receive(wait):
            self.results.delete([receipt])
            self.said.append(message)
        return self.said

    def lives(self) -> list[str]:
        return [said.what for said in self.hear() if isinstance(said, Life)]

    def announced(self, order: Order, wait: float = 0) -> int:
        return sum(isinstance(said, Announced) and said.job == order.job.job for said in self.hear(wait))

    def wait_announced(self, order: Order) -> Finished:
        if not self.announced(order):  # a long poll: a busy one would slow the worker down
            wait_for(lambda: self.announced(order, 1), seconds=30, what="the announcement")
        return self.store.result(result_key(order.job.job))

    def launch(self) -> str:
        """One instance in the group; its id."""
        scaling = self.aws.client("autoscaling")
        scaling.set_desired_capacity(AutoScalingGroupName=self.outputs["Group"], DesiredCapacity=1)
        return str(self.group()["Instances"][0]["InstanceId"])

    def group(self) -> dict[str, Any]:
        scaling = self.aws.client("autoscaling")
        name = self.outputs["Group"]
        group: dict[str, Any] = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])[
            "AutoScalingGroups"
        ][0]
        return group


class WorkerProcess:
    """One worker; its output goes to a file."""

    def __init__(
        self,
        stack: Stack,
        name: str,
        *options: str,
        scripted: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        outputs = stack.outputs
        self.log = stack.folder / f"{name}.log"
        self.hang = stack.folder / f"{name}.hang"
        self.begun = Path(f"{self.hang}.begun")
        self.hang.touch()
        command = (sys.executable, "-c", SCRIPTED, "cloud-worker") if scripted else COMMAND
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={
                    **os.environ,
                    "MEERKAT_BURST_REGION": REGION,
                    "MEERKAT_BURST_ENDPOINT": stack.aws.url,
                    "MEERKAT_BURST_BUCKET": outputs["Bucket"],
                    "MEERKAT_BURST_JOBS": outputs["Jobs"],
                    "MEERKAT_BURST_RESULTS": outputs["Results"],
                    "MEERKAT_BURST_GROUP": outputs["Group"],
                    "MEERKAT_MODELS": "",
                    "XDG_CACHE_HOME": str(stack.folder / "cache"),
                    "HANG": str(self.hang),
                    # Compiled once for all that are started: half of a start is compiling otherwise.
                    "PYTHONPYCACHEPREFIX": str(stack.folder.parent / "compiled"),
                    "PYTHONDONTWRITEBYTECODE": "",
                    **(environment or {}),
                },
            )

    def wait(self, seconds: float = 30) -> int:
        return self.process.wait(seconds)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """Of `--log json`."""
        return [json.loads(line) for line in self.text().splitlines()]
