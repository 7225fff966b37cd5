"""What a camera or meter needs of a lamp."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from meerkat_contract.errors import DeviceError


class DeviceEnds(DeviceError):
    """No light any more: the device ends. Nobody's trouble."""


class Lamp(Protocol):
    """Every method may be called on any thread."""

    name: str

    def lit(self, brightness: float | None = None) -> AbstractContextManager[None]:
        """On while the block runs, at `brightness` (0 to 1; the configured one when None), off after it.

        A lamp that somebody else holds on stays on for them. Raises DeviceError when it does not go on.
        """

    def set(self, brightness: float) -> None:
        """By hand: 0 is off. Limited in time by the lamp's own watchdog."""


class Lamps(Protocol):
    def lamp(self, name: str) -> Lamp:
        """Raises UsageError when there is no lamp of this name."""
