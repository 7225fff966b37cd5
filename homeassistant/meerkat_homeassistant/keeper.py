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
speaks of lives there: both are lost together or kept together, wherever the bridge runs. That goes
for the record of what is shown, and of what Home Assistant may have missed, too: see `leftovers`.
"""

from __future__ import annotations

import json
from collections import deque

from . import diff
from .catalogue.events import EVENT_TYPES
from .discovery import (
    HUB_OBJECT,
    Payload,
    called,
    config_topic,
    discovery,
    object_of,
    restore_words,
    to_json,
)
from .exchange import (
    Birth,
    Connected,
    Death,
    Disconnected,
    Effect,
    Event,
    Note,
    Publish,
    Received,
    Tick,
    marker_topic,
    sync_topic,
)
from .heard import Heard
from .leftovers import SPACING, Leftovers, Telling

SETTLE = 0.5
HUB_LEAD = 1.0
GRACE = 30.0
SYNC_AGAIN = 2.0
SYNC_LONGEST = 60.0
SYNC_TRIES = 3
"""Unanswered ones after which the log says what is wrong with the broker."""


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
        self.software = software
        self.wake_at: float | None = None
        self._nonce = nonce.encode()
        self._runs = 0
        self._heard = Heard(events)
        self._leftovers = Leftovers(prefix)
        self._published: dict[str, Payload] = {}
        self._told_before: dict[str, Payload] = {}
        self._reset()

    def _reset(self) -> None:
        self._synced = False
        self._sync_at: float | None = None
        self._sync_tries = 0
        self._heard.forget()
        self._leftovers.disconnected()
        self._dismissed: set[str] = set()
        # A broker that lost its memory does not make Home Assistant lose its own.
        self._told_before |= self._published
        self._published = {}
        self._lost: set[str] = set()
        self._unread: dict[str, deque[bytes]] = {}
        self._not_before: dict[str, float] = {}
        self._settle_at: float | None = None
        self._again_at: float | None = None
        self._grace_until: float | None = None

    @property
    def wanted(self) -> dict[str, Payload]:
        """What the discovery topics should hold, by what is known now."""
        return discovery(
            self._heard.bus(),
            prefix=self.prefix,
            software=self.software,
            dismissed=frozenset(self._dismissed),
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
                self._leftovers.born(again_at)
            case Death():
                self._leftovers.died()
            case Tick():
                pass
        effects += self._due(now)
        self.wake_at = self._next_wake()
        return effects

    # --- what comes in --------------------------------------------------------------------------

    def _received(self, topic: str, payload: bytes, now: float) -> list[Effect]:
        if topic == sync_topic(self.prefix):
            if payload == self._sync_payload() and not self._synced:
                return self._sync(now)
        elif topic.startswith(f"{self.prefix}/meerkat/"):
            return self._own(topic, payload, now)
        elif object_id := object_of(topic, self.prefix):
            return self._discovery_read(object_id, topic, payload, now)
        elif topic.startswith("meerkat/") and self._heard.take(topic, payload):
            self._changed(now)
        return []

    def _sync(self, now: float) -> list[Effect]:
        """All that is retained has been read."""
        self._synced = True
        self._sync_at = None
        stand = {object_of(topic, self.prefix) or "" for topic in self._published}
        deleted = self._leftovers.deleted(stand)
        for name in deleted:
            self._told_before.pop(config_topic(name, self.prefix), None)
        self._lost = self._told_before.keys() - self._published.keys()
        lost = {object_of(topic, self.prefix) or "": self._told_before[topic] for topic in self._lost}
        effects: list[Effect] = [*self._leftovers.synced(stand, lost, now, grace=GRACE)]
        self._published = {**self._told_before, **self._published}
        self._told_before.clear()
        for name in deleted:
            payload = self.wanted.get(config_topic(name, self.prefix))
            effects += self._dismiss(name)
            if name == HUB_OBJECT and payload:
                # Meanwhile, the devices that refer to it may have made a nameless one of it.
                effects += self._leftovers.remember(name, payload, now + GRACE)
        # The run before us may have written them just now.
        left = (config_topic(name, self.prefix) for name in self._leftovers.left)
        self._not_before = dict.fromkeys((*self._published, *left), now + SPACING)
        self._settle_at = now
        self._grace_until = now + GRACE
        return effects

    def _own(self, topic: str, payload: bytes, now: float) -> list[Effect]:
        """One of the bridge's own topics: who was dismissed, and what is to be remembered."""
        object_id, _, what = topic.removeprefix(f"{self.prefix}/meerkat/").partition("/")
        if what == "record":
            if not self._synced and object_of(config_topic(object_id, self.prefix), self.prefix):
                self._leftovers.take(object_id, payload)
            return []
        if what != "dismissed":
            return []
        self._changed(now)
        if payload:
            self._dismissed.add(object_id)
        elif object_id in self._dismissed:
            self._dismissed.discard(object_id)
            return [Note(f"{called(object_id)} comes back to Home Assistant, as asked")]
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
        self._changed(now)
        return self._dismiss(object_id)

    def _dismiss(self, object_id: str) -> list[Effect]:
        record = self._leftovers.forget(object_id)
        if object_id in self._dismissed:
            return [*record]
        self._dismissed.add(object_id)
        return [
            Publish(marker_topic(object_id, self.prefix), b'{"deleted_in":"Home Assistant"}'),
            *record,
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
            return self._ask_again(now)
        if not self._synced:
            return []
        effects: list[Effect] = []
        if self._again_at is not None and now >= self._again_at:
            self._again_at = None
            there = [topic for topic in self.wanted if topic in self._published]
            effects += [self._publish(topic, self._published[topic], now) for topic in there]
            effects.append(Note("Home Assistant has started; everything was published again"))
        if self._grace_until is not None and now >= self._grace_until:
            self._grace_until = None
            self._settle_at = now
            for topic in self._lost - self.wanted.keys():
                self._published.pop(topic, None)  # nothing stands there; what is left will be told
                effects.append(Note(f"{called(object_of(topic, self.prefix) or topic)} has not come back"))
            self._lost &= self._published.keys()
        if self._settle_at is not None and now >= self._settle_at:
            effects += self._bring_in_line(now)
        for message in self._leftovers.due(now, self._published, self._free_at):
            match message:
                case Telling(name, payload):
                    if config_topic(HUB_OBJECT, self.prefix) not in self.wanted:
                        payload = diff.unreferring(payload)
                    effects.append(self._tell(config_topic(name, self.prefix), payload, now, retain=False))
                case _:
                    effects.append(message)
        return effects

    def _ask_again(self, now: float) -> list[Effect]:
        self._sync_at = now + min(SYNC_LONGEST, SYNC_AGAIN * 2**self._sync_tries)
        self._sync_tries += 1
        effects: list[Effect] = [Publish(sync_topic(self.prefix), self._sync_payload(), retain=False)]
        if self._sync_tries == SYNC_TRIES + 1:
            text = f"the broker does not deliver {sync_topic(self.prefix)}, so nothing can be shown"
            remedy = f"allow this user to read and write {self.prefix}/# in the broker's access list"
            effects.append(Note(f"{text}; {remedy}", "warning"))
        return effects

    def _bring_in_line(self, now: float) -> list[Effect]:
        wanted = self.wanted
        hub = config_topic(HUB_OBJECT, self.prefix)
        hub_is_new = hub in wanted and (hub in self._lost or not self._published.get(hub))
        keep = {config_topic(name, self.prefix) for name in self._heard.unreadable}
        if self._grace_until is not None:
            removed = {config_topic(name, self.prefix) for name in self._heard.removed | self._dismissed}
            keep |= self._published.keys() - removed
        effects: list[Effect] = []
        later: list[float] = []
        for change in diff.next_messages(self._published, wanted, keep=keep, lost=self._lost):
            wait = self._not_before.get(change.topic, now)
            if wait > now:
                later.append(wait)
            elif hub_is_new and change.topic != hub:
                later.append(now + HUB_LEAD)
                break
            else:
                effects += self._note(change)
                effects += self._change(change, wanted.get(change.topic), now)
                # There may be a second step to this change, or none: the next look will tell.
                later.append(now + SPACING)
        self._settle_at = min(later, default=None)
        return effects

    def _change(self, change: diff.Change, target: Payload | None, now: float) -> list[Publish]:
        """The record says that a device is shown only while it is, and what is left before that goes."""
        name = object_of(change.topic, self.prefix) or ""
        was_shown = self._leftovers.was_shown(name)
        record = self._leftovers.changes(name, self._published.get(change.topic) or {}, target, now)
        message = self._publish(change.topic, change.payload, now)
        return [*record, message] if was_shown or target is None else [message, *record]

    def _note(self, change: diff.Change) -> list[Note]:
        name = called(object_of(change.topic, self.prefix) or change.topic)
        if change.payload is None:
            return [Note(f"{name} is taken out of Home Assistant")]
        if self._published.get(change.topic):
            return []
        count = sum("uniq_id" in part for part in diff.components(change.payload).values())
        return [Note(f"{name} is shown in Home Assistant with {count} entities")]

    def _publish(self, topic: str, payload: Payload | None, now: float) -> Publish:
        if payload is None:
            self._published.pop(topic, None)
        else:
            self._published[topic] = payload
        self._lost.discard(topic)
        return self._tell(topic, payload, now)

    def _tell(self, topic: str, payload: Payload | None, now: float, *, retain: bool = True) -> Publish:
        text = b"" if payload is None else to_json(payload)
        self._unread.setdefault(topic, deque()).append(text)
        self._not_before[topic] = now + SPACING
        return Publish(topic, text, retain)

    def _free_at(self, topic: str) -> float | None:
        """When a topic may be written to; None: only after its device has been shown."""
        if topic in self.wanted and not self._published.get(topic):
            return None
        return self._not_before.get(topic, 0.0)

    def _next_wake(self) -> float | None:
        if not self._synced:
            return self._sync_at
        times = (self._settle_at, self._again_at, self._grace_until, self._leftovers.wake_at)
        return min((at for at in times if at is not None), default=None)

    def _sync_payload(self) -> bytes:
        return self._nonce + b"-%d" % self._runs


def _payload_or_nothing(text: bytes) -> Payload:
    """What an earlier run left; what is not a device's discovery is an empty one, to be replaced."""
    try:
        return diff.sound(json.loads(text))
    except ValueError:
        return {}
