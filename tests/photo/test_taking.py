"""The light is on while the camera looks and at no other time; a picture comes with its verdict."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest

from meerkat_contract.errors import MeerkatError
from meerkat_devices.clock import SystemClock
from meerkat_devices.photo.taking import Photo, Photographer
from meerkat_devices.scenes.meter import BasementMeter
from meerkat_devices.settings.device import MeterSettings
from meerkat_devices.sources.source import SourceError
from photo_support import TAKEN, Act, MeterStation, RecordingLamp, ToldCamera
from photo_support.degrade import Picture, exposed, noisy, unfocused


@cache
def good() -> Picture:
    return BasementMeter(width=640, height=360).render(TAKEN)


@cache
def dark() -> Picture:
    return BasementMeter(width=640, height=360).render(TAKEN, light=False)


class Scene:
    """A lamp, a camera and who uses them. `events` is what happened, in order."""

    def __init__(self, *acts: Act, source: str = "rtsp://cellar", **settings: Any) -> None:
        self.events: list[str] = []
        self.lamp = RecordingLamp("ir", self.events)
        self.camera = ToldCamera(list(acts), self.events)
        self.station = MeterStation(self.lamp)
        self.stop = threading.Event()
        self.photographer = Photographer(
            "water",
            MeterSettings(source=source, **{"light": "ir", "exposures": 1, **settings}),
            lamps=self.station,
            clock=SystemClock(),
            zone=ZoneInfo("Europe/Berlin"),
            report=self.station.report,
            open_camera=self.camera.open,
        )

    def take(self) -> Photo:
        photo = self.photographer.take(self.stop)
        assert photo is not None
        return photo


ONCE = ["on", "open", "still", "close", "off"]


def test_light_then_camera_then_dark_again() -> None:
    scene = Scene(good())
    photo = scene.take()
    assert scene.events == ONCE
    assert photo.captured_at == TAKEN
    condition = photo.condition
    assert (condition.verdict, condition.light, condition.exposures) == ("good", "ir", 1)
    assert (condition.exposure, condition.gain, condition.locked) == (0.01, 2.0, True)
    shown = cv2.imdecode(np.frombuffer(photo.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (360, 640, 3)
    assert scene.station.errors == []


def test_without_a_lamp_none_is_asked_for() -> None:
    scene = Scene(good(), light=None)
    assert scene.take().condition.light is None
    assert scene.events == ["open", "still", "close"]


class Crash(BaseException):
    """What no `except Exception` catches."""


@pytest.mark.parametrize("error", [SourceError("broke off"), RuntimeError("a fault"), Crash()])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_the_light_is_off_whatever_happens(error: BaseException, before: int) -> None:
    scene = Scene(*[good()] * before, error, exposures=3)
    with pytest.raises(type(error)):
        scene.take()
    assert scene.events == ["on", "open", *["still"] * before, "close", "off"]
    assert not scene.lamp.on


def test_the_light_is_off_when_the_camera_does_not_open() -> None:
    scene = Scene(OSError("busy"))
    with pytest.raises(OSError, match="busy"):
        scene.take()
    assert scene.events == ["on", "open", "off"]


@pytest.mark.parametrize("after", [0, 1, 2])
def test_stop_ends_it_at_any_point_with_the_light_off(after: int) -> None:
    scene = Scene(exposures=3)

    def stopping() -> Picture:
        scene.stop.set()
        return good()

    scene.camera.acts = [*[good()] * after, stopping, good()]
    photo = scene.photographer.take(scene.stop)
    assert photo is not None, "what was seen is a picture"
    assert photo.condition.exposures == after + 1
    assert scene.events == ["on", "open", *["still"] * (after + 1), "close", "off"]


def test_nothing_is_switched_on_after_stop() -> None:
    scene = Scene(good())
    scene.stop.set()
    assert scene.photographer.take(scene.stop) is None
    assert scene.events == []


def test_a_camera_that_is_stopped_before_its_first_frame_gives_no_picture() -> None:
    scene = Scene()
    scene.photographer._open = lambda *_, **how: (scene.stop.set(), scene.camera.open(**how))[1]
    assert scene.photographer.take(scene.stop) is None
    assert scene.events == ["on", "open", "close", "off"]


def test_a_camera_that_gives_nothing_is_an_error() -> None:
    scene = Scene()
    with pytest.raises(SourceError, match="gave no picture"):
        scene.take()
    assert scene.events == ["on", "open", "close", "off"]


def test_a_lamp_that_does_not_go_on_is_said_and_the_picture_taken() -> None:
    scene = Scene(dark(), dark())
    scene.lamp.broken = True
    photo = scene.take()
    assert photo.condition.verdict == "dark"
    assert photo.condition.light is None
    assert "its pin is used" in str(scene.station.errors[0])
    assert scene.events[:3] == ["open unlit", "still", "close"]


def test_a_lamp_that_is_not_there_is_said() -> None:
    scene = Scene(good(), light="white")
    assert scene.take().condition.light is None
    assert [str(error) for error in scene.station.errors] == ["devices.pi.lights: there is no lamp 'white'"]


def test_a_lamp_that_does_not_go_off_is_said_and_the_picture_kept() -> None:
    scene = Scene(good())
    scene.lamp.sticks = True
    assert scene.take().condition.verdict == "good"
    assert "does not go off" in str(scene.station.errors[0])


# --- a second try -----------------------------------------------------------------------------------


def test_a_dark_picture_is_tried_with_all_the_light() -> None:
    scene = Scene(dark(), good(), brightness=0.4)
    assert scene.take().condition.verdict == "good"
    assert scene.events == ONCE * 2
    assert scene.lamp.brightness == [0.4, 1.0]


def test_a_burnt_out_picture_is_tried_with_less_light() -> None:
    scene = Scene(exposed(good(), 16), good(), brightness=0.5)
    assert scene.take().condition.verdict == "good"
    assert scene.lamp.brightness == [0.5, pytest.approx(0.15)]


def test_a_blurred_picture_is_tried_as_it_was() -> None:
    scene = Scene(unfocused(good(), 4), good())
    assert scene.take().condition.verdict == "good"
    assert scene.lamp.brightness == [None, None]


def test_it_is_tried_once_and_the_better_one_counts() -> None:
    scene = Scene(unfocused(good(), 4), dark(), good())
    assert scene.take().condition.verdict == "blurred"
    scene = Scene(unfocused(good(), 5), unfocused(good(), 3.5), good())
    assert scene.take().condition.sharpness > 0.05
    assert len(scene.camera.acts) == 1


def test_where_nothing_can_change_it_is_not_tried_again() -> None:
    scene = Scene(dark(), good(), brightness=1.0)
    assert scene.take().condition.verdict == "dark"
    scene = Scene(dark(), good(), light=None, source="scene:meter")
    assert scene.take().condition.verdict == "dark"
    scene = Scene(dark(), good(), light=None)
    assert scene.take().condition.verdict == "good", "a live camera may find its exposure"


def test_when_the_second_try_fails_the_first_picture_counts() -> None:
    scene = Scene(dark(), SourceError("broke off"))
    assert scene.take().condition.verdict == "dark"
    assert not scene.lamp.on


def test_stop_between_the_tries_keeps_the_first_picture() -> None:
    scene = Scene()

    def stopping() -> Picture:
        scene.stop.set()
        return dark()

    scene.camera.acts = [stopping, good()]
    assert scene.take().condition.verdict == "dark"
    assert scene.events == ONCE


# --- several exposures ------------------------------------------------------------------------------


def test_several_exposures_are_one_picture_with_less_noise() -> None:
    pictures = [noisy(good(), 8, seed=seed) for seed in range(3)]
    fused, alone = Scene(*pictures, exposures=3), Scene(*pictures, exposures=3, combine="sharpest")
    assert fused.take().condition.exposures == 3
    photo = alone.take()
    assert photo.condition.exposures == 1
    fused.camera.acts = list(pictures)
    assert fused.take().condition.noise < 0.8 * photo.condition.noise


def test_large_exposures_are_as_many_as_a_small_machine_can_hold() -> None:
    large = cv2.resize(good(), (2592, 1944)).astype(np.uint8)
    scene = Scene(*[large] * 16, exposures=16)
    assert scene.take().condition.exposures == 4, "of 15 MB each"
    assert len(scene.camera.acts) == 12
    assert scene.events == ["on", "open", *["still"] * 4, "close", "off"]


def test_exposures_that_did_not_hold_are_left_out() -> None:
    scene = Scene(good(), good(), good(), exposures=3)
    locked = itertools.cycle([False, True, True])
    camera_stills = scene.camera.stills

    def stills(count: int, stop: threading.Event) -> Any:
        from dataclasses import replace

        return (replace(still, locked=next(locked)) for still in camera_stills(count, stop))

    scene.camera.stills = stills  # type: ignore[method-assign]
    condition = scene.take().condition
    assert (condition.locked, condition.exposures) == (True, 2)


def test_a_camera_that_never_holds_its_exposure_is_reported_with_the_picture() -> None:
    scene = Scene(good())
    camera_stills = scene.camera.stills

    def stills(count: int, stop: threading.Event) -> Any:
        from dataclasses import replace

        return (replace(still, locked=False) for still in camera_stills(count, stop))

    scene.camera.stills = stills  # type: ignore[method-assign]
    assert scene.take().condition.locked is False


def test_the_caption_is_local_time_below_the_picture() -> None:
    plain, captioned = (
        cv2.imdecode(np.frombuffer(Scene(good(), caption=on).take().jpeg, np.uint8), cv2.IMREAD_COLOR)
        for on in (False, True)
    )
    assert plain is not None
    assert captioned is not None
    assert captioned.shape[0] > plain.shape[0] == 360
    assert np.abs(captioned[:352].astype(int) - plain[:352]).mean() < 1


def test_a_source_that_is_none_is_refused_at_once() -> None:
    report: Callable[[MeerkatError], None] = lambda error: None  # noqa: E731
    settings = MeterSettings.model_construct(source="scene:attic")
    with pytest.raises(MeerkatError, match="no scene"):
        Photographer(
            "water", settings, lamps=MeterStation(), clock=SystemClock(), zone=ZoneInfo("UTC"), report=report
        )
