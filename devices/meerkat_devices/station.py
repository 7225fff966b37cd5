"""What cameras and meters need of the device that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from meerkat_contract.errors import MeerkatError
from meerkat_contract.session import Delivery

from .lamps import Lamps


class Station(Lamps, Protocol):
    """Every method may be called on any thread."""

    name: str

    @property
    def connected(self) -> bool:
        """Whether there is a broker to send to."""

    def send(
        self, topic: object, payload: bytes, *, properties: Sequence[tuple[str, str]], content_type: str
    ) -> Delivery:
        """Publish with QoS 0, now or never. Never blocks; fails above the broker's packet limit."""

    def keep(self, topic: object, payload: bytes | str, *, content_type: str = "") -> None:
        """Publish retained state."""

    def report(self, error: MeerkatError, *, about: str = "") -> None:
        """Log an error and publish it. `about` names whose trouble it is, and lasts until `well(about)`."""

    def well(self, about: str) -> None:
        """The trouble of `about` is over."""

    def changed(self) -> None:
        """Something of the device's info is different now."""
