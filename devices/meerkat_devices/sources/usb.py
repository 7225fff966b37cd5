"""What is asked of a USB camera, best first. Pure: libav's words for Video4Linux 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from meerkat_devices.settings.sources import UsbOptions

_FORMATS: dict[str, Sequence[Literal["h264", "mjpeg", ""]]] = {
    "auto": ("h264", "mjpeg", ""),
    "h264": ("h264",),
    "mjpeg": ("mjpeg",),
    "raw": ("",),
}
"""libav's `input_format`; none: whatever the camera sends by itself, which is raw pictures mostly."""


def wishes(options: UsbOptions) -> list[dict[str, str]]:
    """Options for libav's v4l2 input, each to be tried when the camera refused the one before.

    A camera that cannot do a size or a rate mostly takes what comes nearest; some refuse instead.
    Raw pictures of 720p are more than USB 2 carries at 15 a second, so these may be small ones.
    """
    size = f"{options.width}x{options.height}"
    rate = f"{options.fps:g}"
    asked: list[dict[str, str]] = []
    for kind in _FORMATS[options.format]:
        named = {"input_format": kind} if kind else {}
        asked += [
            {**named, "video_size": size, "framerate": rate},
            {**named, "video_size": size},
        ]
    if options.format in ("auto", "raw"):
        asked += [{"video_size": "640x480"}, {}]
    return asked
