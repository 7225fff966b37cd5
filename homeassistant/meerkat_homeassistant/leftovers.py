"""What Home Assistant may still hold although we show it no more: a state machine without I/O or clock.

It forgets a component when it is told to, but only while it listens, and only one that it knows since
its own last start. What it missed would stay there as "no longer provided", to be deleted by hand. So
we remember what was taken out until it surely has heard of it, in a retained `Record` on the broker:

    taken out ──> left ── it was there, and SURE seconds later still is ──> forgotten
                    └──── it starts, or we do: told once more, then to be forgotten (two messages)

The two messages are not retained: who was away must not find on the broker what is no more.

The record also says that a device is shown. When it does and the discovery topic is empty all the same,
Home Assistant's user deleted the device while the bridge was away. A broker that lost its memory lost both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from . import diff
from .discovery import Payload, config_topic, to_json
from .exchange import Publish, record_topic

SPACING = 2.0
SURE = 120.0
"""Seconds without word of its end after which it surely has heard, and remembers. The broker notices that
its power was cut after 90, and it saves its registry after ten."""


@dataclass(frozen=True)
class Record:
    """Of one device."""

    shown: bool = False
    """Its discovery was published."""
    left: Payload = field(default_factory=dict)
    """A discovery payload of what was taken out; empty when Home Assistant surely has forgotten it."""

    def to_json(self) -> bytes:
        """Empty when there is nothing to remember."""
        if self == Record():
            return b""
        return to_json({"shown": self.shown, **({"left": self.left} if self.left else {})})

    @classmethod
    def read(cls, payload: bytes) -> Record:
        """What cannot be read is nothing to remember."""
        try:
            told = json.loads(payload)
            return cls(bool(told["shown"]), diff.sound(told.get("left")))
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()


@dataclass(frozen=True)
class Telling:
    """One of the two messages: `payload` for the discovery topic of `object_id`, not retained."""

    object_id: str
    payload: Payload


class Leftovers:
    """The records, and what is to be told once more. All that returns messages expects them to be sent."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._records: dict[str, Record] = {}
        self.disconnected()

    def disconnected(self) -> None:
        """What is remembered stays, in case the broker forgets it."""
        self._on_broker: dict[str, Record] = {}
        self._again: dict[str, tuple[bool, float]] = {}
        """Object → it has been told of, and when the next message is due."""
        self._sure: dict[str, float] = {}
        self._there = False

    def take(self, object_id: str, payload: bytes) -> None:
        """A record as the broker has it; only before `synced`, since nobody else writes them."""
        self._on_broker[object_id] = Record.read(payload)

    def deleted(self, stand: Collection[str]) -> list[str]:
        """Objects that were shown and have no discovery any more, though nobody but the user took it."""
        return [
            name
            for name, record in self._on_broker.items()
            if record.shown and name not in stand and self._records.get(name, record).shown
        ]

    def synced(
        self, stand: Collection[str], lost: Mapping[str, Payload], now: float, *, grace: float
    ) -> list[Publish]:
        """The broker has told all that it knows; `stand` has discovery, and `lost` had it before.

        What is left is told once more; of the lost after `grace` seconds, since they are to be shown again.
        """
        self._records = {**self._on_broker, **self._records}
        for name in {*self._records, *stand, *lost}:
            known = self._records.get(name, Record())
            # Until it is shown again, it must not look deleted; nor be forgotten, should it never be.
            left = _joined(known.left, lost.get(name, {}))
            self._records[name] = Record(name in stand, left)
        self._again = {name: (False, now + grace * (name in lost)) for name in self.left}
        return [
            self._message(name)
            for name, record in self._records.items()
            if record != self._on_broker.get(name, Record())
        ]

    def remember(self, object_id: str, payload: Payload, at: float) -> list[Publish]:
        """Home Assistant may hold this; it is told of it at that moment, to be forgotten."""
        self._again[object_id] = (False, at)
        return self._set(object_id, Record(shown=False, left=payload))

    def born(self, at: float) -> None:
        """Home Assistant has started. `at` that moment it is told once more of what is left."""
        self._there = True
        self._sure.clear()
        self._again |= dict.fromkeys(self.left, (False, at))

    def died(self) -> None:
        self._there = False
        self._sure.clear()
        self._again.clear()

    def changes(self, object_id: str, current: Payload, target: Payload | None, now: float) -> list[Publish]:
        """A device is about to be brought from `current` to `target`; None takes it out."""
        known = self._records.get(object_id, Record())
        fresh = diff.gone(current, target or {})
        left = _joined(known.left, fresh)
        if fresh and self._there and object_id not in self._again:
            self._sure[object_id] = now + SURE
        return self._set(object_id, Record(target is not None, diff.gone(left, target or {})))

    def forget(self, object_id: str) -> list[Publish]:
        """The user deleted the device: with it, Home Assistant has forgotten all of it."""
        return self._set(object_id, Record())

    def was_shown(self, object_id: str) -> bool:
        return self._records.get(object_id, Record()).shown

    @property
    def left(self) -> list[str]:
        """Objects of which Home Assistant may hold more than is shown."""
        return [name for name, record in self._records.items() if record.left]

    @property
    def wake_at(self) -> float | None:
        return min((*self._sure.values(), *(at for _, at in self._again.values())), default=None)

    def due(
        self, now: float, published: Mapping[str, Payload], free_at: Callable[[str], float | None]
    ) -> list[Publish | Telling]:
        """What is to be sent now. `free_at` tells when a topic may be written to; None: ask again."""
        messages: list[Publish | Telling] = []
        for name in [name for name, at in self._sure.items() if at <= now]:
            messages += self._set(name, replace(self._records[name], left={}))
        for name, (told, at) in list(self._again.items()):
            if at > now:
                continue
            topic = config_topic(name, self._prefix)
            free = free_at(topic)
            if free is None or free > now:
                self._again[name] = (told, now + SPACING if free is None else free)
                continue
            left = self._records[name].left
            stands = published.get(topic) or _nothing_of(left)
            if not told:
                self._again[name] = (True, now + SPACING)
                payload = diff.beside(stands, left)
            else:
                # Not an empty message: that would be a warning in the log of one that has just started.
                del self._again[name]
                payload = diff.without(stands, left)
                if self._there:
                    self._sure[name] = now + SURE
            messages.append(Telling(name, payload))
        return messages

    def _set(self, object_id: str, record: Record) -> list[Publish]:
        if not record.left:
            self._sure.pop(object_id, None)
            self._again.pop(object_id, None)
        if record == self._records.get(object_id, Record()):
            return []
        self._records[object_id] = record
        return [self._message(object_id)]

    def _message(self, object_id: str) -> Publish:
        return Publish(record_topic(object_id, self._prefix), self._records[object_id].to_json())


def _joined(left: Payload, fresh: Payload) -> Payload:
    return diff.beside(fresh, left) if fresh and left else fresh or left


def _nothing_of(left: Payload) -> Payload:
    """Its device alone."""
    return {**diff.unreferring(left), "cmps": {}, "cdevs": []}
