"""The thread that hands the outbox over: it sends, waits for the hub's receipts, and sends again."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from meerkat_contract.errors import BadMessage, MeerkatError, MessageTooLarge
from meerkat_contract.messages import Receipt, read
from meerkat_contract.session import Delivery, Incoming, Session
from meerkat_contract.topics import DeviceTopic, HubTopic
from meerkat_devices.clock import Clock
from meerkat_devices.words import waiting

from .lanes import Lanes
from .outbox import Entry, Outbox

_log = logging.getLogger("meerkat.device")

Report = Callable[[MeerkatError], None]


class OnHub(Protocol):
    def __call__(self, *, here: bool, news: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class _Connected:
    up: bool


@dataclass(frozen=True, slots=True)
class _Delivered:
    id: str
    error: MeerkatError | None


@dataclass(frozen=True, slots=True)
class _Evicted:
    id: str


@dataclass(frozen=True, slots=True)
class _Hub:
    away: bool
    news: bool


class _Beat:
    """Answered by being taken: see `gets_on`."""


class _Stop:
    pass


_Event = Entry | Receipt | _Connected | _Delivered | _Evicted | _Hub | _Beat | _Stop


class Sender:
    """Everything that happens is an event in one queue; only the sender's own thread touches the lanes."""

    def __init__(
        self,
        outbox: Outbox,
        session: Session,
        *,
        device: str,
        clock: Clock,
        spooled_bytes_per_second: float,
        report: Report,
        on_hub: OnHub,
    ) -> None:
        """`on_hub` hears on the network thread what the hub's availability says."""
        self._outbox = outbox
        self._session = session
        self._device = device
        self._clock = clock
        self._report = report
        self._on_hub = on_hub
        self._lanes = Lanes(spooled_bytes_per_second=spooled_bytes_per_second)
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._settled = threading.Event()
        self._beat_at: float | None = None

    def start(self) -> None:
        """Subscribe to receipts and begin; call before the session starts."""
        self._session.subscribe(DeviceTopic(self._device, "receipt"), self._receipt)
        self._session.subscribe(HubTopic("availability"), self._hub_availability)
        self._lanes.spool(self._outbox.watch(self._events.put, self._evicted))
        if len(self._lanes):
            _log.info("%s from before", waiting(len(self._lanes)))
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End the thread; what is on its way is sent again at the next start."""
        self._events.put(_Stop())
        if self._thread.is_alive():
            self._thread.join(timeout)

    def spool_rate(self, bytes_per_second: float) -> None:
        """Send the backlog at this speed from the next entry on."""
        self._lanes.rate = bytes_per_second

    def connected(self) -> None:
        self._events.put(_Connected(True))

    def disconnected(self) -> None:
        self._events.put(_Connected(False))

    def gets_on(self, patience: float) -> bool:
        """Whether the thread takes what is put before it, within `patience` seconds. Ask now and then."""
        now = self._clock.monotonic()
        asked = self._beat_at
        if asked is None:
            self._beat_at = asked = now
            self._events.put(_Beat())
        return self._thread.is_alive() and now - asked <= patience

    @property
    def empty(self) -> bool:
        """Whether the hub has given its word on everything."""
        return self._outbox.counts().waiting == 0

    def wait_empty(self, seconds: float) -> None:
        """Give the last clips a moment to be handed over, if there is a connection."""
        deadline = self._clock.monotonic() + seconds
        while self._session.connected and not self.empty:
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return
            self._settled.clear()
            self._settled.wait(min(left, 0.1))

    def _evicted(self, entry_id: str) -> None:
        """Without a connection for weeks, the lanes would otherwise remember all that ever was."""
        self._events.put(_Evicted(entry_id))

    def _receipt(self, message: Incoming) -> None:
        self._events.put(read(Receipt, message.payload, topic=message.topic))

    def _hub_availability(self, message: Incoming) -> None:
        away, news = message.payload == b"offline", not message.retain
        self._events.put(_Hub(away, news))
        self._on_hub(here=not away, news=news)

    def _run(self) -> None:
        while True:
            self._guard(self._send_what_may_go)
            event = self._next_event(self._clock.monotonic())
            if isinstance(event, _Stop):
                return
            if event is not None:
                self._guard(self._take, event)

    def _guard(self, step: Callable[..., None], *arguments: _Event) -> None:
        """This thread must not end: an error is told, and what it hit is sent again in time."""
        try:
            step(*arguments)
        except MeerkatError as error:
            self._report(error)
        except Exception as error:  # noqa: BLE001 - logged and published
            _log.exception("the outbox failed")
            self._report(
                MeerkatError(
                    f"an error in the program: {type(error).__name__}: {error}",
                    where="outbox",
                    remedy="Please report it with the lines of the log",
                )
            )

    def _send_what_may_go(self) -> None:
        now = self._clock.monotonic()
        for entry_id in self._lanes.overdue(now):
            self._outbox.give_back(entry_id)
            _log.warning("no receipt for %s: sending it again", entry_id)
        while entry := self._lanes.next(now):
            self._send(entry)

    def _next_event(self, now: float) -> _Event | None:
        wake_at = self._lanes.wake_at(now)
        try:
            return self._events.get(timeout=None if wake_at is None else max(0.0, wake_at - now))
        except queue.Empty:
            return None

    def _take(self, event: _Event) -> None:
        match event:
            case Entry():
                self._lanes.add(event)
            case Receipt():
                self._lanes.settled(event.id)
                self._settle(event)
                self._settled.set()
            case _Evicted():
                self._lanes.settled(event.id)
            case _Connected(up=True):
                self._lanes.connected()
            case _Connected(up=False):
                self._give_back(self._lanes.disconnected())
            case _Hub(away=away, news=news):
                self._give_back(self._lanes.hub_is(away=away, news=news))
                if not away:
                    self._outbox.remind()
            case _Delivered(id=entry_id, error=error) if error is not None:
                self._not_delivered(entry_id, error)
            case _Delivered(id=entry_id):
                self._lanes.delivered(entry_id, self._clock.monotonic())
            case _Beat():
                self._beat_at = None
            case _Stop():
                pass  # `_run` has seen to it

    def _send(self, entry: Entry) -> None:
        try:
            payload = self._outbox.lend(entry)
            if payload is None:  # it had to make room
                self._lanes.settled(entry.id)
                return
            delivery = self._session.publish(
                entry.topic,
                payload,
                qos=1,
                retain=entry.retain and self._outbox.is_newest(entry),
                metadata=entry.metadata,
                content_type=entry.metadata.content_type,
            )
        except BaseException:
            self._outbox.give_back(entry.id)
            self._lanes.failed(entry.id, self._clock.monotonic())
            raise
        delivery.add_done_callback(lambda done: self._delivered(entry.id, done))

    def _delivered(self, entry_id: str, delivery: Delivery) -> None:
        self._events.put(_Delivered(entry_id, delivery.error))

    def _not_delivered(self, entry_id: str, error: MeerkatError) -> None:
        self._outbox.give_back(entry_id)
        if isinstance(error, MessageTooLarge | BadMessage):  # another try would end the same way
            self._lanes.settled(entry_id)
            self._outbox.refuse(entry_id, str(error))
            self._report(error)
        else:
            self._lanes.failed(entry_id, self._clock.monotonic())

    def _settle(self, receipt: Receipt) -> None:
        if receipt.outcome != "refused":
            self._outbox.forget(receipt.id)
        elif self._outbox.refuse(receipt.id, receipt.reason):
            self._report(
                BadMessage(
                    f"the hub refused {receipt.id}: {receipt.reason}",
                    where=str(self._outbox.refused_folder / receipt.id),
                    remedy="It was kept aside and is not sent again",
                )
            )

    def _give_back(self, entry_ids: list[str]) -> None:
        for entry_id in entry_ids:
            self._outbox.give_back(entry_id)
