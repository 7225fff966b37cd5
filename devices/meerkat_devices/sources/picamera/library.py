"""picamera2 and libcamera: imported late, and what goes wrong with them in words."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from meerkat_devices.sources.source import SourceError

INSTALL = (
    "On a Raspberry Pi: sudo apt install python3-picamera2, and make Meerkat's environment with "
    "python3 -m venv --system-site-packages"
)
LIST = "`rpicam-hello --list-cameras` shows what is connected"


def load(where: str) -> Any:
    """The module `picamera2`. Raises SourceError where it, or libcamera, cannot be imported."""
    # Both tell every step of every opening; LIBCAMERA_LOG_LEVELS of one's own goes before.
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:WARN")
    logging.getLogger("picamera2").setLevel(max(logging.WARNING, logging.getLogger().level))
    try:
        import picamera2
    except ImportError as error:
        if (name := (error.name or "").partition(".")[0]) in ("picamera2", "libcamera"):
            raise SourceError(f"{name} is missing", where=where, remedy=INSTALL) from error
        raise _unloadable(error, where) from error
    except ValueError as error:
        raise _unloadable(error, where) from error
    return picamera2


def _unloadable(error: Exception, where: str) -> SourceError:
    """Debian's simplejpeg was built for Debian's NumPy, and an environment may hold a newer one."""
    if "numpy" in str(error):
        remedy = (
            "Into Meerkat's environment, for the NumPy that is there: "
            "pip install --ignore-installed --no-deps simplejpeg"
        )
    else:
        remedy = "sudo apt install --reinstall python3-picamera2"
    return SourceError(f"picamera2 cannot be loaded ({error})", where=where, remedy=remedy)


def find(picamera2: Any, number: int, where: str) -> dict[str, Any]:
    """What libcamera says of camera `number`: Model, Id, Num and more. Raises SourceError."""
    try:
        cameras: list[dict[str, Any]] = picamera2.Picamera2.global_camera_info()
    except RuntimeError as error:
        raise SourceError(f"libcamera does not start ({error})", where=where, remedy=LIST) from error
    if not cameras:
        raise SourceError(
            "no camera is connected",
            where=where,
            remedy=f"Switch the Pi off and seat the ribbon cable at both ends; {LIST}",
        )
    if number >= len(cameras):
        there = ", ".join(f"picamera:{n} ({camera.get('Model', '?')})" for n, camera in enumerate(cameras))
        raise SourceError("there is no such camera", where=where, remedy=f"Found: {there}")
    return cameras[number]


def tuning(picamera2: Any, name: str, where: str) -> Any:
    """What Picamera2 takes as `tuning`: nothing, a path, or a file's content by its name."""
    if not name:
        return None
    if "/" in name:
        if not Path(name).is_file():
            raise SourceError(
                "there is no such tuning file", where=f"{where}, {name}", remedy="Check the path"
            )
        return name
    try:
        return picamera2.Picamera2.load_tuning_file(name)
    except (RuntimeError, OSError, ValueError) as error:
        raise SourceError(
            f"the tuning file cannot be read ({error})",
            where=f"{where}, {name}",
            remedy="They lie in /usr/share/libcamera/ipa/rpi, in vc4 and in pisp (Pi 5)",
        ) from error


def construct(picamera2: Any, number: int, chosen_tuning: Any, where: str) -> Any:
    """`Picamera2(number)`: the camera is ours from here on. Raises SourceError, and leaves nothing open.

    A constructor that fails, as with a busy camera, keeps both ends of a pipe: a thousand tries, a minute
    apart, would use up all the files that a process may have.
    """
    picam2 = picamera2.Picamera2.__new__(picamera2.Picamera2)
    try:
        picam2.__init__(number, tuning=chosen_tuning)
    except (RuntimeError, OSError, LookupError) as error:
        with suppress(AttributeError, OSError, RuntimeError):
            if picam2.is_open:
                picam2.is_open = False
                picam2.camera.release()
        with suppress(AttributeError, OSError):
            picam2.notifymeread.close()
            os.close(picam2.notifyme_w)
        raise in_words(error, where, "be opened") from error
    return picam2


_CAUSES = (
    (("busy", "-16", "in use", "acquire"), "the camera is busy", "Another program uses it: close that first"),
    (
        ("permission",),
        "may not be used by this user",
        "sudo usermod -aG video $USER, then log in again",
    ),
    (
        ("memory", "allocat", "dma_heap"),
        "there is no memory for its pictures",
        "Choose a smaller width and height, or more CMA memory: dtoverlay=vc4-kms-v3d,cma-256",
    ),
    (
        ("video11",),
        "the H.264 encoder cannot be used",
        "Another program uses /dev/video11, or this user is not in the group video",
    ),
)


def in_words(error: BaseException, where: str, doing: str) -> SourceError:
    """An error of picamera2 or libcamera as ours. `doing` says what was tried, such as `be opened`."""
    reasons: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        reasons.append(str(cause) or type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    said = " · ".join(dict.fromkeys(reasons))
    for words, what, remedy in _CAUSES:
        if any(word in said.lower() for word in words):
            return SourceError(f"{what} ({reasons[-1]})", where=where, remedy=remedy)
    return SourceError(f"the camera cannot {doing} ({said})", where=where, remedy=LIST)
