"""What is wired to the pins, as it is written in meerkat.yaml. Kept apart from `pins`, which drives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from meerkat_contract.ids import Name

PinChoice = Literal["auto", "mock", "none"]

Gpio = Annotated[int, Field(ge=0, le=27, description="GPIO number (BCM), not the position on the header")]

PULLED_UP = (2, 3)
"""A resistor on the board pulls these up, for I2C."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SensorSettings(_Settings):
    """A motion sensor (PIR, radar), a door contact or a push button."""

    kind: Literal["motion", "door", "button"]
    gpio: Gpio
    label: str = Field("", max_length=80, description="what people call it, such as Hall")
    pull: Literal["up", "down", "none"] | None = Field(
        None, description="the pin's resistor; by itself: down for motion, up for a door or a button"
    )
    active: Literal["high", "low"] | None = Field(
        None,
        description="the level that means ON; by itself: high for motion and for a door "
        "(a closed contact to ground is low), low for a button to ground",
    )
    debounce: float = Field(0.03, ge=0, le=10, description="seconds that a level must last before it counts")
    sample_rate: float = Field(10.0, ge=1, le=100, description="looks per second at a motion sensor")
    rings: Name | None = Field(None, description="of a button: the camera that records when it is pressed")

    @property
    def resistor(self) -> Literal["up", "down", "none"]:
        return self.pull or ("down" if self.kind == "motion" else "up")

    @property
    def on_level(self) -> Literal["high", "low"]:
        return self.active or ("low" if self.kind == "button" else "high")

    @model_validator(mode="after")
    def _can_be(self) -> SensorSettings:
        if self.gpio in PULLED_UP and self.resistor != "up":
            raise ValueError(
                f"GPIO {self.gpio} is pulled up by a resistor on the board: take another pin, or `pull: up`"
            )
        if self.rings and self.kind != "button":
            raise ValueError("only a button rings")
        return self


class LightSettings(_Settings):
    """A lamp on a pin: infrared or white, through a transistor."""

    kind: Literal["infrared", "white"] = "infrared"
    gpio: Gpio
    label: str = Field("", max_length=80, description="what people call it, such as Porch lamp")
    dimmable: bool = Field(True, description="driven by PWM; false: on and off only")
    pwm_hertz: int = Field(
        500, ge=10, le=10_000, description="of a dimmed lamp; slow ones flicker in pictures"
    )
    brightness: float = Field(1.0, gt=0, le=1, description="when nothing else is asked for")
    active_high: bool = Field(True, description="false: a low pin lights the lamp")
    longest: float = Field(
        120.0, ge=1, le=86_400, description="seconds after which it is switched off, whoever wants it on"
    )

    @model_validator(mode="after")
    def _can_be_dark(self) -> LightSettings:
        if self.gpio in PULLED_UP and self.active_high:
            raise ValueError(
                f"GPIO {self.gpio} is pulled up by a resistor on the board, which lights the lamp while "
                "nobody drives the pin: take another pin"
            )
        return self


class CameraLight(_Settings):
    """The lamp that helps a camera. In the file, its name alone will do."""

    name: Name
    when: Literal["dark", "motion", "never"] = Field(
        "dark", description="dark: during motion while the picture is dark; motion: whenever there is motion"
    )
    dark_below: float = Field(
        0.18, ge=0, le=1, description="mean brightness of the picture (black 0, white 1) that is called dark"
    )


def check_pins(sensors: Mapping[str, SensorSettings], lights: Mapping[str, LightSettings]) -> None:
    """Raises ValueError when two things are on one pin."""
    taken: dict[int, str] = {}
    things: dict[str, SensorSettings | LightSettings] = {**sensors, **lights}
    for name, thing in things.items():
        if other := taken.get(thing.gpio):
            raise ValueError(
                f"{other} and {name} are both on GPIO {thing.gpio}; give one of them another pin"
            )
        taken[thing.gpio] = name


def check_motion_sensors(camera: str, wanted: tuple[str, ...], sensors: Mapping[str, SensorSettings]) -> None:
    """Raises ValueError when a camera listens to what is no motion sensor or door of its device."""
    for name in wanted:
        if name not in sensors:
            there = ", ".join(sensors) or "none"
            raise ValueError(f"camera {camera}: there is no sensor {name!r} in `sensors`; there is {there}")
        if sensors[name].kind == "button":
            raise ValueError(
                f"camera {camera}: {name} is a button, which tells no motion; write `rings` there"
            )


def check_light(thing: str, wanted: str | None, lights: Mapping[str, LightSettings]) -> None:
    """Raises ValueError when a camera or meter wants a lamp that its device has not."""
    if wanted and wanted not in lights:
        there = ", ".join(lights) or "none"
        raise ValueError(f"{thing}: there is no light {wanted!r} in `lights`; there is {there}")


def light_by_name(value: object) -> object:
    """`light: ir` is `light: {name: ir}`."""
    return {"name": value} if isinstance(value, str) else value
