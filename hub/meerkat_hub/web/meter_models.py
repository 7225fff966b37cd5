"""What the API answers about meters, and what it is told."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from meerkat_contract.ids import Id, Name
from meerkat_contract.messages import MeterReading, MeterSeen, MeterVerdict
from meerkat_contract.meter_layout import MeterLayout
from meerkat_contract.meter_messages import Candidate, PositionSeen, Shown, Verdict
from meerkat_hub.core.meters.settings import MeterSettings

from . import examples
from .models import MeterPictureView, View

CounterName = Field("", description="of a second counter on the same face; empty for the main one")


class CounterStatus(View):
    """How one counter stands."""

    counter: str = CounterName
    name: str = Field(description="what it is called on the bus: meerkat/meter/<device>/<name>/reading")
    unit: str = Field("", description="its own; `reading` is in the unit to publish")
    reading: MeterReading | None = Field(None, description="the latest that was accepted")
    verdict: MeterVerdict | None = Field(None, description="what became of the latest picture")
    value: float | None = Field(None, description="of the latest accepted reading, in its own unit")
    step: float | None = Field(None, description="what its last wheel or needle counts")
    span: float | None = Field(None, description="where it begins again at zero")


class MeterStatus(View):
    """How one meter stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.METER]})

    device: str
    meter: str
    label: str = ""
    kind: str = Field("", description="water | gas | electricity | heat, as the device or the settings say")
    latest: MeterPictureView | None = Field(None, description="its newest stored picture")
    layout: bool = Field(description="whether it is known where its wheels are; without, nothing is read")
    layout_configured: bool = Field(description="the layout is in meerkat.yaml, which alone can change it")
    settings_configured: bool = Field(description="so are the settings")
    waiting: int = Field(description="pictures that no worker has read yet")
    readers: int = Field(description="workers that read meters")
    counters: list[CounterStatus] = Field(description="the main one first; empty before the first reading")


class ReadingView(View):
    """One line of a meter's history: a picture, or what its owner said. In the meter's own unit."""

    id: str = Field(description="of the picture, or of what was said")
    counter: str = CounterName
    at: datetime
    kind: Literal["picture", "owner", "exchange"]
    source: Literal["picture", "owner", "device"]
    verdict: Verdict
    reason: str = ""
    value: float | None = Field(None, description="what was read, also when it is not believed")
    total: float | None = Field(None, description="goes on over rollovers and exchanges")
    flow: float | None = Field(None, description="units per hour since the accepted reading before")
    unit: str = ""
    confidence: float = 0.0
    expected: tuple[float, float] | None = Field(None, description="from, to: what history leaves possible")
    revision: int = 0
    told: float | None = Field(None, description="by the owner")
    told_last: float | None = Field(None, description="of an exchange: what the old meter showed last")
    read: float | None = Field(None, description="what the picture alone says, when the owner said otherwise")
    picture: bool = Field(False, description="its picture is still there: /api/meter-pictures/<id>")
    wheels: tuple[PositionSeen, ...] = ()
    needles: tuple[PositionSeen, ...] = ()
    candidates: tuple[Candidate, ...] = ()


class ReadingPage(View):
    readings: list[ReadingView]
    next: str | None = Field(None, description="`cursor` of the next page; null on the last one")


class LayoutView(View):
    """Where a meter's wheels and dials are."""

    layout: MeterLayout | None = Field(description="without its landmarks; null when there is none")
    configured: bool = Field(description="it is in meerkat.yaml, which alone can change it")
    aligned: bool = Field(description="later pictures are laid on its reference")


class _Wish(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LayoutWish(_Wish):
    layout: MeterLayout
    picture: Id | None = Field(None, description="that it was drawn on; the latest one when left out")


class ProposalWish(_Wish):
    picture: Id | None = Field(None, description="the latest one when left out")


class ProposalView(View):
    """A layout as far as one picture tells it."""

    picture: str
    layout: MeterLayout
    doubts: tuple[str, ...] = Field(description="what the owner should look at")
    seen: MeterSeen = Field(description="what is read with it")


class TryView(View):
    picture: str
    seen: MeterSeen


class CorrectWish(_Wish):
    value: Shown | None = Field(description="what the picture shows; null: that it shows no reading")
    counter: Name | None = None


class UndoWish(_Wish):
    counter: Name | None = None


class SetWish(_Wish):
    value: Shown = Field(description="what the meter shows, in its own unit")
    at: AwareDatetime | None = Field(None, description="when; now when left out")
    counter: Name | None = None


class ExchangeWish(_Wish):
    at: AwareDatetime | None = Field(None, description="when the new meter was put in; now when left out")
    final: Shown | None = Field(
        None, description="what the old one showed last; its last reading when left out"
    )
    start: Shown | None = Field(0.0, description="what the new one began with; null: not known")
    counter: Name | None = None


class Told(View):
    """The owner's word is taken."""

    notes: tuple[str, ...] = Field((), description="what it contradicts, and what to do about it")


class MeterSettingsView(View):
    settings: MeterSettings
    configured: bool = Field(description="they are in meerkat.yaml, which alone can change them")
