"""Beside frames, clips, meters and presence are asked only when it matters, and miss nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hub_support.core_driver import CoreDriver, a_clip, an_id
from meerkat_hub.core import resting
from meerkat_hub.core.clips import CoreSettings
from meerkat_hub.core.inputs import Input
from meerkat_hub.core.outputs import Decision
from meerkat_hub.core.records import Now
from meerkat_hub.core.resting import LONGEST, Resting
from meerkat_hub.core.workflow_records import FrameArrived

from .test_core_random import Life
from .test_presence import Driver as House


@dataclass
class Clock:
    """A part that is due at times that are given, and counts how often it is asked."""

    due: list[float] = field(default_factory=list)
    asked: int = 0
    done: list[float] = field(default_factory=list)

    def pass_time(self, now: Now, out: Decision) -> None:
        del out
        self.asked += 1
        while self.due and self.due[0] <= now.mono:
            self.done.append(self.due.pop(0))

    def wake_at(self) -> float | None:
        return self.due[0] if self.due else None


def at(seconds: float) -> Now:
    return Now(CoreDriver().now.wall, seconds)


def test_who_is_not_due_is_not_asked() -> None:
    clock = Clock([0.5])
    parts = Resting(clock)
    for tenth in range(5):
        parts.pass_time(at(tenth / 10), Decision())
    assert clock.asked == 1
    assert parts.wake_at() == 0.5
    parts.pass_time(at(0.5), Decision())
    assert clock.done == [0.5]
    assert parts.wake_at() is None


def test_nobody_rests_for_longer_than_that() -> None:
    clock = Clock()
    parts = Resting(clock)
    for tenth in range(21):
        parts.pass_time(at(tenth * LONGEST / 10), Decision())
    assert clock.asked == 3


def test_who_is_stirred_is_asked_at_once_though_its_time_was_asked_for_in_between() -> None:
    clock = Clock()
    parts = Resting(clock)
    parts.pass_time(at(0.0), Decision())
    clock.due = [0.01]
    parts.stir()
    assert parts.wake_at() == 0.01
    parts.pass_time(at(0.005), Decision())
    assert clock.asked == 2
    parts.pass_time(at(0.02), Decision())
    assert clock.done == [0.01]


class AmongFrames(CoreDriver):
    """Sees how time passes by frames of a camera of which nothing is wanted, ten a second."""

    def __init__(self, settings: CoreSettings) -> None:
        self.frames = 0
        self.when: list[tuple[float, int, int, int]] = []
        """How much had been decided by when."""
        super().__init__(settings=settings)

    def do(self, happened: Input) -> None:
        super().do(happened)
        self.core.wake_at()
        self.when.append((self.mono, len(self.changes), len(self.effects), len(self.notes)))

    def turn(self, seconds: float) -> None:
        for _ in range(max(int(seconds * 10), 1)):
            self.mono += 0.1
            self.frames += 1
            frame = FrameArrived(
                an_id(0xF0000 + self.frames), "shed", "side", self.now.wall, 50_000, "image/jpeg"
            )
            self.do(frame)


def live(seed: int) -> AmongFrames:
    life = Life(seed)
    core = life.core = AmongFrames(CoreSettings(expire_after=60))
    life.live()
    return core


@pytest.mark.parametrize("seed", range(12))
def test_a_hub_that_asks_everybody_at_every_frame_decides_the_same(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rested = live(seed)
    asks = Resting.pass_time

    def always(self: Resting, now: Now, out: Decision) -> None:
        self.stir()
        asks(self, now, out)

    monkeypatch.setattr(resting.Resting, "pass_time", always)
    anxious = live(seed)
    assert rested.changes == anxious.changes
    assert rested.effects == anxious.effects
    assert rested.notes == anxious.notes
    assert rested.when == anxious.when
    assert rested.settled()


def aged() -> AmongFrames:
    """A clip is older than is kept, and a worker has it."""
    core = AmongFrames(CoreSettings(expire_after=5))
    core.worker("cpu")
    core.clip(1)
    core.turn(10)
    assert core.core.leases
    assert not core.settled()
    return core


def test_an_old_clip_that_a_worker_hands_back_expires_at_once() -> None:
    core = aged()
    core.answer(a_clip(1), state="failed", retry=True, reason="no memory", begun=False)
    assert core.settled() == [(an_id(1), "expired")]


def test_an_old_clip_whose_worker_stays_silent_expires_with_its_lease() -> None:
    core = aged()
    [[lease]] = core.core.leases.values()
    while core.mono + 0.1 < lease.expires:
        core.turn(0.1)
    assert not core.settled()
    core.turn(0.1)
    assert core.settled() == [(an_id(1), "expired")]


def test_who_leaves_a_zone_is_seen_to_leave_beside_frames_and_without() -> None:
    """What a step's own changes begin is known when it is asked when to wake."""
    house = House()
    house.turn(100)
    house.core.wake_at()
    house.walk(1, 0.1, 0.2)
    assert house.zones()["drive"] == {"person": 1}
    leaves, wake = house.core.presence.wake_at(), house.core.wake_at()
    assert leaves is not None
    assert wake is not None
    assert wake <= leaves

    def frame_comes(number: int) -> None:
        house.do(FrameArrived(an_id(0xF0000 + number), "shed", "side", house.now.wall, 5_000, "image/jpeg"))
        house.core.wake_at()

    for number in range(int((leaves - house.mono) / 0.05)):
        house.mono += 0.05
        frame_comes(number)
    assert house.zones()["drive"] == {"person": 1}
    house.mono = leaves
    frame_comes(10_000)
    assert house.zones()["drive"] == {}
