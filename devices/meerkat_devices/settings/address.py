"""What people write to name a source of pictures, and how it is shown again without its secrets.

porch.mp4                       a video file, replayed at its own pace
rtsp://user:pw@camera/stream    a network camera; http:// and https:// streams too
http://user:pw@camera/image.jpg a camera that gives one picture at a time; told from a stream by its answer
snapshot:http://camera/image    the same, whatever it answers
0 · /dev/video0                 a USB camera
picamera · picamera:1           a camera on the Pi's ribbon cable
scene:porch · scene:meter       the built-in rendered scenes
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from meerkat_contract.errors import UsageError

Kind = Literal["file", "rtsp", "http", "snapshot", "stream", "usb", "picamera", "scene"]

SCENES = ("porch", "meter")
_SCHEMES: dict[str, Kind] = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "http": "http",
    "https": "http",
    "rtmp": "stream",
    "srt": "stream",
    "udp": "stream",
    "tcp": "stream",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A source, told apart by kind. `target` may hold a password and is kept out of repr()."""

    kind: Kind
    target: str = field(repr=False)

    @property
    def live(self) -> bool:
        """Whether the pictures come at their own time and a break means: connect again."""
        return self.kind in ("rtsp", "http", "snapshot", "stream", "usb", "picamera")

    def __str__(self) -> str:
        """For people and logs: no user, password or query string."""
        if self.kind in ("scene", "picamera"):
            return f"{self.kind}:{self.target}"
        if "://" not in self.target:
            return self.target
        parts = urlsplit(self.target)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}"


def parse_source(text: str, *, where: str = "source") -> Address:
    """Tell the kind of source from its text; raises UsageError with the remedy.

    A file need not exist yet: see `check_exists`.
    """
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme == "scene" and colon:
        if rest not in SCENES:
            raise UsageError(
                f"there is no scene {rest!r}",
                where=where,
                remedy="Write " + " or ".join(f"scene:{name}" for name in SCENES),
            )
        return Address("scene", rest)
    _check_login(text, where)
    _check_slashes(text, where)
    if scheme == "snapshot" and colon:
        if not re.match(r"https?://[^/]", rest, re.IGNORECASE) or not urlsplit(rest).hostname:
            raise UsageError(
                "snapshot: wants the address of a picture",
                where=where,
                remedy="Write snapshot:http://user:password@camera/image.jpg",
            )
        return Address("snapshot", rest)
    if scheme == "picamera":
        if not re.fullmatch(r"\d?", rest):
            raise UsageError(
                f"there is no camera {rest!r}", where=where, remedy="Write picamera, picamera:0 or picamera:1"
            )
        return Address("picamera", rest or "0")
    if "://" in text:
        text = scheme + text[len(scheme) :]  # FFmpeg knows http and not HTTP
        if scheme == "file":
            return Address("file", urlsplit(text).path)
        if scheme not in _SCHEMES or not urlsplit(text).hostname:
            raise UsageError(
                f"{scheme}://… is not an address of a camera",
                where=where,
                remedy="Write rtsp://user:password@camera/path or http://camera/stream",
            )
        return Address(_SCHEMES[scheme], text)
    if re.fullmatch(r"\d{1,2}", text):
        return Address("usb", f"/dev/video{int(text)}")
    if re.fullmatch(r"/dev/(video\d+|v4l/.+)", text):
        return Address("usb", text)
    if not text:
        raise UsageError(
            "the source is empty", where=where, remedy="Name a video file, rtsp://… or a USB camera's number"
        )
    return Address("file", str(Path(text).expanduser()) if text.startswith("~") else text)


def _check_slashes(text: str, where: str) -> None:
    """Raise UsageError for rtsp:/camera, rtsp:camera and rtsp//camera, which would be taken for a file."""
    found = re.fullmatch(rf"({'|'.join(_SCHEMES)})(:/?|//)([^/].*)", text, re.IGNORECASE)
    if found:
        scheme, written, rest = found[1].lower(), found[2], found[3]
        meant = "user:password@camera/path" if "@" in rest else rest.partition("?")[0]
        raise UsageError(
            f"{scheme}{written} is not how the address of a camera begins",
            where=where,
            remedy=f"Write {scheme}://{meant}",
        )


def _check_login(text: str, where: str) -> None:
    """Raise UsageError when a password's special characters would make something else of the address.

    What stands before them would be taken for the camera's name, and shown.
    """
    after = text.partition("://")[2]
    authority = re.split(r"[/?#]", after, maxsplit=1)[0]
    port = authority.rpartition("]")[2].partition(":")[2]
    # An @ may stand in a path. Behind a ? or # without one, what looks like a port begins a password.
    has_path = after[len(authority) :].startswith("/") and re.fullmatch(r"\d*", port)
    login_cut_off = "@" in after and "@" not in authority and not has_path
    try:
        urlsplit("//" + after)
    except ValueError:  # a bracket that is not an IPv6 address's
        login_cut_off = True
    if login_cut_off:
        raise UsageError(
            "the address cannot be read",
            where=where,
            remedy="Write special characters of user and password with a per cent sign: "
            "%40 for @, %3A for :, %2F for /, %3F for ?, %23 for #, %5B for [, %5D for ]",
        )


def check_exists(address: Address, *, where: str = "") -> None:
    """Raise UsageError when a file or a USB camera is not there or may not be read.

    `where` is said in place of the address.
    """
    if address.kind not in ("file", "usb"):
        return
    path, where = Path(address.target), where or str(address)
    if not path.exists():
        if address.kind == "usb":
            found = ", ".join(sorted(str(device) for device in Path("/dev").glob("video*")))
            remedy = f"Found: {found}" if found else "No USB camera is plugged in"
            raise UsageError("is not there", where=where, remedy=remedy)
        raise UsageError("there is no such file", where=where, remedy="Check the path")
    if path.is_dir():
        raise UsageError("is a folder", where=where, remedy="Name one video file")
    try:
        path.open("rb").close()
    except PermissionError:
        group = "Add this user to the group video" if address.kind == "usb" else "Check its permissions"
        raise UsageError("may not be read", where=where, remedy=group) from None
    except OSError as error:
        raise UsageError(
            f"cannot be opened ({error.strerror})",
            where=where,
            remedy="Is another program using the camera?" if address.kind == "usb" else "",
        ) from None


def missing_file(source: str) -> str:
    """What, where and what to do when a source is a file that cannot be read here; empty for all others."""
    address = parse_source(source)
    if address.kind != "file":
        return ""
    path = Path(address.target)
    try:
        check_exists(address, where=str(path.absolute()))
    except UsageError as error:
        relative = "" if path.is_absolute() else "; it counts from the folder in which the device is started"
        return f"{error}{relative}. If the device is another machine, check there"
    return ""
