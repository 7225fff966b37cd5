"""The process behind `meerkat ha bridge`: feeds the keeper with what the broker says and obeys it.

States and pictures are not copied: Home Assistant reads Meerkat's own topics. When the bridge is
away, everything that is shown goes on; only new devices wait for it.
"""

from __future__ import annotations

import logging
import queue
import random
import time
from collections.abc import Callable
from functools import partial

from meerkat_contract.connection import Connection
from meerkat_contract.errors import BadMessage
from meerkat_contract.ids import new_id
from meerkat_contract.session import Delivery, Incoming, Session
from meerkat_contract.topics import ANY, DeviceTopic, HubTopic, MeterTopic, WorkerTopic

from .discovery import config_topic
from .exchange import (
    Birth,
    Connected,
    Death,
    Disconnected,
    Event,
    Note,
    Publish,
    Received,
    Tick,
    marker_topic,
    record_topic,
    sync_topic,
)
from .keeper import Keeper
from .settings import HomeAssistantSettings

log = logging.getLogger(__name__)

CLIENT_ID = "meerkat-homeassistant"
"""One bridge per broker: a second one takes the first one's place instead of arguing with it."""


class Bridge:
    """`run()` blocks until `stop()`, which any thread or signal handler may call."""

    def __init__(
        self,
        connection: Connection,
        settings: HomeAssistantSettings,
        *,
        software: str = "",
        client_id: str = CLIENT_ID,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._chance = chance
        self._clock = clock
        self._keeper = Keeper(
            prefix=settings.prefix, software=software, nonce=new_id(), events=settings.events
        )
        # A SimpleQueue may be filled from a signal handler, even one that interrupted a put.
        self._inbox: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._session = Session(
            connection,
            client_id=client_id,
            on_connected=lambda: self._inbox.put(Connected()),
            on_disconnected=lambda _: self._inbox.put(Disconnected()),
        )

    def run(self) -> None:
        """Connect, and keep Home Assistant informed; a broker that goes away is waited for."""
        prefix = self._settings.prefix
        for topic in (
            str(DeviceTopic(ANY, "info")),
            str(HubTopic("state")),
            str(WorkerTopic(ANY, "state")),
            str(MeterTopic(ANY, ANY, "reading")),
            str(MeterTopic(ANY, ANY, "verdict")),
            config_topic(ANY, prefix),
            marker_topic(ANY, prefix),
            record_topic(ANY, prefix),
            sync_topic(prefix),
        ):
            self._session.subscribe(topic, self._take)
        self._session.subscribe(self._settings.birth_topic, self._take_status)
        self._session.start()
        try:
            while self._step():
                pass
        finally:
            self._session.stop()

    def stop(self) -> None:
        self._inbox.put(None)

    def _take(self, message: Incoming) -> None:
        self._inbox.put(Received(message.topic, message.payload))

    def _take_status(self, message: Incoming) -> None:
        if message.payload == b"online":
            # Not all at once with everything else that greets Home Assistant.
            self._inbox.put(Birth(self._chance() * self._settings.birth_jitter))
        elif message.payload == b"offline":
            self._inbox.put(Death())

    def _step(self) -> bool:
        """Wait for the next event or moment and act on it; False when it is time to end."""
        wake_at = self._keeper.wake_at
        try:
            wait = None if wake_at is None else max(0.0, wake_at - self._clock())
            event = self._inbox.get(timeout=wait)
        except queue.Empty:
            event = Tick()
        if event is None:
            return False
        try:
            effects = self._keeper.step(event, self._clock())
        except BadMessage as error:
            log.warning("%s", error)
            return True
        for effect in effects:
            match effect:
                case Publish(topic, payload, retain):
                    delivery = self._session.publish(topic, payload, qos=1, retain=retain)
                    delivery.add_done_callback(partial(_report, topic))
                case Note(text, level):
                    log.log(logging.getLevelNamesMapping()[level.upper()], "%s", text)
        return True


def restore(connection: Connection, object_id: str, prefix: str, *, timeout: float = 10.0) -> None:
    """Clear the marker of a device that was deleted in Home Assistant; the bridge shows it again.

    Raises BrokerError when the broker cannot be reached or does not confirm within `timeout` seconds.
    """
    session = Session(connection, client_id=f"{CLIENT_ID}-{new_id()[-8:]}")
    session.start()
    try:
        session.wait_connected(timeout)
        session.publish(marker_topic(object_id, prefix), b"", qos=1, retain=True).wait(timeout)
    finally:
        session.stop()


def _report(topic: str, delivery: Delivery) -> None:
    """What was lost with the connection is seen and made up for when it is back."""
    if delivery.error is not None:
        log.warning("%s could not be published: %s", topic, delivery.error)
