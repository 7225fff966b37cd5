"""Pull the plug: kill -9 of the device at random points of capture, spool and publish.

What the device had is told by a witness, a pipe it writes to before and after each step. Every clip that
was finished must reach the hub, and every clip that reaches it must be what the camera wrote, to the byte.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import av
import pytest

from support.broker import Mosquitto
from support.media import make_clip
from support.stand_in_hub import Outcome, StandInHub, Taken
from support.wait import wait_for

DRIVER = Path(__file__).parents[1] / "support" / "plugged_device.py"


@dataclass
class Witness:
    """What the device said, over all of its lives."""

    contents: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each clip whose file was written."""
    finished: set[str] = field(default_factory=set)
    at_death: Counter[str] = field(default_factory=Counter)
    """What the device was at when it died."""
    last: str = ""

    def hear(self, line: str) -> None:
        word, *rest = line.split()
        if word == "adding":
            self.contents[rest[0]] = rest[1]
        elif word == "added":
            self.finished.add(rest[0])
        if word == "gone":
            self.at_death[self.last] += 1
        self.last = word


class Plug:
    def __init__(self, tmp_path: Path, broker: Mosquitto) -> None:
        video = make_clip(tmp_path / "in.mp4", seconds=4, fps=10, gop=0.5)
        self.witness = Witness()
        self._log = (tmp_path / "device.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, str(DRIVER), str(video), str(tmp_path / "data"), "127.0.0.1", str(broker.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )

    def begin(self, word: str = "go") -> int:
        """A new life; returns its process id."""
        assert self._process.stdin
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        return int(self.hear_until("pid").split()[1])

    def hear_until(self, word: str) -> str:
        assert self._process.stdout
        while line := self._process.stdout.readline():
            self.witness.hear(line)
            if line.split()[0] == word:
                return line
        raise AssertionError(f"the device ended by itself: see {self._log.name}")

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.hear_until("gone")

    def end(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait(10)
        self._log.close()


@pytest.fixture
def plug(tmp_path: Path, broker: Mosquitto) -> Iterator[Plug]:
    made = Plug(tmp_path, broker)
    yield made
    made.end()


def pull(plug: Plug, broker: Mosquitto, *, times: int, seed: int) -> None:
    chance = random.Random(seed)

    def answer(taken: Taken) -> Outcome | None:
        if chance.random() < 0.1:
            return None  # the receipt is lost
        return "duplicate" if taken.metadata.id in hub.taken else "stored"

    hub = StandInHub(broker.connection, answer=answer)
    hub.start()
    try:
        for _ in range(times):
            if chance.random() < 0.3:  # a device that finds no hub keeps what it records
                hub.session.publish("meerkat/hub/availability", "offline", qos=1, retain=True).wait(10)
            else:
                hub.session.publish("meerkat/hub/availability", "online", qos=1, retain=True).wait(10)
            pid = plug.begin()
            for _ in range(chance.randint(0, 12)):
                plug.hear_until(chance.choice(("writing", "adding", "added")))
            until = time.monotonic() + chance.uniform(0, 0.02)
            wait_for(lambda until=until: time.monotonic() >= until, what="the random instant")  # type: ignore[misc]
            plug.kill(pid)
        hub.session.publish("meerkat/hub/availability", "online", qos=1, retain=True).wait(10)
        hub._answer = lambda taken: "duplicate" if taken.metadata.id in hub.taken else "stored"
        plug.begin("drain")
        plug.hear_until("empty")
        plug.hear_until("gone")
    finally:
        hub.stop()
    check(plug.witness, hub, context=f"seed {seed}")


def check(witness: Witness, hub: StandInHub, *, context: str) -> None:
    print(
        f"{len(witness.finished)} clips finished, {len(hub.taken)} recorded by the hub, "
        f"{len(hub.arrivals)} arrivals; killed after {dict(witness.at_death)}"
    )
    assert witness.finished, context
    assert witness.finished <= hub.taken.keys(), f"{context}: a finished clip is lost"
    for taken in hub.arrivals:
        sha = hashlib.sha256(taken.payload).hexdigest()
        assert sha == witness.contents[taken.metadata.id], f"{context}: not what was written"
    for clip in hub.clips():
        with av.open(BytesIO(clip.payload)) as container:
            packets = sum(1 for packet in container.demux(video=0) if packet.size)
        assert clip.metadata.duration
        assert packets == pytest.approx(clip.metadata.duration * 10, abs=1), context


def test_ten_times_the_plug_is_pulled(plug: Plug, broker: Mosquitto) -> None:
    pull(plug, broker, times=10, seed=20261120)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_two_hundred_times_the_plug_is_pulled(plug: Plug, broker: Mosquitto) -> None:
    pull(plug, broker, times=200, seed=int(time.time()))
    at_death = plug.witness.at_death
    assert min(at_death["writing"], at_death["adding"], at_death["added"]) >= 5, at_death
