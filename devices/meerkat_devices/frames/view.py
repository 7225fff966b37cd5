"""What of a camera's frame is looked at and sent: the region of interest, scaled, private places black."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from av.video.frame import VideoFrame

from meerkat_contract.messages import Box
from meerkat_devices.picture import scaled
from meerkat_devices.regions import Corners, cut, paint
from meerkat_devices.settings.frames import FrameSettings


@dataclass(frozen=True, slots=True)
class View:
    picture: Any
    """BGR, (H, W, 3), uint8."""
    region: Box | None = None
    """Where it lies in the camera's whole picture; None when it is the whole."""


def view(frame: VideoFrame, settings: FrameSettings, private: Sequence[Corners] = ()) -> View:
    """The region is cut before anything is scaled or converted, so that it keeps the camera's pixels."""
    region = None
    if settings.region is not None:
        frame, region = cut(frame, settings.region)
    picture = scaled(frame, max_width=settings.width)
    paint(picture, private, region=region)
    return View(picture, region)
