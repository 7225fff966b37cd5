"""Keeps Home Assistant's discovery topics as they should be: a state machine without I/O or clock.

    Connected ──> collecting ── SYNC echoed ──> in step
        ^            (what is retained)            │ a device appears, changes or goes
        └──────────────── Connected again ─────────┘ Home Assistant starts (Birth)

While collecting, nothing is written: what earlier runs left is read from the broker, together with
what is on the bus. The bridge sends itself a message on the SYNC topic after it has subscribed;
when that comes back, all that is retained has come before it. From then on `step` returns the
messages that bring the discovery topics in line, and `wake_at` says when to call it next.

Timing, and why:
- Changes gather for SETTLE seconds, so that a device's start is one message.
- Two messages on one topic are SPACING seconds apart. Home Assistant 2026.11 handles the parts of
  a message one by one; when the first part is still busy it puts that part of the next message in
  a queue and drops the rest of it (`async_discovery_message_received` in its mqtt/discovery.py).
- Devices follow a new hub after HUB_LEAD seconds, because they refer to it.
- A device that is on the discovery topics but not on the bus was removed while we were away, or has
  not come back yet after the broker lost its memory. Only after GRACE seconds is it taken as removed.

A user who deletes a device in Home Assistant makes it empty our topic. Such a device is dismissed: a
retained marker beside the discovery topic says so, and it stays away until the marker is cleared
(`meerkat ha restore`). The marker lives on the broker, not in a file, because the discovery it
speaks of lives there: both are lost together or kept together, wherever the bridge runs.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

from meerkat_contract.errors import BadMessage
from meerkat_contract.messages import DeviceInfo, HubState, MeterReading, WorkerState, read
from meerkat_contract.topics import DeviceTopic, HubTopic, MeterTopic, WorkerTopic, parse

from . import diff
from .catalogue.events import EVENT_TYPES
from .catalogue.worker import Worker
from .counters import Counter
from .discovery import (
    HUB_OBJECT,
    Bus,
    Payload,
    called,
    config_topic,
    device_object,
    discovery,
    object_of,
    restore_words,
    to_json,
    worker_object,
)

SETTLE = 0.5
SPACING = 2.0
HUB_LEAD = 1.0
GRACE = 30.0
SYNC_AGAIN = 2.0
SYNC_LONGEST = 60.0
SYNC_TRIES = 3
"""Unanswered ones after which the log says what is wrong with the broker."""


@dataclass(frozen=True)
class Connected:
    """The session has subscribed, for the first time or again."""


@dataclass(frozen=True)
class Disconnected:
    """The connection is gone. Nothing is decided until the broker's truth has been read again."""


@dataclass(frozen=True)
class Received:
    """A message of one of the topics that the bridge subscribes to."""

    topic: str
    payload: bytes


@dataclass(frozen=True)
class Birth:
    """Home Assistant has started; all is to be published again after `delay` seconds."""

    delay: float


@dataclass(frozen=True)
class Tick:
    """`wake_at` has come."""


Event = Connected | Disconnected | Received | Birth | Tick


@dataclass(frozen=True)
class Publish:
    """One message for the broker, QoS 1."""

    topic: str
    payload: bytes
    retain: bool = True


@dataclass(frozen=True)
class Note:
    """Something to tell people in the log."""

    text: str
    level: Literal["info", "warning"] = "info"


Effect = Publish | Note


def marker_topic(object_id: str, prefix: str) -> str:
    """Says, retained, that Home Assistant's user deleted this device. Home Assistant does not read it."""
    return f"{prefix}/meerkat/{object_id}/dismissed"


def sync_topic(prefix: str) -> str:
    return f"{prefix}/meerkat/bridge/sync"


class Keeper:
    """`step` is the only entry; times are seconds of any clock that does not run backwards."""

    def __init__(
        self,
        *,
        prefix: str = "homeassistant",
        software: str = "",
        nonce: str = "sync",
        events: tuple[str, ...] = EVENT_TYPES,
    ) -> None:
        self.prefix = prefix
        self._events = events
        self.software = software
        self.wake_at: float | None = None
        self._nonce = nonce.encode()
        self._runs = 0
        self._published: dict[str, Payload] = {}
        self._told_before: set[str] = set()
        # Kept when the connection is lost: a broker that lost its memory hears the next reading in an hour.
        self._counters: dict[tuple[str, str], Counter] = {}
        self._hub = HubState()
        self._reset()

    def _reset(self) -> None:
        self._synced = False
        self._sync_at: float | None = None
        self._sync_tries = 0
        self._devices: dict[str, DeviceInfo] = {}
        self._workers: dict[str, Worker] = {}
        self._removed: set[str] = set()
        self._unreadable: set[str] = set()
        self._dismissed: set[str] = set()
        # A broker that lost its memory does not make Home Assistant lose its own.
        self._told_before |= self._published.keys()
        self._published = {}
        self._unread: dict[str, deque[bytes]] = {}
        self._not_before: dict[str, float] = {}
        self._settle_at: float | None = None
        self._again_at: float | None = None
        self._grace_until: float | None = None

    @property
    def wanted(self) -> dict[str, Payload]:
        """What the discovery topics should hold, by what is known now."""
        bus = Bus(
            self._devices,
            self._hub.page,
            self._hub.software,
            self._counters,
            self._workers,
            burst=self._hub.burst is not None,
            events=self._events,
        )
        return discovery(
            bus, prefix=self.prefix, software=self.software, dismissed=frozenset(self._dismissed)
        )

    def step(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; returns what is to be done now, in order.

        Raises BadMessage for a message of the bus that cannot be read; what was known before stays.
        """
        effects: list[Effect] = []
        match event:
            case Connected():
                self._reset()
                self._runs += 1
                self._sync_at = now
            case Received():
                effects += self._received(event.topic, event.payload, now)
            case Disconnected():
                self._reset()
            case Birth():
                again_at = now + event.delay
                self._again_at = again_at if self._again_at is None else min(self._again_at, again_at)
            case Tick():
                pass
        effects += self._due(now)
        self.wake_at = self._next_wake()
        return effects

    # --- what comes in --------------------------------------------------------------------------

    def _received(self, topic: str, payload: bytes, now: float) -> list[Effect]:
        if topic == sync_topic(self.prefix):
            if payload == self._sync_payload() and not self._synced:
                self._synced = True
                self._sync_at = None
                for told in self._told_before - self._published.keys():
                    self._published[told] = {}
                self._told_before.clear()
                # The run before us may have written them just now.
                self._not_before = dict.fromkeys(self._published, now + SPACING)
                self._settle_at = now
                self._grace_until = now + GRACE
        elif topic.startswith(f"{self.prefix}/meerkat/"):
            return self._marker(topic, payload, now)
        elif object_id := object_of(topic, self.prefix):
            return self._discovery_read(object_id, topic, payload, now)
        elif topic.startswith("meerkat/"):
            self._bus(topic, payload, now)
        return []

    def _bus(self, topic: str, payload: bytes, now: float) -> None:
        before = self._known()
        match parse(topic):
            case DeviceTopic(device, "info") if not payload:
                self._devices.pop(device, None)
                self._removed.add(device_object(device))
                self._changed(now)
                self._unreadable.discard(device_object(device))
            case DeviceTopic(device, "info"):
                # Until it has been read: what cannot be read must not pass for a device that is gone.
                self._unreadable.add(device_object(device))
                info = read(DeviceInfo, payload, topic=topic)
                if info.device != device:
                    raise BadMessage(
                        f"the message names device {info.device!r}",
                        where=topic,
                        remedy="A device publishes its info on its own topic",
                    )
                known = self._devices.get(device)
                if known and info.battery is None:  # a device that has just started has not looked at it yet
                    info = info.model_copy(update={"battery": known.battery})
                self._devices[device] = info
                self._removed.discard(device_object(device))
                self._unreadable.discard(device_object(device))
            case HubTopic("state") if payload:
                self._hub = read(HubState, payload, topic=topic)
            case MeterTopic(device, meter, ("reading" | "verdict") as kind):
                self._counter((device, meter), kind, payload, topic)
            case WorkerTopic(worker, "state"):
                self._worker(worker, payload, topic, now)
        if before != self._known():
            self._changed(now)

    def _known(self) -> tuple[object, ...]:
        """What discovery is made of, to see whether it changes."""
        hub = self._hub
        about = (hub.page, hub.software, hub.burst is not None)
        return (dict(self._devices), dict(self._counters), dict(self._workers), *about)

    def _worker(self, worker: str, payload: bytes, topic: str, now: float) -> None:
        """One that went away before we came tells too little of itself: what was told of it stays."""
        name = worker_object(worker)
        if not payload:
            self._workers.pop(worker, None)
            self._unreadable.discard(name)
            self._removed.add(name)
            self._changed(now)
            return
        self._unreadable.add(name)
        state = read(WorkerState, payload, topic=topic)
        known = self._workers.get(worker)
        if state.worker == worker and (state.online or known is not None):
            self._workers[worker] = Worker.of(state, known)
            self._removed.discard(name)
            self._unreadable.discard(name)

    def _counter(self, of: tuple[str, str], kind: str, payload: bytes, topic: str) -> None:
        """What a reading tells is its unit; a verdict, that there is one. Empty: there is none any more."""
        known = self._counters.get(of, Counter())
        if kind == "verdict":
            known = replace(known, judged=bool(payload))
        else:
            known = replace(known, unit=read(MeterReading, payload, topic=topic).unit if payload else "")
        if known == Counter():
            self._counters.pop(of, None)
        else:
            self._counters[of] = known

    def _marker(self, topic: str, payload: bytes, now: float) -> list[Effect]:
        object_id = topic.removeprefix(f"{self.prefix}/meerkat/").removesuffix("/dismissed")
        if payload:
            self._dismissed.add(object_id)
        elif object_id in self._dismissed:
            self._dismissed.discard(object_id)
            self._changed(now)
            return [Note(f"{called(object_id)} comes back to Home Assistant, as asked")]
        self._changed(now)
        return []

    def _discovery_read(self, object_id: str, topic: str, payload: bytes, now: float) -> list[Effect]:
        """One of our discovery topics as the broker has it: an earlier run's, our own echo, or foreign."""
        unread = self._unread.get(topic)
        if unread and unread[0] == payload:
            unread.popleft()
            return []
        if not self._synced:
            if payload:
                self._published[topic] = _payload_or_nothing(payload)
            else:
                self._published.pop(topic, None)
            return []
        if payload:
            text = f"another program writes to {topic}; it is put right when Home Assistant starts"
            return [Note(text, "warning")]
        if self._published.pop(topic, None) is None or topic not in self.wanted:
            return []
        self._dismissed.add(object_id)
        self._changed(now)
        return [
            Publish(marker_topic(object_id, self.prefix), b'{"deleted_in":"Home Assistant"}'),
            Note(
                f"{called(object_id)} was deleted in Home Assistant and stays away; "
                f"to have it back, type: meerkat ha restore {restore_words(object_id)}"
            ),
        ]

    def _changed(self, now: float) -> None:
        if self._synced and self._settle_at is None:
            self._settle_at = now + SETTLE

    # --- what is due ----------------------------------------------------------------------------

    def _due(self, now: float) -> list[Effect]:
        if self._sync_at is not None and now >= self._sync_at:
            self._sync_at = now + min(SYNC_LONGEST, SYNC_AGAIN * 2**self._sync_tries)
            self._sync_tries += 1
            effects: list[Effect] = [Publish(sync_topic(self.prefix), self._sync_payload(), retain=False)]
            if self._sync_tries == SYNC_TRIES + 1:
                text = f"the broker does not deliver {sync_topic(self.prefix)}, so nothing can be shown"
                remedy = f"allow this user to read and write {self.prefix}/# in the broker's access list"
                effects.append(Note(f"{text}; {remedy}", "warning"))
            return effects
        if not self._synced:
            return []
        effects = []
        if self._again_at is not None and now >= self._again_at:
            self._again_at = None
            there = [topic for topic in self.wanted if topic in self._published]
            effects += [self._publish(topic, self._published[topic], now) for topic in there]
            effects.append(Note("Home Assistant has started; everything was published again"))
        if self._grace_until is not None and now >= self._grace_until:
            self._grace_until = None
            self._settle_at = now
        if self._settle_at is not None and now >= self._settle_at:
            effects += self._bring_in_line(now)
        return effects

    def _bring_in_line(self, now: float) -> list[Effect]:
        wanted = self.wanted
        hub = config_topic(HUB_OBJECT, self.prefix)
        hub_is_new = hub in wanted and not self._published.get(hub)
        keep = {config_topic(name, self.prefix) for name in self._unreadable}
        if self._grace_until is not None:
            removed = {config_topic(name, self.prefix) for name in self._removed | self._dismissed}
            keep |= self._published.keys() - removed
        effects: list[Effect] = []
        later: list[float] = []
        for change in diff.next_messages(self._published, wanted, keep=keep):
            wait = self._not_before.get(change.topic, now)
            if wait > now:
                later.append(wait)
            elif hub_is_new and change.topic != hub:
                later.append(now + HUB_LEAD)
                break
            else:
                effects += self._note(change)
                effects.append(self._publish(change.topic, change.payload, now))
                # There may be a second step to this change, or none: the next look will tell.
                later.append(now + SPACING)
        self._settle_at = min(later, default=None)
        return effects

    def _note(self, change: diff.Change) -> list[Note]:
        name = called(object_of(change.topic, self.prefix) or change.topic)
        if change.payload is None:
            return [Note(f"{name} is taken out of Home Assistant")]
        if self._published.get(change.topic):
            return []
        count = sum("uniq_id" in part for part in diff.components(change.payload).values())
        return [Note(f"{name} is shown in Home Assistant with {count} entities")]

    def _publish(self, topic: str, payload: Payload | None, now: float) -> Publish:
        text = b"" if payload is None else to_json(payload)
        if payload is None:
            self._published.pop(topic, None)
        else:
            self._published[topic] = payload
        self._unread.setdefault(topic, deque()).append(text)
        self._not_before[topic] = now + SPACING
        return Publish(topic, text)

    def _next_wake(self) -> float | None:
        if not self._synced:
            return self._sync_at
        times = (self._settle_at, self._again_at, self._grace_until)
        return min((at for at in times if at is not None), default=None)

    def _sync_payload(self) -> bytes:
        return self._nonce + b"-%d" % self._runs


def _payload_or_nothing(text: bytes) -> Payload:
    """What an earlier run left; what is not a device's discovery is an empty one, to be replaced."""
    try:
        payload: Payload = json.loads(text)
        good = all(component["p"] for component in diff.components(payload).values())
    except (ValueError, TypeError, AttributeError, KeyError):
        return {}
    return payload if good else {}
