"""What a turn has in hand: how it acts upon the outside, and what was decided and is not committed yet."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path

from meerkat_contract.errors import MeerkatError
from meerkat_contract.messages import DeviceInfo, HubState
from meerkat_contract.topics import CameraTopic, MeterTopic, parse

from .adapters.live import Change as LiveChange
from .adapters.store import Waiting
from .core.inputs import CamerasTold
from .core.meter_records import LayoutSaved, SettingsSaved
from .core.outputs import Announce, Change, Decision, Effect, EventSaved, RecordingClosed
from .core.pool.work import Lease

log = logging.getLogger("meerkat.hub")

MINUTE = 60.0

TOLD = ("/event", "/outcome", "/reading", "/verdict")
"""Ends of the topics that the page hears of too."""


@dataclass(slots=True)
class Actions:
    """What the hub does to the outside; `bus.py` fills it in."""

    carry_out: Callable[[Effect], None]
    announce: Callable[[Iterable[Waiting]], None]
    announce_again: Callable[[Iterable[Waiting]], None]
    """Forget what is to be announced, and take this instead."""
    confirmed: Callable[[int, MeerkatError | None], bool]
    """The fate of an announcement; answers whether it is over and can be forgotten."""
    pump: Callable[[], float | None]
    """Announce what waits; answers when it is to be called again (monotonic) if only time holds it back."""
    publish_state: Callable[[HubState], None]
    recovered: Callable[[], None]
    together: Callable[[], AbstractContextManager[None]] = nullcontext
    """What is done within leaves for the network in one go."""


@dataclass(slots=True)
class Pace:
    """How many clips were done within the last minute."""

    _done: deque[float] = field(default_factory=deque)

    def settled(self, state: str, mono: float) -> None:
        if state == "done":
            self._done.append(mono)

    def per_minute(self, mono: float) -> int:
        while self._done and self._done[0] <= mono - MINUTE:
            self._done.popleft()
        return len(self._done)


@dataclass(slots=True)
class Work:
    """What the core decided and is not committed yet."""

    changes: list[Change] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    acks: list[Callable[[], None]] = field(default_factory=list)
    moves: list[tuple[Path, Path]] = field(default_factory=list)
    """Received files and the places where they have to be before the commit."""

    def add(self, decision: Decision) -> None:
        self.changes += decision.changes
        self.effects += decision.effects
        for line in decision.notes:
            log.info("%s", line)

    def closes(self, recording: str) -> bool:
        return any(isinstance(c, RecordingClosed) and c.id == recording for c in self.changes)


def cameras_of(info: DeviceInfo) -> CamerasTold:
    return CamerasTold(info.device, tuple(camera.name for camera in info.cameras))


def held(leases: Mapping[str, list[Lease]]) -> dict[str, int]:
    """How many jobs each worker holds."""
    return dict(Counter(lease.worker for each in leases.values() for lease in each))


def local(wall: datetime) -> datetime:
    """A time in the zone of this machine, which is the house's."""
    return wall.astimezone()


def midnight(wall: datetime) -> datetime:
    """When the house's day began, in UTC, also where a clock was put forward or back since."""
    return datetime.combine(local(wall).date(), time.min).astimezone(UTC)


def told(change: Change) -> LiveChange | None:
    """What the page hears of a change; None for most."""
    match change:
        case Announce(topic=topic, payload=payload, event_picture=None) if topic.endswith(TOLD):
            match parse(topic):
                case CameraTopic(device, camera, ("event" | "outcome") as kind):
                    return LiveChange(kind, device, camera, payload)
                case MeterTopic(device, meter, kind):
                    return LiveChange(kind, device, meter, payload)
            return None
        case LayoutSaved(device=device, meter=meter) | SettingsSaved(device=device, meter=meter):
            return LiveChange("meter", device, meter)
        case _:
            return None


def with_pictures(changes: Iterable[Change]) -> dict[str, EventSaved]:
    """Of each event that has a new picture, the latest change that has one."""
    return {
        change.record.state.id: change
        for change in changes
        if isinstance(change, EventSaved) and (change.picture is not None or change.frame is not None)
    }
