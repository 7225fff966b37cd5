"""FAKE: a small model of a broker's retained messages and of Home Assistant's MQTT registry, for tests.

It models what Meerkat relies on, as measured with Home Assistant 2026.11.0 and Mosquitto 2.0:

- An entity is created by its discovery, kept when it is left out, removed by a stub (its platform
  alone) or by an empty message for the device. What was not discovered since the start cannot be removed.
- One of another platform is another one, even under the same component id.
- A message that comes while the one before is still being handled loses all parts after the first.
- A user who deletes a device empties its discovery topic, once per entity that was discovered.
- A restart forgets what was discovered but keeps the registry, and reads what is retained again. Device
  triggers are in no registry. A sudden end loses what was not saved yet.

It validates nothing and knows no states. Times are seconds of the caller's clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .diff import components

BUSY = 0.9
"""Seconds that the modelled Home Assistant takes for one message, at the worst."""

SAVES_AFTER = 10.0
"""Seconds after which the registry is on its disk."""

TRIGGER = "device_automation"


class Component(NamedTuple):
    """What identifies a component of a discovery message."""

    topic: str
    name: str
    platform: str


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
    """`entities` is the registry: component → unique id, which is unique among those of its platform."""

    broker: FakeBroker
    clock: Callable[[], float]
    prefix: str = "homeassistant"
    entities: dict[Component, str] = field(default_factory=dict)
    running: bool = True
    vias: dict[str, str | None] = field(default_factory=dict)
    """Discovery topic → the device it refers to."""
    dangling: set[str] = field(default_factory=set)
    """Devices that others referred to before they were known: nameless until they are discovered."""
    doubled: list[Component] = field(default_factory=list)
    """Discovered with a unique id that another one has: refused, and complained about in the log."""
    unknown: list[str] = field(default_factory=list)
    """Topics that somebody emptied though nothing of them was known: each is a warning in the log."""
    _known: set[Component] = field(default_factory=set)
    _busy: dict[str, float] = field(default_factory=dict)
    _saved: list[tuple[float, dict[Component, str]]] = field(default_factory=list)

    @property
    def dead(self) -> set[Component]:
        """In the registry, but not discovered since the start: shown as "no longer provided"."""
        return self.entities.keys() - self._known

    def stop(self) -> None:
        """It says that it goes."""
        self.running = False
        self.broker.publish(f"{self.prefix}/status", b"offline", retain=False)

    def crash(self) -> None:
        """The broker says that it has gone; what it has changed just now is lost."""
        saved = [there for at, there in self._saved if at <= self.clock() - SAVES_AFTER]
        self.entities = dict(saved[-1]) if saved else {}
        self.stop()

    def start(self) -> None:
        """Read what is retained, in any order: the registry keeps what an earlier start found."""
        self.running = True
        self._known.clear()
        self._busy.clear()
        self.entities = {part: uid for part, uid in self.entities.items() if part.platform != TRIGGER}
        self._saved = [(self.clock() - SAVES_AFTER, dict(self.entities))]
        for topic, payload in list(self.broker.retained.items()):
            self.read(topic, payload)

    def reconnect(self) -> None:
        """The broker was away: it reads what is retained again, and knows what it knew."""
        for topic, payload in list(self.broker.retained.items()):
            self.read(topic, payload)

    def greet(self) -> None:
        """The birth message, which the real one sends at least five seconds after it has connected."""
        self.broker.publish(f"{self.prefix}/status", b"online", retain=False)

    def read(self, topic: str, payload: bytes) -> None:
        """Take in one message of the broker."""
        ours = topic.startswith(f"{self.prefix}/device/") and topic.endswith("/config")
        if not (self.running and ours):
            return
        if payload:
            self._discovered(topic, json.loads(payload))
        else:
            there = [part for part in self._known if part.topic == topic]
            for part in there:
                self._remove(part)
            if not there:
                self.unknown.append(topic)
        self._saved.append((self.clock(), dict(self.entities)))

    def delete(self, topic: str) -> None:
        """The user deletes the device of a discovery topic."""
        there = [part for part in self.entities if part.topic == topic]
        emptied = sum(part in self._known for part in there)
        for part in there:
            self._remove(part)
        heard = len(self.unknown)
        for _ in range(emptied):
            self.broker.publish(topic, b"")
        del self.unknown[heard:]
        self._saved.append((self.clock(), dict(self.entities)))

    def _discovered(self, topic: str, content: dict[str, Any]) -> None:
        busy = self.clock() < self._busy.get(topic, 0)
        self._busy[topic] = self.clock() + BUSY
        via = content["dev"].get("via_device")
        self.vias[topic] = via
        if via and not any(part.topic.endswith("/meerkat_hub/config") for part in self.entities):
            self.dangling.add(via)
        self.dangling -= set(content["dev"].get("ids", ()))
        for name, component in list(components(content).items())[: 1 if busy else None]:
            part = Component(topic, name, component["p"])
            if len(component) == 1:
                if part in self._known:
                    self._remove(part)
                continue
            uid = component.get("uniq_id", f"{topic} {name}")
            others = [other for other in self.entities if self.entities[other] == uid and other != part]
            others = [other for other in others if other.platform == part.platform]
            if any(other in self._known for other in others):
                self.doubled.append(part)
                continue
            for other in others:  # it has moved: the same entity
                self._remove(other)
            self.entities[part] = uid
            self._known.add(part)

    def _remove(self, part: Component) -> None:
        self.entities.pop(part, None)
        self._known.discard(part)
