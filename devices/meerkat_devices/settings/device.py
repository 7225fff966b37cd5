"""Section `devices` of meerkat.yaml: each device by its name, with its cameras and meters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, RootModel, model_validator

from meerkat_contract.errors import UsageError
from meerkat_contract.findings import Finding
from meerkat_contract.ids import Name
from meerkat_devices.recording.recorder import Limits
from meerkat_devices.regions import Polygon

from .address import missing_file, parse_source
from .frames import FrameSettings
from .motion import MotionSettings
from .photo import PhotoSettings
from .pins import (
    CameraLight,
    LightSettings,
    PinChoice,
    SensorSettings,
    check_light,
    check_motion_sensors,
    check_pins,
    light_by_name,
)
from .sleep import BatterySettings, SleepSettings
from .sources import SourceOptions


def _source(text: str) -> str:
    try:
        parse_source(text)
    except UsageError as error:
        raise ValueError(f"{error.what}. {error.remedy}") from None
    return text


def _cron(text: str) -> str:
    try:
        CronSim(text, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(
            f"{error} in {text!r}: write minute hour day month weekday, such as '0 * * * *' for every hour"
        ) from None
    if len(text.split()) != 5:
        raise ValueError(f"{text!r} has not five fields: minute hour day month weekday")
    return text


def _number(source: object) -> object:
    """`source: 0` is a USB camera; YAML reads it as a number."""
    return str(source) if type(source) is int else source


SourceText = Annotated[
    str,
    BeforeValidator(_number),
    AfterValidator(_source),
    Field(
        repr=False,
        description="a video file, rtsp://…, http://…, a USB camera's number, picamera, scene:porch",
    ),
]
Cron = Annotated[str, AfterValidator(_cron)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CameraSettings(SourceOptions):
    """One camera: where its pictures come from, what counts as motion, how much is recorded."""

    source: SourceText
    label: str = Field("", max_length=80, description="what people call it, such as Front door")
    enabled: bool = Field(True, description="off: the source is closed; nothing is looked at or recorded")
    masks: tuple[Polygon, ...] = Field(
        (), description="polygons of [x, y], fractions of the picture, in which motion does not count"
    )
    zones: dict[Name, Polygon] = Field(
        default_factory=dict,
        max_length=50,
        description="polygons by name; events say in which of them something was",
    )
    privacy: tuple[Polygon, ...] = Field(
        (), description="polygons painted black in pictures and frames; needs clips: false"
    )
    motion: MotionSettings = Field(default_factory=MotionSettings)
    frames: FrameSettings = Field(default_factory=FrameSettings)
    light: Annotated[CameraLight | None, BeforeValidator(light_by_name)] = None
    pre_roll: float = Field(3.0, ge=0, le=30, description="seconds kept from before the motion")
    post_roll: float = Field(3.0, ge=0, le=60, description="seconds recorded after the motion")
    clips: bool = Field(True, description="record clips; false: motion, pictures and frames only")
    record_seconds: float = Field(30.0, ge=1, le=3600, description="how long a recording by hand lasts")
    clip_seconds: float = Field(5.0, ge=1, le=60, description="a recording is cut into clips this long")
    max_recording: float = Field(
        600.0, ge=10, le=86_400, description="seconds after which a recording is closed and a new one begins"
    )
    cloud: Literal["auto", "never", "overflow", "always"] = Field(
        "auto",
        description="may its clips be looked at in the cloud: not at all, when they would be late, in any "
        "case; auto: as the hub's section burst has it",
    )
    picture_seconds: float = Field(30.0, ge=1, le=3600, description="between pictures when nothing moves")
    picture_seconds_motion: float = Field(1.0, ge=0.2, le=60, description="between pictures during motion")

    @property
    def limits(self) -> Limits:
        """What a recording goes by."""
        return Limits(
            pre_roll=self.pre_roll,
            post_roll=self.post_roll,
            clip_seconds=self.clip_seconds,
            max_recording=self.max_recording,
        )

    @model_validator(mode="after")
    def _clips_show_all(self) -> CameraSettings:
        if self.privacy and self.clips:
            raise ValueError(
                "privacy: clips go as the camera encodes them and would show what is to be hidden. Write "
                "clips: false, or set the mask in the camera itself instead"
            )
        return self


class MeterSettings(PhotoSettings, SourceOptions):
    """One meter, pictured by the clock."""

    source: SourceText
    label: str = Field("", max_length=80, description="what people call it, such as Water in the basement")
    kind: Literal["water", "gas", "electricity", "heat"] = "water"
    schedule: Cron = Field("0 * * * *", description="cron expression in local time; every hour by default")
    read: Literal["hub", "local"] = Field(
        "hub",
        description="local: the device reads its pictures itself, by `layout`; needs the extra worker",
    )
    layout: str = Field(
        "", max_length=1000, description="of `read: local`: the file that `meerkat meter propose` wrote"
    )

    @model_validator(mode="after")
    def _readable(self) -> MeterSettings:
        if (self.read == "local") != bool(self.layout):
            raise ValueError(
                "read: local and layout go together: `meerkat meter propose PICTURE -o FILE` writes one. "
                "What the hub reads by is told to the hub"
            )
        return self


class OutboxSettings(_Settings):
    """What waits on the device's disk until the hub has it."""

    max_bytes: int = Field(2_000_000_000, ge=1_000_000, description="the oldest clips go when it is full")
    refused_bytes: int = Field(100_000_000, ge=0, description="room for what the hub refused")
    spooled_bytes_per_second: float = Field(
        4_000_000, gt=0, description="how fast a backlog is sent, so that live clips have the line"
    )


class DeviceSettings(_Settings):
    """One device: a Pi, or any machine with cameras on it."""

    label: str = Field("", max_length=80)
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="what the log tells at least"
    )
    cameras: dict[Name, CameraSettings] = Field(default_factory=dict)
    meters: dict[Name, MeterSettings] = Field(default_factory=dict)
    pins: PinChoice = Field(
        "auto", description="auto: this machine's own; mock: played, without hardware; none: left alone"
    )
    sensors: dict[Name, SensorSettings] = Field(default_factory=dict)
    lights: dict[Name, LightSettings] = Field(default_factory=dict)
    outbox: OutboxSettings = Field(default_factory=OutboxSettings)
    sleep: SleepSettings | None = Field(None, description="for a device that is awake now and then")
    battery: BatterySettings | None = Field(None, description="for a device that lives on one")

    @model_validator(mode="after")
    def _names_differ(self) -> DeviceSettings:
        kinds = {"device": "the device itself"}  # the thing under which its own settings are
        for kind, names in (
            ("a camera", self.cameras),
            ("a meter", self.meters),
            ("a sensor", self.sensors),
            ("a light", self.lights),
        ):
            for name in names:
                if other := kinds.get(name):
                    raise ValueError(
                        f"{name!r} names both {other} and {kind}; their topics would be the same"
                    )
                kinds[name] = kind
        return self

    @model_validator(mode="after")
    def _wired(self) -> DeviceSettings:
        check_pins(self.sensors, self.lights)
        for name, camera in self.cameras.items():
            check_motion_sensors(name, camera.motion.sensors, self.sensors)
            check_light(f"camera {name}", camera.light.name if camera.light else None, self.lights)
        folders: dict[str, str] = {}
        for name, meter in self.meters.items():
            check_light(f"meter {name}", meter.light, self.lights)
            if meter.archive and (folder := meter.archive.folder):
                if other := folders.get(folder):
                    raise ValueError(f"meters {other} and {name}: give each archive a folder of its own")
                folders[folder] = name
        for name, sensor in self.sensors.items():
            if sensor.rings and sensor.rings not in self.cameras:
                raise ValueError(f"button {name} rings {sensor.rings!r}, which is no camera of this device")
        return self


class DevicesSettings(RootModel[dict[Name, DeviceSettings]]):
    """Section `devices`: device name → its settings."""

    model_config = ConfigDict(frozen=True)

    root: dict[Name, DeviceSettings] = Field(default_factory=dict)

    def look(self, _sections: Mapping[str, BaseModel]) -> Iterator[Finding]:
        """Files that cameras and meters are to replay and that are not here."""
        for device, its in self.root.items():
            for kind, things in (("cameras", its.cameras), ("meters", its.meters)):
                for name, thing in things.items():
                    if trouble := missing_file(thing.source):
                        yield Finding((device, kind, name, "source"), trouble)
