"""How a source is opened and followed: what cameras and meters share in meerkat.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .picamera import PicameraSettings


class UsbOptions(BaseModel):
    """What is asked of a USB camera; it may give what comes nearest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(1280, ge=16, le=8192, description="pixels")
    height: int = Field(720, ge=16, le=8192, description="pixels")
    fps: float = Field(15, gt=0, le=240, description="frames a second")
    format: Literal["auto", "h264", "mjpeg", "raw"] = Field(
        "auto",
        description="auto: H.264 where the camera makes it itself, recorded as it comes; else Motion JPEG; "
        "else raw pictures. The others ask for one of them alone",
    )


class SourceOptions(BaseModel):
    """Fields of a camera or a meter that matter for some kinds of source only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot_seconds: float = Field(
        1.0, ge=0.1, le=3600, description="between the pictures that are pulled from an HTTP address"
    )
    stall_seconds: float = Field(
        15.0, ge=2, le=600, description="without a frame, after which a live source is opened anew"
    )
    verify_certificate: bool = Field(
        True, description="of https:// pictures; false: believe a camera's own certificate, unseen"
    )
    usb: UsbOptions = Field(default_factory=UsbOptions)
    picamera: PicameraSettings = Field(default_factory=PicameraSettings)


DEFAULTS = SourceOptions()
