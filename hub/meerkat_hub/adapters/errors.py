"""What devices reported to be wrong: the latest at each place, until it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from meerkat_contract.messages import ErrorReport

KEPT = 8
"""Places of one device at most; the one that was told of first goes first."""

FRAMES = "frames"
"""A camera's own detector: that it looks again no picture shows."""

PictureAt = Callable[[str, str], datetime | None]
"""device, camera → when its latest picture was taken."""


class Errors:
    """Every method may be called on any thread."""

    def __init__(self, picture_at: PictureAt) -> None:
        self._picture_at = picture_at
        self._lock = threading.Lock()
        self._told: dict[str, dict[str, ErrorReport]] = {}
        """By device, then by where it says that it is; the latest at the end."""

    def add(self, device: str, report: ErrorReport) -> bool:
        """What is wrong at a place now; one without a `what` says that nothing is any more.

        Whether that is news: what stands is told again to a hub that comes, with its first time.
        """
        with self._lock:
            told = self._told.setdefault(device, {})
            known = told.pop(report.where, None)
            if report.what:
                told[report.where] = report
            while len(told) > KEPT:
                del told[next(iter(told))]
        return report != known if report.what else known is not None

    def remove(self, device: str, report: ErrorReport) -> None:
        """It is over, unless another has come in its place."""
        with self._lock:
            told = self._told.get(device, {})
            if told.get(report.where) is report:
                del told[report.where]

    def of(self, device: str) -> tuple[ErrorReport, ...]:
        """What stands, the latest first. That a camera's source failed is over when a later picture came."""
        with self._lock:
            told = tuple(self._told.get(device, {}).values())
        return tuple(report for report in reversed(told) if not self._is_over(device, report))

    def forgotten(self, device: str) -> None:
        """It was removed for good."""
        with self._lock:
            self._told.pop(device, None)

    def clear(self) -> None:
        with self._lock:
            self._told.clear()

    def _is_over(self, device: str, report: ErrorReport) -> bool:
        # `camera front, rtsp://…` is its source; `camera front` alone may be all else, such as recordings.
        camera, _, rest = report.where.partition(", ")
        if not camera.startswith("camera ") or not rest or rest.split(", ")[0] == FRAMES:
            return False
        at = self._picture_at(device, camera.removeprefix("camera "))
        return at is not None and at > report.at
