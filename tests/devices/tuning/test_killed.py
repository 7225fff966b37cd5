"""Settings told from two sides at once while the device is killed again and again: what was told counts."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from meerkat_contract.session import Incoming, Session
from support.broker import Mosquitto
from support.media import make_clip
from support.wait import wait_for

KILLS = 6

CONFIGURATION = """
devices:
  pi:
    cameras:
      yard: {{source: {video}}}
"""


class Hand:
    """Sets one setting higher and higher, by thousandths, and hears what is in force."""

    def __init__(self, broker: Mosquitto, setting: str) -> None:
        self.setting = setting
        self.wished = self.told = 3000  # as it is set up
        self.live = False
        """Whether this run of the device has told anything yet."""
        self.session = Session(broker.connection, client_id=f"hand-{setting}")
        self.session.subscribe(f"meerkat/device/pi/yard/{setting}/state", self._hear)
        self.session.start()
        self.session.wait_subscribed(10)

    def _hear(self, message: Incoming) -> None:
        if not message.retain:
            self.told, self.live = round(float(message.payload) * 1000), True

    def run(self, stop: threading.Event) -> None:
        self.wished = self.told  # what was on its way is lost
        while not stop.is_set():
            if self.wished - self.told > 20 and not stop.wait(0.01):
                continue  # commands wait in the device's memory, too
            self.wished += 1
            word = f"{self.wished / 1000:g}"
            self.session.publish(f"meerkat/device/pi/yard/{self.setting}/set", word, qos=1).wait(10)


@pytest.fixture
def hands(broker: Mosquitto) -> Iterator[list[Hand]]:
    made = [Hand(broker, "post_roll"), Hand(broker, "pre_roll")]
    yield made
    for one in made:
        one.session.stop()


def test_what_was_told_counts_after_every_kill(broker: Mosquitto, hands: list[Hand], tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=5, moving=False)
    file, log = tmp_path / "meerkat.yaml", tmp_path / "log"
    file.write_text(CONFIGURATION.format(video=video))
    command = [sys.executable, "-m", "meerkat_cli", "device", "--loop", "--config", file, "--data", tmp_path]
    environment = {**os.environ, "MEERKAT_BROKER": broker.connection.secret_url}
    chance = random.Random(7)
    for number in range(KILLS + 1):
        told = [hand.told for hand in hands]
        for hand in hands:
            hand.live = False
        with log.open("ab") as out:
            process = subprocess.Popen(
                [str(part) for part in command], stdout=out, stderr=out, env=environment
            )
        stop = threading.Event()
        threads = [threading.Thread(target=hand.run, args=(stop,)) for hand in hands]
        try:
            wait_for(lambda: all(hand.live for hand in hands), what=f"the states; {log.read_text()[-2000:]}")
            if number:
                for hand, before in zip(hands, told, strict=True):
                    assert before <= hand.told <= hand.wished, hand.setting
            for thread in threads:
                thread.start()
            goals = [(hand, hand.told + chance.randrange(1, 40)) for hand in hands]
            for hand, goal in goals:
                wait_for(lambda hand=hand, goal=goal: hand.told >= goal, what=f"{hand.setting} {goal}")  # type: ignore[misc]
        finally:
            process.kill()
            process.wait(10)
            stop.set()
            for thread in threads:
                if thread.ident:
                    thread.join(20)
    assert "damaged" not in log.read_text()
