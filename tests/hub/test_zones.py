"""In which zones something is: the geometry, a recording's events, a frame that is a part of the picture."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_support.core_driver import START, a_clip, an_id, track
from meerkat_contract.errors import BadMessage
from meerkat_contract.frame_region import in_whole, parse_region, to_property
from meerkat_contract.messages import Box, DeviceInfo, EventState, Found, read
from meerkat_hub.core.outputs import EventSaved
from meerkat_hub.core.recording import Recording
from meerkat_hub.core.records import Now, Settled
from meerkat_hub.core.workflow_records import FrameArrived, WorkflowSpec
from meerkat_hub.core.workflows.frames import Frames
from meerkat_hub.core.workflows.gallery import Gallery
from meerkat_hub.core.zones import Zones, contains, foot, zones_of

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
RIGHT = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))
BOW_TIE = ((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0))


def test_a_point_on_a_shared_edge_is_in_one_zone() -> None:
    for y in (0.0, 0.3, 0.999):
        assert [contains(LEFT, 0.5, y), contains(RIGHT, 0.5, y)] == [False, True]


@given(st.floats(0, 0.999), st.floats(0, 0.999))
def test_every_point_is_in_one_of_two_halves(x: float, y: float) -> None:
    assert contains(LEFT, x, y) != contains(RIGHT, x, y)
    assert contains(LEFT, x, y) == contains(tuple(reversed(LEFT)), x, y) == (x < 0.5)


def test_a_polygon_may_cross_itself_and_what_is_none_contains_nothing() -> None:
    assert contains(BOW_TIE, 0.1, 0.5)
    assert contains(BOW_TIE, 0.9, 0.5)
    assert not contains(BOW_TIE, 0.5, 0.1)
    assert not contains((), 0.5, 0.5)
    assert not contains(LEFT[:2], 0.2, 0.5)


@pytest.mark.parametrize(("zones", "corners"), [(1, 201), (51, 3)])
def test_a_device_cannot_give_the_hub_work_without_end(zones: int, corners: int) -> None:
    polygon = [[0.5, number / corners] for number in range(corners)]
    camera = {"name": "front", "zones": {f"z{number}": polygon for number in range(zones)}}
    with pytest.raises(BadMessage, match="zones"):
        read(DeviceInfo, json.dumps({"schema": 1, "device": "pi", "cameras": [camera]}).encode())


def test_a_thing_stands_in_the_middle_of_its_lower_edge() -> None:
    assert foot((0.2, 0.1, 0.2, 0.5)) == pytest.approx((0.3, 0.6))
    below = {"floor": ((0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0))}
    assert zones_of([(0.2, 0.0, 0.2, 0.4)], below) == ()
    assert zones_of([(0.2, 0.0, 0.2, 1.0)], below) == ("floor",), "also where its box ends with the picture"


# --- a recording --------------------------------------------------------------------------------

ZONES: Zones = {"drive": LEFT, "garden": RIGHT}


def told(recording: Recording, *clips: tuple[int, float, float]) -> list[EventState]:
    """The events' states as they are saved while clips come, in each of which one thing moves from x to x."""
    states = []
    for number, start, end in clips:
        clip = a_clip(number, sequence=number - 1)
        recording.arrive(clip, 0.0)
        recording.settle(Settled(clip, "done", (track(x=(start, end)),)), 0.0)
        changes = recording.advance(0.0, lambda: an_id(0xE001))
        states += [change.record.state for change in changes if isinstance(change, EventSaved)]
    return states


def a_recording(zones: Zones) -> Recording:
    return Recording(an_id(0xA000), "porch", "front", zones_of=lambda device, camera: zones)


def test_an_event_gathers_the_zones_that_it_comes_through() -> None:
    states = told(a_recording(ZONES), (1, 0.2, 0.4), (2, 0.4, 0.6))
    assert [state.zones for state in states] == [("drive",), ("drive", "garden")]
    assert len({state.id for state in states}) == 1


def test_zones_that_are_drawn_later_count_from_then_on() -> None:
    zones: dict[str, tuple[tuple[float, float], ...]] = {}
    recording = a_recording(zones)
    assert [state.zones for state in told(recording, (1, 0.2, 0.4))] == [()]
    zones["garden"] = RIGHT
    assert [state.zones for state in told(recording, (2, 0.4, 0.6))] == [("garden",)]
    zones.clear()
    assert told(recording, (3, 0.6, 0.7))[-1].zones == ("garden",), "where it was, it was"


# --- a part of the picture ----------------------------------------------------------------------

boxes = st.tuples(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.01, 0.5), st.floats(0.01, 0.5))


@given(boxes, boxes)
def test_a_box_in_a_region_lies_within_the_region(box: Box, region: Box) -> None:
    x, y, width, height = in_whole(box, region)
    assert region[0] <= x
    assert region[1] <= y
    assert x + width <= region[0] + region[2] + 1e-9
    assert y + height <= region[1] + region[3] + 1e-9
    assert width == pytest.approx(box[2] * region[2])
    assert in_whole(box, None) == box


@given(boxes)
def test_a_region_is_told_and_read(region: Box) -> None:
    assert parse_region(to_property(region)[1]) == pytest.approx(region, abs=1e-5)


@pytest.mark.parametrize(
    "text", ["", "[]", "[0, 0, 1]", "[0.5, 0, 0.6, 1]", "[0, 0, 0, 1]", "[-0.1, 0, 0.5, 1]", "0,0,1,1"]
)
def test_what_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(BadMessage, match="region"):
        parse_region(text, topic="there")


def test_an_event_of_a_part_of_the_picture_tells_where_it_is_in_the_whole() -> None:
    numbers = iter(range(1, 100))
    frames = Frames(lambda: an_id(next(numbers)), Gallery(), zones_of=lambda device, camera: ZONES)
    spec = WorkflowSpec.model_validate(
        {"cameras": {"porch/front": 5}, "feature": None, "decision": {"rule": "seen", "labels": ["face"]}}
    )
    frames.run({"lobby": spec}, {"lobby"})
    face = Found(label="face", score=0.9, box=(0.5, 0.5, 0.25, 0.25))
    step = frames.arrived(
        FrameArrived(
            an_id(0xF0),
            "porch",
            "front",
            START,
            9_000,
            found=(face,),
            found_by="detect_faces",
            region=(0.5, 0.25, 0.4, 0.5),
        ),
        Now(START, 0.0),
    )
    (state,) = (change.record.state for change in step.changes if isinstance(change, EventSaved))
    assert state.box == pytest.approx((0.7, 0.5, 0.1, 0.125))
    assert state.region == (0.5, 0.25, 0.4, 0.5), "its picture shows that part alone"
    assert state.zones == ("garden",)
