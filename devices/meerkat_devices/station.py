"""What cameras and meters need of the device that they belong to."""

from __future__ import annotations

from typing import Protocol

from meerkat_contract.errors import MeerkatError


class Station(Protocol):
    """Every method may be called on any thread."""

    name: str

    def keep(self, topic: object, payload: bytes | str, *, content_type: str = "") -> None:
        """Publish retained state."""

    def report(self, error: MeerkatError, *, about: str = "") -> None:
        """Log an error and publish it. `about` names whose trouble it is, and lasts until `well(about)`."""

    def well(self, about: str) -> None:
        """The trouble of `about` is over."""

    def changed(self) -> None:
        """Something of the device's info is different now."""
