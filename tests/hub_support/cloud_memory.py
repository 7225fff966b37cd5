"""The agent of a whole hub whose cloud is in memory: it looks and answers when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from hub_support.cloud_driver import FakeCloud, a_result
from hub_support.core_driver import track
from meerkat_cloud_burst.errors import Gone
from meerkat_cloud_burst.news import CloudAnswered, CloudEffect, CloudNews, Sent
from meerkat_cloud_burst.settings import BurstSettings


class CloudInMemory:
    """An agent whose cloud looks when it is told to and answers when it is told to."""

    def __init__(
        self, settings: BurstSettings, media: Callable[[str], Path], tell: Callable[[CloudNews], None]
    ) -> None:
        self.settings, self.media, self.tell = settings, media, tell
        self.sky = FakeCloud()
        self.files: dict[str, bytes] = {}
        self.annotated: dict[str, bytes] = {}
        self.life: list[str] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        self.life.append("started")

    def stop(self) -> None:
        self.life.append("stopped")

    def carry_out(self, effect: CloudEffect) -> None:
        with self._lock:
            self.sky.carry_out(effect)

    def fetch_annotated(self, clip: str, path: Path) -> None:
        if clip not in self.annotated:
            raise Gone("it is not there", where=f"annotated/{clip}.mp4")
        path.write_bytes(self.annotated[clip])

    def tick(self) -> None:
        with self._lock:
            self.tell(self.sky.looked())

    def take_up(self) -> None:
        """Fetch the media of every order."""
        for (job, token), order in list(self.sky.orders.items()):
            self.files[job] = self.media(order.media).read_bytes()
            self.tell(Sent(job, token, 0.1, len(self.files[job])))

    def answer(self, *, times: int = 1) -> None:
        """Every order, each so often."""
        for job, token in list(self.sky.orders):
            for _ in range(times):
                self.tell(CloudAnswered(a_result(job, token, track()), "i-0"))
