"""A day without a broker: everything is recorded once, with its time, in its order, at a bounded rate.

The outbox, the sender, the broker and the hub are real; only the device's clock is turned.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from meerkat_contract.ids import format_time, new_id
from meerkat_contract.messages import CameraInfo, DeviceInfo
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Delivery, Incoming, Session
from meerkat_contract.topics import DeviceTopic, ThingTopic
from meerkat_devices.clock import SystemClock
from meerkat_devices.outbox.lanes import WINDOW
from meerkat_devices.outbox.outbox import Entry, Outbox
from meerkat_devices.outbox.sender import Sender
from support.broker import Mosquitto, free_port
from support.media import make_clip
from support.processes import Program
from support.wait import wait_for

CLIPS = 500
RATE = 500_000
"""Bytes a second."""
BEGIN = datetime(2026, 11, 19, 7, tzinfo=UTC)
TOPIC = ThingTopic("pi", "porch", "clip")


class TurnedClock(SystemClock):
    """The real one, turned on by hours at a time."""

    def __init__(self) -> None:
        self.turned = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.turned

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.turned)


class Days:
    """An outbox with its sender and session, as a device has them, over restarts."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self.folder = folder
        self.clock = TurnedClock()
        self.broker = broker
        self.errors: list[Exception] = []
        self.sent = 0
        """Clips that were handed to the broker."""
        self.let_go: list[tuple[str, float]] = []
        """Which, and when it was decided."""
        self.start()

    def start(self) -> None:
        self.outbox = Outbox(self.folder, max_bytes=10**9, refused_bytes=10**6)
        self.session = Session(
            self.broker.connection,
            client_id="meerkat-device-pi",
            on_connected=self.connected,
            on_disconnected=lambda _: self.sender.disconnected(),
        )
        self.sender = Sender(
            self.outbox,
            self.session,
            device="pi",
            clock=self.clock,
            spooled_bytes_per_second=RATE,
            report=self.errors.append,
            on_hub=lambda **_: None,
        )
        choose = self.sender._lanes.next

        def noted(now: float) -> Entry | None:
            if entry := choose(now):
                self.let_go.append((entry.id, now))
            return entry

        self.sender._lanes.next = noted  # type: ignore[method-assign]
        publish = self.session.publish

        def counted(topic: object, *arguments: Any, **options: Any) -> Delivery:
            self.sent += topic == str(TOPIC)
            return publish(topic, *arguments, **options)

        self.session.publish = counted  # type: ignore[method-assign]
        info = DeviceInfo(device="pi", cameras=(CameraInfo(name="porch"),))
        self.session.keep(DeviceTopic("pi", "info"), info.to_json(), content_type="application/json")
        self.sender.start()

    def connected(self) -> None:
        self.sender.connected()

    def stop(self) -> None:
        self.sender.stop(5)
        self.session.stop(timeout=1)
        self.outbox.close()

    def record(self, content: bytes) -> Entry:
        about = Metadata(
            id=new_id(),
            captured_at=self.clock.now(),
            content_type="video/mp4",
            duration=1,
            recording=new_id(),
        )
        return self.outbox.add_bytes(TOPIC, about, content)


def hub_online(listener: Session) -> threading.Event:
    """Set once the hub says that it is there."""
    online = threading.Event()

    def availability(message: Incoming) -> None:
        if message.payload == b"online":
            online.set()

    listener.subscribe("meerkat/hub/availability", availability)
    return online


def check_rate(size: int, *, decided: list[float], heard: list[float]) -> None:
    """The backlog goes at its rate and no faster, on every stretch of it and on the wire."""
    for first in range(0, CLIPS - 100, 50):
        assert 100 * size <= RATE * (decided[first + 100] - decided[first]) * 1.001
    for number, at in enumerate(heard):  # who was held up hears things nearer together, but not earlier
        assert number * size <= RATE * (at - decided[0]) * 1.001


def test_a_day_offline_with_500_clips(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=1, fps=10).read_bytes()
    broker = Mosquitto(tmp_path / "broker")
    days = Days(tmp_path / "outbox", broker)
    spooled = []
    for number in range(CLIPS):
        spooled.append(days.record(clip))
        days.clock.turned += 86_400 / CLIPS
        if number == CLIPS // 2:  # the device is started again in the middle of it
            days.stop()
            days.start()
    assert days.outbox.counts().waiting == CLIPS

    broker.start()
    hub = Program(
        "hub",
        ["hub", "--http-port", str(free_port()), "--data", str(tmp_path / "data")],
        connection=broker.connection,
        folder=tmp_path,
    )
    arrived: list[tuple[str, float]] = []

    def heard(message: Incoming) -> None:
        arrived.append((message.metadata().id, days.clock.monotonic()))

    listener = Session(broker.connection, client_id="listener")
    listener.subscribe(TOPIC, heard, join_parts=True)
    online = hub_online(listener)
    listener.start()
    listener.wait_subscribed(10)
    hub.start()
    live = []
    try:
        assert online.wait(60), hub.text()
        days.session.start()  # the network is back
        wait_for(lambda: len(arrived) >= 20, seconds=60, what="the backlog to be sent")
        for _ in range(10):
            before = len(arrived)
            live.append((days.record(clip), days.sent))
            wait_for(lambda before=before: len(arrived) >= before + 20, what="more of it")  # type: ignore[misc]
        wait_for(lambda: days.sender.empty, seconds=60, what="a receipt for everything")
        wait_for(lambda: len({name for name, _ in arrived}) == CLIPS + 10, what="the last to be heard")
    finally:
        days.stop()
        listener.stop()
        hub.kill()
        broker.kill()

    assert not days.errors
    order = [entry_id for entry_id, _ in arrived]
    fresh = {entry.id for entry, _ in live}
    assert [name for name in order if name not in fresh] == [entry.id for entry in spooled], "in their order"
    for entry, before in live:
        # What the sender was told before may still let it send some of the backlog.
        assert order.index(entry.id) <= before + 2 * WINDOW + 2, "live clips go first"
    check_rate(
        len(clip),
        decided=[at for name, at in days.let_go if name not in fresh],
        heard=[at for name, at in arrived if name not in fresh],
    )
    expected = {
        entry.id: format_time(entry.metadata.captured_at) for entry in (*spooled, *(e for e, _ in live))
    }
    with sqlite3.connect(tmp_path / "data" / "hub" / "hub.db") as database:
        rows = database.execute("SELECT id, captured_at FROM clips").fetchall()
    assert len(rows) == len(expected) == CLIPS + 10
    assert {name: format_time(datetime.fromisoformat(at).astimezone(UTC)) for name, at in rows} == expected
