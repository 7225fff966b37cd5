"""Frames of interest: what is asked of a camera, how often it sends, and what."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from meerkat_contract.errors import BadMessage, BrokerError, MessageTooLarge
from meerkat_contract.ids import is_id
from meerkat_contract.metadata import Metadata
from meerkat_devices.frames.frames import MAX_BYTES, Frames, Spacing, parse_rate
from meerkat_devices.settings.frames import FrameSettings
from meerkat_devices.sources.source import Shot
from support.frames import SET, Clock, Station, ask, frames_of, shot


@pytest.mark.parametrize(
    ("payload", "rate"),
    [(b"2", 2), (b"0.5", 0.5), (b"0", 0), (b"", 0), (b"240", 240), (b"25.0", 25), (b"1e-05", 1e-5)],
)
def test_a_rate_is_a_decimal_number(payload: bytes, rate: float) -> None:
    assert parse_rate(payload) == rate


BAD = [b"fast", b"-1", b"-0.1", b"1e9", b"1e09", b"nan", b"inf", b"240.001", b"2 fps", b" 2", b"1_0", b"0x2"]
BAD += [b"\xff\xfe", "２".encode(), b'{"rate": 2}', b"1" * 5000]


@pytest.mark.parametrize("payload", BAD)
def test_what_is_no_rate_is_refused_in_words_and_changes_nothing(payload: bytes) -> None:
    station = Station()
    frames = frames_of(station)
    ask(frames, "2")
    ask(frames, payload)
    assert frames.rate == 2
    assert station.rates == ["2"]
    (error,) = station.errors
    assert isinstance(error, BadMessage)
    assert "no number of frames per second" in error.what
    assert error.where == SET
    assert "from 0 to 240" in error.remedy
    assert len(str(error)) < 300


def test_the_rate_in_force_is_told_once_for_each_change() -> None:
    station = Station()
    frames = frames_of(station)
    frames.start()
    ask(frames, "40")
    ask(frames, "40")
    frames.opened(25.0)
    frames.opened(0.0)  # a camera that does not say
    frames.opened(29.97)
    frames.hub_is(here=False)
    frames.hub_is(here=False)
    frames.hub_is(here=True)
    ask(frames, "")
    assert station.rates == ["0", "40", "25", "40", "29.97", "0", "29.97", "0"]


def test_settings_that_could_never_find_anything_are_refused() -> None:
    with pytest.raises(ValidationError, match="detect_faces finds no 'person'; write face"):
        FrameSettings(detect="detect_faces", labels=("person",))
    with pytest.raises(ValidationError, match="finds no 'persn'"):
        FrameSettings(detect="detect_objects", labels=("person", "persn"))
    assert FrameSettings(detect="detect_faces", labels=("face",)).labels == ("face",)


# --- how often ----------------------------------------------------------------------


def taken(times: list[float], rate: float) -> list[float]:
    spacing = Spacing()
    return [at for at in times if spacing.take(at, rate)]


def test_frames_are_the_nearest_to_evenly_spaced_moments() -> None:
    every = [number / 25 for number in range(50)]
    assert taken(every, 5) == pytest.approx([number / 5 for number in range(10)])
    # 10 of 25: after two frames, then three, and so on.
    steps = np.diff(taken(every, 10)) * 25
    assert set(np.round(steps)) == {2, 3}
    assert taken(every, 25) == every
    assert taken(every, 100) == every


@given(
    fps=st.floats(1, 60),
    rate=st.floats(0.1, 120),
    jitter=st.floats(0, 0.2),
    seed=st.integers(0, 2**16),
)
def test_never_more_than_was_asked_for_and_none_left_out_without_need(
    fps: float, rate: float, jitter: float, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    times = sorted(((np.arange(400) + chance.uniform(-jitter, jitter, 400)) / fps).tolist())
    rate = min(rate, fps)
    found = taken(times, rate)
    span = times[-1] - times[0]
    assert span * rate - 3 <= len(found) <= span * rate + 2
    # In no stretch there are more than its share, but for one at each end.
    for width in (3, 10, 30):
        for begin in range(0, len(found) - width, 7):
            assert width <= (found[begin + width] - found[begin]) * max(rate, 0.1) + 2


def test_after_a_pause_the_first_frame_goes_at_once_and_nothing_is_made_up_for() -> None:
    spacing = Spacing()
    assert spacing.take(0.0, 1)
    assert spacing.take(100.3, 1)
    assert not spacing.take(100.4, 1)
    assert spacing.take(101.3, 1)
    assert spacing.take(0.0, 1), "the stream began anew"
    assert not spacing.take(0.4, 1)
    assert spacing.take(0.5, 0.001), "another rate counts from now on"
    assert not spacing.take(900.0, 0.001)
    assert spacing.take(900.1, 10)


def test_motion_that_flickers_makes_no_more_frames() -> None:
    spacing = Spacing()
    found = [n for n in range(100) if spacing.take(n / 10, 2, wanted=n % 3 == 0)]
    assert 17 <= len(found) <= 21


# --- what is sent ----------------------------------------------------------------------


def test_a_frame_is_a_jpeg_with_its_time_and_id() -> None:
    station = Station()
    frames = frames_of(station, width=160)
    ask(frames, "2")
    for number in range(20):
        frames.offer(shot(number), moving=True)
    assert len(station.sent) == 4
    topic, payload, properties, content_type = station.sent[1]
    assert topic == "meerkat/device/pi/yard/frame"
    metadata = Metadata.from_properties(properties, content_type=content_type)
    assert is_id(metadata.id)
    assert metadata.trigger == "frame"
    assert metadata.content_type == "image/jpeg"
    assert metadata.captured_at == datetime.fromtimestamp(1_790_000_000.5, UTC)
    assert "found" not in dict(properties), "nobody has looked"
    assert cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR).shape == (90, 160, 3)
    assert frames.counts == {"sent": 4, "nothing": 0, "passed over": 0, "failed": 0}
    assert len({dict(properties)["id"] for _, _, properties, _ in station.sent}) == 4


def test_pictures_are_never_scaled_up_and_quality_gives_way_to_the_limit() -> None:
    station = Station()
    frames = frames_of(station, width=3840, quality=95)
    ask(frames, "10")
    noise = np.random.default_rng(1).integers(0, 256, (1080, 1920, 3), np.uint8)
    frames.offer(Shot(0, 0.0, av.VideoFrame.from_ndarray(noise, format="bgr24")), moving=True)
    payload = station.sent[0][1]
    assert len(payload) <= MAX_BYTES
    decoded = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape[1] <= 1920
    frames.offer(shot(10), moving=True)
    assert cv2.imdecode(np.frombuffer(station.sent[1][1], np.uint8), cv2.IMREAD_COLOR).shape[1] == 320


@pytest.mark.parametrize(("when", "number"), [("motion", 5), ("always", 20)])
def test_by_default_only_while_something_moves(when: str, number: int) -> None:
    station = Station()
    frames = frames_of(station, when=when)
    ask(frames, "10")
    for index in range(20):
        frames.offer(shot(index), moving=5 <= index < 10)
    assert len(station.sent) == number


def test_nobody_asks_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station()
    frames = frames_of(station, when="always")
    monkeypatch.setattr(
        "meerkat_devices.frames.frames.view", lambda *_, **__: pytest.fail("a frame was converted")
    )
    frames.offer(shot(), moving=True)
    ask(frames, "10")
    frames.hub_is(here=False)
    frames.offer(shot(), moving=True)
    assert not any(frames.counts.values())
    frames.hub_is(here=True)
    station.connected = False
    frames.offer(shot(), moving=True)
    assert frames.rate == 10
    assert frames.counts["passed over"] == 1, "nobody hears it, but it was asked for"


def test_a_line_slower_than_the_frames_is_not_filled() -> None:
    station = Station()
    frames = frames_of(station)
    ask(frames, "10")
    station.settle = False
    for number in range(5):
        frames.offer(shot(number), moving=True)
    assert len(station.sent) == 1
    assert frames.counts["passed over"] == 4
    station.deliveries[0].finish()
    frames.offer(shot(5), moving=True)
    assert len(station.sent) == 2
    station.deliveries[1].finish(BrokerError("the connection is lost"))
    frames.offer(shot(6), moving=True)
    assert frames.counts == {"sent": 1, "nothing": 0, "passed over": 4, "failed": 1}
    assert not station.errors, "that the line is down is told elsewhere"


def test_a_frame_above_the_brokers_limit_is_told_with_its_remedy() -> None:
    station = Station()
    frames = frames_of(station)
    ask(frames, "10")
    station.settle = False
    frames.offer(shot(0), moving=True)
    station.deliveries[0].finish(MessageTooLarge("a message of 9000 bytes is above the limit"))
    (error,) = station.errors
    assert "lower frames.width or frames.quality" in str(error)
    assert station.standing == {"camera yard, frames"}
    station.settle = True
    frames.offer(shot(1), moving=True)
    assert station.standing == set()


def test_a_fast_replay_sends_no_more_than_was_asked_for() -> None:
    """It gives the frames of minutes in a second: what counts is the time of those who take them."""
    station, clock = Station(), Clock()
    frames = Frames("yard", FrameSettings(), station=station, clock=clock, pace="fast")
    ask(frames, "2")
    for number in range(100):
        clock.turned = number / 50
        frames.offer(shot(number), moving=True)
    assert len(station.sent) == 4


def test_the_end_of_a_request_is_logged_with_its_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    station = Station()
    frames = frames_of(station)
    for _ in range(2):
        ask(frames, "10")
        for number in range(3):
            frames.offer(shot(number), moving=True)
        ask(frames, "0")
    assert (
        caplog.messages
        == [
            "camera yard: 10 frames a second are asked for",
            "camera yard: no more frames are asked for; 3 frames sent",
        ]
        * 2
    )


def test_while_frames_are_asked_for_the_log_counts_them_every_hour(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    station, clock = Station(), Clock()
    frames = frames_of(station, clock=clock)
    ask(frames, "10")
    for number, hour in enumerate([0, 3599, 3600, 3601, 7199, 7200, 7201]):
        clock.turned = hour
        frames.offer(shot(number), moving=True)
    assert caplog.messages[1:] == [
        "camera yard: 2 frames sent in the last hour",
        "camera yard: 3 frames sent in the last hour",
    ]


def test_after_the_end_nothing_begins_again() -> None:
    station = Station()
    frames = frames_of(station)
    ask(frames, "10")
    frames.end()
    frames.hub_is(here=True)
    ask(frames, "20")
    frames.offer(shot(), moving=True)
    assert station.rates == ["10", "0"]
    assert not station.sent
