"""Parts of a picture: what may be written, where they lie, what they do to motion, pictures and frames."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from meerkat_contract.frame_region import parse_region
from meerkat_devices.camera import Camera
from meerkat_devices.clock import SystemClock
from meerkat_devices.outbox.outbox import Entry, Outbox
from meerkat_devices.regions import Corners, cut, motion_mask, paint, pixels
from meerkat_devices.settings.device import CameraSettings
from meerkat_devices.sources.source import Shot
from meerkat_hub.core.zones import contains
from support.frames import Station, ask, frames_of, shot
from support.media import make_clip

LEFT_HALF = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
MIDDLE_ROWS = [[0, 0.3], [1, 0.3], [1, 0.7], [0, 0.7]]
"""Where the square of `make_clip` moves."""


# --- what may be written ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("masks", [[[0, 0], [1, 0]]], "at least three different corners"),
        ("masks", [[[0, 0], [1, 0], [0, 0]]], "at least three different corners"),
        ("masks", [[[0, 0], [1920, 0], [1920, 1080]]], "pixels divided by"),
        ("masks", [[[0, 0], [1, -0.1], [1, 1]]], "fractions of the picture"),
        ("zones", {"The drive": LEFT_HALF}, "match"),
        ("zones", {"drive": [[0, 0], [1]]}, "zones.drive"),
        ("privacy", [LEFT_HALF], "clips: false"),
        ("frames", {"region": [0.5, 0.5, 0.6, 0.2]}, "ends within the picture"),
        ("frames", {"region": [0.5, 0.5, 0.0, 0.2]}, "ends within the picture"),
        ("frames", {"region": [710, 330, 500, 420]}, "pixels divided by"),
    ],
)
def test_what_is_no_part_of_a_picture_is_refused_in_words(field: str, value: object, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        CameraSettings.model_validate({"source": "scene:porch", field: value})
    told = [f"{'.'.join(map(str, error['loc']))} {error['msg']}" for error in refused.value.errors()]
    assert any(says in line for line in told), told


def test_a_polygon_may_cross_itself() -> None:
    bow_tie = [[0, 0], [1, 1], [1, 0], [0, 1]]
    settings = CameraSettings.model_validate({"source": "scene:porch", "zones": {"drive": bow_tie}})
    assert settings.zones == {"drive": ((0, 0), (1, 1), (1, 0), (0, 1))}


# --- where it lies ------------------------------------------------------------------------------

corners = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=7)


@given(corners, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_mask_covers_what_the_hub_calls_inside(
    polygon: list[tuple[float, float]], x: float, y: float
) -> None:
    assume(len(set(polygon)) >= 3)
    assume(all(_apart((x, y), a, b) > 0.01 for a, b in pairwise([*polygon, polygon[0]])))
    mask = motion_mask([tuple(polygon)])
    assert mask is not None
    height, width = mask.shape
    assert (mask[int(y * height), int(x * width)] == 0) == contains(polygon, x, y)


def _apart(point: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> float:
    """Distance of a point from a line between two."""
    (px, py), (ax, ay), (bx, by) = point, a, b
    length = (bx - ax) ** 2 + (by - ay) ** 2
    share = 0.0 if length == 0 else max(0, min(1, ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / length))
    return float(np.hypot(px - ax - share * (bx - ax), py - ay - share * (by - ay)))


@given(
    st.tuples(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.001, 1), st.floats(0.001, 1)),
    st.integers(33, 4000),
    st.integers(33, 3000),
)
def test_a_region_is_even_and_within_the_picture(
    region: tuple[float, float, float, float], width: int, height: int
) -> None:
    left, top, wide, high = pixels(region, width, height)
    assert all(value % 2 == 0 for value in (left, top, wide, high))
    assert min(wide, high) >= 32
    assert left >= 0
    assert top >= 0
    assert left + wide <= width
    assert top + high <= height


def test_the_region_of_the_paper_is_cut_to_the_pixel() -> None:
    region = (710 / 1920, 330 / 1080, 500 / 1920, 420 / 1080)
    assert pixels(region, 1920, 1080) == (710, 330, 500, 420)


def _drawn(size: tuple[int, int] = (640, 360)) -> Any:
    """A picture with a ramp in it, so that every place looks its own; BGR."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([x * 255 // width, y * 255 // height, np.full_like(x, 60)]).astype(np.uint8)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv422p", "nv12", "bgr24"])
def test_a_cut_shows_what_the_whole_shows_there(pixel_format: str) -> None:
    frame = av.VideoFrame.from_ndarray(_drawn(), format="bgr24").reformat(format=pixel_format)
    whole = frame.to_ndarray(format="bgr24").astype(int)
    part, exact = cut(frame, (0.25, 0.5, 0.3, 0.4))
    left, top, wide, high = pixels((0.25, 0.5, 0.3, 0.4), 640, 360)
    assert exact == (left / 640, top / 360, wide / 640, high / 360)
    assert (part.width, part.height) == (wide, high)
    inside = part.to_ndarray(format="bgr24").astype(int)
    assert np.abs(inside - whole[top : top + high, left : left + wide]).mean() < 1.0
    if pixel_format in ("yuv420p", "yuvj420p"):
        assert (part.colorspace, part.color_range) == (frame.colorspace, frame.color_range)


def test_what_is_private_is_black_in_a_region_too() -> None:
    whole = np.full((360, 640, 3), 200, np.uint8)
    paint(whole, [((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))])
    assert not whole[95:265, 165:475].any()
    assert whole[:85].all()
    part = np.full((180, 320, 3), 200, np.uint8)
    paint(part, [((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))], region=(0.5, 0.5, 0.5, 0.5))
    assert not part[:85, :155].any()
    assert part[95:].all()
    assert part[:, 165:].all()


# --- what it does -------------------------------------------------------------------------------


def watch(folder: Path, video: Path, **settings: object) -> tuple[Station, list[Entry]]:
    station, outbox = Station(), Outbox(folder / "outbox", max_bytes=10**9, refused_bytes=0)
    wanted = CameraSettings.model_validate({"source": str(video), **settings})
    camera = Camera("yard", wanted, station=station, outbox=outbox, clock=SystemClock(), pace="fast")
    try:
        camera.run(threading.Event())
        return station, outbox.waiting()
    finally:
        outbox.close()


def said(station: Station, kind: str) -> list[Any]:
    return [payload for topic, payload in station.kept if topic == f"meerkat/device/pi/yard/{kind}"]


@pytest.mark.parametrize(
    ("masks", "recorded"), [([], True), ([MIDDLE_ROWS], False), ([[[0, 0], [1, 0], [1, 0.2]]], True)]
)
def test_motion_under_a_mask_is_none(tmp_path: Path, masks: Sequence[object], recorded: bool) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=12, moving=lambda at: at > 5)
    station, clips = watch(tmp_path, video, masks=masks)
    assert bool(clips) == recorded
    assert ("ON" in said(station, "motion")) == recorded


def test_without_motion_detection_and_without_clips_nothing_is_recorded(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=12, moving=lambda at: at > 5)
    station, clips = watch(tmp_path / "a", video, motion={"enabled": False})
    assert (said(station, "motion"), clips) == (["OFF"], [])
    station, clips = watch(tmp_path / "b", video, clips=False)
    assert (said(station, "motion"), clips) == (["OFF", "ON", "OFF"], [])
    station, clips = watch(tmp_path / "c", video, enabled=False)
    assert (said(station, "picture"), clips) == ([], [])


def test_private_places_are_black_in_the_picture_and_no_motion_counts_there(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=8, moving=lambda at: at > 4)
    station, clips = watch(tmp_path, video, privacy=[MIDDLE_ROWS], clips=False)
    assert clips == []
    assert said(station, "motion") == ["OFF"]
    shown = decoded(said(station, "picture")[-1])
    assert shown[60:120].max() < 40
    assert shown[:50].min() > 40


def decoded(jpeg: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def ramp(number: int) -> Shot:
    frame = av.VideoFrame.from_ndarray(_drawn(), format="bgr24").reformat(format="yuv420p")
    return Shot(shot(number).at, 1_790_000_000 + number, frame)


def test_a_region_is_sent_in_the_cameras_own_pixels_and_says_where_it_is() -> None:
    station = Station()
    frames = frames_of(station, when="always", region=[0.25, 0.5, 0.3, 0.4], width=1280, quality=95)
    ask(frames, "5")
    frames.offer(ramp(0), moving=False)
    _topic, payload, properties, _kind = station.sent[0]
    region = parse_region(dict(properties)["region"])
    assert region == pytest.approx((0.25, 0.5, 0.3, 0.4), abs=0.005)
    sent = decoded(payload)
    assert sent.shape == (144, 192, 3)
    left, top = round(region[0] * 640), round(region[1] * 360)
    assert np.abs(sent.astype(int) - _drawn()[top : top + 144, left : left + 192]).mean() < 3


def test_a_region_wider_than_the_limit_is_scaled_and_a_whole_frame_says_nothing_of_it() -> None:
    station = Station()
    frames = frames_of(station, when="always", region=[0.25, 0, 0.5, 1], width=160)
    ask(frames, "5")
    frames.offer(ramp(0), moving=False)
    frames.retune(frames.settings.model_copy(update={"region": None}))
    frames.offer(ramp(10), moving=False)
    (_, part, properties, _), (_, whole, plain, _) = station.sent
    assert decoded(part).shape == (180, 160, 3)
    assert json.loads(dict(properties)["region"]) == [0.25, 0, 0.5, 1]
    assert decoded(whole).shape == (90, 160, 3)
    assert "region" not in dict(plain)


def test_polygons_travel_as_they_were_drawn() -> None:
    polygon: Corners = ((0.1, 0.2), (0.3, 0.4), (0.5, 0.1))
    settings = CameraSettings.model_validate({"source": "scene:porch", "zones": {"drive": polygon}})
    station = Station()
    with_zones = Camera(
        "yard",
        settings,
        station=station,
        outbox=None,
        clock=SystemClock(),  # type: ignore[arg-type]
    )
    assert with_zones.info.zones == {"drive": polygon}
