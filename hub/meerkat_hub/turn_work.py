"""What a turn has in hand: how it acts upon the outside, and what was decided and is not committed yet."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path

from meerkat_contract.errors import MeerkatError
from meerkat_contract.messages import DeviceInfo, HubState

from .adapters.store import Waiting
from .core.inputs import CamerasTold
from .core.meter_records import SendPicture
from .core.outputs import Change, Decision, Effect, EventSaved, RecordingClosed, SendJob
from .core.pool.work import Lease

log = logging.getLogger("meerkat.hub")


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


_MEDIA_SENT = frozenset({SendJob, SendPicture})


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

    @property
    def reads_media(self) -> bool:
        """Whether to carry it out means to read a file."""
        return not _MEDIA_SENT.isdisjoint(map(type, self.effects))

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


def with_pictures(changes: Iterable[Change]) -> dict[str, EventSaved]:
    """Of each event that has a new picture, the latest change that has one."""
    return {
        change.record.state.id: change
        for change in changes
        if isinstance(change, EventSaved) and (change.picture is not None or change.frame is not None)
    }
