"""What counts as motion with sensors: each rule at its exact instants. Times are media time."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from meerkat_devices.motion.judgement import BLIND_SECONDS, Judgement
from meerkat_devices.settings.motion import MotionSettings


class Watched:
    """A judgement with a scene: vision says what `seen` says, when it is asked."""

    def __init__(
        self, combine: str = "any", *, sensors: tuple[str, ...] = ("pir",), lasts: float = 10
    ) -> None:
        settings = MotionSettings.model_validate(
            {"sensors": sensors, "combine": combine, "sensor_seconds": lasts}
        )
        self.judgement = Judgement(settings)
        self.asked = 0
        self.forgot: list[float] = []

    def at(self, at: float, *, pir: bool = False, seen: bool = False, relit: bool = False) -> bool:
        look = self.judgement.before(at, sensed=pir, relit=relit)
        self.asked += look.see
        if look.forget:
            self.forgot.append(at)
        return self.judgement.after(seen if look.see else None)


def test_any_is_either() -> None:
    watched = Watched("any")
    assert [
        watched.at(0),
        watched.at(1, pir=True),
        watched.at(2, seen=True),
        watched.at(3, pir=True, seen=True),
        watched.at(4),
    ] == [False, True, True, True, False]
    assert watched.asked == 5


def test_all_wants_vision_within_the_seconds_of_the_sensor() -> None:
    watched = Watched("all", lasts=10)
    assert not watched.at(0, seen=True)
    assert not watched.at(1, pir=True)
    assert watched.at(2, seen=True)
    assert watched.at(11, seen=True), "the sensor was ON at 1 s, exactly 10 s ago"
    assert not watched.at(11.01, seen=True)


def test_wake_asks_vision_only_for_the_seconds_after_a_sensor() -> None:
    watched = Watched("wake", lasts=10)
    assert not watched.at(0, seen=True), "nobody woke it"
    assert watched.asked == 0
    assert not watched.at(1, pir=True)
    assert watched.at(2, seen=True)
    assert watched.at(11, seen=True)
    assert not watched.at(11.5), "it looked on while there was motion, and now there is none"
    asked = watched.asked
    assert not watched.at(11.6, seen=True)
    assert watched.asked == asked


def test_wake_looks_on_while_there_is_motion() -> None:
    watched = Watched("wake", lasts=1)
    watched.at(0, pir=True)
    assert all(watched.at(second, seen=True) for second in range(1, 60))
    assert not watched.at(60)
    assert not watched.at(61, seen=True)


def test_the_sensors_alone_never_ask_vision() -> None:
    watched = Watched("sensors")
    assert [watched.at(n, pir=n in (1, 2), seen=True) for n in range(4)] == [False, True, True, False]
    assert watched.asked == 0


def test_without_sensors_vision_judges() -> None:
    watched = Watched(sensors=())
    assert [watched.at(0), watched.at(1, seen=True), watched.at(2)] == [False, True, False]


def test_a_lamp_that_is_switched_is_no_motion() -> None:
    """While the camera finds its exposure vision is not asked, and then it begins anew."""
    watched = Watched(sensors=())
    assert not watched.at(0)
    assert not watched.at(1, relit=True, seen=True)
    assert not watched.at(1 + BLIND_SECONDS - 0.01, seen=True)
    assert watched.at(1 + BLIND_SECONDS, seen=True)
    assert watched.forgot == [1 + BLIND_SECONDS]
    assert watched.at(2.5, relit=True), "what moved before goes on moving while nobody looks"
    assert not watched.at(4.5)


def test_a_clock_that_begins_again() -> None:
    watched = Watched("all", lasts=10)
    watched.at(1000, pir=True, relit=True)
    assert not watched.at(0.1, seen=True), "the sensor's word was of another time"
    assert watched.asked == 1, "and nobody is blind any more"


def test_rules_need_sensors() -> None:
    with pytest.raises(ValidationError, match="needs sensors"):
        MotionSettings(combine="wake")
