"""What a sweep costs, and how long it holds the hub's own commits up.

    python benchmarks/retention.py [--clips 20000] [--folder DIR]

Fills a database and media folder with clips of 10 KB (each with its recording, its tracks, and every
second one with an event and picture), then removes them all while another thread commits a clip every
5 ms, as the hub would. Prints a table: the sweeps, and the commits' times without and with a sweep.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from hub_support.core_driver import track
from meerkat_contract.ids import new_id
from meerkat_contract.messages import EventState
from meerkat_hub.adapters import schema as db
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.retention import CHUNK, Retention
from meerkat_hub.adapters.store import Store
from meerkat_hub.core.outputs import ClipJoined, ClipSettled, ClipStored, EventSaved, RecordingClosed
from meerkat_hub.core.records import Clip, EventRecord
from meerkat_hub.settings import RetentionSettings

PAYLOAD = bytes(10_000)
ALONE = 400
EVERY = 0.005


@dataclass(slots=True)
class Committer:
    """Commits a clip every few milliseconds, and notes how long each took."""

    store: Store
    milliseconds: list[float] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, most: int | None = None) -> None:
        while not self.stopping.wait(EVERY) and (most is None or len(self.milliseconds) < most):
            change = ClipStored(clip(new_id(), datetime.now(UTC)))
            begin = time.perf_counter()
            self.store.commit([change], announced=[], now=change.clip.received_at, pictures={})
            self.milliseconds.append((time.perf_counter() - begin) * 1000)


def clip(clip_id: str, at: datetime) -> Clip:
    return Clip(clip_id, "porch", "front", at, at, recording=clip_id, last=True, size=len(PAYLOAD))


def put(media: MediaFolder, kind: str, name: str, suffix: str) -> None:
    path = media.path(kind, name, suffix)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(PAYLOAD)


def fill(engine: Engine, media: MediaFolder, count: int, now: datetime) -> None:
    """One clip and event written by the hub's own store, and `count` copies of their rows."""
    store, first, event_id = Store(engine), new_id(), new_id()
    state = EventState(
        id=event_id,
        device="porch",
        camera="front",
        label="person",
        category="person",
        score=0.9,
        box=(0.1, 0.1, 0.2, 0.4),
        start_time=now,
        end_time=now,
        picture_time=now,
        revision=1,
        recording=first,
    )
    changes = (
        ClipStored(clip(first, now)),
        ClipSettled(first, "done", tracks=(track(step=0.05),) * 3),
        ClipJoined(first),
        EventSaved(EventRecord(state, ((first, 0),), ended=True)),
        RecordingClosed(first),
    )
    store.commit(changes, announced=[], now=now, pictures={event_id: f"{event_id}-1"})
    put(media, "clips", first, ".mp4")
    put(media, "events", f"{event_id}-1", ".jpg")
    with engine.begin() as connection:
        rows = {
            table.name: dict(connection.execute(table.select()).one()._mapping)
            for table in (db.recordings, db.clips, db.events)
        }
        for number in range(1, count):
            name, at = new_id(), now - timedelta(days=30, seconds=-number)
            connection.execute(db.recordings.insert(), {**rows["recordings"], "id": name})
            row = {**rows["clips"], "id": name, "recording": name, "received_at": at}
            connection.execute(db.clips.insert(), row)
            put(media, "clips", name, ".mp4")
            if number % 2:
                picture = f"{name}-1"
                row = {**rows["events"], "id": name, "recording": name, "picture": picture}
                connection.execute(db.events.insert(), row)
                put(media, "events", picture, ".jpg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        root = Path(folder)
        engine, media, now = open_database(root / "hub.db"), MediaFolder(root / "media"), datetime.now(UTC)
        fill(engine, media, args.clips, now)
        retention = Retention(engine, media, RetentionSettings(days=3650, reserve_megabytes=0))
        begin = time.perf_counter()
        retention.sweep(now)
        idle = time.perf_counter() - begin

        alone = Committer(Store(engine))
        alone.run(ALONE)
        beside = Committer(Store(engine))
        thread = threading.Thread(target=beside.run)
        thread.start()
        begin, cpu = time.perf_counter(), time.process_time()
        swept = Retention(engine, media, RetentionSettings(reserve_megabytes=0)).sweep(now)
        took, cpu = time.perf_counter() - begin, time.process_time() - cpu
        beside.stopping.set()
        thread.join()
        engine.dispose()
    print(f"{args.clips:,} clips, {CHUNK} rows a write")
    print(f"sweep with nothing to remove   {idle * 1000:8.0f} ms")
    print(f"sweep that removes {swept}: {took:.1f} s, {cpu:.1f} s of CPU with the commits")
    print(f"{'commit of one clip, ms':<30} {'count':>6} {'median':>8} {'p95':>8} {'p99':>8} {'most':>8}")
    for name, times in (("alone", alone.milliseconds), ("during the sweep", beside.milliseconds)):
        print(f"{name:<30} {len(times):>6}" + "".join(f" {value:>8.1f}" for value in at_ranks(times)))


def at_ranks(times: Iterable[float]) -> list[float]:
    ordered = sorted(times)
    return [ordered[min(int(len(ordered) * rank), len(ordered) - 1)] for rank in (0.5, 0.95, 0.99, 1.0)]


if __name__ == "__main__":
    main()
