"""One meter: a picture by the clock, and one at the start."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from cronsim import CronSim

from meerkat_contract.errors import MeerkatError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import MeterInfo
from meerkat_contract.metadata import Metadata, Trigger
from meerkat_contract.topics import ThingTopic

from .address import Address, parse_source
from .clock import Clock, clock_state
from .outbox import Outbox
from .settings import MeterSettings
from .source import Pace, SourceError, of_thing
from .station import Station

_log = logging.getLogger("meerkat.device")

LOOK_AGAIN = 60.0
"""Seconds at most between looks at the time of day, which can jump: NTP, or a machine that slept."""

RETRIES = (10.0, 30.0, 60.0)
"""Seconds to wait after a failed picture before it is tried again; then the schedule's next time counts."""

SETTLE = 1.0
"""Seconds that a live camera gets to find its exposure before its frame counts."""

QUALITIES = (92, 89, 86, 83, 80)
"""Of the JPEG, best first: below 80 the digits lose their edges, and less wide is the lesser evil."""


def next_time(schedule: str, after: datetime, zone: tzinfo) -> datetime:
    """The schedule's first moment after `after`, UTC.

    The schedule is in local time; an hour that a change of the clocks repeats counts once, one that
    it skips comes right after. In the repeated hour cronsim names a moment that has passed already.
    """
    moments = (moment.astimezone(UTC) for moment in CronSim(schedule, after.astimezone(zone)))
    return next(moment for moment in moments if moment > after)


class Meter:
    def __init__(
        self,
        name: str,
        settings: MeterSettings,
        *,
        station: Station,
        outbox: Outbox,
        clock: Clock,
        zone: tzinfo,
        pace: Pace = "own",
        photograph: Callable[[Address, Clock, threading.Event], tuple[bytes, datetime] | None] | None = None,
    ) -> None:
        """With `fast` a picture that cannot be taken is not tried again: see `failed`.

        `photograph` returns a JPEG and when it was taken; None when it was told to stop.
        """
        self.name = name
        self.settings = settings
        self._station = station
        self._outbox = outbox
        self._clock = clock
        self._zone = zone
        self._address = parse_source(settings.source, where=f"meter {name}")
        self._photograph = photograph or take_photograph
        self._once = pace == "fast"
        self.failed: MeerkatError | None = None
        """Why there is no picture of a fast replay."""
        self.started = threading.Event()
        """Set when the picture at the start is taken, or was given up."""

    @property
    def info(self) -> MeterInfo:
        settings = self.settings
        return MeterInfo(name=self.name, label=settings.label, kind=settings.kind, schedule=settings.schedule)

    def run(self, stop: threading.Event) -> None:
        """A picture at once, then by the schedule, until `stop` is set."""
        self._take("start", stop)
        self.started.set()
        while self._wait_for_next(stop):
            self._take("schedule", stop)

    def _wait_for_next(self, stop: threading.Event) -> bool:
        """Wait for the schedule's next moment; False when `stop` was set."""
        due = self._next(self._clock.now())
        while (now := self._clock.now()) < due:
            if self._clock.wait(stop, min(LOOK_AGAIN, (due - now).total_seconds())):
                return False
            due = min(due, self._next(self._clock.now()))  # the clock may have been set back
        return not stop.is_set()

    def _next(self, after: datetime) -> datetime:
        return next_time(self.settings.schedule, after, self._zone)

    def _take(self, trigger: Trigger, stop: threading.Event) -> None:
        for wait in (*RETRIES, None):
            try:
                self._take_one(trigger, stop)
                return
            except MeerkatError as problem:
                me = f"meter {self.name}"
                error = of_thing(problem, me) if isinstance(problem, SourceError) else problem
                self._station.report(error, about=me)
                if self._once and not self._address.live:
                    self.failed = error
                    return
            if wait is None or self._clock.wait(stop, wait):
                return

    def _take_one(self, trigger: Trigger, stop: threading.Event) -> None:
        clock = clock_state(self._clock.now())
        taken = self._photograph(self._address, self._clock, stop)
        if taken is None:
            return
        picture, captured_at = taken
        metadata = Metadata(
            id=new_id(),
            captured_at=captured_at,
            clock=clock,
            trigger=trigger,
            content_type="image/jpeg",
        )
        self._outbox.add_bytes(
            ThingTopic(self._station.name, self.name, "picture"), metadata, picture, retain=True
        )
        self._station.well(f"meter {self.name}")
        _log.info("meter %s: picture taken, %d kB", self.name, len(picture) // 1000)


def take_photograph(address: Address, clock: Clock, stop: threading.Event) -> tuple[bytes, datetime] | None:
    """One frame of any source as JPEG and when it was taken. Raises SourceError."""
    from .picture import encode, jpeg

    if address.kind == "scene" and address.target == "meter":
        from .scenes.meter import BasementMeter

        now = clock.now()
        picture = BasementMeter().render(now.astimezone(), light=True)
        return encode(picture, qualities=QUALITIES), now
    from .opening import open_source
    from .recorder import TICKS
    from .source import moment

    with open_source(address, clock=clock) as source:
        shot = None
        for sample in source.samples(stop):
            if sample.shots:
                shot = sample.shots[-1]
                if not address.live or shot.at >= SETTLE * TICKS:
                    break
        if shot is not None:
            return jpeg(shot.frame, qualities=QUALITIES, max_width=4096), moment(shot.captured)
        if stop.is_set():
            return None
    raise SourceError("gave no picture", where=str(address), remedy="Is the camera on?")
