"""What a device meets at the other end of the bus: takes its clips and pictures, gives receipts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from meerkat_contract.connection import Connection
from meerkat_contract.messages import Receipt
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming, Session, Will
from meerkat_contract.topics import ANY, DeviceTopic, HubTopic, ThingTopic, parse

Outcome = Literal["stored", "duplicate", "refused"]


@dataclass(frozen=True)
class Taken:
    """A whole clip or picture that came."""

    topic: ThingTopic
    metadata: Metadata
    payload: bytes
    content_type: str
    retain: bool


class StandInHub:
    """`answer` decides on each arrival; None gives no receipt. The default stores each id once."""

    def __init__(
        self, connection: Connection, *, answer: Callable[[Taken], Outcome | None] | None = None
    ) -> None:
        self.taken: dict[str, Taken] = {}
        self.arrivals: list[Taken] = []
        self.states: dict[str, list[bytes]] = {}
        self._answer = answer or self._store
        self._lock = threading.Lock()
        availability = HubTopic("availability")
        will = Will(str(availability), b"offline")
        self.session = Session(connection, client_id="stand-in-hub", persistent=True, will=will)
        self.session.keep(availability, "online")
        for kind in ("clip", "picture", "seen"):
            self.session.subscribe(ThingTopic(ANY, ANY, kind), self._media, join_parts=True)
        self.session.subscribe(ThingTopic(ANY, ANY, "motion"), self._state)
        for kind in ("availability", "info", "error"):
            self.session.subscribe(DeviceTopic(ANY, kind), self._state)

    def start(self) -> None:
        self.session.start()
        self.session.wait_subscribed(10)

    def stop(self) -> None:
        self.session.stop(timeout=1)

    def clips(self) -> list[Taken]:
        """What was stored, by time."""
        with self._lock:
            found = [taken for taken in self.taken.values() if taken.topic.kind == "clip"]
        return sorted(found, key=lambda taken: (taken.metadata.captured_at, taken.metadata.sequence))

    def _store(self, taken: Taken) -> Outcome:
        return "duplicate" if taken.metadata.id in self.taken else "stored"

    def _media(self, incoming: Incoming) -> None:
        topic = parse(incoming.topic)
        assert isinstance(topic, ThingTopic)
        if topic.kind == "picture" and not incoming.properties:
            self._state(incoming)  # a camera's latest picture, which needs no receipt
            return
        metadata = incoming.metadata()
        taken = Taken(topic, metadata, incoming.payload, incoming.content_type, incoming.retain)
        with self._lock:
            self.arrivals.append(taken)
            outcome = self._answer(taken)
            if outcome in ("stored", "duplicate"):
                self.taken.setdefault(metadata.id, taken)
        if outcome is not None:
            receipt = Receipt(
                id=metadata.id, outcome=outcome, reason="no reason" if outcome == "refused" else ""
            )
            self.session.publish(DeviceTopic(topic.device, "receipt"), receipt.to_json(), qos=1)

    def _state(self, incoming: Incoming) -> None:
        self.states.setdefault(incoming.topic, []).append(incoming.payload)
