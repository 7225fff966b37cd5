"""Who stands in a camera's zones now, and how many came today."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from hub_support.core_driver import START, CoreDriver, an_id, track
from meerkat_contract.messages import CameraInfo, DeviceInfo, HubState
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.store import Store
from meerkat_hub.core.inputs import CamerasTold
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.outputs import Announce, Decision, EventSaved, KeepState
from meerkat_hub.core.pool.work import Item, Lease
from meerkat_hub.core.presence import LINGER, Presence
from meerkat_hub.core.records import EventRecord, Now
from meerkat_hub.core.zones import Zones
from meerkat_hub.turn_told import Pace
from meerkat_hub.turn_work import cameras_of, held

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
RIGHT = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))
ZONES: Zones = {"drive": LEFT, "garden": RIGHT}
FRONT = ("porch", "front")


class Driver(CoreDriver):
    """A porch with two zones; its clips are looked at as soon as they come."""

    def __init__(self, zones: Zones = ZONES) -> None:
        super().__init__()
        self.core = HubCore(epoch=1, new_id=self._new_id, zones_of=lambda device, camera: zones)
        self.core.bus_up = True
        self.effects += self.core.load((), (), self.now).effects
        self.do(CamerasTold("porch", ("front",)))
        self.worker()

    def walk(self, number: int, start: float, end: float, **clip: Any) -> None:
        """Somebody walks from x to x through a clip that has just ended."""
        self.answer(self.clip(number, start=self.mono - 5, **clip), track(x=(start, end)))

    def kept(self, kind: str) -> list[Any]:
        """What was said on a topic of the camera, in order; None: it was emptied."""
        topic = f"meerkat/camera/porch/front/{kind}"
        said = [one.payload for one in self.effects if isinstance(one, KeepState) and one.topic == topic]
        return [json.loads(payload) if payload else None for payload in said]

    def zones(self) -> dict[str, Any]:
        found: dict[str, Any] = self.kept("zones")[-1]["zones"]
        return found


def test_every_zone_has_a_state_before_anybody_came() -> None:
    driver = Driver()
    assert driver.zones() == {"drive": {}, "garden": {}}
    assert driver.kept("today")[-1] == {
        "schema": 1,
        "date": "2026-11-20",
        "person": 0,
        "vehicle": 0,
        "animal": 0,
        "object": 0,
    }


def test_one_stands_where_it_was_seen_last_though_its_recording_has_ended() -> None:
    driver = Driver()
    driver.turn(100)
    driver.walk(1, 0.1, 0.6, last=True)
    assert driver.core.recordings == {}
    assert driver.zones() == {"drive": {}, "garden": {"person": 1}}


def test_one_walks_from_zone_to_zone() -> None:
    driver = Driver()
    driver.turn(100)
    driver.walk(1, 0.1, 0.2)
    assert driver.zones() == {"drive": {"person": 1}, "garden": {}}
    driver.turn(5)
    driver.walk(2, 0.2, 0.7, sequence=1)
    assert driver.zones() == {"drive": {}, "garden": {"person": 1}}
    assert driver.kept("today")[-1]["person"] == 1


def test_it_has_left_exactly_when_the_time_is_over() -> None:
    driver = Driver()
    driver.turn(100)
    driver.walk(1, 0.1, 0.2, last=True)
    leaves = driver.core.presence.wake_at()
    assert leaves is not None
    assert leaves == pytest.approx(driver.mono - 5 + 4.8 + LINGER)
    driver.turn(leaves - driver.mono - 0.001)
    assert driver.zones()["drive"] == {"person": 1}
    driver.turn(0.002)
    assert driver.zones()["drive"] == {}
    assert driver.core.presence.wake_at() is None


def test_a_clip_that_is_looked_at_late_says_nothing_of_now() -> None:
    driver = Driver()
    driver.turn(100)
    driver.answer(driver.clip(1, start=0, last=True), track())
    assert driver.zones() == {"drive": {}, "garden": {}}
    assert driver.kept("today")[-1]["person"] == 1, "but it was today"


def test_a_clock_that_is_ahead_says_nothing_of_now() -> None:
    driver = Driver()
    driver.answer(driver.clip(1, start=3600, last=True), track())
    assert driver.zones() == {"drive": {}, "garden": {}}


def test_nothing_is_said_twice() -> None:
    driver = Driver()
    driver.turn(100)
    driver.walk(1, 0.1, 0.2)
    before = len(driver.kept("zones")), len(driver.kept("today"))
    driver.turn(5)
    driver.do(CamerasTold("porch", ("front",)))
    driver.walk(2, 0.2, 0.3, sequence=1)
    assert (len(driver.kept("zones")), len(driver.kept("today"))) == before


def test_the_count_begins_at_zero_with_the_houses_day() -> None:
    presence = Presence(lambda wall: wall.astimezone(timezone(timedelta(hours=2))))
    now = Now(datetime(2026, 11, 20, 21, 59, 59, tzinfo=UTC), 0.0)
    out = Decision()
    presence.load({FRONT: {"person": 3}}, now)
    presence.described(CamerasTold("porch", ("front",)), now, out)
    presence.pass_time(Now(now.wall + timedelta(seconds=1), 1.0), out)
    said = [json.loads(one.payload) for one in out.effects if isinstance(one, KeepState)]
    days = [(one["date"], one["person"]) for one in said if "date" in one]
    assert days == [("2026-11-20", 3), ("2026-11-21", 0)]


@pytest.mark.parametrize(("seconds", "counted"), [(-0.001, 0), (0.0, 1)])
def test_what_began_before_midnight_is_not_of_today(seconds: float, counted: int) -> None:
    midnight = START.replace(hour=0)
    presence, now, out = Presence(), Now(midnight + timedelta(seconds=5), 0.0), Decision()
    presence.load({}, now)
    presence.described(CamerasTold("porch", ("front",)), now, Decision())
    state = an_event().model_copy(update={"start_time": midnight + timedelta(seconds=seconds)})
    presence.follow([EventSaved(EventRecord(state, ()))], now, out)
    assert len(out.effects) == counted


def an_event() -> Any:
    driver = CoreDriver()
    driver.worker()
    driver.answer(driver.clip(1), track())
    return driver.events()[0].after


def test_what_a_workflow_decides_on_a_frame_is_not_counted_again() -> None:
    presence, now, out = Presence(), Now(START, 0.0), Decision()
    presence.load({}, now)
    state = an_event().model_copy(update={"recording": None, "workflow": "upper-floor"})
    presence.follow([EventSaved(EventRecord(state, (), ended=True))], now, out)
    assert out.effects == []


def test_a_camera_that_is_gone_says_nothing_any_more() -> None:
    driver = Driver()
    driver.do(CamerasTold("porch"))
    assert driver.kept("zones")[-1] is None
    assert driver.kept("today")[-1] is None


def test_the_last_clip_of_a_camera_that_is_gone_says_nothing_of_it() -> None:
    """What is retained then would stay on the broker for ever."""
    driver = Driver()
    driver.turn(100)
    number = driver.clip(1, start=driver.mono - 5)
    driver.do(CamerasTold("porch"))
    driver.answer(number, track())
    driver.turn(24 * 3600)
    assert (driver.kept("zones")[-1], driver.kept("today")[-1]) == (None, None)
    driver.do(CamerasTold("porch", ("front",)))
    assert driver.kept("today")[-1] is not None


def test_the_count_outlives_a_restart(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "hub.db")
    store, driver = Store(engine), CoreDriver()
    driver.worker()
    driver.answer(driver.clip(1, last=True), track(), track(1, label="cat", x=(0.7, 0.9)))
    driver.answer(driver.clip(2, recording=0xA001, start=3600, last=True), track(label="person"))
    pictures = {event.after.id: "x" for event in driver.events()}
    store.commit(driver.changes, announced=[], now=driver.now.wall, pictures=pictures)
    assert store.begun_since(START) == {FRONT: {"person": 2, "animal": 1}}
    assert store.begun_since(START + timedelta(hours=1)) == {FRONT: {"person": 1}}
    engine.dispose()


def test_where_a_thing_was_does_not_make_two_records_differ() -> None:
    state = an_event()
    assert EventRecord(state, (), where=(0, 0, 1, 1)) == EventRecord(state, ())


def test_the_pace_is_that_of_the_last_minute() -> None:
    pace = Pace()
    for at in (0.0, 10.0, 59.0):
        pace.settled("done", at)
    pace.settled("failed", 59.0)
    assert [pace.per_minute(at) for at in (59.9, 60.0, 70.0, 119.0)] == [3, 2, 1, 0]


def test_what_workers_hold_is_counted_by_their_names() -> None:
    def lease(worker: str, number: int) -> Lease:
        item = Item(an_id(number), "clips", cost=1)
        return Lease(item, "detect_objects", worker, an_id(9), number, sent=0.0, expires=60.0)

    leases = {"a": [lease("coral", 1), lease("cpu", 2)], "b": [lease("cpu", 3)]}
    assert held(leases) == {"coral": 1, "cpu": 2}
    assert HubState(jobs=held(leases)).jobs == {"coral": 1, "cpu": 2}


def test_a_devices_cameras_are_told_by_name() -> None:
    info = DeviceInfo(device="porch", cameras=(CameraInfo(name="front"), CameraInfo(name="yard")))
    assert cameras_of(info) == CamerasTold("porch", ("front", "yard"))


def test_a_label_that_is_called_like_a_topic_takes_nobodys_place() -> None:
    driver = Driver()
    driver.turn(100)
    driver.answer(driver.clip(1, start=driver.mono - 5), track(label="zones"), track(1, x=(0.8, 0.9)))
    counted = {change.topic for change in driver.changes if isinstance(change, Announce) and change.retain}
    assert "meerkat/camera/porch/front/person" in counted
    assert "meerkat/camera/porch/front/zones" not in counted
