"""Whatever the cloud and the house do, in whatever order: each clip ends once, and nothing is left over."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from hub_support.cloud_driver import SETTINGS, CloudDriver, a_result
from meerkat_cloud_burst.news import CloudAnswered, CloudDead, NotSent, Reached, Sent, TakenBack, Trouble
from meerkat_hub.core.inputs import BusChanged, ResultArrived
from meerkat_hub.core.outputs import SendJob

STEPS = 250


class Storm:
    """Draws what happens next; what it knows of orders and jobs may be long out of date."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.says = ""
        self.hub = CloudDriver(cloud_of=lambda device, camera: self.says)
        self.hub.policy.every = True
        self.hub.sky.launch("i-0", "i-1", "i-2", "i-3")
        self.clips = 0
        self.workers = 0
        self.deeds: list[Callable[[], None]] = [
            self.clip,
            self.clip,
            self.clip,
            self.tick,
            self.tick,
            self.cloud_answers,
            self.cloud_answers,
            self.cloud_has_bad_news,
            self.house_answers,
            self.wait,
            self.wait,
            self.worker,
            self.switch,
            self.trouble,
            self.camera,
        ]

    def clip(self) -> None:
        self.clips += 1
        self.hub.clip(self.clips, recording=0xA000 + self.clips // 3, sequence=self.clips % 3)

    def tick(self) -> None:
        before = len(self.hub.sky.sent)
        self.hub.tick(taken=self.chance.randrange(3))
        if self.says == "never":
            assert not self.hub.core.clips.aloft
            assert len(self.hub.sky.sent) == before

    def camera(self) -> None:
        """Somebody sets whether its clips may leave."""
        self.says = self.chance.choice(("never", "", "", "always"))

    def an_order(self) -> tuple[str, int] | None:
        sent = self.hub.sky.sent
        return self.chance.choice(sent[-12:]) if sent else None

    def cloud_answers(self) -> None:
        if (order := self.an_order()) is not None:
            state = self.chance.choice(("done", "done", "failed"))
            about = {"state": state, "retry": self.chance.random() < 0.5, "begun": self.chance.random() < 0.8}
            for _ in range(self.chance.choice((1, 1, 2))):
                self.hub.do(CloudAnswered(a_result(*order, **about), "i-0"))  # type: ignore[arg-type]

    def cloud_has_bad_news(self) -> None:
        if (order := self.an_order()) is not None:
            self.hub.do(
                self.chance.choice(
                    (
                        CloudDead(*order, "nobody could"),
                        NotSent(*order, self.chance.choice(("network", "other")), "no way"),
                        TakenBack(*order),
                        Sent(*order, 1.0, 100_000),
                    )
                )
            )

    def house_answers(self) -> None:
        jobs = [effect for effect in self.hub.effects if isinstance(effect, SendJob)]
        if jobs:
            job = self.chance.choice(jobs[-8:])
            worker = self.hub.core.workers.get(job.worker)
            if worker is not None:
                state = self.chance.choice(("done", "failed"))
                result = a_result(job.job.job, job.job.token, state=state, retry=self.chance.random() < 0.5)
                result = result.model_copy(update={"incarnation": worker.incarnation})
                self.hub.do(ResultArrived(job.worker, result))

    def wait(self) -> None:
        self.hub.turn(self.chance.choice((0.5, 5.0, 60.0, SETTINGS.timeout)))

    def worker(self) -> None:
        self.workers += 1
        name = self.chance.choice(("one", "two"))
        self.hub.worker(name, start=self.workers, online=self.chance.random() < 0.6)

    def switch(self) -> None:
        self.hub.switch(self.chance.choice(("on", "on", "off", "stop")))

    def trouble(self) -> None:
        self.hub.do(
            self.chance.choice(
                (Trouble("network", "it is away"), Reached(), BusChanged(False), BusChanged(True))
            )
        )

    def end(self) -> None:
        """The sun comes out: one good worker, a bus, and time."""
        self.hub.switch("off")
        self.hub.do(BusChanged(up=True))
        self.hub.turn(SETTINGS.timeout)
        for number in range(40):
            self.hub.worker("good", start=0x500 + number, fps=100)
            for _ in range(30):
                worker = self.hub.core.workers["good"]
                for lease in list(worker.leases):
                    result = a_result(lease.item.id, lease.token)
                    result = result.model_copy(update={"incarnation": worker.incarnation})
                    self.hub.do(ResultArrived("good", result))
                self.hub.turn(5.0)
            if not self.hub.core.clips.unfinished:
                break
        self.tick()


@pytest.mark.parametrize("seed", range(12))
def test_each_clip_ends_once_and_nothing_is_left_over(seed: int) -> None:
    storm = Storm(seed)
    for _ in range(STEPS):
        storm.chance.choice(storm.deeds)()  # the driver checks its invariants after every step
    storm.end()
    core, cloud = storm.hub.core, storm.hub.cloud
    assert len(storm.hub.settled()) == storm.clips > 20
    assert not core.clips.unfinished
    assert not core.clips.aloft
    assert not core.clips.since
    assert not core.clips.cloud_said
    assert not cloud.flights.known
    assert cloud.wake_at() is None
    assert len(storm.hub.sky.sent) > 10
    assert len(set(storm.hub.sky.sent)) == len(storm.hub.sky.sent), "an order was sent twice under one token"
