"""The device looks by itself: at the newest frame, on a thread of its own.

The camera's thread leaves a frame here and goes on at once: recording and motion never wait. A frame
that is replaced by a newer one before it was looked at is passed over, and counted. A detector that
fails is reported and tried again: its frames are counted as failed, and never read as "nothing found".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from meerkat_contract.errors import MeerkatError, ModelError
from meerkat_contract.messages import Found, FrameFindings
from meerkat_contract.vocabulary import WATCHED
from meerkat_devices.backoff import Backoff
from meerkat_devices.clock import Clock
from meerkat_devices.recording.recorder import TICKS
from meerkat_devices.settings.frames import FrameSettings
from meerkat_devices.sources.source import Shot

from .followed import Followed
from .view import View

if TYPE_CHECKING:
    from meerkat_inference.detector import Detector

_log = logging.getLogger("meerkat.device")

WORKING_POINT = 0.5
"""Scores are calibrated so that from here on a thing counts as found."""

MOST_FOUND = 100
"""Boxes told of one frame, the best: they ride in a user property, which holds 64 kB."""


class Send(Protocol):
    def __call__(self, shot: Shot, seen: View, findings: FrameFindings) -> None: ...


class FrameDetector:
    """`offer` on the camera's thread, `run` on its own, `rest` and `end` on any."""

    def __init__(
        self,
        camera: str,
        settings: FrameSettings,
        *,
        see: Callable[[Shot], View],
        report: Callable[[MeerkatError], None],
        well: Callable[[], None],
        send: Send,
        count: Callable[[str], None],
        clock: Clock,
        open_detector: Callable[[str], Detector] | None = None,
    ) -> None:
        """`see` gives the part of a frame that counts; `report` tells a trouble that lasts until `well`."""
        assert settings.detect is not None
        self._camera = camera
        self._task = settings.detect
        self._see = see
        self._labels = settings.labels
        self._followed = Followed()
        self._report = report
        self._well = well
        self._send = send
        self._count = count
        self._clock = clock
        self._open_detector = open_detector or (
            lambda task: open_for(task, coral=settings.coral, library=settings.coral_library)
        )
        self._changed = threading.Condition()
        self._newest: Shot | None = None
        self._resting = False
        self._ended = threading.Event()

    def offer(self, shot: Shot) -> None:
        """The newest frame, in place of one that was not looked at yet."""
        with self._changed:
            replaced, self._newest = self._newest, shot
            self._changed.notify()
        if replaced is not None:
            self._count("passed over")

    def rest(self) -> None:
        """Nobody asks: forget the frame that waits, and give the detector's memory back."""
        with self._changed:
            waiting, self._newest = self._newest, None
            self._resting = True
            self._changed.notify()
        if waiting is not None:
            self._count("passed over")

    def end(self) -> None:
        with self._changed:
            self._ended.set()
            self._changed.notify()

    def run(self, stop: threading.Event) -> None:
        """Until `end` (`stop` is looked at between frames only)."""
        detector: Detector | None = None
        backoff = Backoff(first=1.0, longest=60.0)
        troubled = False
        try:
            while not stop.is_set():
                shot = self._next()
                if self._ended.is_set():
                    return
                if shot is None:
                    if detector is not None:
                        detector.close()
                        detector = None
                    continue
                try:
                    if detector is None:
                        detector = self._open_detector(self._task)
                        _log.info("camera %s: looking with %s", self._camera, detector.info.name)
                    self._look(detector, shot)
                except MeerkatError as error:
                    troubled = True
                    self._count("failed")
                    self._report(_of_camera(error, self._camera))
                    self._clock.wait(self._ended, backoff.next())
                    continue
                except BaseException:
                    self._count("failed")
                    raise
                backoff.reset()
                if troubled:
                    troubled = False
                    self._well()
        finally:
            if detector is not None:
                detector.close()

    def _next(self) -> Shot | None:
        """The newest frame; None when there is to be a rest, or an end."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._resting or self._ended.is_set())
            shot, self._newest = self._newest, None
            if shot is None:  # a frame that came while the request was withdrawn goes before the rest
                self._resting = False
            return shot

    def _look(self, detector: Detector, shot: Shot) -> None:
        """Raises MeerkatError when it cannot be looked at or encoded."""
        view = self._see(shot)
        seen = detector.detect(view.picture)
        found = of_interest(
            (Found(label=one.label, score=one.score, box=_rounded(one.box)) for one in seen), self._labels
        )
        found = self._followed.step(found, shot.at / TICKS)
        if not found:
            self._count("nothing")
            return
        self._send(shot, view, FrameFindings(task=self._task, model=detector.info, found=found))


def of_interest(seen: Iterable[Found], labels: Sequence[str]) -> tuple[Found, ...]:
    """What counts of what was seen, best first; nothing unless something reaches the working point."""
    wanted = frozenset(labels) or WATCHED
    found = [one for one in seen if one.label in wanted]
    if not any(one.score >= WORKING_POINT for one in found):
        return ()
    return tuple(found[:MOST_FOUND])


def open_for(task: str, *, coral: str = "auto", library: str = "libedgetpu.so.1") -> Detector:
    """The best detector for a task that is on this machine: on a Coral, else on the processor.

    `coral` names one, such as usb:0, or is auto or off. One that is named has to work; of those that are
    plugged in the first that does is taken (one is for one camera, and another may have it), else the log
    says why not and the processor looks. Raises ModelError.
    """
    told: list[str] = []
    try:
        from meerkat_inference.coral import plugged
        from meerkat_inference.loading import load_detector

        from .coral_eyes import CoralDetector

        devices = {"auto": plugged(), "off": ()}.get(coral, (coral,))
        for device in devices:
            try:
                return CoralDetector(task, device, library)
            except ModelError as error:
                if coral != "auto":
                    raise
                _log.warning("%s", error)
        if devices:
            _log.warning("no Coral can be used for %s: the processor looks", task)
        detector = load_detector(task=task, tried=True, log=told.append)
    except ImportError as error:
        raise ModelError(
            f"{error.name or error} is not installed, and without it the device cannot look by itself",
            where=task,
            remedy="Install the extra `worker`: pip install 'meerkat-home[device,worker]'. Or take "
            "`detect` out of the camera's `frames`",
        ) from error
    except ModelError as error:
        told.append(error.what)
        raise ModelError("; ".join(told), where=error.where or task, remedy=error.remedy) from error
    for line in told:
        _log.log(logging.WARNING if detector.info.fallback else logging.INFO, "%s", line)
    return detector


def _of_camera(error: MeerkatError, camera: str) -> MeerkatError:
    """The same error that says whose detector it is."""
    where = f"camera {camera}, frames"
    return type(error)(
        error.what, where=f"{where}, {error.where}" if error.where else where, remedy=error.remedy
    )


def _rounded(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x, y, width, height = (round(value, 4) for value in box)
    return x, y, width, height
