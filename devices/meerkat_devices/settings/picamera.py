"""How a camera on the Pi's ribbon cable is set up: section `picamera` of a camera or a meter."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Hdr = Literal["off", "auto", "sensor", "single", "multi", "night"]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExposureSettings(_Settings):
    """By hand. Where nothing is written a camera's stays automatic, and a meter's is found and then held."""

    time_us: int | None = Field(None, ge=10, le=5_000_000, description="microseconds; automatic when absent")
    gain: float | None = Field(
        None, ge=1, le=64, description="of the sensor's amplifier; automatic when absent"
    )
    settle_seconds: float = Field(
        3.0, ge=0.1, le=30, description="what a meter's automatic exposure gets at most before it is held"
    )


class Imx500Settings(_Settings):
    """The AI camera looks by itself: a network of object detection, run on the sensor."""

    network: str = Field(
        "/usr/share/imx500-models/imx500_network_ssd_mobilenetv2_fpnlite_320x320_pp.rpk",
        min_length=1,
        description="a network (.rpk) that ends in boxes, scores and classes",
    )
    labels: tuple[str, ...] = Field(
        (), description="its classes by their number; those written in the network when empty"
    )


class PicameraSettings(_Settings):
    """A camera on the Pi's ribbon cable, for sources `picamera`, `picamera:1`."""

    width: int = Field(1280, ge=64, le=1920, multiple_of=2, description="pixels of what is recorded")
    height: int = Field(720, ge=64, le=1920, multiple_of=4, description="pixels of what is recorded")
    fps: int = Field(15, ge=1, le=60, description="frames per second")
    bitrate: int = Field(3_000_000, ge=100_000, le=25_000_000, description="bits per second of H.264")
    lores_width: int = Field(
        640, ge=64, le=1920, multiple_of=2, description="of the pictures that are looked at and shown"
    )
    lores_height: int = Field(
        360, ge=64, le=1920, multiple_of=4, description="of the pictures that are looked at and shown"
    )
    still_width: int = Field(
        1280, ge=64, le=9152, multiple_of=2, description="of a meter's pictures, when no camera shares it"
    )
    still_height: int = Field(
        720, ge=64, le=6944, multiple_of=2, description="of a meter's pictures, when no camera shares it"
    )
    rotation: Literal[0, 180] = Field(0, description="degrees")
    hflip: bool = Field(False, description="mirrored left to right")
    vflip: bool = Field(False, description="mirrored top to bottom")
    hdr: Hdr = Field(
        "off",
        description="sensor: Camera Module 3; single, multi, night: Pi 5; auto: what there is of these",
    )
    tuning_file: str = Field(
        "", description="such as imx219_noir.json, or a path; that of the sensor when empty"
    )
    exposure: ExposureSettings = Field(default_factory=ExposureSettings)
    imx500: Imx500Settings | None = Field(None, description="look on the sensor, with the AI camera")

    @model_validator(mode="after")
    def _lores_is_no_larger(self) -> PicameraSettings:
        if self.lores_width > self.width or self.lores_height > self.height:
            raise ValueError(
                f"lores_width×lores_height ({self.lores_width}×{self.lores_height}) may not exceed "
                f"width×height ({self.width}×{self.height})"
            )
        return self

    @property
    def flips(self) -> tuple[bool, bool]:
        """(left to right, top to bottom), with the rotation in it."""
        turned = self.rotation == 180
        return self.hflip is not turned, self.vflip is not turned
