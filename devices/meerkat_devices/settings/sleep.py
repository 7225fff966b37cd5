"""Settings of devices that sleep, or live on a battery."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


def _seconds(value: Any) -> Any:
    """`1h`, `30 min`, `90s`, or a number of seconds."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d)?\s*", value)
    if not found:
        raise ValueError(f"{value!r} is no duration: write 1h, 30m or 90s")
    return float(found[1]) * _UNITS[found[2] or "s"]


Seconds = Annotated[float, BeforeValidator(_seconds)]


def _command(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    if not words:
        raise ValueError("an empty command: leave it out")
    return text


Command = Annotated[str, AfterValidator(_command)]
"""A program with its arguments, as in a shell; it is run without one."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SleepSettings(_Settings):
    """A device that is awake for a moment, now and then."""

    wake_every: Seconds = Field(
        ge=60, le=604_800, description="1h, 30m, …: wakes at its multiples since midnight"
    )
    awake_seconds: Seconds = Field(
        60.0, ge=5, le=3600, description="awake at most this long, to hand over what waits"
    )
    watch_seconds: Seconds = Field(
        10.0, ge=0, le=3600, description="awake at least this long, when it has cameras"
    )
    command: Command | None = Field(
        None,
        description="run to switch the machine off or suspend it; {seconds} until the next wake, "
        "{wake} its time. Without one the device stays on, disconnected",
    )

    @model_validator(mode="after")
    def _fits(self) -> SleepSettings:
        if self.awake_seconds > self.wake_every / 2:
            raise ValueError("awake_seconds is more than half of wake_every: that is no sleep")
        if self.watch_seconds > self.awake_seconds:
            raise ValueError("watch_seconds is more than awake_seconds")
        if self.command:
            try:
                self.command.format(seconds=1, wake="")
            except (KeyError, IndexError, ValueError):
                raise ValueError(
                    "command: only {seconds} and {wake} can be filled in; write {{ for a {"
                ) from None
        return self


class BatterySettings(_Settings):
    """Where the battery's level is read."""

    gauge: str = Field(
        "system",
        description="system: /sys/class/power_supply; command; max17048: on the I2C bus; or a plugin's name",
    )
    command: Command | None = Field(
        None,
        description='prints the level in percent, or JSON {"level": 87, "voltage": 3.9, "charging": true}',
    )
    every: Seconds = Field(300.0, ge=10, le=86_400, description="between readings")
    low: float = Field(10.0, ge=0, le=100, description="percent below which it is reported as an error")
    bus: int = Field(1, ge=0, le=99, description="I2C bus")
    address: int = Field(0x36, ge=0x03, le=0x77, description="address on the bus")

    @model_validator(mode="before")
    @classmethod
    def _by_command(cls, data: Any) -> Any:
        """`battery: {command: …}` says enough."""
        if isinstance(data, dict) and data.get("command") and "gauge" not in data:
            return {**data, "gauge": "command"}
        return data

    @model_validator(mode="after")
    def _complete(self) -> BatterySettings:
        if (self.gauge == "command") != (self.command is not None):
            raise ValueError("gauge: command goes with command: …")
        return self
