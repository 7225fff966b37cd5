"""How motion is judged, as it is written in meerkat.yaml. Kept apart from `motion`, which loads OpenCV."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from meerkat_contract.ids import Name


class MotionSettings(BaseModel):
    """How motion is judged. All times are seconds of media time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="look for motion; without, only what is asked for is recorded")
    sensitivity: float = Field(0.5, ge=0, le=1, description="0 sees large contrasts only, 1 the faintest")
    minimum_area: float = Field(0.0006, gt=0, le=0.5, description="smallest moving part, fraction of picture")
    certain_area: float = Field(0.002, gt=0, le=1, description="motion this large needs no confirmation")
    confirm_seconds: float = Field(0.5, ge=0, le=10, description="how long smaller motion must last")
    clear_seconds: float = Field(0.1, ge=0, le=60, description="end this long after the scene is clear")
    quiet_seconds: float = Field(15.0, ge=0, le=600, description="end after this long without movement")
    change_seconds: float = Field(0.4, gt=0, le=5, description="memory of what changes")
    background_seconds: float = Field(60.0, gt=1, le=3600, description="memory of the background")
    habit_seconds: float = Field(120.0, gt=1, le=3600, description="memory of places that always move")
    habit_share: float = Field(0.5, gt=0, le=1, description="share of that memory that makes it a habit")
    gap_seconds: float = Field(2.0, gt=0, le=600, description="a longer pause between pictures is a gap")
    settle_seconds: float = Field(3.0, ge=0, le=60, description="how long the start is called calibrating")
    sensors: tuple[Name, ...] = Field(
        (), description="the device's motion sensors that watch this place, too"
    )
    combine: Literal["any", "all", "wake", "sensors"] = Field(
        "any",
        description="any: sensor or vision; all: both; wake: vision looks only after a sensor; "
        "sensors: without vision",
    )
    sensor_seconds: float = Field(
        10.0, ge=0, le=3600, description="how long a sensor's word lasts, for all and wake"
    )

    @property
    def threshold(self) -> float:
        """Grey levels by which a pixel must change, 20 at sensitivity 0 and 6 at 1."""
        return 20.0 - 14.0 * self.sensitivity

    @model_validator(mode="after")
    def _sensors_are_named(self) -> MotionSettings:
        if self.combine != "any" and not self.sensors:
            raise ValueError(f"combine: {self.combine} needs sensors, such as `sensors: [hall-pir]`")
        return self
