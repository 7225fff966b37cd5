"""What devices reported: one at each place, and no longer than it lasts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from meerkat_contract.messages import ErrorReport
from meerkat_hub.adapters.errors import KEPT, Errors
from meerkat_hub.adapters.live import Live, LivePicture

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
FRONT = "camera front, rtsp://front/1"


def report(where: str, what: str = "is not there", *, at: datetime = NOW) -> ErrorReport:
    return ErrorReport(what=what, where=where, at=at)


def without_pictures() -> Errors:
    return Errors(lambda _device, _camera: None)


def test_each_place_has_its_latest_and_the_latest_is_first() -> None:
    errors = without_pictures()
    errors.add("porch", report(FRONT))
    errors.add("porch", report("camera yard, rtsp://yard/1"))
    errors.add("shed", report(FRONT))
    errors.add("porch", report(FRONT, "refuses the password"))
    told = [(one.where.split(",")[0], one.what) for one in errors.of("porch")]
    assert told == [("camera front", "refuses the password"), ("camera yard", "is not there")]
    assert len(errors.of("shed")) == 1
    assert errors.of("nobody") == ()


def test_a_device_says_itself_that_it_is_over() -> None:
    errors = without_pictures()
    errors.add("porch", report("camera front", "no key frame for a minute"))
    errors.add("porch", report("light lamp, GPIO 18"))
    errors.add("shed", report("camera front"))
    errors.add("porch", report("camera front", ""))
    assert [one.where for one in errors.of("porch")] == ["light lamp, GPIO 18"]
    assert len(errors.of("shed")) == 1
    errors.add("porch", report("nowhere", ""))
    assert len(errors.of("porch")) == 1


def test_what_is_told_again_is_no_news() -> None:
    errors = without_pictures()
    assert errors.add("porch", report(FRONT))
    assert not errors.add("porch", report(FRONT)), "told again to a hub that came"
    assert errors.add("shed", report(FRONT)), "another device's"
    assert errors.add("porch", report(FRONT, at=NOW + timedelta(minutes=5))), "it has happened once more"
    assert errors.add("porch", report(FRONT, "refuses the password"))
    assert errors.add("porch", report(FRONT, ""))
    assert not errors.add("porch", report(FRONT, "")), "well already"
    assert errors.add("porch", report(FRONT, "refuses the password")), "after it was well"


def test_their_number_is_bounded() -> None:
    errors = without_pictures()
    for n in range(KEPT + 1):
        errors.add("porch", report(f"camera c{n}, rtsp://c/{n}"))
    told = errors.of("porch")
    assert len(told) == KEPT
    assert told[-1].where.startswith("camera c1,"), "the first has gone"


def test_what_is_over_goes_unless_another_took_its_place() -> None:
    errors, first, second = without_pictures(), report("device pi"), report("device pi", "is lost")
    errors.add("pi", first)
    errors.add("pi", second)
    errors.remove("pi", first)
    assert errors.of("pi") == (second,)
    errors.remove("pi", second)
    assert errors.of("pi") == ()


def test_a_picture_taken_later_ends_what_was_wrong_with_its_camera() -> None:
    live = Live()
    front, frames = report(FRONT), report("camera front, frames, model.tflite")
    recording, yard = report("camera front", "no key frame"), report("camera yard, rtsp://yard/1")
    for one in (front, frames, recording, yard):
        live.errors.add("porch", one)
    live.pictures["porch", "front"] = LivePicture(b"", NOW)
    live.pictures["shed", "yard"] = LivePicture(b"", NOW + timedelta(hours=1))
    assert len(live.errors.of("porch")) == 4, "taken before it, and by another device's camera"
    live.pictures["porch", "front"] = LivePicture(b"", NOW + timedelta(microseconds=1))
    assert live.errors.of("porch") == (yard, recording, frames), "a picture says nothing of recordings"
