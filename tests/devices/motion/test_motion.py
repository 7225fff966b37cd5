"""Motion by vision on drawn scenes: what moves is found, what does not is not, at every frame rate."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from footage import scenes
from footage.scenes import CROSSING, START, Gray, Scene
from meerkat_devices.motion.detector import MotionDetector, MotionReading
from meerkat_devices.settings.motion import MotionSettings

RATES = (5.0, 6.0, 10.0, 15.0, 25.0)
Reading = tuple[float, MotionReading]


def watch(
    scene: Scene, seconds: float, fps: float, *, detector: MotionDetector | None = None
) -> list[tuple[float, MotionReading]]:
    detector = detector or MotionDetector()
    return [(at, detector.step(gray, at)) for gray, at in scenes.frames(scene, seconds, fps)]


def runs(readings: list[Reading]) -> list[tuple[float, float]]:
    """The first and last time of each stretch in which motion is on."""
    found: list[tuple[float, float]] = []
    before = False
    for at, reading in readings:
        if reading.active:
            found.append((found.pop()[0] if before else at, at))
        before = reading.active
    return found


def seconds_on(readings: list[Reading], fps: float, *, after: float = 0.0) -> float:
    return sum(reading.active for at, reading in readings if at >= after) / fps


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize(
    ("scene", "lasts", "late"),
    [
        (scenes.walker, CROSSING, 0.5),
        (scenes.walker_at_night, CROSSING, 0.5),
        (scenes.walker_and_lamp, CROSSING, 0.5),
        (scenes.far_walker, 10.0, 1.0),
        (scenes.bright_car, 4.0, 0.3),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_moves_is_one_motion_from_its_first_to_its_last_moment(
    scene: Scene, lasts: float, late: float, fps: float
) -> None:
    found = runs(watch(scene, START + lasts + 3, fps))

    assert len(found) == 1, found
    begin, end = found[0]
    assert START <= begin <= START + late
    assert START + lasts - late - 1 / fps <= end <= START + lasts + late


@pytest.mark.parametrize("fps", [5.0, 25.0])
@pytest.mark.parametrize(
    "scene",
    [
        scenes.still,
        scenes.night_noise,
        scenes.exposure_step,
        scenes.exposure_back,
        scenes.breathing_light,
        scenes.lamp,
        scenes.lit_window,
        scenes.shaking,
    ],
    ids=lambda scene: scene.__name__,
)
def test_light_and_noise_are_no_motion(scene: Scene, fps: float) -> None:
    assert runs(watch(scene, 16, fps)) == []


@pytest.mark.parametrize("scene", [scenes.sunset, scenes.nightfall], ids=lambda scene: scene.__name__)
def test_dusk_is_no_motion(scene: Scene) -> None:
    assert runs(watch(scene, 70, 5)) == []


def test_who_comes_after_nightfall_is_found() -> None:
    def scene(at: float) -> NDArray[np.uint8]:
        picture = scenes.YARD.copy()
        scenes.draw_person(picture, -14 + scenes.PACE * (at - 50), grey=180)
        return scenes.sensor(picture, at, gain=1 - 0.85 * min(1.0, at / 40), noise=3)

    ((begin, end),) = runs(watch(scene, 50 + CROSSING + 3, 10))
    assert begin == pytest.approx(50, abs=0.6)
    assert end == pytest.approx(50 + CROSSING, abs=0.8)


@pytest.mark.parametrize("fps", [5.0, 25.0])
def test_the_edge_of_a_cloud_counts_for_less_than_its_passage(fps: float) -> None:
    """A sharp shadow that travels is motion to anyone; it must end with it."""
    readings = watch(scenes.cloud, 22, fps)

    assert seconds_on(readings, fps) < 4
    assert seconds_on(readings, fps, after=START + 8) == 0


@pytest.mark.parametrize("fps", [5.0, 10.0, 25.0])
def test_wind_in_a_tree_hardly_counts_and_a_walker_before_it_does(fps: float) -> None:
    windy = watch(scenes.wind, 60, fps)
    assert seconds_on(windy, fps, after=3) < 0.07 * 60

    walked = watch(scenes.walker_in_wind, 14, fps)
    middle = [reading.active for at, reading in walked if START + 0.5 < at < START + CROSSING - 0.5]
    assert len(middle) > fps
    assert all(middle)


@pytest.mark.parametrize("fps", [5.0, 25.0])
def test_rain_is_no_motion_once_it_is_known(fps: float) -> None:
    assert seconds_on(watch(scenes.rain, 20, fps), fps, after=5) == 0


@pytest.mark.parametrize("fps", [5.0, 25.0])
def test_a_visitor_who_stands_still_is_one_motion(fps: float) -> None:
    stay = 10.0
    found = runs(watch(scenes.visitor(stay), START + CROSSING + stay + 3, fps))

    assert len(found) == 1
    assert found[0][1] == pytest.approx(START + CROSSING + stay, abs=0.6)


def test_who_stood_until_he_was_background_leaves_no_ghost() -> None:
    stay, fps = 90.0, 6.0
    arrived = START + CROSSING / 2
    found = runs(watch(scenes.visitor(stay), START + CROSSING + stay + 20, fps))

    assert len(found) == 2, found
    (_, rested), (left, gone) = found
    assert rested == pytest.approx(arrived + MotionSettings().quiet_seconds, abs=1)
    assert left == pytest.approx(arrived + stay, abs=0.6)
    assert gone == pytest.approx(START + CROSSING + stay, abs=0.6)


def test_the_boxes_surround_what_moves() -> None:
    for at, reading in watch(scenes.walker, START + CROSSING - 1, 10):
        if at < START + 1:
            continue
        assert reading.area > 0
        x, y, width, height = reading.boxes[0]
        middle = (-14 + scenes.PACE * (at - START)) / scenes.WIDTH
        assert x < middle < x + width
        assert (y, y + height) == pytest.approx((93 / 200, 185 / 200), abs=0.12)
        assert width < 0.3


def test_what_was_put_there_during_a_gap_does_not_stand_there_afterwards() -> None:
    """Vision that a sensor wakes finds a car parked. Who passes it ends his motion as he leaves."""

    def parked(at: float) -> Gray:
        picture = scenes.YARD.copy()
        picture[110:170, 240:] = 200
        scenes.draw_person(picture, 120 + scenes.PACE * (at - 100))
        return scenes.sensor(picture, at)

    detector, fps = MotionDetector(), 10.0
    watch(scenes.still, START, fps, detector=detector)
    readings = [(at, detector.step(parked(at), at)) for at in (100 + n / fps for n in range(250))]

    ((begin, end),) = runs(readings)
    assert begin <= 100.5
    assert end <= 100 + (scenes.WIDTH + 14 - 120) / scenes.PACE + 0.5, "while he is there, and no longer"


def test_a_change_during_a_gap_is_no_motion_and_the_next_walker_is_found() -> None:
    detector = MotionDetector()
    watch(scenes.still, 5, 10, detector=detector)
    parked = scenes.YARD.copy()
    parked[120:170, 40:140] = 200
    after = [detector.step(scenes.sensor(parked, 90 + k / 10), 90 + k / 10) for k in range(50)]
    assert not any(reading.active for reading in after)

    for k in range(20):
        picture = parked.copy()
        scenes.draw_person(picture, 180 + 6 * k)
        reading = detector.step(scenes.sensor(picture, 95 + k / 10), 95 + k / 10)
    assert reading.active


def test_a_clock_that_starts_again_ends_the_motion_and_goes_on() -> None:
    detector = MotionDetector()
    assert watch(scenes.walker, START + 3, 10, detector=detector)[-1][1].active

    again = watch(scenes.walker, START + 3, 10, detector=detector)
    assert not again[30][1].active
    assert again[-1][1].active


def test_another_picture_size_starts_another_background() -> None:
    detector = MotionDetector()
    watch(scenes.still, 5, 10, detector=detector)

    tall: NDArray[np.uint8] = np.full((480, 360), 90, np.uint8)
    reading = detector.step(tall, 5.1)
    assert reading.calibrating
    assert not reading.active


def test_calibrating_is_said_for_the_first_seconds_only_and_hides_nothing() -> None:
    settings = MotionSettings(settle_seconds=3)
    readings = watch(
        lambda at: scenes.walker(at + START), 5, 10, detector=MotionDetector(settings)
    )  # somebody walks from the first picture on

    assert [at for at, reading in readings if reading.calibrating][-1] == pytest.approx(2.9)
    assert any(reading.active for at, reading in readings if at <= 1.0)


def test_motion_under_the_mask_does_not_count() -> None:
    mask: NDArray[np.uint8] = np.zeros((90, 160), np.uint8)
    assert runs(watch(scenes.walker, START + CROSSING, 6, detector=MotionDetector(mask=mask))) == []

    mask[:, 80:] = 255
    ((begin, _),) = runs(watch(scenes.walker, START + CROSSING, 6, detector=MotionDetector(mask=mask)))
    assert begin == pytest.approx(START + CROSSING / 2, abs=0.7)


def test_sensitivity_decides_about_faint_things() -> None:
    def faint(at: float) -> NDArray[np.uint8]:
        picture = scenes.YARD.copy()
        scenes.draw_person(picture, -14 + scenes.PACE * (at - START))
        return scenes.sensor(np.where(picture == scenes.YARD, scenes.YARD, scenes.YARD - 12), at)

    def seen(sensitivity: float) -> float:
        detector = MotionDetector(MotionSettings(sensitivity=sensitivity))
        return seconds_on(watch(faint, START + CROSSING + 1, 10, detector=detector), 10)

    assert seen(0.0) == 0
    assert seen(1.0) == pytest.approx(CROSSING, abs=1.5)


@pytest.mark.parametrize("size", [(120, 160), (99, 141), (432, 768), (480, 640), (1080, 1920), (1280, 720)])
def test_every_picture_size_is_worked_at_a_hundred_pixels(size: tuple[int, int]) -> None:
    from meerkat_devices.motion.scene import shrink

    gray: NDArray[np.uint8] = np.full(size, 77, np.uint8)
    small = shrink(gray)

    assert small.shape[0] == 100
    assert small.shape[1] == pytest.approx(100 * size[1] / size[0], abs=2)
    assert (small == 77).all()
    MotionDetector().step(gray, 0.0)
