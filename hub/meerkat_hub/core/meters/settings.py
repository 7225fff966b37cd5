"""What an owner may set for one meter, and what goes for a home's when nothing is set.

Flows are in the meter's own unit per hour; an hour's kilowatts are kilowatt-hours. 0 turns a watch off;
what is left out is taken from the meter's kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

from meerkat_inference.meter.choice import SURE

Kind = Literal["water", "gas", "electricity", "heat"]

CUBIC_METRES = {
    "m³": Decimal(1), "m3": Decimal(1), "l": Decimal("0.001"), "litre": Decimal("0.001"),
    "ft³": Decimal("0.028316846592"), "ft3": Decimal("0.028316846592"), "ccf": Decimal("2.8316846592"),
    "mcf": Decimal("28.316846592"), "gal": Decimal("0.003785411784"),
}  # fmt: skip
"""One of each, in cubic metres, by its name in lower case. Gallons are those of the United States."""
KILOWATT_HOURS = {
    "wh": Decimal("0.001"), "kwh": Decimal(1), "mwh": Decimal(1000), "mj": Decimal(1) / Decimal("3.6"),
    "gj": Decimal(1000) / Decimal("3.6"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """What is plausible for a meter, in its own unit per hour, hours and days."""

    max_flow: float
    """Nothing above it can be."""
    usual_flow: float
    """Above it a single picture is not believed, until the meter's own flow is known."""
    new_meter: float
    """What a meter shows at most that has just been put in, in its unit."""
    leak_hours: float
    night_flow: float
    no_flow_days: float


_HOME: dict[Kind, Limits] = {
    # Q3 of a house's meter is 2.5 or 4 m³/h, its overload Q4 a quarter more (ISO 4064-1).
    "water": Limits(5.0, 0.25, 1.0, 24.0, 0.02, 14.0),
    # A G4 meter measures up to 6 m³/h; a boiler of 20 kW burns 2.
    "gas": Limits(6.0, 3.0, 1.0, 0.0, 0.0, 0.0),
    "electricity": Limits(25.0, 8.0, 10.0, 0.0, 0.0, 2.0),
    "heat": Limits(50.0, 20.0, 10.0, 0.0, 0.0, 0.0),
}
"""In m³ and kWh. Heating burns all day, and a fridge at night: only water has a leak by default."""


class MeterSettings(BaseModel):
    """One meter's. All may be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Kind | None = Field(None, title="Kind", description="by the unit when left out: kWh is electricity")
    max_flow: float | None = Field(
        None, gt=0, le=10**9, title="Largest flow", description="units per hour; above it no reading can be"
    )
    jitter: int | None = Field(
        None, ge=0, le=100, title="Trembling",
        description="steps that a reading may be behind the one before and count as no flow",
    )  # fmt: skip
    sure: float = Field(
        SURE, ge=0.5, le=1, title="Least confidence", description="below it a reading waits for another"
    )
    leak_hours: float | None = Field(
        None, ge=0, le=10**4, title="Leak", description="hours of flow without a pause"
    )
    night: tuple[int, int] = Field((2, 5), title="Night", description="from, to: hours of the local day")
    night_flow: float | None = Field(
        None, ge=0, le=10**9, title="Night flow", description="units per hour, all night"
    )
    no_flow_days: float | None = Field(
        None,
        ge=0,
        le=10**4,
        title="No flow",
        description="days after which a meter that stands still is told",
    )
    silent_hours: float = Field(
        26, ge=0, le=10**4, title="Silence", description="hours without a reading after which it is told"
    )
    zone: str | None = Field(
        None, title="Time zone", description="of the night, as Europe/Berlin; the hub's own when left out"
    )
    unit: str | None = Field(
        None, max_length=16, title="Unit to publish", description="the meter's own when left out"
    )
    calorific_value: float | None = Field(
        None, gt=0, le=100, title="Calorific value",
        description="kWh per m³ of gas, the bill's state number included: needed to publish gas in kWh",
    )  # fmt: skip

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str | None) -> str | None:
        try:
            ZoneInfo(zone or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no time zone; they are named as Europe/Berlin is") from None
        return zone

    @field_validator("night")
    @classmethod
    def _hours(cls, night: tuple[int, int]) -> tuple[int, int]:
        if not all(0 <= hour <= 24 for hour in night) or night[0] == night[1]:
            raise ValueError("night is two different hours of the day, as [2, 5]")
        return night

    def kind_of(self, unit: str) -> Kind:
        """What a meter of this unit is taken for."""
        if self.kind is not None:
            return self.kind
        return "electricity" if unit.strip().lower() in KILOWATT_HOURS else "water"

    def limits(self, unit: str) -> Limits:
        """For a meter that counts in `unit`; one that is not known counts as m³ or kWh."""
        home = _HOME[self.kind_of(unit)]
        name = unit.strip().lower()
        scale = float(1 / (CUBIC_METRES.get(name) or KILOWATT_HOURS.get(name) or Decimal(1)))
        most = self.max_flow if self.max_flow is not None else home.max_flow * scale
        return Limits(
            max_flow=most,
            usual_flow=min(home.usual_flow * scale, most),
            new_meter=home.new_meter * scale,
            leak_hours=home.leak_hours if self.leak_hours is None else self.leak_hours,
            night_flow=home.night_flow * scale if self.night_flow is None else self.night_flow,
            no_flow_days=home.no_flow_days if self.no_flow_days is None else self.no_flow_days,
        )

    def conversion(self, unit: str) -> Decimal:
        """What one of the meter's units is in the unit to publish. Raises ValueError with the remedy."""
        return convert(unit, self.unit or unit, self.calorific_value)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a history is judged by."""

    settings: MeterSettings
    limits: Limits


def convert(unit: str, wanted: str, calorific_value: float | None = None) -> Decimal:
    """How many `wanted` one `unit` is. Raises ValueError when they measure different things."""
    of, to = unit.strip().lower(), wanted.strip().lower()
    if of == to:
        return Decimal(1)
    for known in (CUBIC_METRES, KILOWATT_HOURS):
        if of in known and to in known:
            return known[of] / known[to]
    if of in CUBIC_METRES and to in KILOWATT_HOURS:
        if calorific_value is None:
            raise ValueError(
                f"{unit} to {wanted} needs calorific_value, the kWh in a m³ of gas: it is on the bill"
            )
        return CUBIC_METRES[of] * Decimal(str(calorific_value)) / KILOWATT_HOURS[to]
    known_units = "m³, L, ft³, CCF, MCF, gal; Wh, kWh, MWh, MJ, GJ"
    raise ValueError(f"no way from {unit!r} to {wanted!r}; known are {known_units}")
