"""What a device says of itself, its things and its troubles, and what the hub answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .ids import Id, Name, UtcTime
from .message import Fraction, Message

Point = tuple[Fraction, Fraction]
"""(x, y) in fractions of the picture, origin at the top left."""


Polygon = Annotated[tuple[Point, ...], Field(max_length=200)]
"""Corners in order. Every box of every clip is looked up in it, so their number is bounded."""


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
    ended: bool = Field(False, description="its video has been replayed to its end; no picture follows")
    settings: tuple[SettingInfo, ...] = ()
    zones: dict[Name, Polygon] = Field(default_factory=dict, max_length=50, description="polygons by name")


class MeterInfo(Message):
    name: Name
    label: str = ""
    kind: Literal["water", "gas", "electricity", "heat"] = "water"
    schedule: str = Field("", description="cron expression of its pictures")
    settings: tuple[SettingInfo, ...] = ()


PictureVerdict = Literal["good", "dark", "burnt_out", "blurred"]


class PictureCondition(Message):
    """What a meter's picture is worth, measured on the device.

    User property `condition` of the picture, and meerkat/device/<d>/<meter>/condition, retained, which
    also says of which picture.
    """

    verdict: PictureVerdict
    brightness: Fraction = Field(description="mean of all pixels, 0 black to 1 white")
    dark: Fraction = Field(description="share of the picture that is nearly black")
    burnt_out: Fraction = Field(description="share of the picture that is burnt out")
    glare: Fraction = Field(description="share of the largest burnt-out area that hangs together")
    sharpness: Fraction = Field(description="of the edges, 1 as sharp as can be seen; blurred below 0.2")
    noise: float = Field(0, ge=0, le=255, description="standard deviation in levels of 255")
    exposures: int = Field(1, ge=1, le=100, description="how many were combined")
    exposure: float | None = Field(None, ge=0, le=3600, description="seconds, as the camera says")
    gain: float | None = Field(None, ge=0, le=10**6)
    locked: bool | None = Field(
        None, description="exposure and gain are those that were asked for; null where none can be asked for"
    )
    light: Name | None = Field(None, description="the lamp that was on")
    id: Id | None = Field(None, description="the picture")
    captured_at: UtcTime | None = None


class SensorInfo(Message):
    """A motion sensor, a contact or a button: …/<name>/state (ON, OFF, retained), or …/<name>/press.

    A motion sensor also says …/<name>/triggered, not retained, as it goes ON.
    """

    name: Name
    label: str = ""
    kind: Literal["motion", "door", "button"]
    rings: Name | None = Field(
        None, description="of a button: the camera that it makes record, as a doorbell"
    )


class LightInfo(Message):
    """A lamp: …/<name>/light/set and …/<name>/light/state, JSON."""

    name: Name
    label: str = ""
    kind: Literal["infrared", "white"] = "infrared"
    dimmable: bool = False


class LightState(Message):
    """…/<light>/light/set and …/light/state (retained). A `set` without `brightness`: the configured one."""

    state: Literal["ON", "OFF"]
    brightness: float | None = Field(None, ge=0, le=100, description="percent")


class ButtonPress(Message):
    """…/<button>/press, not retained."""

    id: Id
    at: UtcTime


class Battery(Message):
    level: Annotated[float, Field(ge=0, le=100, description="percent")]
    voltage: float | None = Field(None, ge=0, le=1000)
    charging: bool | None = None


class DeviceInfo(Message):
    """meerkat/device/<d>/info, retained."""

    device: Name
    label: str = ""
    model: str = Field("", description="hardware, such as Raspberry Pi 4 Model B Rev 1.5")
    model_id: str = Field("", description="what its maker calls it, such as raspberrypi,4-model-b")
    serial: str = Field("", description="of the board, when it says one")
    mac: str = Field("", pattern=r"^([0-9a-f]{2}(:[0-9a-f]{2}){5})?$", description="of its network interface")
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
    """Empty when what was told of the same `where` is over."""
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
