"""Cameras that the configuration names and no device has: a rule for one forbids and permits nothing."""

from __future__ import annotations

from collections.abc import Iterable

from meerkat_contract.configfile import did_you_mean
from meerkat_hub.core.inputs import CamerasTold
from meerkat_hub.core.records import Now

GRACE = 60.0
"""Seconds after the hub's start within which devices introduce themselves."""

NAMED = 8
"""Cameras that are listed at most."""


class Strangers:
    def __init__(self, named: Iterable[str]) -> None:
        """`named`: device/camera, as `burst.cameras` has them."""
        self.doubt = ""
        """In words which names may be misspelt; empty while none is, or too little is known yet."""
        self._named = tuple(named)
        self._known: dict[str, tuple[str, ...]] = {}
        self._from: float | None = None
        self._changed = False

    def described(self, told: CamerasTold) -> None:
        """A device has these cameras now."""
        self._known[told.device] = told.cameras
        self._changed = bool(self._named)

    def pass_time(self, now: Now) -> str:
        """The doubt if it is a new one. This is asked at each step, and nearly always at once done."""
        if self._from is None:
            self._from = now.mono + GRACE
        if not self._changed or now.mono < self._from:
            return ""
        before, self.doubt, self._changed = self.doubt, self._look(), False
        return self.doubt if self.doubt != before else ""

    def _look(self) -> str:
        known = sorted(f"{device}/{camera}" for device, names in self._known.items() for camera in names)
        strange = [name for name in self._named if name not in known]
        if not strange or not known:
            return ""
        listed = ", ".join(known[:NAMED]) + (" and others" if len(known) > NAMED else "")
        each = ", ".join(name + did_you_mean(name, known) for name in strange)
        return f"burst.cameras names {each}, which no device has; known are {listed}"
