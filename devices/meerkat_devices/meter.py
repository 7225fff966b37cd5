"""One meter: a picture by the clock, one at the start, and one whenever somebody asks for it.

meerkat/device/<d>/<meter>/picture       JPEG, with its condition beside it
meerkat/device/<d>/<meter>/condition     what it is worth: JSON, retained
meerkat/device/<d>/<meter>/seen          what it shows, where the device reads it itself: JSON
meerkat/device/<d>/<meter>/capture/set   PRESS: take one now
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from cronsim import CronSim

from meerkat_contract.device_messages import PictureCondition
from meerkat_contract.errors import BadMessage, MediaError, MeerkatError, StorageError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import MeterInfo, SettingInfo
from meerkat_contract.metadata import Metadata, Trigger
from meerkat_contract.session import Incoming
from meerkat_contract.topics import SettingTopic, ThingTopic

from .clock import Clock, clock_state
from .outbox.outbox import Outbox
from .photo.archive import Archive
from .photo.reading import OwnReader
from .photo.taking import Photo, Photographer
from .settings.address import parse_source
from .settings.device import MeterSettings
from .sources.source import Pace, SourceError, of_thing
from .station import Station

_log = logging.getLogger("meerkat.device")

LOOK_AGAIN = 60.0
"""Seconds at most between looks at the time of day, which can jump: NTP, or a machine that slept."""

RETRIES = (10.0, 30.0, 60.0)
"""Seconds to wait after a failed picture before it is tried again; then the schedule's next time counts."""

CAPTURE = SettingInfo(name="capture", label="Take a picture now", kind="button", common=True)


def next_time(schedule: str, after: datetime, zone: tzinfo) -> datetime:
    """The schedule's first moment after `after`, UTC.

    The schedule is in local time; an hour that a change of the clocks repeats counts once, one that
    it skips comes right after. In the repeated hour cronsim names a moment that has passed already.
    """
    moments = (moment.astimezone(UTC) for moment in CronSim(schedule, after.astimezone(zone)))
    return next(moment for moment in moments if moment > after)


class Meter:
    """`run` is for one thread; `told` and `wake` for any."""

    def __init__(
        self,
        name: str,
        settings: MeterSettings,
        *,
        station: Station,
        outbox: Outbox,
        clock: Clock,
        zone: tzinfo,
        data: Path,
        pace: Pace = "own",
        take: Callable[[threading.Event], Photo | None] | None = None,
    ) -> None:
        """With `fast` a picture that cannot be taken is not tried again: see `failed`.

        `data` is the device's own folder. `take` stands in for the photographer in tests. Raises UsageError
        for a source or a layout that cannot be, ModelError where it is to read and has nothing to read with.
        """
        self.name = name
        self.settings = settings
        self._me = f"meter {name}"
        self._station = station
        self._outbox = outbox
        self._clock = clock
        self._zone = zone
        self._live = parse_source(settings.source, where=self._me).live
        self._photographer = Photographer(
            name, settings, clock=clock, zone=zone, lamps=station, report=self._lamp_trouble
        )
        self._photograph = take or self._photographer.take
        self._archive: Archive | None = None
        if settings.archive is not None:
            own = settings.archive.folder
            folder = Path(own).expanduser() if own else data / "archive" / name
            self._archive = Archive(folder, settings.archive, zone=zone)
        self._reader: OwnReader | None = None
        if settings.read == "local":
            self._reader = OwnReader(name, Path(settings.layout).expanduser())
        self._once = pace == "fast"
        self._asked = threading.Event()
        self._busy = False
        self._lamp_fails = False
        self.failed: MeerkatError | None = None
        """Why there is no picture of a fast replay."""
        self.started = threading.Event()
        """Set when the picture at the start is taken, or was given up."""

    @property
    def info(self) -> MeterInfo:
        settings = self.settings
        return MeterInfo(
            name=self.name,
            label=settings.label,
            kind=settings.kind,
            schedule=settings.schedule,
            settings=(CAPTURE,),
        )

    # --- commands -------------------------------------------------------------------------------

    @property
    def topic(self) -> SettingTopic:
        """Where a picture can be asked for; to be subscribed with `told`."""
        return SettingTopic(self._station.name, self.name, CAPTURE.name, "set")

    def told(self, message: Incoming) -> None:
        """PRESS, or nothing, takes a picture at once. What is kept by the broker is no command."""
        if message.retain:
            self._station.report(
                BadMessage(
                    "a retained command is ignored: every start would take one picture more",
                    where=message.topic,
                    remedy="Send it without the retain flag; an empty retained message clears this one",
                )
            )
            return
        if message.payload not in (b"", b"PRESS"):
            shown = message.payload[:40].decode(errors="replace")
            self._station.report(
                BadMessage(f"{shown!r} asks for no picture", where=message.topic, remedy="Send PRESS")
            )
            return
        if self._busy or self._asked.is_set():
            _log.info("%s: a picture is being taken already; it answers this command too", self._me)
            return
        self._asked.set()

    def retune(self, settings: MeterSettings) -> None:
        """Take pictures by these from the next one on; source, schedule and archive stay as they were."""
        self.settings = self._photographer.settings = settings

    def wake(self) -> None:
        """Look at `stop` at once."""
        self._asked.set()

    # --- its thread -----------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """A picture at once, then by the schedule and on command, until `stop` is set; see `wake`."""
        trigger: Trigger | None = "start"
        while trigger is not None:
            asked = self._take(trigger, stop)
            self.started.set()
            trigger = asked or self._wait_for_next(stop)

    def _wait_for_next(self, stop: threading.Event) -> Trigger | None:
        """Wait for the schedule's next moment or a command; None when `stop` was set."""
        due = self._next(self._clock.now())
        while (now := self._clock.now()) < due:
            if self._sleep(stop, min(LOOK_AGAIN, (due - now).total_seconds())):
                return None if stop.is_set() else "command"
            due = min(due, self._next(self._clock.now()))  # the clock may have been set back
        return None if stop.is_set() else "schedule"

    def _next(self, after: datetime) -> datetime:
        return next_time(self.settings.schedule, after, self._zone)

    def _sleep(self, stop: threading.Event, seconds: float) -> bool:
        """Whether it was cut short, by `stop` or by a command."""
        return stop.is_set() or self._clock.wait(self._asked, seconds)

    def _take(self, trigger: Trigger, stop: threading.Event) -> Trigger | None:
        """One picture, tried again when that fails. A command meanwhile ends this: the next trigger."""
        for wait in (*RETRIES, None):
            self._busy = True
            self._asked.clear()
            try:
                self._take_one(trigger, stop)
                return None
            except MeerkatError as problem:
                error = of_thing(problem, self._me) if isinstance(problem, SourceError) else problem
                self._station.report(error, about=self._me)
                if self._once and not self._live:
                    self.failed = error
                    return None
            finally:
                self._busy = False
            if wait is not None and self._sleep(stop, wait):
                return None if stop.is_set() else "command"
        return None

    def _take_one(self, trigger: Trigger, stop: threading.Event) -> None:
        clock = clock_state(self._clock.now())
        self._lamp_fails = False
        photo = self._photograph(stop)
        self._busy = False  # who asks from here on wants to see what is there from here on
        if photo is None:
            return
        metadata = Metadata(
            id=new_id(),
            captured_at=photo.captured_at,
            clock=clock,
            trigger=trigger,
            content_type="image/jpeg",
            condition=photo.condition,
        )
        picture = ThingTopic(self._station.name, self.name, "picture")
        try:
            try:
                self._read(photo, metadata)  # before it: a hub that has the reading need not read the picture
            finally:
                self._outbox.add_bytes(picture, metadata, photo.jpeg, retain=True)
        finally:  # the archive may lie on another disk
            self._keep_on_disk(photo, dated=clock == "synced")
        of_which = {"id": metadata.id, "captured_at": metadata.captured_at}
        self._station.keep(
            picture._replace(kind="condition"),
            photo.condition.model_copy(update=of_which).to_json(),
            content_type="application/json",
        )
        verdict = photo.condition.verdict.replace("_", " ")
        _log.info("%s: picture taken, %s, %d kB", self._me, verdict, len(photo.jpeg) // 1000)
        self._station.well(self._me)
        if not self._lamp_fails:
            self._station.well(f"{self._me}, light")
        self._tell(photo.condition)

    def _read(self, photo: Photo, picture: Metadata) -> None:
        """What the picture shows, into the outbox; what hinders that is told, and hinders no picture."""
        if self._reader is None:
            return
        about = f"{self._me}, reading"
        try:
            seen, wrong = self._reader.read(photo.jpeg)
        except MeerkatError as error:
            self._station.report(error, about=about)
            return
        metadata = picture.model_copy(
            update={
                "id": new_id(),
                "of": picture.id,
                "content_type": "application/json",
                "condition": None,
            }
        )
        self._outbox.add_bytes(ThingTopic(self._station.name, self.name, "seen"), metadata, seen.to_json())
        if wrong is not None:
            self._station.report(wrong, about=about)
        else:
            self._station.well(about)

    def _tell(self, condition: PictureCondition) -> None:
        """A picture that is not good is an error that stands until one is."""
        about = f"{self._me}, picture"
        if error := not_good(condition, where=self._me):
            self._station.report(error, about=about)
        else:
            self._station.well(about)

    def _keep_on_disk(self, photo: Photo, *, dated: bool) -> None:
        if self._archive is None:
            return
        about = f"{self._me}, archive"
        try:
            self._archive.add(photo.jpeg, photo.captured_at, dated=dated)
            self._station.well(about)
        except StorageError as error:
            self._station.report(error, about=about)

    def _lamp_trouble(self, error: MeerkatError) -> None:
        self._lamp_fails = True
        self._station.report(error, about=f"{self._me}, light")


def not_good(condition: PictureCondition, *, where: str) -> MediaError | None:
    """What is wrong with a picture, for people; it is published all the same."""
    match condition.verdict:
        case "good":
            return None
        case "dark":
            what = f"the picture is too dark (mean brightness {condition.brightness:.1%})"
            remedy = (
                f"Does the lamp {condition.light} light up, and at the meter? Raise `brightness`"
                if condition.light
                else "Write the name of a lamp to `light`, or put one there"
            )
        case "burnt_out":
            what = f"the picture is burnt out ({condition.burnt_out:.0%} of it)"
            remedy = "Lower `brightness`, or turn the lamp aside, so that the glass does not mirror it"
        case "blurred":
            what = f"the picture is blurred (sharpness {condition.sharpness:.2f}, 0.20 would do)"
            remedy = "Focus the lens, wipe it, and see that the camera does not shake"
    return MediaError(what, where=where, remedy=f"{remedy}. It is sent with this verdict")
