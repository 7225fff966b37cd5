"""The cameras that are plugged into this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from meerkat_devices.sources.source import SourceError

SYSTEM = Path("/sys/class/video4linux")
BOARD = Path("/proc/device-tree/model")


@dataclass(frozen=True, slots=True)
class Found:
    """`source` as it is written in meerkat.yaml."""

    source: str
    about: str

    def __str__(self) -> str:
        source = f"/dev/video{self.source}" if self.source.isdecimal() else self.source
        return f"{source} ({self.about})" if self.about else source


def find_cameras(*, system: Path = SYSTEM, board: Path = BOARD) -> tuple[list[Found], list[str]]:
    """Cameras on the ribbon cable first, then those on USB; and what kept us from looking."""
    ribbon: list[Found] = []
    troubles: list[str] = []
    if board.exists():  # nobody else has one, and picamera2 is slow to import
        try:
            ribbon = ribbon_cameras()
        except SourceError as error:
            troubles.append(str(error))
    return ribbon + usb_cameras(system), troubles


def ribbon_cameras() -> list[Found]:
    """What libcamera sees, USB cameras excepted: these it lists, too. Raises SourceError."""
    from meerkat_devices.sources.picamera.library import LIST, load

    picamera2 = load("picamera")
    try:
        cameras = picamera2.Picamera2.global_camera_info()
    except RuntimeError as error:
        raise SourceError(f"libcamera does not start ({error})", where="picamera", remedy=LIST) from error
    return [
        Found(f"picamera:{number}", str(camera.get("Model", "")))
        for number, camera in enumerate(cameras)
        if "usb" not in str(camera.get("Id", "")).lower()
    ]


def usb_cameras(system: Path = SYSTEM) -> list[Found]:
    """A Pi has a dozen more `/dev/video…` for its encoders, and a camera has a second one for metadata."""
    found = []
    for entry in sorted(system.glob("video*"), key=lambda path: (len(path.name), path.name)):
        device = (entry / "device").resolve()
        if "/usb" in str(device) and _read(entry / "index") == "0":
            found.append(Found(entry.name.removeprefix("video"), _read(entry / "name")))
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
