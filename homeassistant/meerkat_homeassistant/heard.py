"""What the bus has said, as far as discovery depends on it."""

from __future__ import annotations

from dataclasses import replace

from meerkat_contract.errors import BadMessage
from meerkat_contract.messages import DeviceInfo, HubState, MeterReading, WorkerState, read
from meerkat_contract.topics import DeviceTopic, HubTopic, MeterTopic, WorkerTopic, parse

from .catalogue.events import EVENT_TYPES
from .catalogue.worker import Worker
from .counters import Counter
from .discovery import Bus, device_object, worker_object


class Heard:
    """`take` each message of the bus. Times do not matter here."""

    def __init__(self, events: tuple[str, ...] = EVENT_TYPES) -> None:
        self._events = events
        # Kept when the connection is lost: a broker that lost its memory hears the next reading in an hour.
        self._counters: dict[tuple[str, str], Counter] = {}
        self._hub = HubState()
        self.forget()

    def forget(self) -> None:
        """Begin again: the broker will tell who is there."""
        self._devices: dict[str, DeviceInfo] = {}
        self._workers: dict[str, Worker] = {}
        self.removed: set[str] = set()
        """Objects that were taken off the bus while we listened."""
        self.unreadable: set[str] = set()
        """Objects that are there, but whose last message could not be read."""

    def bus(self) -> Bus:
        """What discovery is made of. It stays as it is, whatever is taken in later."""
        return Bus(
            dict(self._devices),
            self._hub.page,
            self._hub.software,
            dict(self._counters),
            dict(self._workers),
            burst=self._hub.burst is not None,
            events=self._events,
        )

    def take(self, topic: str, payload: bytes) -> bool:
        """Take in one message; returns whether discovery may have changed.

        Raises BadMessage for one that cannot be read; what was known before stays.
        """
        before, gone = self.bus(), len(self.removed)
        match parse(topic):
            case DeviceTopic(device, "info"):
                self._device(device, payload, topic)
            case HubTopic("state") if payload:
                self._hub = read(HubState, payload, topic=topic)
            case MeterTopic(device, meter, ("reading" | "verdict") as kind):
                self._counter((device, meter), kind, payload, topic)
            case WorkerTopic(worker, "state"):
                self._worker(worker, payload, topic)
        return before != self.bus() or gone != len(self.removed)

    def _device(self, device: str, payload: bytes, topic: str) -> None:
        name = device_object(device)
        if not payload:
            self._devices.pop(device, None)
            self._removed(name)
            return
        # Until it has been read: what cannot be read must not pass for a device that is gone.
        self.unreadable.add(name)
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
        self._there(name)

    def _worker(self, worker: str, payload: bytes, topic: str) -> None:
        """One that went away before we came tells too little of itself: what was told of it stays."""
        name = worker_object(worker)
        if not payload:
            self._workers.pop(worker, None)
            self._removed(name)
            return
        self.unreadable.add(name)
        state = read(WorkerState, payload, topic=topic)
        known = self._workers.get(worker)
        if state.worker == worker and (state.online or known is not None):
            self._workers[worker] = Worker.of(state, known)
            self._there(name)

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

    def _removed(self, name: str) -> None:
        self.removed.add(name)
        self.unreadable.discard(name)

    def _there(self, name: str) -> None:
        self.removed.discard(name)
        self.unreadable.discard(name)
