"""Between picamera2's threads and the camera's."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from meerkat_devices.sources.picamera.feed import Feed, Packet, View


def packet(number: int, *, key: bool = False, size: int = 10) -> Packet:
    return Packet(number, key, bytes(size))


def test_packets_keep_their_order_and_the_newest_frame_wins() -> None:
    feed = Feed()
    for number in range(5):
        feed.packet(packet(number, key=number == 0))
        feed.view(View(number, np.zeros((3, 2), np.uint8)))
    packets, view = feed.take(0)
    assert [one.sensor for one in packets] == [0, 1, 2, 3, 4]
    assert view is not None
    assert view.sensor == 4
    assert (feed.views_dropped, feed.packets_dropped) == (4, 0)
    assert feed.take(0) == ([], None)


def test_nothing_comes_before_a_key_frame() -> None:
    feed = Feed()
    for number in range(4):
        feed.packet(packet(number, key=number == 2))
    assert [one.sensor for one in feed.take(0)[0]] == [2, 3]


def test_at_the_limit_all_fits_and_one_byte_more_goes_up_to_the_next_key_frame() -> None:
    feed = Feed(max_bytes=30)
    for number in range(3):
        feed.packet(packet(number, key=number == 0))
    assert feed.packets_dropped == 0
    feed.packet(packet(3, size=1))
    feed.packet(packet(4, size=1))
    feed.packet(packet(5, key=True))
    feed.packet(packet(6))
    assert [one.sensor for one in feed.take(0)[0]] == [5, 6]
    assert feed.packets_dropped == 5
    feed.packet(packet(7, size=30))
    assert [one.sensor for one in feed.take(0)[0]] == [7], "what was taken makes room"


def test_an_error_is_raised_where_it_is_taken_and_again() -> None:
    feed = Feed()
    feed.fail(KeyError("SensorTimestamp"))
    for _ in range(2):
        with pytest.raises(KeyError):
            feed.take(0)


def test_a_waiting_reader_is_woken() -> None:
    feed = Feed()
    taken: list[int] = []
    reader = threading.Thread(target=lambda: taken.extend(one.sensor for one in feed.take(20)[0]))
    reader.start()
    feed.packet(packet(1, key=True))
    reader.join(20)
    assert taken == [1]
