"""FAKE: a small model of a broker's retained messages and of Home Assistant's MQTT registry, for tests.

It models what Meerkat relies on, as measured with Home Assistant 2026.11.0 and Mosquitto 2.0:

- An entity is created by its discovery, kept when it is left out, removed by a stub (its platform
  alone) or by an empty message for the device.
- A message that comes while the one before is still being handled loses all parts after the first.
- A user who deletes a device empties its discovery topic, once per entity.
- A restart forgets what was discovered but keeps the registry, and reads what is retained again.

It validates nothing and knows no states. Times are seconds of the caller's clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from .diff import components

BUSY = 0.9
"""Seconds that the modelled Home Assistant takes for one message, at the worst."""


@dataclass
class FakeBroker:
    """Retained messages, and who listens. Delivery is at once and in order."""

    retained: dict[str, bytes] = field(default_factory=dict)
    listeners: list[Callable[[str, bytes], None]] = field(default_factory=list)

    def publish(self, topic: str, payload: bytes, *, retain: bool = True) -> None:
        if retain and payload:
            self.retained[topic] = payload
        elif retain:
            self.retained.pop(topic, None)
        for listener in list(self.listeners):
            listener(topic, payload)


@dataclass
class FakeHomeAssistant:
    """`entities` is the registry: (discovery topic, component id) → platform."""

    broker: FakeBroker
    clock: Callable[[], float]
    prefix: str = "homeassistant"
    entities: dict[tuple[str, str], str] = field(default_factory=dict)
    vias: dict[str, str | None] = field(default_factory=dict)
    """Discovery topic → the device it refers to."""
    dangling: list[str] = field(default_factory=list)
    """References to a device that was not known: each leaves a nameless stub behind."""
    _known: set[tuple[str, str]] = field(default_factory=set)
    _busy: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        """Read what is retained, in any order: the registry keeps what an earlier start found."""
        self._known.clear()
        self._busy.clear()
        for topic, payload in list(self.broker.retained.items()):
            self.read(topic, payload)

    def greet(self) -> None:
        """The birth message, which the real one sends at least five seconds after it has connected."""
        self.broker.publish(f"{self.prefix}/status", b"online", retain=False)

    def read(self, topic: str, payload: bytes) -> None:
        """Take in one message of the broker."""
        if not (topic.startswith(f"{self.prefix}/device/") and topic.endswith("/config")):
            return
        if not payload:
            for key in [key for key in self._known if key[0] == topic]:
                self._remove(key)
            return
        content = json.loads(payload)
        busy = self.clock() < self._busy.get(topic, 0)
        self._busy[topic] = self.clock() + BUSY
        via = content["dev"].get("via_device")
        self.vias[topic] = via
        if via and not any(key[0].endswith("/meerkat_hub/config") for key in self.entities):
            self.dangling.append(topic)
        for name, component in list(components(content).items())[: 1 if busy else None]:
            key = (topic, name)
            if len(component) > 1:
                if self.entities.get(key, component["p"]) != component["p"]:
                    continue  # another platform under a used name: rejected
                self.entities[key] = component["p"]
                self._known.add(key)
            elif key in self._known:
                self._remove(key)

    def delete(self, topic: str) -> None:
        """The user deletes the device of a discovery topic."""
        there = [key for key in self.entities if key[0] == topic]
        for key in there:
            self._remove(key)
        for _ in there:
            self.broker.publish(topic, b"")

    def _remove(self, key: tuple[str, str]) -> None:
        self.entities.pop(key, None)
        self._known.discard(key)
