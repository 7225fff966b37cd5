"""What meerkat.yaml may say of pins, and how it says no."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from meerkat_devices.settings.device import DeviceSettings

CAMERA = {"source": "scene:porch"}


def settings(**sections: Any) -> DeviceSettings:
    return DeviceSettings.model_validate(sections)


def refused(**sections: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        settings(**sections)
    return str(caught.value)


def test_what_the_guide_shows_is_taken() -> None:
    own = settings(
        sensors={
            "hall-pir": {"kind": "motion", "gpio": 17},
            "back-door": {"kind": "door", "gpio": 27},
            "bell": {"kind": "button", "gpio": 22, "rings": "front"},
        },
        lights={"ir": {"gpio": 18}},
        cameras={"front": {**CAMERA, "motion": {"sensors": ["hall-pir"], "combine": "wake"}, "light": "ir"}},
    )
    pir, door, bell = own.sensors.values()
    assert (pir.resistor, pir.on_level) == ("down", "high")
    assert (door.resistor, door.on_level) == ("up", "high")
    assert (bell.resistor, bell.on_level) == ("up", "low")
    light = own.cameras["front"].light
    assert light is not None
    assert (light.name, light.when) == ("ir", "dark")
    assert own.pins == "auto"


def test_two_things_on_one_pin() -> None:
    said = refused(sensors={"pir": {"kind": "motion", "gpio": 18}}, lights={"ir": {"gpio": 18}})
    assert "pir and ir are both on GPIO 18" in said


def test_names_are_used_once() -> None:
    assert "'ir' names both a camera and a light" in refused(
        cameras={"ir": CAMERA}, lights={"ir": {"gpio": 1}}
    )
    assert "'x' names both a sensor and a light" in refused(
        sensors={"x": {"kind": "door", "gpio": 4}}, lights={"x": {"gpio": 5}}
    )


def test_a_pin_that_the_board_pulls_up() -> None:
    assert "GPIO 2 is pulled up by a resistor" in refused(sensors={"pir": {"kind": "motion", "gpio": 2}})
    assert settings(sensors={"bell": {"kind": "button", "gpio": 2}})


def test_a_pin_that_is_not_there() -> None:
    assert "less than or equal to 27" in refused(lights={"ir": {"gpio": 40}})


def test_sensors_of_a_camera_must_be_there_and_tell_motion() -> None:
    bell = {"bell": {"kind": "button", "gpio": 22}}
    camera = {**CAMERA, "motion": {"sensors": ["hall"]}}
    assert "camera front: there is no sensor 'hall' in `sensors`; there is bell" in refused(
        cameras={"front": camera}, sensors=bell
    )
    camera = {**CAMERA, "motion": {"sensors": ["bell"]}}
    assert "bell is a button" in refused(cameras={"front": camera}, sensors=bell)


def test_lights_must_be_there() -> None:
    assert "camera front: there is no light 'ir' in `lights`; there is none" in refused(
        cameras={"front": {**CAMERA, "light": "ir"}}
    )
    assert "meter water: there is no light 'ir'" in refused(
        meters={"water": {"source": "scene:meter", "light": "ir"}}
    )


def test_only_a_button_rings_and_only_a_camera() -> None:
    assert "only a button rings" in refused(
        cameras={"front": CAMERA}, sensors={"pir": {"kind": "motion", "gpio": 17, "rings": "front"}}
    )
    assert "rings 'back', which is no camera" in refused(
        cameras={"front": CAMERA}, sensors={"bell": {"kind": "button", "gpio": 22, "rings": "back"}}
    )


@pytest.mark.parametrize("gpio", [2, 3])
def test_a_lamp_is_not_put_where_a_resistor_lights_it(gpio: int) -> None:
    """It would glow while the Pi starts, and after a kill."""
    assert f"GPIO {gpio} is pulled up" in refused(lights={"ir": {"gpio": gpio}})
    settings(lights={"ir": {"gpio": gpio, "active_high": False}})
