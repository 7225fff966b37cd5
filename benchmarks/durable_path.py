"""How many durable jobs a second the hub can keep: stored, dealt out, settled; each step on disk.

    python benchmarks/durable_path.py [--waiting N] [--seconds S] [--rounds N] [--folder DIR] [--json]

A cycle is a clip that arrives (committed before its receipt), is dealt to a worker (in memory) and is
settled with its outcome announced (committed, and the announcements of the commit before forgotten):
what the hub's core decides and the hub's store writes, without MQTT and media files. `batch` cycles
share their commits, as they do when the hub is busy. Four clips make a recording.

Beside it stands raw sqlite3 with the least that can be called a durable queue: a row put in, marked as
leased, marked as done, a commit for each of the three, in the same journal mode and equally durable.

Then the same with N clips waiting in the database and in the core. Rounds alternate, so that all meet
the same machine; the figures are medians.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from meerkat_contract.ids import new_id
from meerkat_contract.messages import ModelInfo, Result, TaskInfo, WorkerState
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.store import Store
from meerkat_hub.core.inputs import BusChanged, ClipArrived, Input, ResultArrived, WorkerSeen
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.outputs import Change, SendJob
from meerkat_hub.core.records import Clip, Now

BATCHES = (1, 10, 100)
CLIPS_PER_RECORDING = 4
WORKERS = 100
"""As many as a batch is large: each answers one job of it."""
START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
MODEL = ModelInfo(name="ssd-mobilenet-v2-coco", sha256="0" * 64, engine="litert")
LOADING = 10_000
"""Clips in a commit while the waiting ones are made."""


def megabytes() -> float:
    """What the process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@dataclass(slots=True)
class Spent:
    """Seconds of one run by where they went."""

    core: float = 0.0
    store: float = 0.0
    cpu: float = 0.0


@dataclass(slots=True)
class Hub:
    """The hub's core and store on one database, and a worker that takes whatever it is sent."""

    folder: Path
    made: int = 0
    recording: str = ""
    announced: list[int] = field(default_factory=list)
    dealt: list[SendJob] = field(default_factory=list)
    incarnation: str = field(default_factory=new_id)
    store: Store = field(init=False)
    core: HubCore = field(init=False)
    spent: Spent = field(default_factory=Spent)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.store = Store(open_database(self.folder / "hub.db"))
        self.core = HubCore(epoch=self.store.new_epoch(), new_id=new_id)
        self.step(BusChanged(up=True))

    def now(self) -> Now:
        return Now(START + timedelta(seconds=time.monotonic() - self.began), time.monotonic())

    def step(self, happened: Input) -> tuple[list[Change], list[SendJob]]:
        decision = self.core.step(happened, self.now())
        return decision.changes, [e for e in decision.effects if isinstance(e, SendJob)]

    def workers(self) -> None:
        """They appear, once, and get as many jobs as they may."""
        if self.core.workers:
            return
        task = TaskInfo(task="detect_objects", model=MODEL, frames_per_second=20)
        for number in range(WORKERS):
            state = WorkerState(
                worker=f"worker-{number}", incarnation=self.incarnation, online=True, tasks=(task,), window=4
            )
            self.dealt += self.step(WorkerSeen(state))[1]

    def clip(self) -> Clip:
        number = self.made % CLIPS_PER_RECORDING
        if number == 0:
            self.recording = new_id()
        self.made += 1
        at = START + timedelta(seconds=5 * self.made)
        return Clip(
            id=new_id(),
            device=f"device-{self.made // 4 % 50}",
            camera="front",
            captured_at=at,
            received_at=at,
            recording=self.recording,
            sequence=number,
            last=number == CLIPS_PER_RECORDING - 1,
            duration=5.0,
            size=50_000,
        )

    def put(self, count: int) -> None:
        """Store so many clips in one commit."""
        clips = [self.clip() for _ in range(count)]
        began = time.perf_counter()
        open_now = self.core.recordings  # asked one by one: a difference of sets would walk all of them
        recordings = {clip.recording for clip in clips if clip.recording not in open_now}
        known = self.store.look_up([clip.id for clip in clips], recordings)
        assert not known.media
        self.spent.store += time.perf_counter() - began
        self.commit([ClipArrived(clip) for clip in clips])

    def settle(self, jobs: Sequence[SendJob]) -> None:
        """The workers have looked at these and found nothing."""
        self.commit(
            [
                ResultArrived(
                    job.worker,
                    Result(
                        job=job.job.job,
                        token=job.job.token,
                        incarnation=self.incarnation,
                        state="done",
                        model=MODEL,
                        duration=5.0,
                        frames=25,
                        seconds=1.25,
                    ),
                )
                for job in jobs
            ]
        )

    def commit(self, inputs: Sequence[Input]) -> None:
        began = time.perf_counter()
        changes: list[Change] = []
        for happened in inputs:
            decided, dealt = self.step(happened)
            changes += decided
            self.dealt += dealt
        self.core.wake_at()
        decided_at = time.perf_counter()
        fresh = self.store.commit(changes, announced=self.announced, now=self.now().wall, pictures={})
        self.announced = [waiting.seq for waiting in fresh]
        self.spent.core += decided_at - began
        self.spent.store += time.perf_counter() - decided_at

    def cycles(self, batch: int, seconds: float) -> tuple[float, Spent]:
        """Cycles a second."""
        self.workers()
        self.spent = Spent()
        done = 0
        began, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - began < seconds:
            self.put(batch)
            finished, self.dealt = self.dealt[:batch], self.dealt[batch:]
            self.settle(finished)
            done += len(finished)
        took = time.perf_counter() - began
        cpu = time.process_time() - cpu
        return done / took, Spent(self.spent.core / done, self.spent.store / done, cpu / done)


class Raw:
    """The least that can be called a durable queue."""

    def __init__(self, folder: Path) -> None:
        self.connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.execute(
            "CREATE TABLE jobs (id TEXT PRIMARY KEY, camera TEXT, at TEXT, state INTEGER, worker TEXT, "
            "token INTEGER, outcome TEXT)"
        )
        self.connection.execute("CREATE INDEX waiting ON jobs (at) WHERE state = 0")

    def cycles(self, batch: int, seconds: float) -> tuple[float, Spent]:
        run = self.connection.executemany
        done = 0
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            ids = [new_id() for _ in range(batch)]
            for sql, rows in (
                (
                    "INSERT INTO jobs VALUES (?, 'porch/front', '2026-11-20T08:15:00.250Z', 0, '', 0, '')",
                    [(i,) for i in ids],
                ),
                (
                    "UPDATE jobs SET state = 1, worker = 'one', token = ? WHERE id = ?",
                    [(done, i) for i in ids],
                ),
                (
                    "UPDATE jobs SET state = 2, outcome = ? WHERE id = ? AND state = 1",
                    [('{"state": "done", "frames": 25}', i) for i in ids],
                ),
            ):
                self.connection.execute("BEGIN IMMEDIATE")
                run(sql, rows)
                self.connection.execute("COMMIT")
            done += batch
        return done / (time.perf_counter() - began), Spent()


def fill(hub: Hub, count: int) -> tuple[float, float]:
    """Let clips wait without a worker. Bytes of memory a clip, and bytes of database a clip."""
    before, size = megabytes(), hub.folder.joinpath("hub.db").stat().st_size
    for _ in range(0, count, LOADING):
        hub.put(min(LOADING, count))
    return (
        (megabytes() - before) / count * 1e6,
        (hub.folder.joinpath("hub.db").stat().st_size - size) / count,
    )


Figures = dict[str, dict[int, list[tuple[float, Spent]]]]


def measure(figures: Figures, paths: dict[str, Hub | Raw], seconds: float) -> None:
    """One round."""
    for batch in BATCHES:
        for name, path in paths.items():
            figures.setdefault(name, {}).setdefault(batch, []).append(path.cycles(batch, seconds))


def summary(figures: Figures) -> list[dict[str, float | str]]:
    rows: list[dict[str, float | str]] = []
    for name, by_batch in figures.items():
        for batch, found in by_batch.items():
            empty = [rate for rate, _ in figures["hub, empty"][batch]]
            raw = [rate for rate, _ in figures["raw sqlite3"][batch]]
            row: dict[str, float | str] = {
                "path": name,
                "batch": batch,
                "cycles": statistics.median(rate for rate, _ in found),
                "core": statistics.median(spent.core for _, spent in found) * 1e6,
                "store": statistics.median(spent.store for _, spent in found) * 1e6,
                "cpu": statistics.median(spent.cpu for _, spent in found) * 1e6,
                "of_raw": _ratio(found, raw),
                "of_empty": _ratio(found, empty),
            }
            rows.append(row)
    return rows


def _ratio(found: list[tuple[float, Spent]], others: list[float]) -> float:
    """The median over the rounds."""
    return statistics.median(rate / other for (rate, _), other in zip(found, others, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--waiting", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the databases are made; a temporary folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    console = Console(stderr=options.json)
    figures: Figures = {}
    memory = disk = 0.0
    with tempfile.TemporaryDirectory(prefix="meerkat-durable-", dir=options.folder) as name:
        folder = Path(name)
        (folder / "full").mkdir()
        paths: dict[str, Hub | Raw] = {"raw sqlite3": Raw(folder), "hub, empty": Hub(folder)}
        if options.waiting:
            full = paths[f"hub, {options.waiting:,} wait"] = Hub(folder / "full")
            with console.status(f"{options.waiting:,} clips are made to wait"):
                memory, disk = fill(full, options.waiting)
        for _ in range(options.rounds):
            measure(figures, paths, options.seconds)
    rows = summary(figures)
    if options.json:
        print(json.dumps({"rows": rows, "memory_per_clip": memory, "disk_per_clip": disk}, indent=1))
        return
    table = Table(title="cycles (put, lease, done) a second")
    for column in ("path", "batch", "cycles/s", "of raw", "of empty", "core µs", "store µs", "CPU µs"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            str(row["path"]),
            f"{row['batch']}",
            f"{row['cycles']:,.0f}",
            f"{row['of_raw']:.2f}",
            f"{row['of_empty']:.2f}" if row["core"] else "",
            *(f"{row[key]:.0f}" if row["core"] else "" for key in ("core", "store", "cpu")),
        )
    console.print(table)
    if options.waiting:
        console.print(f"a waiting clip takes {memory:,.0f} bytes of memory and {disk:,.0f} of the database")


if __name__ == "__main__":
    main()
