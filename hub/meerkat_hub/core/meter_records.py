"""What can happen to meters, and what follows: the inputs, changes and effects that are theirs.

A meter is (device, name) and has counters; the main one's name is empty. Values are in the counter's own
unit, times in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from meerkat_contract.messages import Job, MeterOrder, MeterReading, MeterSeen, MeterVerdict, ModelInfo
from meerkat_contract.meter_layout import MeterLayout
from meerkat_contract.meter_messages import Alignment

from .meters.rows import ReadingRow
from .meters.settings import MeterSettings
from .records import MeterPicture

MeterKey = tuple[str, str]
"""device, meter"""

# --- inputs -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SeenArrived:
    """A device has read its meter by itself."""

    id: str
    """Of the message, for its receipt."""
    picture: str
    """The picture's id, whether that comes too or not."""
    device: str
    meter: str
    at: datetime
    seen: MeterSeen


@dataclass(frozen=True, slots=True)
class ReadNow:
    """Read this picture now, with this order, and keep nothing of it."""

    picture: MeterPicture
    order: MeterOrder


@dataclass(frozen=True, slots=True)
class SetLayout:
    """Read the meter so from now on; with None, no longer. `latest` is read at once."""

    layout: MeterLayout | None
    latest: MeterPicture | None = None


@dataclass(frozen=True, slots=True)
class SetSettings:
    """None takes back what was set."""

    settings: MeterSettings | None


@dataclass(frozen=True, slots=True)
class Correct:
    """The owner says what a picture shows; None: that it shows no reading."""

    id: str
    counter: str
    value: float | None


@dataclass(frozen=True, slots=True)
class TakeBack:
    """The owner takes back what he said of a picture, or at a moment."""

    id: str
    counter: str


@dataclass(frozen=True, slots=True)
class SetValue:
    """The owner says what the meter shows at a moment."""

    counter: str
    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Exchange:
    """Another meter was put in: what the old one showed last, and where the new one began."""

    counter: str
    at: datetime
    final: float | None
    """None: its last reading."""
    start: float | None
    """None: whatever its first picture shows."""


Wish = ReadNow | SetLayout | SetSettings | Correct | TakeBack | SetValue | Exchange


@dataclass(frozen=True, slots=True)
class MeterAsked:
    """Somebody wants something of a meter; the answer carries the ticket."""

    ticket: str
    device: str
    meter: str
    wish: Wish


@dataclass(frozen=True, slots=True)
class MetersAsked:
    """How do all meters stand? Or this one."""

    ticket: str
    only: MeterKey | None = None


MeterInput = SeenArrived | MeterAsked | MetersAsked

# --- changes ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PictureTried:
    """A try ended without a result; the picture waits again."""

    id: str
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class PictureWaits:
    """A picture that was only kept, or had been read, is to be read."""

    id: str


@dataclass(frozen=True, slots=True)
class PictureSettled:
    """What became of a picture. state: done | failed | expired | kept (it is no longer to be read)."""

    id: str
    state: str
    reason: str = ""
    model: ModelInfo | None = None
    seconds: float = 0.0
    worker: str = ""
    alignment: Alignment | None = None


@dataclass(frozen=True, slots=True)
class PictureIsExample:
    """The owner has said what it shows: it stays, with the layout to cut it up by."""

    id: str
    layout: MeterLayout


@dataclass(frozen=True, slots=True)
class RowSaved:
    """A line of a counter's history, new or again."""

    device: str
    meter: str
    counter: str
    unit: str
    row: ReadingRow
    only_new: bool = False
    """What is stored of it already, stands."""


@dataclass(frozen=True, slots=True)
class RowRemoved:
    """What the owner had said is taken back."""

    counter: str
    id: str


@dataclass(frozen=True, slots=True)
class LayoutSaved:
    """None: there is none any more."""

    device: str
    meter: str
    layout: MeterLayout | None


@dataclass(frozen=True, slots=True)
class SettingsSaved:
    """None: what was set at run time is taken back."""

    device: str
    meter: str
    settings: MeterSettings | None


MeterChange = (
    PictureTried
    | PictureWaits
    | PictureSettled
    | PictureIsExample
    | RowSaved
    | RowRemoved
    | LayoutSaved
    | SettingsSaved
)

# --- effects ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendPicture:
    """Publish the picture with this job to the worker."""

    worker: str
    job: Job
    picture: MeterPicture


@dataclass(frozen=True, slots=True)
class AnswerMeter:
    """The answer to the wish of this ticket. What is refused changes nothing.

    read, done; late: nobody answered in time; nobody: there is no worker; failed: the picture cannot be
    read; gone: its file; configured: the file says it; unknown: there is no such reading; wrong: what was
    said cannot be.
    """

    ticket: str
    outcome: Literal["read", "done", "late", "nobody", "failed", "gone", "configured", "unknown", "wrong"]
    reason: str = ""
    seen: MeterSeen | None = None
    notes: tuple[str, ...] = ()
    """For the owner: what this contradicts."""


@dataclass(frozen=True, slots=True)
class CounterView:
    """How one counter stands."""

    counter: str
    unit: str
    reading: MeterReading | None
    verdict: MeterVerdict | None
    latest: ReadingRow | None
    """The last accepted line of its history, in the meter's own unit."""


@dataclass(frozen=True, slots=True)
class MeterView:
    """How one meter stands."""

    device: str
    meter: str
    layout: MeterLayout | None
    layout_configured: bool
    settings: MeterSettings
    settings_configured: bool
    waiting: int
    """Pictures that no worker has read yet."""
    counters: tuple[CounterView, ...]


@dataclass(frozen=True, slots=True)
class ShowMeters:
    """The answer to MetersAsked."""

    ticket: str
    views: tuple[MeterView, ...]
    readers: int
    """Workers that read meters."""


MeterEffect = SendPicture | AnswerMeter | ShowMeters

# --- what is loaded -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredCounter:
    """The latest lines of one counter's history, in order of time, enough to go on from."""

    device: str
    meter: str
    counter: str
    rows: tuple[ReadingRow, ...]


@dataclass(frozen=True, slots=True)
class StoredMeters:
    """What the database holds of meters."""

    layouts: Mapping[MeterKey, MeterLayout]
    settings: Mapping[MeterKey, MeterSettings]
    counters: tuple[StoredCounter, ...] = ()
    waiting: tuple[tuple[MeterPicture, int], ...] = ()
    """Pictures that are to be read, with the tries that they had."""


NO_METERS = StoredMeters({}, {})


@dataclass(frozen=True, slots=True)
class ConfiguredMeter:
    """What meerkat.yaml says of one. What is None is the owner's to set at run time."""

    layout: MeterLayout | None = None
    settings: MeterSettings | None = None
