"""Receipts as a network brings them: twice, for what nobody knows, in any order, and some that are none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from meerkat_contract.ids import new_id
from meerkat_contract.messages import Receipt
from meerkat_contract.metadata import Metadata
from meerkat_contract.topics import DeviceTopic
from meerkat_devices.outbox.outbox import Entry
from meerkat_devices.service import Device
from meerkat_devices.settings.device import DeviceSettings
from support.broker import Mosquitto
from support.stand_in_hub import Outcome, StandInHub, Taken
from support.wait import wait_for


def put(own: Device, at: datetime) -> Entry:
    about = Metadata(id=new_id(), captured_at=at, content_type="video/mp4")
    return own.outbox.add_bytes("meerkat/device/pi/porch/clip", about, about.id.encode() * 30)


def test_receipts_of_every_kind_leave_nothing_lost_and_nothing_behind(
    broker: Mosquitto, tmp_path: Path
) -> None:
    own = Device("pi", DeviceSettings(), broker.connection, tmp_path)
    entries = [put(own, datetime(2026, 11, 20, 8, n, tzinfo=UTC)) for n in range(12)]
    held_back: list[str] = []

    def say(entry_id: str, outcome: Outcome) -> None:
        receipt = Receipt(id=entry_id, outcome=outcome, reason="no MP4" if outcome == "refused" else "")
        hub.session.publish(DeviceTopic("pi", "receipt"), receipt.to_json(), qos=1)

    def answer(taken: Taken) -> Outcome | None:
        hub.session.publish(DeviceTopic("pi", "receipt"), b"{no receipt", qos=1)
        hub.session.publish(DeviceTopic("pi", "receipt"), b'{"id": "../../etc", "outcome": "stored"}', qos=1)
        say(new_id(), "refused")
        held_back.append(taken.metadata.id)
        if len(held_back) == 2:  # two are on their way: the later one is answered first, and both twice
            for entry_id in [*reversed(held_back), *held_back]:
                say(entry_id, "refused" if entry_id == entries[5].id else "stored")
            held_back.clear()
        return None

    hub = StandInHub(broker.connection, answer=answer)
    hub.start()
    own.start()
    try:
        wait_for(lambda: own.outbox.counts().waiting == 0, what="the hub's word on everything")
        last = put(own, datetime(2026, 11, 20, 9, tzinfo=UTC))
        wait_for(lambda: hub.arrivals[-1].metadata.id == last.id, what="the thread to live on")
        wait_for(lambda: "meerkat/device/pi/error" in hub.states, what="the report of the refusal")
    finally:
        own.stop()
        hub.stop()
    arrived = [taken.metadata for taken in hub.arrivals]
    assert arrived[:12] == [entry.metadata for entry in entries], "once, in their order, with their times"
    assert own.outbox.counts().refused == 1
    assert sorted(path.name for path in own.outbox.refused_folder.iterdir()) == [
        entries[5].id,
        f"{entries[5].id}.json",
    ]


def test_what_was_made_before_the_clock_was_set_keeps_its_time_and_its_place(
    broker: Mosquitto, tmp_path: Path
) -> None:
    moments = [
        datetime(1970, 1, 1, 0, 5, tzinfo=UTC),
        datetime(1970, 1, 1, 0, 6, tzinfo=UTC),
        datetime(2026, 11, 20, 8, tzinfo=UTC),
        datetime(2026, 11, 20, 7, 59, tzinfo=UTC),  # set back a little
    ]
    own = Device("pi", DeviceSettings(), broker.connection, tmp_path)
    for moment in moments[:2]:
        put(own, moment)
    own.outbox.close()
    again = Device("pi", DeviceSettings(), broker.connection, tmp_path)
    for moment in moments[2:]:
        put(again, moment)
    hub = StandInHub(broker.connection)
    hub.start()
    again.start()
    try:
        wait_for(lambda: len(hub.arrivals) == 4, what="all of it")
    finally:
        again.stop()
        hub.stop()
    assert [taken.metadata.captured_at for taken in hub.arrivals] == moments
