"""A picture is laid on its reference after a knock and in other light, and refused when it shows another
scene."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from meerkat_contract.errors import MediaError, UsageError
from meerkat_contract.meter_layout import MAX_LANDMARKS, MeterLayout
from meerkat_inference.meter.align import ENOUGH, align, features, plain, refusal

Picture = NDArray[np.uint8]
WIDTH, HEIGHT = 640, 480
DIGITS = tuple((200.0 + 44 * i, 150.0, 34.0, 54.0) for i in range(5))
DIALS = ((420.0, 280.0, 90.0, 90.0),)


OTHERS = tuple((150.0 + 52 * i, 240.0, 40.0, 60.0) for i in range(5)), ((300.0, 110.0, 70.0, 70.0),)


def face(reading: int = 1234, *, needle: float = 0.0, another: bool = False) -> Picture:
    """A meter on a wall of specks; or another one."""
    rng = np.random.default_rng(11 if another else 3)
    wall = np.asarray(cv2.GaussianBlur(rng.normal(120, 60, (HEIGHT, WIDTH, 3)), (0, 0), 6), np.float64)
    picture = np.clip(110 + (wall - 120) * 6, 40, 200).astype(np.uint8)
    cv2.circle(picture, (320, 240), 215, (228, 230, 232), -1, cv2.LINE_AA)
    cv2.circle(picture, (320, 240), 215, (60, 60, 60), 8, cv2.LINE_AA)
    font = cv2.FONT_HERSHEY_DUPLEX
    prints = [("AQUARIUS", 235, 100), ("No 123757 Qn 2.5", 190, 130), ("DE-03 M17 CE", 160, 330)]
    if another:
        prints = [("HYDRO", 160, 210), ("8 ZR 4711", 180, 350), ("T30 PN16", 230, 400), ("m3", 430, 290)]
    for text, x, y in prints:
        cv2.putText(picture, text, (x, y), font, 0.8, (50, 50, 50), 1, cv2.LINE_AA)
    digits, dials = OTHERS if another else (DIGITS, DIALS)
    for (x, y, w, h), digit in zip(digits, f"{reading:05d}", strict=True):
        cv2.rectangle(picture, (int(x), int(y)), (int(x + w), int(y + h)), (30, 30, 30), 3)
        cv2.putText(picture, digit, (int(x) + 6, int(y) + 42), font, 1.1, (20, 20, 20), 2, cv2.LINE_AA)
    for x, y, w, _ in dials:
        centre, radius = (int(x + w / 2), int(y + w / 2)), int(w / 2)
        cv2.circle(picture, centre, radius, (50, 50, 50), 2, cv2.LINE_AA)
        tip = centre[0] + radius * 0.8 * np.sin(needle), centre[1] - radius * 0.8 * np.cos(needle)
        cv2.line(picture, centre, (int(tip[0]), int(tip[1])), (30, 30, 220), 5, cv2.LINE_AA)
    return picture


def laid_out(picture: Picture, **also: object) -> MeterLayout:
    layout = MeterLayout.model_validate(
        {"digits": DIGITS, "pointers": DIALS, "width": WIDTH, "height": HEIGHT, **also}
    )
    return layout.model_copy(update={"landmarks": features(picture, layout)})


def knocked(
    picture: Picture, *, right: float = 0.0, down: float = 0.0, turn: float = 0.0, scale: float = 1.0
) -> tuple[Picture, NDArray[np.float64]]:
    """The picture after a knock, and (2, 3) from the old pixels to the new ones."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -turn, scale)
    matrix[:, 2] += (right * width, down * height)
    moved = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8), np.asarray(matrix, np.float64)


def centres() -> NDArray[np.float64]:
    """(3, boxes)"""
    boxes = np.array([*DIGITS, *DIALS])
    return np.stack([boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3] / 2, np.ones(len(boxes))])


def dark(picture: Picture) -> Picture:
    noise = np.random.default_rng(1).normal(0, 2, picture.shape)
    return np.clip(picture * 0.2 + noise, 0, 255).astype(np.uint8)


def infrared(picture: Picture) -> Picture:
    """Red is white under it, the lamp is in the middle, and it has no colour."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    lamp = np.exp(-(((x - 300) / 420) ** 2 + ((y - 220) / 380) ** 2))
    return np.clip(np.repeat((picture[..., 2] * lamp)[..., None], 3, 2), 0, 255).astype(np.uint8)


def sidelit(picture: Picture) -> Picture:
    ramp = np.linspace(0.3, 1.15, WIDTH)[None, :, None]
    return np.clip(picture * ramp, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("light", [lambda picture: picture, dark, infrared, sidelit])
@pytest.mark.parametrize(
    "knock",
    [
        {},
        {"right": 0.1, "down": -0.1},
        {"turn": 8.0},
        {"turn": -8.0, "scale": 0.95},
        {"right": -0.08, "down": 0.06, "turn": 5.0, "scale": 1.05},
    ],
)
def test_a_knocked_camera_still_finds_each_box(light, knock):
    layout = laid_out(face(1234))
    now, truth = knocked(face(88765, needle=2.0), **knock)
    seen, matrix = align(light(now), layout)
    assert seen.score >= ENOUGH
    assert refusal(seen) == ""
    assert np.abs(matrix @ centres() - truth @ centres()).max() < 2.0
    assert seen.rotation_deg == pytest.approx(knock.get("turn", 0.0), abs=0.5)
    assert seen.scale == pytest.approx(knock.get("scale", 1.0), abs=0.01)
    assert seen.dx == pytest.approx(knock.get("right", 0.0) * WIDTH, abs=2)
    assert seen.dy == pytest.approx(knock.get("down", 0.0) * HEIGHT, abs=2)


def strangers() -> dict[str, Picture]:
    own = face()
    rng = np.random.default_rng(5)
    covered = own.copy()
    covered[:, : int(WIDTH * 0.6)] = 70
    return {
        "black": rng.integers(0, 4, own.shape).astype(np.uint8),
        "white": np.full_like(own, 255),
        "fogged": np.clip(own * 0.08 + 180 + rng.normal(0, 3, own.shape), 0, 255).astype(np.uint8),
        "out of focus": np.asarray(cv2.GaussianBlur(own, (0, 0), 14), np.uint8),
        "noise": rng.integers(0, 256, own.shape).astype(np.uint8),
        "half covered": covered,
        "another meter": face(another=True),
        "upside down": own[::-1, ::-1].copy(),
        "mirrored": own[:, ::-1].copy(),
        "out of view": knocked(own, right=0.5, down=0.4)[0],
    }


@pytest.mark.parametrize("what", strangers())
def test_what_is_not_there_is_refused(what):
    layout = laid_out(face())
    seen, matrix = align(strangers()[what], layout)
    assert seen.score < ENOUGH
    assert "reference" in refusal(seen)
    np.testing.assert_allclose(matrix, plain(layout, WIDTH, HEIGHT), atol=1e-9)


def test_a_turned_layout_is_laid_on_the_picture_as_the_camera_gave_it():
    straight = face()
    askew, turned = knocked(straight, turn=6.0)  # boxes lie straight again after -6
    layout = laid_out(askew, rotation_deg=-6.0)
    np.testing.assert_allclose(plain(layout, WIDTH, HEIGHT) @ centres(), turned @ centres(), atol=0.01)
    now, knock = knocked(askew, right=0.05, turn=2.0)
    seen, matrix = align(now, layout)
    both = np.vstack([knock, [0, 0, 1]]) @ np.vstack([turned, [0, 0, 1]])
    assert seen.rotation_deg == pytest.approx(2.0, abs=0.5)
    assert np.abs(matrix @ centres() - (both[:2] @ centres())).max() < 2.0


def test_a_picture_of_another_size_is_scaled():
    layout = laid_out(face())
    large = np.asarray(cv2.resize(face(99), (1920, 1440), interpolation=cv2.INTER_CUBIC), np.uint8)
    seen, matrix = align(large, layout)
    assert seen.score >= ENOUGH
    assert np.abs(matrix @ centres() - 3 * centres()[:2]).max() < 4.0
    np.testing.assert_allclose(plain(layout, 1920, 1440) @ centres(), 3 * centres()[:2], atol=1e-6)


def test_a_picture_of_another_shape_is_an_error():
    layout = laid_out(face())
    wide = np.zeros((360, 640, 3), np.uint8)
    with pytest.raises(MediaError, match=r"640x360.*640x480"):
        align(wide, layout)
    with pytest.raises(MediaError, match=r"640x360.*640x480"):
        plain(layout, 640, 360)


def test_landmarks_fit_their_message_and_leave_out_what_turns():
    picture = face()
    layout = laid_out(picture)
    assert layout.landmarks is not None
    assert 4_000 < len(layout.landmarks) < MAX_LANDMARKS * 3 / 4  # in base64 they must fit as well
    other = face(98760, needle=4.0)
    assert laid_out(other).landmarks != features(other)
    # Nothing of the digits or needles is in them: only what blurs over the boxes' edges differs.
    plain_cells = np.frombuffer(layout.landmarks[-2000:], np.uint8).astype(int)
    other_cells = np.frombuffer((laid_out(other).landmarks or b"")[-2000:], np.uint8).astype(int)
    assert (np.abs(plain_cells - other_cells) > 40).mean() < 0.02


def test_an_empty_picture_has_no_landmarks():
    with pytest.raises(MediaError, match="only 0 points"):
        features(np.full((480, 640, 3), 90, np.uint8))


@pytest.mark.parametrize("junk", [b"", b"MKL1", b"x" * 500])
def test_bytes_that_are_no_landmarks_are_an_error(junk):
    layout = laid_out(face()).model_copy(update={"landmarks": junk})
    with pytest.raises(UsageError, match="not landmarks"):
        align(face(), layout)


def test_without_landmarks_there_is_nothing_to_align_with():
    layout = MeterLayout(digits=DIGITS)
    with pytest.raises(UsageError, match="no landmarks"):
        align(face(), layout)
