"""JPEG in and out, and boxes on pictures."""

from __future__ import annotations

import contextlib
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat_contract.errors import MediaError
from meerkat_inference.detector import Found
from meerkat_inference.picture import decode_jpeg, draw_boxes, encode_jpeg, jpeg_size


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


def bomb(width: int, height: int) -> bytes:
    """A small JPEG whose header says it is large."""
    data = bytearray(encode_jpeg(np.zeros((8, 8, 3), np.uint8)))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def test_a_picture_survives_the_way_there_and_back() -> None:
    picture = np.full((48, 64, 3), (20, 120, 220), np.uint8)
    data = encode_jpeg(picture)
    assert jpeg_size(data) == (64, 48)
    assert np.abs(decode_jpeg(data).astype(int) - picture).max() <= 3


def test_a_progressive_jpeg_is_read() -> None:
    data = cv2.imencode(".jpg", noise(64, 48), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert jpeg_size(data) == (64, 48)
    assert decode_jpeg(data).shape == (48, 64, 3)


def test_a_grey_jpeg_becomes_three_channels() -> None:
    data = cv2.imencode(".jpg", np.zeros((48, 64), np.uint8))[1].tobytes()
    assert decode_jpeg(data).shape == (48, 64, 3)


def test_a_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(MediaError, match="60000x60000 pixels") as caught:
        decode_jpeg(bomb(60_000, 60_000))
    assert caught.value.remedy


def test_the_limit_is_exact() -> None:
    data = encode_jpeg(noise(10, 10))
    assert decode_jpeg(data, max_pixels=100).shape == (10, 10, 3)
    with pytest.raises(MediaError):
        decode_jpeg(data, max_pixels=99)


@pytest.mark.parametrize("width", [0, 8])
def test_a_picture_without_lines_is_refused(width: int) -> None:
    with pytest.raises(MediaError):
        decode_jpeg(bomb(width, 0))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"GIF89a", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xe0\x00"]
)
def test_what_is_no_jpeg_says_so(data: bytes) -> None:
    with pytest.raises(MediaError) as caught:
        decode_jpeg(data)
    assert caught.value.remedy


def test_a_cut_off_jpeg_is_refused() -> None:
    data = encode_jpeg(noise(320, 240))
    with pytest.raises(MediaError, match="cut off"):
        decode_jpeg(data[: len(data) // 2])


@given(st.binary(max_size=400))
def test_no_bytes_do_anything_but_decode_or_raise(tail: bytes) -> None:
    with contextlib.suppress(MediaError):
        decode_jpeg(b"\xff\xd8" + tail, max_pixels=10_000)


def test_a_jpeg_fits_the_limit() -> None:
    picture = noise(1280, 720)
    data = encode_jpeg(picture, max_bytes=200_000)
    assert len(data) <= 200_000
    width, height = jpeg_size(data)
    assert width / height == pytest.approx(16 / 9, rel=0.01)


def test_an_easy_picture_keeps_quality_and_size() -> None:
    picture = np.full((720, 1280, 3), 99, np.uint8)
    assert encode_jpeg(picture, quality=90) == encode_jpeg(picture, quality=90, max_bytes=10**9)
    assert jpeg_size(encode_jpeg(picture)) == (1280, 720)


def test_a_limit_that_nothing_fits_is_an_error() -> None:
    with pytest.raises(MediaError, match="fits 10 bytes"):
        encode_jpeg(noise(64, 64), max_bytes=10)


def test_an_array_that_is_no_picture_is_an_error() -> None:
    with pytest.raises(MediaError, match="cannot become a JPEG"):
        encode_jpeg(np.zeros((4, 4, 2), np.uint8))


def test_boxes_are_drawn_on_a_copy() -> None:
    picture = np.zeros((360, 640, 3), np.uint8)
    drawn = draw_boxes(picture, [Found("person", 0.87, (0.25, 0.25, 0.5, 0.5))])
    assert not picture.any()
    assert drawn[90, 320].any()
    assert drawn[269, 320].any()
    assert not drawn[180, 320].any()


def test_no_boxes_change_nothing() -> None:
    picture = noise(64, 48)
    np.testing.assert_array_equal(draw_boxes(picture, []), picture)


@given(
    st.integers(8, 700),
    st.integers(8, 700),
    st.tuples(*(st.floats(0, 1) for _ in range(4))),
    st.sampled_from(["person", "car", "dog", "traffic_light"]),
)
def test_any_box_can_be_drawn(
    width: int, height: int, box: tuple[float, float, float, float], label: str
) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    assert draw_boxes(picture, [Found(label, 1.0, box)]).shape == picture.shape


@pytest.mark.parametrize("box", [(0.0, 0.0, 0.1, 0.1), (0.95, 0.0, 0.05, 1.0), (0.9, 0.95, 0.1, 0.05)])
def test_the_label_stays_within_the_picture(box: tuple[float, float, float, float]) -> None:
    """The tab's filled area is as large at the edge as in the middle."""

    def filled(place: tuple[float, float, float, float]) -> int:
        drawn = draw_boxes(np.zeros((360, 640, 3), np.uint8), [Found("person", 0.5, place)])
        return int((drawn == (66, 138, 250)).all(axis=2).sum())

    assert filled(box) > 1000
