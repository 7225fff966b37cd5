"""What is in force of devices' settings, and what their sensors, buttons and lights say."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from meerkat_contract.messages import ButtonPress, LightState, read
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import ANY, SettingTopic, ThingTopic, parse
from meerkat_hub.clock import now

from .live import MOST_SETTINGS, Change, Live

T = TypeVar("T")

LIGHT = "light"
"""The setting of a lamp that says how bright it is."""

EARLY = timedelta(minutes=1)
"""A press may be so much ahead of the hub's clock; of one that is more, the hub's time counts."""


class Wired:
    """Hears it on the network thread, and tells those who listen to `live` when something is different."""

    def __init__(self, session: Session, live: Live) -> None:
        self._session = session
        self._live = live

    def subscribe(self) -> None:
        """Listen to all devices."""
        self._session.subscribe(SettingTopic(ANY, ANY, ANY, "state"), self._setting)
        self._session.subscribe(ThingTopic(ANY, ANY, "state"), self._sensor)
        self._session.subscribe(ThingTopic(ANY, ANY, "press"), self._pressed)

    def _setting(self, message: Incoming) -> None:
        topic = parse(message.topic)
        assert isinstance(topic, SettingTopic)
        if topic.setting == LIGHT:
            state = read(LightState, message.payload, topic=message.topic) if message.payload else None
            self._note(self._live.lights, topic, state)
        elif self._live.set_to(topic.device, topic.thing, topic.setting, message.payload):
            self._live.tell(Change("device", topic.device))

    def _sensor(self, message: Incoming) -> None:
        topic = parse(message.topic)
        assert isinstance(topic, ThingTopic)
        self._note(self._live.sensors, topic, {b"ON": True, b"OFF": False}.get(message.payload))

    def _pressed(self, message: Incoming) -> None:
        topic = parse(message.topic)
        assert isinstance(topic, ThingTopic)
        at = read(ButtonPress, message.payload, topic=message.topic).at
        heard = now().wall
        self._note(self._live.presses, topic, at if at <= heard + EARLY else heard)

    def _note(
        self, known: dict[tuple[str, str], T], topic: SettingTopic | ThingTopic, value: T | None
    ) -> None:
        """Without a value it is not known any more."""
        key = (topic.device, topic.thing)
        if known.get(key) == value or (key not in known and len(known) >= MOST_SETTINGS):
            return
        if value is None:
            known.pop(key, None)
        else:
            known[key] = value
        self._live.tell(Change("device", topic.device))
