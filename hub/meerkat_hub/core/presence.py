"""Who stands in each camera's zones now, and how many came today. Pure.

A thing stands in a zone from when the hub hears of it until LINGER after its last sighting. A clip that is
looked at later than that says nothing of now. What came is counted by the day on which it began, in the
house's own zone, from events of recordings: those that workflows decide upon single frames would count the
same people again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from meerkat_contract.messages import Box, Today, ZonesNow
from meerkat_contract.topics import CameraTopic

from .inputs import CamerasTold
from .outputs import Change, Decision, EventSaved, KeepState
from .records import Now
from .zones import ZonesOf, no_zones, zones_of

LINGER = 30.0
"""Seconds after its last sighting for which a thing counts as where it was seen."""

LOOK_AGAIN = 1.0
"""Seconds between looks at the calendar."""

CameraKey = tuple[str, str]
"""Device and camera."""

Counts = Mapping[CameraKey, Mapping[str, int]]
"""How many events began today, by camera and category."""


@dataclass(frozen=True, slots=True)
class _Standing:
    label: str
    box: Box
    until: float
    """Monotonic seconds."""


class Presence:
    """`follow` hears of every step's changes; what is to be published is added to the decision."""

    def __init__(
        self,
        local: Callable[[datetime], datetime] = lambda wall: wall,
        zones: ZonesOf = no_zones,
    ) -> None:
        """`local` gives a UTC time in the zone of the house."""
        self._local = local
        self._zones_of = zones
        self._day: date | None = None
        self._look_at = 0.0
        self._today: dict[CameraKey, Counter[str]] = {}
        self._cameras: dict[str, tuple[str, ...]] = {}
        self._standing: dict[CameraKey, dict[str, _Standing]] = {}
        """By camera and event."""
        self._told: dict[str, bytes] = {}
        """By topic."""

    def load(self, today: Counts, now: Now) -> None:
        """Take over what the database counts since midnight."""
        self._day = self._local(now.wall).date()
        self._today = {key: Counter(counts) for key, counts in today.items()}

    def described(self, told: CamerasTold, now: Now, out: Decision) -> None:
        """A device has these cameras now: of each the page and Home Assistant find a state."""
        self.pass_time(now, out)
        gone = set(self._cameras.get(told.device, ())) - set(told.cameras)
        self._cameras[told.device] = told.cameras
        for camera in told.cameras:
            self._tell_zones((told.device, camera), out)
            self._tell_today((told.device, camera), out)
        for camera in sorted(gone):
            self._standing.pop((told.device, camera), None)
            for kind in ("zones", "today"):
                self._tell(str(CameraTopic(told.device, camera, kind)), b"", out)

    def follow(self, changes: Iterable[Change], now: Now, out: Decision) -> None:
        """Take in the events among a step's changes."""
        for saved in [change for change in changes if isinstance(change, EventSaved)]:
            state = saved.record.state
            if state.recording is None:
                continue
            key = (state.device, state.camera)
            if state.revision == 1:
                self.pass_time(now, out)
                if self._local(state.start_time).date() == self._day:
                    self._today.setdefault(key, Counter())[state.category] += 1
                    self._tell_today(key, out)
            where = saved.record.where
            left = (state.end_time + timedelta(seconds=LINGER) - now.wall).total_seconds()
            if where is not None and 0 < left <= 2 * LINGER:  # a clock that is ahead says nothing of now
                thing = _Standing(state.label, where, now.mono + left)
                self._standing.setdefault(key, {})[state.id] = thing
                self._tell_zones(key, out)

    def pass_time(self, now: Now, out: Decision) -> None:
        """Forget who has left, and begin at zero when the day is over."""
        for key in [key for key, things in self._standing.items() if _earliest(things) <= now.mono]:
            things = self._standing[key]
            for event in [event for event, thing in things.items() if thing.until <= now.mono]:
                del things[event]
            if not things:
                del self._standing[key]
            self._tell_zones(key, out)
        if now.mono < self._look_at:
            return
        self._look_at = now.mono + LOOK_AGAIN
        day = self._local(now.wall).date()
        if day != self._day:
            self._day = day
            self._today.clear()
            for key in [(device, camera) for device, names in self._cameras.items() for camera in names]:
                self._tell_today(key, out)

    def wake_at(self) -> float | None:
        """When somebody may have left. The day's end is seen within LONGEST_SLEEP of it."""
        return min(map(_earliest, self._standing.values()), default=None)

    # --- telling --------------------------------------------------------------------------------

    def _is_there(self, key: CameraKey) -> bool:
        """The last clip of a camera that was removed may come late, and its topics are empty by then."""
        device, camera = key
        return camera in self._cameras.get(device, ())

    def _tell_zones(self, key: CameraKey, out: Decision) -> None:
        if not self._is_there(key):
            return
        zones = self._zones_of(*key)
        there: dict[str, Counter[str]] = {name: Counter() for name in sorted(zones)}
        for thing in self._standing.get(key, {}).values():
            for name in zones_of([thing.box], zones):
                there[name][thing.label] += 1
        message = ZonesNow(zones={name: dict(sorted(labels.items())) for name, labels in there.items()})
        self._tell(str(CameraTopic(*key, "zones")), message.to_json(), out)

    def _tell_today(self, key: CameraKey, out: Decision) -> None:
        if self._day is not None and self._is_there(key):
            message = Today.model_validate({"date": self._day.isoformat(), **self._today.get(key, {})})
            self._tell(str(CameraTopic(*key, "today")), message.to_json(), out)

    def _tell(self, topic: str, payload: bytes, out: Decision) -> None:
        if self._told.get(topic) != payload:
            self._told[topic] = payload
            out.effects.append(KeepState(topic, payload))


def _earliest(things: Mapping[str, _Standing]) -> float:
    return min(thing.until for thing in things.values())
