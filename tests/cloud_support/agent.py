"""The hub's agent against the emulator, with a hub that only takes notes, and a worker that only answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from cloud_support.orders import finished, order
from meerkat_cloud_burst.agent import Agent
from meerkat_cloud_burst.aws.opening import Cloud
from meerkat_cloud_burst.messages import Announced, Order, result_key
from meerkat_cloud_burst.news import CloudNews, SendOut
from meerkat_cloud_burst.ports import Received
from meerkat_cloud_burst.settings import BurstSettings
from support.wait import wait_for

N = TypeVar("N")


class NotingHub:
    """Keeps the clips and notes all news."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.news: list[CloudNews] = []

    def media(self, id: str) -> Path:
        return self.folder / f"{id}.mp4"

    def tell(self, news: CloudNews) -> None:
        self.news.append(news)

    def of(self, kind: type[N]) -> list[N]:
        return [news for news in self.news if isinstance(news, kind)]

    def wait_for(self, kind: type[N], count: int = 1) -> list[N]:
        return wait_for(
            lambda: found if len(found := self.of(kind)) >= count else [], what=f"{count} {kind.__name__}"
        )

    def clip(self, content: bytes = b"clip", *, token: int = 1, job: str = "") -> SendOut:
        """A clip that is to go out, with hash and size as the core leaves them."""
        wanted = order(job, token).model_copy(update={"sha256": "0" * 64, "size": 0})
        self.media(wanted.job.job).write_bytes(content)
        return SendOut(wanted, wanted.job.job, "video/mp4")


class AnsweringWorker:
    """One that looks at nothing: each step of a worker's, when the test says so."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def take(self) -> Received:
        received = self.cloud.orders.receive(5)
        assert received is not None
        return received

    def answer(self, of: Order, *, worker: str = "i-1", boot: float | None = None) -> None:
        key = result_key(of.job.job)
        self.cloud.store.put_result(key, finished(of, worker=worker, boot=boot))
        self.cloud.results.announce(Announced(job=of.job.job, token=of.job.token, key=key, worker=worker))

    def do_one(self) -> Order:
        received = self.take()
        self.answer(received.order)
        self.cloud.orders.delete(received.receipt)
        return received.order


@contextmanager
def running_agent(settings: BurstSettings, hub: NotingHub, **options: Any) -> Iterator[Agent]:
    """Polls for a second at most, and rests a twentieth of one after a failure."""
    options = {"poll": 1, "first_rest": 0.05, **options}
    agent = Agent(settings, media=hub.media, tell=hub.tell, **options)
    agent.start()
    try:
        yield agent
    finally:
        agent.stop()
