"""A device: it records, and forgets only on the hub's receipt.

What goes first and what goes again is decided by the real device's own rules (`Lanes`); its outbox
is durable here too: a reboot empties no more than what was being recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from meerkat_contract.messages import CameraInfo, DeviceInfo, MeterInfo, Receipt, read
from meerkat_contract.metadata import Metadata, Trigger
from meerkat_contract.session import Delivery, Incoming, Will
from meerkat_contract.topics import DeviceTopic, HubTopic, SettingTopic, ThingTopic
from meerkat_devices.outbox.lanes import Lanes
from meerkat_devices.outbox.outbox import Entry

from .clock import Clock
from .media import a_clip, a_picture
from .network import Line
from .session import Bus, SimulatedSession
from .watch import Broken, Watch

CLIP = 5.0
"""Seconds of a clip."""

FRAMES = 2
FRAMES_PER_SECOND = 2.0
"""Of each clip so many frames are shown to the hub, so fast."""

SPOOLED = 1_000.0
"""Bytes a second for what was made while offline: some five of these tiny clips."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a device has to tell."""

    recordings_per_hour: float = 20.0
    picture_every: float = 900.0
    """Seconds between two pictures of its meter."""
    damaged: float = 0.01
    """Share of clips that are cut short on its disk."""
    missing: float = 0.02
    """Share of clips that never come to be."""
    doorbell: float = 0.15
    """Share of recordings for which somebody rang."""


@dataclass(frozen=True, slots=True)
class _Kept:
    entry: Entry
    payload: bytes
    whole: bool


class Device:
    def __init__(self, name: str, bus: Bus, watch: Watch, pace: Pace) -> None:
        self.name = name
        self._bus = bus
        self._clock: Clock = bus.clock
        self._watch = watch
        self._pace = pace
        self._chance = bus.clock.chance(f"device {name}")
        self._bell = bus.clock.chance(f"doorbell {name}")
        self._line = Line(bus.clock)
        self._outbox: dict[str, _Kept] = {}
        self._sequence = 0
        self._boots = 0
        self._lanes = Lanes(spooled_bytes_per_second=SPOOLED)
        self._planned = float("inf")
        self.recording = True
        self._frames_asked = False
        self.refused: list[str] = []
        """Put aside, with the hub's reason."""
        self.session = self._boot()
        self._clock.after(self._chance.expovariate(pace.recordings_per_hour / 3600), self._motion)
        self._clock.after(self._chance.uniform(0, pace.picture_every), self._read_meter)

    @property
    def waiting(self) -> int:
        return len(self._outbox)

    # --- what it sees ---------------------------------------------------------------------------

    def _motion(self) -> None:
        if not self.recording:
            return
        recording = self._clock.new_id()
        count = min(1 + int(self._chance.expovariate(1 / 2.0)), 12)
        boots = self._boots
        trigger: Trigger = "doorbell" if self._bell.random() < self._pace.doorbell else "motion"
        for sequence in range(count):
            at = self._clock.mono + sequence * CLIP
            missing = self._chance.random() < self._pace.missing

            def made(sequence: int = sequence, at: float = at, missing: bool = missing) -> None:
                if not missing and boots == self._boots:
                    self._add_clip(recording, sequence, at, trigger, last=sequence == count - 1)
                self._send_frames()

            self._clock.after((sequence + 1) * CLIP, made)
        pause = self._chance.expovariate(self._pace.recordings_per_hour / 3600)
        self._clock.after(count * CLIP + pause, self._motion)

    def _add_clip(self, recording: str, sequence: int, at: float, trigger: Trigger, *, last: bool) -> None:
        media_id = self._clock.new_id()
        behind = self._clock.mono - at
        metadata = Metadata.model_construct(
            id=media_id,
            captured_at=self._clock.true_time() - timedelta(seconds=behind),
            content_type="video/mp4",
            recording=recording,
            sequence=sequence,
            last=last,
            duration=CLIP,
            trigger=trigger,
        )
        payload = a_clip(media_id, CLIP)
        damaged = self._chance.random() < self._pace.damaged
        self._add("front", "clip", metadata, payload[:-9] if damaged else payload, whole=not damaged)

    def _send_frames(self) -> None:
        """What is in view just now, when the hub has asked for it: sent once, and never again."""
        for number in range(FRAMES if self._frames_asked else 0):
            self._clock.after(number / FRAMES_PER_SECOND, self._send_frame)

    def _send_frame(self) -> None:
        media_id = self._clock.new_id()
        metadata = Metadata.model_construct(
            id=media_id, captured_at=self._clock.true_time(), content_type="image/jpeg", trigger="frame"
        )
        if self.session.connected:
            self._watch.note(self.name, f"shows {media_id[:8]}", count="frames sent")
            topic = ThingTopic(self.name, "front", "frame")
            self.session.publish(topic, a_picture(media_id), metadata=metadata)

    def _asked(self, message: Incoming) -> None:
        self._frames_asked = message.payload not in (b"", b"0")

    def _read_meter(self) -> None:
        if not self.recording:
            return
        media_id = self._clock.new_id()
        metadata = Metadata.model_construct(
            id=media_id, captured_at=self._clock.true_time(), content_type="image/jpeg", trigger="schedule"
        )
        self._add("water", "picture", metadata, a_picture(media_id), whole=True)
        self._clock.after(self._pace.picture_every, self._read_meter)

    def _add(self, thing: str, kind: str, metadata: Metadata, payload: bytes, *, whole: bool) -> None:
        self._sequence += 1
        topic = str(ThingTopic(self.name, thing, kind))
        entry = Entry(self._sequence, metadata.id, topic, metadata, kind == "picture", len(payload))
        self._outbox[entry.id] = _Kept(entry, payload, whole)
        self._watch.note(self.name, f"has {kind} {entry.id[:8]}", count=f"{kind}s made")
        self._lanes.add(entry)
        self._send()

    # --- its life -------------------------------------------------------------------------------

    def reboot(self, away: float) -> None:
        """The power goes; what was being recorded is lost, the outbox is not."""
        self._boots += 1
        self.session.vanish(self._chance.choice((0.0, 30.0)))
        self._lanes = Lanes(spooled_bytes_per_second=SPOOLED)
        boots = self._boots

        def back() -> None:
            if boots == self._boots:
                self.session = self._boot()

        self._clock.after(away, back)

    def _boot(self) -> SimulatedSession:
        self._lanes = Lanes(spooled_bytes_per_second=SPOOLED)
        self._lanes.spool([kept.entry for kept in self._outbox.values()])
        session = SimulatedSession(
            self._bus,
            self._line,
            client_id=f"meerkat-device-{self.name}",
            will=Will(str(DeviceTopic(self.name, "availability")), b"offline"),
            on_connected=self._connected,
            on_disconnected=self._disconnected,
        )
        session.subscribe(DeviceTopic(self.name, "receipt"), self._receipt)
        session.subscribe(HubTopic("availability"), self._hub_says)
        session.subscribe(SettingTopic(self.name, "front", "frames", "set"), self._asked)
        info = DeviceInfo(
            device=self.name, cameras=(CameraInfo(name="front"),), meters=(MeterInfo(name="water"),)
        )
        session.keep(DeviceTopic(self.name, "info"), info.to_json())
        session.keep(DeviceTopic(self.name, "availability"), b"online")
        session.start()
        return session

    def _connected(self) -> None:
        self._lanes.connected()
        self._send()

    def _disconnected(self, reason: str) -> None:
        del reason
        self._lanes.disconnected()

    def _hub_says(self, message: Incoming) -> None:
        self._lanes.hub_is(away=message.payload == b"offline", news=not message.retain)
        self._send()

    # --- handing over ---------------------------------------------------------------------------

    def _receipt(self, message: Incoming) -> None:
        receipt = read(Receipt, message.payload, topic=message.topic)
        self._lanes.settled(receipt.id)
        kept = self._outbox.pop(receipt.id, None)
        if kept is not None and receipt.outcome != "refused":
            self._watch.forgotten(self.name, receipt.id)
        elif kept is not None:
            self._watch.note(self.name, f"puts aside {receipt.id[:8]}", count="refused and put aside")
            self.refused.append(receipt.id)
            if kept.whole:
                raise Broken(
                    "acknowledged", f"{self.name}'s whole {receipt.id[:8]} was refused: {receipt.reason}"
                )
        self._send()

    def _send(self) -> None:
        now = self._clock.mono
        if not self.session.connected:
            return
        self._lanes.overdue(now)
        while entry := self._lanes.next(now):
            kept = self._outbox[entry.id]
            delivery = self.session.publish(
                entry.topic, kept.payload, qos=1, retain=entry.retain, metadata=entry.metadata
            )
            delivery.add_done_callback(lambda done, media_id=entry.id: self._delivered(media_id, done))  # type: ignore[misc]
        wake = self._lanes.wake_at(now)
        if wake is not None and (wake < self._planned or self._planned <= now):
            self._planned = wake
            self._clock.after(wake - now + 0.001, self._send)

    def _delivered(self, media_id: str, delivery: Delivery) -> None:
        if delivery.error is not None:
            self._lanes.failed(media_id, self._clock.mono)
        else:
            self._lanes.delivered(media_id, self._clock.mono)
