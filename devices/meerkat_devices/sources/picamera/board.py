"""One physical camera, open, and who uses it.

libcamera gives a camera to one user. A device's camera and its meter may share one: the camera's ring
runs in the video configuration, and the meter takes its pictures from that. A meter alone opens the
camera in the still configuration, which can be larger, and closes it again; a camera that starts
meanwhile waits for it.

                      nobody      a still session    the ring
    the ring          opens it    waits, PATIENCE    refused: used by another camera
    a still session   opens it    waits, PATIENCE    shares it

libcamera or a driver may hold whoever opens or closes a camera for ever. So both are done on threads of
their own, and waited for; while one has not come back, it is said that the camera hangs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from meerkat_devices.settings.picamera import ExposureSettings, PicameraSettings
from meerkat_devices.sources.source import SourceError

from .library import construct, find, in_words, load, tuning

_log = logging.getLogger("meerkat.device")

PATIENCE = 30.0
"""Seconds to wait for another user of the same camera. With the two that follow it is less than a meter's
thread may be silent before the device is taken for dead."""

OPEN_SECONDS = 20.0
"""What opening and configuring may take."""

CLOSE_SECONDS = 5.0
"""What closing may take; an encoder looks up every 0.4 s, picamera2's event loop every 0.2 s."""

Use = Literal["video", "still"]


@dataclass
class Board:
    """A camera that is open and configured. `picam2` is picamera2's own object."""

    number: int
    use: Use
    settings: PicameraSettings
    picam2: Any
    module: Any
    imx500: Any = None
    fastest: float = 0.0
    """Microseconds: the shortest that the sensor can take for a frame of this size, once it is configured."""
    users: int = 1

    @property
    def where(self) -> str:
        return f"picamera:{self.number}"

    @property
    def frame_duration(self) -> int:
        """Microseconds."""
        return round(max(1e6 / self.settings.fps, self.fastest))

    @property
    def fps(self) -> float:
        return 1e6 / self.frame_duration

    def controls(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Those of `wanted` that this camera has: one without colours has no white balance to hold."""
        known = self.picam2.camera_controls
        return {name: value for name, value in wanted.items() if name in known}

    def adjusting(self, exposure: ExposureSettings) -> dict[str, Any]:
        """Controls that hold what `exposure` says; 0 leaves time or gain to the automatic."""
        time, gain = exposure.time_us or 0, exposure.gain or 0.0
        wanted: dict[str, Any] = {
            "AwbEnable": True,
            "ExposureTime": time,
            "AnalogueGain": gain,
            "FrameDurationLimits": (max(self.frame_duration, time),) * 2,
        }
        if bool(time) == bool(gain):  # else one is automatic: neither on nor off
            wanted["AeEnable"] = not time
        return self.controls(wanted)

    @property
    def resting(self) -> dict[str, Any]:
        """Controls while no still holds the exposure."""
        return self.adjusting(self.settings.exposure)

    @contextmanager
    def said(self, doing: str) -> Iterator[None]:
        """What picamera2 raises inside, in words."""
        try:
            yield
        except (RuntimeError, OSError, ValueError, LookupError) as error:
            raise in_words(error, self.where, doing) from error


@dataclass
class _Slot:
    changed: threading.Condition = field(default_factory=threading.Condition)
    board: Board | None = None
    ring: bool = False
    still: bool = False
    """Who uses it: a camera's ring, a still session, or both."""
    leaving: int = 0
    """How many of them are on their way out."""
    opening: Use | Literal["late"] | None = None
    """What somebody is opening it for just now; `late` when nobody waits for that any more."""

    def free_for(self, use: Use) -> bool:
        if self.leaving or self.opening or self.still:
            return False
        return use == "still" or self.board is None


class Boards:
    """The cameras of this process by their number. Every method may be called on any thread."""

    def __init__(self) -> None:
        self._slots: dict[int, _Slot] = {}
        self._lock = threading.Lock()

    def open(self, number: int, use: Use, settings: PicameraSettings, *, patience: float = PATIENCE) -> Board:
        """The camera, open and configured, to be given back with `release`. Raises SourceError."""
        slot = self._slot(number)
        where = f"picamera:{number}"
        with slot.changed:
            if use == "video" and (slot.ring or slot.opening == "video") and not slot.leaving:
                raise SourceError(
                    "this device's other camera of the same number uses it",
                    where=where,
                    remedy="Give each camera a number of its own: picamera:0, picamera:1",
                )
            free = slot.changed.wait_for(
                lambda: slot.opening == "late" or slot.free_for(use), timeout=patience
            )
            if slot.opening == "late" or (not free and (slot.leaving or slot.opening)):
                raise SourceError(
                    "it hangs: libcamera or the encoder has not let it go",
                    where=where,
                    remedy="Start the device's program anew; if that does not help, the Pi",
                )
            if not free:
                raise SourceError(
                    f"another picture is being taken with it, for more than {patience:g} s",
                    where=where,
                    remedy="It is tried again; let fewer meters share one camera if this comes again",
                )
            if slot.board is not None:
                slot.board.users += 1
                slot.still = True
                return slot.board
            slot.opening = use
        return _open_apart(slot, number, use, settings)

    def release(self, board: Board, use: Use, *, after: Callable[[], None] | None = None) -> None:
        """Give it back, `after` something that may raise SourceError; the last one closes the camera.

        An encoder that hangs holds whoever wants to stop it for ever. So this is done on a thread of its
        own and waited for CLOSE_SECONDS at most; `open` says it as long as it has not come back. Never
        raises: there is nobody to mend it.
        """
        slot = self._slot(board.number)
        with slot.changed:
            slot.leaving += 1

        def leave() -> None:
            try:
                if after is not None:
                    after()
            except SourceError as error:
                _log.warning("%s", error)
            with slot.changed:
                board.users -= 1
                last = not board.users
            if last:
                shut(board)
            with slot.changed:
                if last:
                    slot.board = None
                if use == "still":
                    slot.still = False
                else:
                    slot.ring = False
                slot.leaving -= 1
                slot.changed.notify_all()

        thread = threading.Thread(target=leave, name=f"closing {board.where}", daemon=True)
        thread.start()
        thread.join(CLOSE_SECONDS)
        if thread.is_alive():
            _log.error("%s: does not close; it can be opened again when it has", board.where)

    def _slot(self, number: int) -> _Slot:
        with self._lock:
            return self._slots.setdefault(number, _Slot())


BOARDS = Boards()
"""Those of this process: libcamera has one manager of cameras in each."""


def _open_apart(slot: _Slot, number: int, use: Use, settings: PicameraSettings) -> Board:
    """`open_board` on a thread of its own, for the slot that is marked as opening."""
    done: Future[Board] = Future()

    def open_it() -> None:
        board, error = None, None
        try:
            board = open_board(number, use, settings)
        except BaseException as problem:  # noqa: BLE001 - it is raised where it was asked for
            error = problem
        wanted = done.set_running_or_notify_cancel()
        if board is not None and not wanted:
            shut(board)
        with slot.changed:
            if board is not None and wanted:
                slot.board = board
                slot.still, slot.ring = use == "still", use == "video"
            slot.opening = None
            slot.changed.notify_all()
        if wanted and board is not None:
            done.set_result(board)
        elif wanted:
            done.set_exception(error)

    threading.Thread(target=open_it, name=f"opening picamera:{number}", daemon=True).start()
    try:
        return done.result(OPEN_SECONDS)
    except TimeoutError:
        with slot.changed:
            if late := done.cancel():
                slot.opening = "late"
                slot.changed.notify_all()
        if not late:
            return done.result()  # it came in this very moment
        raise SourceError(
            f"does not open: no answer for {OPEN_SECONDS:g} s",
            where=f"picamera:{number}",
            remedy="Check the ribbon cable; if that does not help, start the Pi anew",
        ) from None


def open_board(number: int, use: Use, settings: PicameraSettings) -> Board:
    """Open and configure it; it does not run yet. Raises SourceError, and then nothing is left open."""
    where = f"picamera:{number}"
    module = load(where)
    info = find(module, number, where)
    _set_sensor_hdr(settings, info, where)
    imx500 = None
    if settings.imx500 is not None and use == "video":
        from .detections import open_imx500

        imx500 = open_imx500(settings.imx500, info, where)
    picam2 = construct(module, number, tuning(module, settings.tuning_file, where), where)
    board = Board(number, use, settings, picam2, module, imx500)
    try:
        with board.said("be set up"):
            picam2.configure(_configuration(board))
            _respect_the_sensor(board)
    except BaseException:
        shut(board)
        raise
    _log.info("picamera:%d: %s, open for %s", number, info.get("Model", "a camera"), use)
    return board


def _respect_the_sensor(board: Board) -> None:
    """A sensor that cannot be so quick in this size is not asked to: key frames are counted in frames."""
    limits = board.picam2.camera_controls.get("FrameDurationLimits")
    if limits is None or board.use == "still" or limits[0] <= 1.01e6 / board.settings.fps:
        return
    board.fastest = limits[0]
    board.picam2.set_controls(board.resting)
    _log.warning(
        "%s: %d frames a second are more than the sensor has at this size; it is %.3g",
        board.where,
        board.settings.fps,
        board.fps,
    )


def shut(board: Board) -> None:
    """Close it whatever state it is in."""
    try:
        # A picture that never came would stay in the queue before the order to stop.
        board.picam2.cancel_all_and_flush()
        board.picam2.close()
    except Exception as error:  # noqa: BLE001 - it is told, and opening it anew says what is wrong
        _log.warning("%s", in_words(error, board.where, "be closed"))


def _configuration(board: Board) -> Any:
    import libcamera

    settings, picam2 = board.settings, board.picam2
    hflip, vflip = settings.flips
    transform = libcamera.Transform(hflip=hflip, vflip=vflip)
    controls = {name: value for name, value in board.resting.items() if value != 0 or name == "AeEnable"}
    controls |= _hdr_controls(board, libcamera)
    if board.use == "still":
        # Only limits, so that a meter in the dark may expose for longer than a video's frame.
        controls.pop("FrameDurationLimits", None)
        return picam2.create_still_configuration(
            main={"size": (settings.still_width, settings.still_height), "format": "RGB888"},
            raw=None,
            transform=transform,
            controls=controls,
            buffer_count=3,
        )
    # The sensor's own pixels are nobody's concern, and take tens of megabytes of a small Pi's memory; only
    # the coordinates of an IMX500 are told in them.
    raw: dict[str, Any] | None = {} if board.imx500 is not None else None
    return picam2.create_video_configuration(
        main={"size": (settings.width, settings.height), "format": "YUV420"},
        lores={"size": (settings.lores_width, settings.lores_height), "format": "YUV420"},
        raw=raw,
        transform=transform,
        controls=controls,
        buffer_count=12 if board.imx500 is not None else 6,
    )


def _set_sensor_hdr(settings: PicameraSettings, info: dict[str, Any], where: str) -> None:
    """Camera Module 3 combines exposures in the sensor; its driver remembers, so `off` is said too."""
    if not str(info.get("Model")).startswith("imx708"):  # and _wide, _noir, _wide_noir
        if settings.hdr == "sensor":
            raise SourceError(
                f"the sensor {info.get('Model', '')} has no HDR of its own",
                where=where,
                remedy="Camera Module 3 has; on a Pi 5 write hdr: single, multi or night",
            )
        return
    try:
        from picamera2.devices.imx708 import IMX708

        with IMX708(info["Num"]) as sensor:
            sensor.set_sensor_hdr_mode(settings.hdr in ("sensor", "auto"))
    except (ImportError, RuntimeError, OSError) as error:
        raise in_words(error, where, "switch its HDR") from error


def _hdr_controls(board: Board, libcamera: Any) -> dict[str, Any]:
    """A Pi 5 combines exposures in its image processor."""
    wanted = {"single": "SingleExposure", "multi": "MultiExposure", "night": "Night"}.get(board.settings.hdr)
    able = "HdrMode" in board.picam2.camera_controls
    if wanted is None:
        if board.settings.hdr != "auto" or not able or "imx708" in str(board.picam2.camera_properties):
            return {}
        wanted = "SingleExposure"
    if not able:
        raise SourceError(
            f"hdr: {board.settings.hdr} is not to be had here",
            where=board.where,
            remedy="It takes a Pi 5; with a Camera Module 3 write hdr: sensor",
        )
    return {"HdrMode": getattr(libcamera.controls.HdrModeEnum, wanted)}
