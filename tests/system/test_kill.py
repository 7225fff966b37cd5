"""kill -9 of hub, worker, device and broker at random instants: the counts add up all the same.

How many clips and pictures there were is taken from the device's own outbox, whose counter survives
every kill. Each must be in the hub's database exactly once and have ended.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import func, select

from meerkat_hub.adapters import schema as db
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.store import Store
from support.broker import Mosquitto, free_port
from support.media import make_clip
from support.processes import Program
from support.wait import wait_for

CONFIG = """\
devices:
  porch:
    cameras:
      front: {{source: {video}, pre_roll: 0, post_roll: 1, clip_seconds: 1}}
"""


@dataclass
class House:
    """Broker, hub, worker and device as processes of their own."""

    folder: Path
    broker: Mosquitto
    programs: dict[str, Program] = field(default_factory=dict)

    def add(self, name: str, *arguments: str, config: Path | None = None) -> Program:
        environment = {"MEERKAT_CONFIG": str(config)} if config else {}
        program = Program(
            name,
            [*arguments, "--data", str(self.folder / "data")],
            connection=self.broker.connection,
            folder=self.folder,
            environment=environment,
        )
        self.programs[name] = program
        return program

    def kill_and_restart(self, name: str) -> None:
        victim = self.broker if name == "broker" else self.programs[name]
        victim.kill()
        victim.start()

    def end(self) -> None:
        for program in self.programs.values():
            program.kill()
        self.broker.kill()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    settings = (
        "allow_anonymous true",
        "persistence true",
        f"persistence_location {tmp_path}/broker/",
        "autosave_interval 1",
    )
    made = House(tmp_path, Mosquitto(tmp_path / "broker", settings=settings))
    made.broker.start()
    yield made
    made.end()


def run_rounds(house: House, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    video = house.folder / "walk.mp4"
    make_clip(video, seconds=6, fps=10, size=(320, 240), moving=True, gop=1)
    config = house.folder / "meerkat.yaml"
    config.write_text(CONFIG.format(video=video))
    hub = house.add("hub", "hub", "--http-port", str(free_port()))
    worker = house.add("worker", "worker", "--id", "cpu")
    device = house.add("device", "device", "--name", "porch", "--loop", config=config)
    for program in (hub, worker, device):
        program.start()
    database = house.folder / "data" / "hub" / "hub.db"
    wait_for(lambda: _count(database, "done") > 0, seconds=60, what=f"a first result\n{worker.text()}")
    for _ in range(rounds):
        name = chance.choice(("hub", "worker", "device", "broker"))
        pause = time.monotonic() + chance.uniform(0.2, 1.5)
        wait_for(lambda pause=pause: time.monotonic() >= pause, what="the random instant")  # type: ignore[misc]
        house.kill_and_restart(name)
    device.stop()
    _drain(house, config, database)
    _check(house, database, seed)


def _drain(house: House, config: Path, database: Path) -> None:
    """Start the device once more, without motion to record, until its outbox is empty; then the queue."""
    still = house.folder / "still.mp4"
    make_clip(still, seconds=1, fps=10, size=(320, 240), moving=False, gop=1)
    config.write_text(CONFIG.format(video=still))
    last = house.add("last", "device", "--name", "porch", "--fast", config=config)
    last.start()
    assert last.wait(120) == 0, last.text()
    wait_for(lambda: _count(database, "waiting") == 0, seconds=120, what="the queue to be worked off")
    engine = open_database(database)
    store = Store(engine)
    wait_for(lambda: not store.announcements(), seconds=30, what="every announcement to be confirmed")
    engine.dispose()


def _count(database: Path, state: str) -> int:
    if not database.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as connection:
            row = connection.execute("SELECT count(*) FROM clips WHERE state = ?", (state,)).fetchone()
    except sqlite3.OperationalError:  # the hub has not made its tables yet
        return 0
    return int(row[0])


def _check(house: House, database: Path, seed: int) -> None:
    outbox = house.folder / "data" / "devices" / "porch" / "outbox"
    with sqlite3.connect(outbox / "outbox.sqlite") as connection:
        made = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entry'").fetchone()[0]
        left = connection.execute("SELECT count(*) FROM entry").fetchone()[0]
    engine = open_database(database)
    totals = Store(engine).totals()
    with engine.connect() as connection_:
        rows = connection_.execute(select(func.count()).select_from(db.clips)).scalar_one()
        unjoined = connection_.execute(
            select(func.count()).select_from(db.clips).where(db.clips.c.joined.is_(False))
        ).scalar_one()
        files = connection_.execute(select(db.clips.c.id)).scalars().all()
    engine.dispose()
    context = f"seed {seed}: made {made}, totals {totals}"
    assert left == 0, context
    assert rows == made == totals["received"], context
    ended = sum(totals.get(state, 0) for state in ("done", "failed", "expired"))
    assert ended == made, context
    assert unjoined == 0, context
    assert totals.get("failed", 0) == 0, f"{context}\n{house.programs['hub'].text()[-4000:]}"
    stored = {path.stem for path in (house.folder / "data" / "hub" / "media" / "clips").rglob("*.mp4")}
    assert stored == set(files), context


def test_counts_add_up_after_five_kills(house: House) -> None:
    run_rounds(house, 5, seed=20261120)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(10))
def test_counts_add_up_after_fifty_kills(house: House, seed: int) -> None:
    run_rounds(house, 5, seed=seed)
