"""From the camera to the event on the bus: how long after a clip's end, beyond its inference time.

    python benchmarks/latency.py [--video FILE] [--minutes N]

Real processes: broker, hub, worker, and a device that replays the video (the built-in porch by
default) at its own pace. For every clip: the time of its outcome on the bus, minus the clip's end
(captured-at plus duration), minus the worker's own seconds on it. The promise is p95 at most 2 s.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from meerkat_contract.messages import Outcome
from meerkat_contract.session import Incoming, Session
from support.broker import Mosquitto, free_port
from support.processes import Program

console = Console()


@dataclass(frozen=True, slots=True)
class Clip:
    outcome_at: datetime
    received: float
    """Seconds after the clip's end."""
    settled: float
    announced: float
    inference: float

    @property
    def beyond(self) -> float:
        return self.announced - self.inference


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--video", type=Path, help="footage to replay; the built-in porch by default")
    parser.add_argument("--minutes", type=float, default=2)
    options = parser.parse_args()
    heard: dict[str, datetime] = {}

    def outcome(message: Incoming) -> None:
        heard.setdefault(Outcome.model_validate_json(message.payload).id, datetime.now(UTC))

    with tempfile.TemporaryDirectory(prefix="meerkat-latency-") as name:
        folder = Path(name)
        broker = Mosquitto(folder / "broker")
        broker.start()
        source = str(options.video) if options.video else "scene:porch"
        data = ["--data", str(folder / "data")]
        commands = {
            "hub": ["hub", "--http-port", str(free_port()), *data],
            "worker": ["worker", "--id", "cpu", *data],
            "device": ["device", "--name", "porch", "--camera", f"front={source}", "--loop", *data],
        }
        programs = {
            key: Program(key, words, connection=broker.connection, folder=folder, models=True)
            for key, words in commands.items()
        }
        session = Session(broker.connection, client_id="latency")
        session.subscribe("meerkat/camera/+/+/outcome", outcome)
        session.start()
        session.wait_connected(10)
        try:
            for program in programs.values():
                program.start()
            with Progress(console=console, transient=True) as progress:
                task = progress.add_task("replaying", total=options.minutes * 60)
                while not progress.finished:
                    time.sleep(1)
                    progress.advance(task, 1)
            programs["device"].stop()
            time.sleep(5)
            clips = read(folder / "data" / "hub" / "hub.db", heard)
        finally:
            for program in reversed(programs.values()):
                program.kill()
            session.stop()
            broker.stop()
        report(clips)


def read(database: Path, heard: dict[str, datetime]) -> list[Clip]:
    query = (
        "SELECT id, captured_at, received_at, settled_at, duration, seconds FROM clips WHERE state = 'done'"
    )
    clips = []
    with sqlite3.connect(database) as connection:
        for clip_id, captured, received, settled, duration, seconds in connection.execute(query):
            if clip_id not in heard:
                continue
            end = datetime.fromisoformat(captured) + timedelta(seconds=duration)
            clips.append(
                Clip(
                    heard[clip_id],
                    (datetime.fromisoformat(received) - end).total_seconds(),
                    (datetime.fromisoformat(settled) - end).total_seconds(),
                    (heard[clip_id] - end).total_seconds(),
                    seconds,
                )
            )
    return clips


def report(clips: list[Clip]) -> None:
    if not clips:
        console.print("no clip came: nothing moved in this footage")
        raise SystemExit(1)
    table = Table("seconds after the clip's end", "p50", "p95", "max", title=f"{len(clips)} clips")
    rows = {
        "clip at the hub": [c.received for c in clips],
        "result recorded": [c.settled for c in clips],
        "outcome on the bus": [c.announced for c in clips],
        "of it inference": [c.inference for c in clips],
        "beyond inference": [c.beyond for c in clips],
    }
    for label, values in rows.items():
        p50, p95 = np.percentile(values, [50, 95])
        table.add_row(label, f"{p50:.2f}", f"{p95:.2f}", f"{max(values):.2f}")
    console.print(table)
    console.print("promised: beyond inference at most 2 s at p95")


if __name__ == "__main__":
    main()
