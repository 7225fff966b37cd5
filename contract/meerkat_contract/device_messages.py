"""What a device says of itself, its things and its troubles, and what the hub answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .ids import Id, Name, UtcTime
from .message import Fraction, Message

Point = tuple[Fraction, Fraction]
"""(x, y) in fractions of the picture, origin at the top left."""


class SettingInfo(Message):
    """Something that can be changed while the device runs: …/<thing>/<name>/set, and its …/state."""

    name: Name
    label: str = Field("", description="what people call it, such as Sensitivity")
    kind: Literal["switch", "number", "select", "button", "light"] = Field(
        description="switch: ON or OFF; number: a decimal number; select: one of `options`; button: PRESS, "
        'no state; light: {"state": "ON" or "OFF", "brightness": 0 to 100}'
    )
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = Field(None, gt=0)
    unit: str = ""
    options: tuple[str, ...] = ()
    common: bool = Field(False, description="of everyday use; else one to set up once")


class CameraInfo(Message):
    name: Name
    label: str = Field("", description="what people call it, such as Front door")
    width: int = Field(0, ge=0)
    height: int = Field(0, ge=0)
    fps: float = Field(0, ge=0)
    source: str = Field("", description="kind of source, never a URL with a password in it")
    settings: tuple[SettingInfo, ...] = ()
    zones: dict[Name, tuple[Point, ...]] = Field(default_factory=dict, description="polygons by name")


class MeterInfo(Message):
    name: Name
    label: str = ""
    kind: Literal["water", "gas", "electricity", "heat"] = "water"
    schedule: str = Field("", description="cron expression of its pictures")
    settings: tuple[SettingInfo, ...] = ()


class SensorInfo(Message):
    """A motion sensor, a contact or a button: …/<name>/state (ON, OFF, retained), or …/<name>/press."""

    name: Name
    label: str = ""
    kind: Literal["motion", "door", "button"]


class LightInfo(Message):
    """A lamp: …/<name>/light/set and …/<name>/light/state, JSON."""

    name: Name
    label: str = ""
    kind: Literal["infrared", "white"] = "infrared"
    dimmable: bool = False


class Battery(Message):
    level: Annotated[float, Field(ge=0, le=100, description="percent")]
    voltage: float | None = Field(None, ge=0, le=1000)
    charging: bool | None = None


class DeviceInfo(Message):
    """meerkat/device/<d>/info, retained."""

    device: Name
    label: str = ""
    model: str = Field("", description="hardware, such as Raspberry Pi 4 Model B Rev 1.5")
    software: str = ""
    host: str = ""
    cameras: tuple[CameraInfo, ...] = ()
    meters: tuple[MeterInfo, ...] = ()
    sensors: tuple[SensorInfo, ...] = ()
    lights: tuple[LightInfo, ...] = ()
    settings: tuple[SettingInfo, ...] = Field((), description="of the device itself; thing `device`")
    battery: Battery | None = None
    clock: Literal["synced", "unsynced"] = "synced"
    wake_every: float | None = Field(None, gt=0, description="seconds between its wakes, when it sleeps")
    next_wake: UtcTime | None = Field(None, description="when it sleeps: it is away until then, and well")


class ErrorReport(Message):
    """meerkat/device/<d>/error, and the errors of a worker."""

    what: str
    where: str = ""
    remedy: str = ""
    at: UtcTime


class Receipt(Message):
    """meerkat/device/<d>/receipt: the hub's word on one whole clip or picture.

    `stored` and `duplicate` let the device forget it; `refused` means never send it again.
    """

    id: Id
    outcome: Literal["stored", "duplicate", "refused"]
    reason: str = ""
