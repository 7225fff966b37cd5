"""The small value types of libcamera that picamera2 handles: see libcamera_stub."""

from __future__ import annotations

from enum import Enum
from typing import Any


class Size:
    def __init__(self, width: int = 0, height: int = 0) -> None:
        self.width, self.height = width, height


class Rectangle:
    def __init__(self, *numbers: int) -> None:
        self.x, self.y, self.width, self.height = numbers


class Transform:
    def __init__(self, other: Any = None, *, hflip: int = 0, vflip: int = 0, transpose: int = 0) -> None:
        self.hflip = bool(other.hflip if other else hflip)
        self.vflip = bool(other.vflip if other else vflip)
        self.transpose = bool(other.transpose if other else transpose)

    def __str__(self) -> str:
        return f"Transform({self.hflip}, {self.vflip}, {self.transpose})"

    def __hash__(self) -> int:
        return hash((self.hflip, self.vflip, self.transpose))


class ColorSpace:
    YcbcrEncoding = Enum("YcbcrEncoding", "Null Rec709")
    Range = Enum("Range", "Full Limited")

    def __init__(self, name: Any) -> None:
        self.primaries = getattr(name, "primaries", name)
        self.transferFunction = self.ycbcrEncoding = self.range = None

    def __str__(self) -> str:
        return str(self.primaries)

    def __hash__(self) -> int:
        return hash(self.primaries)

    @staticmethod
    def Sycc() -> ColorSpace:
        return ColorSpace("sycc")

    @staticmethod
    def Rec709() -> ColorSpace:
        return ColorSpace("rec709")

    @staticmethod
    def Smpte170m() -> ColorSpace:
        return ColorSpace("smpte170m")

    @staticmethod
    def Raw() -> ColorSpace:
        return ColorSpace("raw")


class PixelFormat:
    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return self._name


ControlType = Enum("ControlType", "Rectangle Size Other")
Orientation = Enum(
    "Orientation",
    "Rotate0 Rotate0Mirror Rotate180 Rotate180Mirror Rotate90 Rotate90Mirror Rotate270 Rotate270Mirror",
)
StreamRole = Enum("StreamRole", "StillCapture Raw VideoRecording Viewfinder")
