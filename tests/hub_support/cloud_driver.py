"""A hub's core with a cloud: a policy that says what the test wants, and a cloud in memory that obeys it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from hub_support.core_driver import START, CoreDriver, an_id
from meerkat_cloud_burst.news import (
    BurstAsked,
    CloudAnswered,
    CloudEffect,
    EndInstances,
    Forget,
    Looked,
    Scale,
    SendOut,
    TakeBack,
)
from meerkat_cloud_burst.policy.view import BurstDecision, LedgerEntry, Reservation, World
from meerkat_cloud_burst.ports import FleetState, Instance, QueueState
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.messages import ModelInfo, Result, Track
from meerkat_hub.core.cloud.cloud import Cloud
from meerkat_hub.core.cloud_records import LedgerWritten

SETTINGS = BurstSettings(enabled=True, timeout=300, tick=20)


def a_result(
    clip: str,
    token: int,
    *tracks: Track,
    state: Literal["done", "failed"] = "done",
    retry: bool = False,
    reason: str = "",
    begun: bool = True,
    seconds: float = 2.0,
) -> Result:
    """What a worker says of a clip."""
    return Result(
        job=clip,
        token=token,
        incarnation=an_id(0xC000),
        state=state,
        reason=reason,
        retry=retry,
        model=ModelInfo(name="yolo"),
        frames=25 if begun else 0,
        seconds=seconds if begun else 0,
        duration=5,
        tracks=tracks,
    )


@dataclass
class ToldPolicy:
    """Decides what it is told, once; it keeps the worlds that it was shown."""

    told: BurstDecision = field(default_factory=BurstDecision)
    worlds: list[World] = field(default_factory=list)
    every: bool = False
    """Send all that may go, at each tick."""

    def decide(self, world: World) -> BurstDecision:
        self.worlds.append(world)
        if self.every:
            ids = tuple(clip.id for clip in world.waiting if clip.rule != "never")
            return BurstDecision(send=ids, code="burst" if ids else "idle", reason=f"all {len(ids)}")
        told, self.told = self.told, BurstDecision()
        return told


@dataclass
class FakeCloud:
    """What is there of the cloud, by what was carried out. Nothing happens by itself."""

    orders: dict[tuple[str, int], SendOut] = field(default_factory=dict)
    sent: list[tuple[str, int]] = field(default_factory=list)
    forgotten: list[tuple[str, int]] = field(default_factory=list)
    asked_back: list[tuple[str, int]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    desired: int = 0
    maximum: int = 4
    instances: tuple[Instance, ...] = ()
    orphans: tuple[Instance, ...] = ()

    def carry_out(self, effect: CloudEffect) -> None:
        match effect:
            case SendOut(order=order):
                key = (order.job.job, order.job.token)
                self.orders[key] = effect
                self.sent.append(key)
            case TakeBack(jobs=jobs):
                self.asked_back += jobs
            case Scale(desired=desired):
                self.desired = desired
            case EndInstances(instances=instances):
                self.ended += instances
            case Forget(job=job, token=token):
                self.forgotten.append((job, token))
                self.orders.pop((job, token), None)

    def token_of(self, clip: str) -> int:
        """Of its latest order."""
        return [token for job, token in self.sent if job == clip][-1]

    def looked(self, *, taken: int = 0) -> Looked:
        fleet = FleetState(self.desired, self.maximum, self.instances, self.orphans)
        return Looked(fleet, QueueState(waiting=len(self.orders) - taken, taken=taken))

    def launch(self, *ids: str, at: datetime = START) -> None:
        self.instances += tuple(Instance(one, "running", at) for one in ids)


class CloudDriver(CoreDriver):
    """A core whose effects on the cloud are carried out by a FakeCloud."""

    def __init__(self, cloud: BurstSettings = SETTINGS, **core: Any) -> None:
        self.policy, self.sky = ToldPolicy(), FakeCloud()
        super().__init__(burst=(cloud, self.policy), **core)
        self._carried_out = 0

    @property
    def cloud(self) -> Cloud:
        assert self.core.cloud is not None
        return self.core.cloud

    def do(self, happened: Any) -> None:
        super().do(happened)
        for effect in self.effects[self._carried_out :] if hasattr(self, "_carried_out") else ():
            if isinstance(effect, CloudEffect):
                self.sky.carry_out(effect)
        self._carried_out = len(self.effects)

    def tick(self, decision: BurstDecision | None = None, *, taken: int = 0) -> World:
        """One look, upon which this is decided; the world that the policy saw."""
        self.policy.told = decision or BurstDecision()
        self.do(self.sky.looked(taken=taken))
        return self.policy.worlds[-1]

    def send(self, clips: Sequence[str], *, machines: int = 1) -> None:
        """Have these sent out, and machines asked for."""
        decision = BurstDecision(
            send=tuple(clips),
            desired=machines,
            reserve=Reservation(machines, 900, 0.01) if machines > self.sky.desired else None,
            code="burst",
            reason=f"{len(clips)} clips",
        )
        self.tick(decision)

    def cloud_answers(self, clip: str, *tracks: Track, token: int | None = None, **about: Any) -> None:
        token = self.sky.token_of(clip) if token is None else token
        self.do(CloudAnswered(a_result(clip, token, *tracks, **about), "i-0"))

    def switch(self, what: Literal["on", "off", "stop"]) -> None:
        self.do(BurstAsked(what, by="the test"))

    def ledger(self) -> list[LedgerEntry]:
        return [change.entry for change in self.changes if isinstance(change, LedgerWritten)]

    def later(self, seconds: float) -> datetime:
        return START + timedelta(seconds=self.mono + seconds)
