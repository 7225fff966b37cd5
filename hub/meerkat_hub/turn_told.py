"""What a turn tells: the page of changes, and everybody how the hub stands."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from meerkat_contract.messages import HubState
from meerkat_contract.topics import CameraTopic, MeterTopic, parse

from .adapters.frames import FrameStore
from .adapters.live import Change as LiveChange
from .adapters.live import Live
from .core.machine import HubCore
from .core.meter_records import LayoutSaved, SettingsSaved
from .core.outputs import Announce, Change, ClipSettled, ClipStored
from .core.records import Now
from .turn_work import held

STATE_EVERY = 0.5
"""Seconds between two publications of the hub's state."""

PATIENCE = 0.1
"""Seconds by which the state may be late where nothing else happens. Where something does, whoever turns the
core then tells it, and the hub's thread need not be called to set its alarm."""

MINUTE = 60.0

TOLD = ("/event", "/outcome", "/reading", "/verdict")
"""Ends of the topics that the page hears of too."""


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


class Teller:
    """Knows what has been counted since the database was made, and when the state is to be told again."""

    def __init__(self, live: Live, frames: FrameStore) -> None:
        self._live = live
        self._frames = frames
        self._counts: dict[str, int] = {}
        self._pace = Pace()
        self._at = 0.0
        """From when on the state may be told again (monotonic)."""
        self.due_at: float | None = None
        """When it has to be, because it was not when something had happened."""

    def begin(self, counts: dict[str, int]) -> None:
        """Clips by fate, as the database counts them."""
        self._counts = counts

    def tell(
        self, changes: Iterable[Change], core: HubCore, now: Now, publish: Callable[[HubState], None]
    ) -> None:
        """Let the page know, and with `publish` the subscribers of the hub's state."""
        for change in changes:
            self._count(change, now)
        if now.mono < self._at:
            self.due_at = self._at + PATIENCE
        else:
            self._at, self.due_at = now.mono + STATE_EVERY, None
            publish(self._state(core, now))

    def _count(self, change: Change, now: Now) -> None:
        if (news := told(change)) is not None:
            self._live.tell(news)
        match change:
            case ClipStored():
                self._counts["received"] = self._counts.get("received", 0) + 1
            case ClipSettled(state=state):
                self._pace.settled(state, now.mono)
                self._counts[state] = self._counts.get(state, 0) + 1
            case _:
                pass

    def _state(self, core: HubCore, now: Now) -> HubState:
        oldest = core.clips.oldest_waiting()
        return HubState(
            backlog=core.clips.backlog,
            running=core.clips.running,
            oldest_wait=max(round((now.wall - oldest.received_at).total_seconds()), 0) if oldest else 0,
            done=self._counts.get("done", 0),
            failed=self._counts.get("failed", 0),
            expired=self._counts.get("expired", 0),
            workers=len(core.workers),
            per_minute=self._pace.per_minute(now.mono),
            jobs=held(core.leases),
            frames=self._fates_of_frames(core),
            burst=None if core.cloud is None else core.cloud.state(now),
        )

    def _fates_of_frames(self, core: HubCore) -> dict[str, int]:
        fates = core.workflows.totals()
        if lost := self._frames.lost:
            fates |= {"received": fates["received"] + lost, "lost": fates.get("lost", 0) + lost}
        if not fates["received"] and not self._frames.refused:
            return {}
        return fates | ({"no_room": self._frames.refused} if self._frames.refused else {})


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
