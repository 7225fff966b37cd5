"""What discovery depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from meerkat_contract.messages import DeviceInfo
from meerkat_homeassistant.catalogue.events import EVENT_TYPES
from meerkat_homeassistant.catalogue.worker import Worker
from meerkat_homeassistant.counters import Counter


@dataclass(frozen=True)
class Bus:
    """What is known of the bus, as far as discovery depends on it."""

    devices: Mapping[str, DeviceInfo] = field(default_factory=dict)
    page: str = ""
    """Address of the hub's page, or empty while it is not known."""
    hub_software: str = ""
    counters: Mapping[tuple[str, str], Counter] = field(default_factory=dict)
    """By device and what they are called on the bus: `water`, or `water-night` for one with a name."""
    workers: Mapping[str, Worker] = field(default_factory=dict)
    burst: bool = False
    """The hub has a cloud burst set up."""
    events: tuple[str, ...] = EVENT_TYPES
    """The types that cameras' event entities tell: the configuration's, not the bus's."""
