"""A whole hub on a real broker with a real database file and real media files."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from hub_support.core_driver import track
from hub_support.peers import FakeDevice, FakeWorker
from meerkat_contract.device_messages import PictureCondition
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Event, Outcome
from meerkat_contract.metadata import Metadata
from meerkat_contract.put_back import note_media_left_out
from meerkat_contract.session import Incoming, Session
from meerkat_hub.adapters import schema as db
from meerkat_hub.adapters.queries import Filter, Queries
from meerkat_hub.application import Hub, build_hub
from meerkat_hub.settings import HubSettings
from support.broker import Mosquitto
from support.wait import wait_for


@pytest.fixture
def start_hub(broker: Mosquitto, tmp_path: Path) -> Iterator[Callable[[], Hub]]:
    running: list[Hub] = []

    def start() -> Hub:
        hub = build_hub(tmp_path / "data", broker.connection, HubSettings())
        hub.start()
        running.append(hub)
        hub.bus.session.wait_subscribed(10)
        return hub

    yield start
    for hub in running:
        hub.stop()


@pytest.fixture
def worker(broker: Mosquitto) -> Iterator[FakeWorker]:
    peer = FakeWorker(broker.connection)
    yield peer
    peer.stop()


class Heard:
    """What a subscriber of the cameras hears."""

    def __init__(self, broker: Mosquitto) -> None:
        self.messages: list[Incoming] = []
        self.session = Session(broker.connection, client_id="subscriber")
        self.session.subscribe("meerkat/camera/#", self.messages.append)
        self.session.start()
        self.session.wait_subscribed(10)

    def events(self) -> list[Event]:
        return [Event.model_validate_json(m.payload) for m in self.messages if m.topic.endswith("/event")]

    def outcomes(self) -> list[Outcome]:
        return [Outcome.model_validate_json(m.payload) for m in self.messages if m.topic.endswith("/outcome")]


@pytest.fixture
def heard(broker: Mosquitto) -> Iterator[Heard]:
    subscriber = Heard(broker)
    yield subscriber
    subscriber.session.stop()


def test_a_clip_becomes_an_event_with_its_picture_first(
    start_hub: Callable[[], Hub], device: FakeDevice, worker: FakeWorker, heard: Heard, clip_bytes: bytes
) -> None:
    hub = start_hub()
    clip_id = device.send(clip_bytes, recording=new_id(), last=True, duration=1.0)
    assert device.receipt(clip_id).outcome == "stored"
    assert hub.media.path("clips", clip_id).read_bytes() == clip_bytes
    job, payload = worker.job()
    assert payload == clip_bytes
    worker.answer(job, track(picture=b"\xff\xd8 the best frame"))
    wait_for(heard.outcomes, what="the outcome")
    wait_for(lambda: len(heard.events()) == 2, what="new and end")
    kinds = [m.topic.split("/", 4)[4] for m in heard.messages]
    assert kinds.index("event/picture") < kinds.index("event")
    picture = next(m for m in heard.messages if m.topic.endswith("event/picture"))
    assert picture.payload == b"\xff\xd8 the best frame"
    assert picture.content_type == "image/jpeg"
    assert heard.outcomes()[0].events == (heard.events()[0].after.id,)
    wait_for(lambda: hub.store.announcements() == [], what="all announcements to be confirmed")


def test_the_same_clip_again_is_a_duplicate_even_after_a_restart(
    start_hub: Callable[[], Hub], device: FakeDevice, worker: FakeWorker, clip_bytes: bytes
) -> None:
    hub = start_hub()
    clip_id = device.send(clip_bytes)
    device.receipt(clip_id)
    worker.answer(worker.job()[0])
    wait_for(lambda: hub.store.totals().get("done"), what="the result")
    hub.stop()
    hub = start_hub()
    device.send(clip_bytes, id=clip_id)
    wait_for(lambda: len(device.receipts[clip_id]) == 2, what="the second receipt")
    assert device.receipts[clip_id][1].outcome == "duplicate"
    assert hub.store.totals()["received"] == 1


def test_what_waited_is_looked_at_after_a_restart(
    start_hub: Callable[[], Hub], device: FakeDevice, broker: Mosquitto, heard: Heard, clip_bytes: bytes
) -> None:
    hub = start_hub()
    clip_id = device.send(clip_bytes, recording=new_id(), last=True)
    device.receipt(clip_id)
    hub.stop()
    hub = start_hub()
    late = FakeWorker(broker.connection)
    late.answer(late.job()[0], track())
    wait_for(heard.outcomes, what="the outcome")
    late.stop()
    totals = hub.store.totals()
    assert (totals["received"], totals["done"], totals["waiting"]) == (1, 1, 0)


def test_what_waited_and_was_put_back_without_its_video_says_so(
    start_hub: Callable[[], Hub],
    device: FakeDevice,
    broker: Mosquitto,
    heard: Heard,
    clip_bytes: bytes,
) -> None:
    hub = start_hub()
    clip_id = device.send(clip_bytes)
    device.receipt(clip_id)
    hub.stop()
    hub.media.path("clips", clip_id).unlink()
    note_media_left_out(hub.media.root.parent, datetime.now(UTC))
    hub = start_hub()
    worker = FakeWorker(broker.connection)
    (outcome,) = wait_for(heard.outcomes, what="the outcome")
    worker.stop()
    assert outcome.state == "failed"
    assert "not in the backup of " in outcome.reason
    assert "disk" not in outcome.reason


def test_a_subscriber_hears_of_an_event_although_the_broker_was_away(  # noqa: PLR0917
    start_hub: Callable[[], Hub],
    device: FakeDevice,
    worker: FakeWorker,
    heard: Heard,
    broker: Mosquitto,
    clip_bytes: bytes,
) -> None:
    hub = start_hub()
    clip_id = device.send(clip_bytes, recording=new_id(), last=True)
    device.receipt(clip_id)
    worker.job()
    broker.kill()
    wait_for(lambda: not hub.live.connected, what="the hub to notice")
    broker.start()
    job, _ = worker.job()
    wait_for(lambda: heard.session.connected, what="the subscriber to be back")
    heard.session.wait_subscribed(20)
    worker.answer(job, track())
    wait_for(heard.events, what="the event")
    wait_for(lambda: hub.store.totals().get("done"), what="the result")


def _bomb() -> bytes:
    """A JPEG header that promises 60,000 × 60,000 pixels."""
    start = b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 17, 8, 60_000, 60_000, 3)
    return start + bytes([1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]) + b"\xff\xd9"


def test_bad_input_is_refused_with_a_reason_and_everything_goes_on(
    start_hub: Callable[[], Hub], device: FakeDevice, worker: FakeWorker, clip_bytes: bytes
) -> None:
    hub = start_hub()
    cases = {
        "truncated": device.send(clip_bytes[: len(clip_bytes) // 2]),
        "empty": device.send(b""),
        "not a video": device.send(b"hello, this is no video at all"),
        "60000 × 60000": device.send(_bomb(), thing="water", kind="picture", trigger="schedule"),
        "do not begin like a JPEG": device.send(b"GIF89a", thing="water", kind="picture", trigger="start"),
    }
    for reason, media_id in cases.items():
        receipt = device.receipt(media_id)
        assert receipt.outcome == "refused"
        assert reason in receipt.reason
        assert "meerkat/device/porch/" in receipt.reason
    good = device.send(clip_bytes)
    assert device.receipt(good).outcome == "stored"
    worker.answer(worker.job()[0])
    wait_for(lambda: hub.store.totals().get("done"), what="the good clip")
    assert hub.store.totals()["refused"] == len(cases)


def test_wrong_metadata_and_an_unknown_schema_are_refused(
    start_hub: Callable[[], Hub], device: FakeDevice, clip_bytes: bytes
) -> None:
    start_hub()
    wrong, newer = new_id(), new_id()
    topic = "meerkat/device/porch/front/clip"
    device.session.publish(
        topic, clip_bytes, qos=1, properties=[("schema", "1"), ("id", wrong), ("captured-at", "yesterday")]
    )
    device.session.publish(
        topic,
        clip_bytes,
        qos=1,
        properties=[("schema", "9"), ("id", newer), ("captured-at", "2026-11-20T08:00:00Z")],
    )
    assert "captured-at" in device.receipt(wrong).reason
    assert "schema version 9" in device.receipt(newer).reason


def test_parts_that_do_not_make_the_whole_are_refused(
    start_hub: Callable[[], Hub], device: FakeDevice, clip_bytes: bytes
) -> None:
    start_hub()
    media_id = new_id()
    for part in (1, 2):
        metadata = Metadata.model_validate(
            {
                "id": media_id,
                "captured_at": datetime.now(UTC),
                "part": part,
                "parts": 2,
                "size": 2000,
                "sha256": "0" * 64,
            }
        )
        device.session.publish(
            "meerkat/device/porch/front/clip",
            clip_bytes[:1000],
            qos=1,
            content_type="video/mp4",
            properties=metadata.to_properties(),
        )
    receipt = device.receipt(media_id)
    assert receipt.outcome == "refused"
    assert "SHA-256" in receipt.reason


def test_too_large_a_clip_is_refused_with_the_setting_to_change(
    broker: Mosquitto, tmp_path: Path, device: FakeDevice, clip_bytes: bytes
) -> None:
    hub = build_hub(tmp_path / "data", broker.connection, HubSettings(max_clip_megabytes=0.001))
    hub.start()
    try:
        hub.bus.session.wait_subscribed(10)
        receipt = device.receipt(device.send(clip_bytes))
        assert receipt.outcome == "refused"
        assert "hub.max_clip_megabytes" in receipt.reason
    finally:
        hub.stop()


def test_a_device_that_never_introduced_itself_is_refused_and_a_late_one_is_not(
    start_hub: Callable[[], Hub], broker: Mosquitto, clip_bytes: bytes
) -> None:
    start_hub()
    shy = FakeDevice(broker.connection, "shy", introduce=False)
    late = FakeDevice(broker.connection, "late", introduce=False)
    try:
        refused, stored = shy.send(clip_bytes), late.send(clip_bytes)
        late.introduce()
        assert late.receipt(stored).outcome == "stored"
        assert "introduced" in shy.receipt(refused).reason
    finally:
        shy.stop()
        late.stop()


def test_a_meter_picture_is_kept_and_receipted(start_hub: Callable[[], Hub], device: FakeDevice) -> None:
    import cv2
    import numpy as np

    hub = start_hub()
    jpeg = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    dark = PictureCondition(verdict="dark", brightness=0, dark=1, burnt_out=0, glare=0, sharpness=0)
    media_id = device.send(jpeg, thing="water", kind="picture", trigger="start", condition=dark)
    assert device.receipt(media_id).outcome == "stored"
    (stored,) = Queries(hub.engine).meter_pictures(Filter(device=device.name, camera="water"))
    assert (stored.id, stored.condition) == (media_id, dark)
    assert hub.media.path("pictures", media_id, ".jpg").read_bytes() == jpeg
    with hub.engine.connect() as connection:
        assert connection.execute(select(db.meter_pictures.c.meter)).scalars().all() == ["water"]


def test_a_full_disk_promises_nothing_and_goes_on_when_there_is_room(
    start_hub: Callable[[], Hub], device: FakeDevice, clip_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meerkat_contract.errors import StorageError

    hub = start_hub()
    commit = hub.store.commit
    failed: list[int] = []

    def refuse(*args: object, **kwargs: object) -> object:
        failed.append(1)
        if len(failed) <= 2:
            raise StorageError("disk full", where="hub.db", remedy="Free some space")
        return commit(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(hub.store, "commit", refuse)
    clip_id = device.send(clip_bytes)
    wait_for(lambda: failed, what="the first failure")
    assert clip_id not in device.receipts

    def again() -> bool:
        device.send(clip_bytes, id=clip_id)
        return clip_id in device.receipts

    wait_for(again, what="the receipt")
    wait_for(lambda: hub.service.failure is None, what="the failure to clear")
    assert hub.store.totals()["received"] == 1


def test_what_a_crash_left_goes_as_the_hub_starts(tmp_path: Path, start_hub: Callable[[], Hub]) -> None:
    """Half received, and in its place without a row: a clip, a meter's picture, an event's picture."""
    media = tmp_path / "data" / "hub" / "media"
    left = [
        media / "incoming" / new_id(),
        *(media / kind / "ab" / f"{new_id()}{end}" for kind, end in ENDS.items()),
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left")
    start_hub()
    assert [path for path in left if path.exists()] == []


ENDS = {"clips": ".mp4", "pictures": ".jpg", "events": "-1.jpg"}
