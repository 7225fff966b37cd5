"""Motion JPEG over HTTP, as microcontrollers and phones send it: turned, broken off, standing still."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

import pytest

from meerkat_devices.recording.recorder import Chunk
from meerkat_devices.settings.address import parse_source
from meerkat_devices.settings.sources import SourceOptions
from meerkat_devices.sources.opening import open_source
from meerkat_devices.sources.source import Shot, SourceError
from support.http_camera import HttpCamera, picture

Send = Callable[[bytes], object]


def part(jpeg: bytes) -> bytes:
    return b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg)


def stream(play: Callable[[HttpCamera, Send], None]) -> HttpCamera:
    camera = HttpCamera()

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
        handler.end_headers()
        with suppress(OSError):  # whoever looked hangs up
            play(camera, handler.wfile.write)

    camera.respond = respond
    return camera


def pictures(camera: HttpCamera, send: Send, count: int, size: tuple[int, int] = (320, 180)) -> None:
    for number in range(count):
        send(part(picture(number / 9, size=size)))
        camera.stop.wait(0.02)


def watched(camera: HttpCamera) -> tuple[list[Chunk], list[Shot], SourceError]:
    """What came until it broke off, and why that was."""
    chunks: list[Chunk] = []
    shots: list[Shot] = []
    with (
        camera.serving() as port,
        open_source(
            parse_source(f"http://127.0.0.1:{port}/video"), options=SourceOptions(stall_seconds=2)
        ) as opened,
    ):
        try:
            for sample in opened.samples(threading.Event()):
                chunks += sample.chunks
                shots += sample.shots
        except SourceError as error:
            return chunks, shots, error
    pytest.fail("it ended without a word")


def test_a_phone_that_is_turned_is_opened_anew_and_not_stretched() -> None:
    def play(camera: HttpCamera, send: Send) -> None:
        pictures(camera, send, 60)
        pictures(camera, send, 60, (240, 320))

    chunks, shots, error = watched(stream(play))
    assert error.what == "the camera's picture is 240×320 now, it was 320×180"
    assert {(shot.frame.width, shot.frame.height) for shot in shots} == {(320, 180)}
    assert len(chunks) <= 60


@pytest.mark.parametrize("part_of_it", [0, 3000])
def test_one_that_stands_still_also_within_a_picture_is_told(part_of_it: int) -> None:
    def play(camera: HttpCamera, send: Send) -> None:
        pictures(camera, send, 60)
        send(part(picture())[:part_of_it])
        camera.stop.wait(30)

    chunks, _, error = watched(stream(play))
    assert error.what == "no answer"
    assert len(chunks) >= 59


def test_a_byte_at_a_time_is_no_picture_either() -> None:
    def play(camera: HttpCamera, send: Send) -> None:
        pictures(camera, send, 60)
        while not camera.stop.wait(0.05):
            send(b"\xff")

    _, shots, error = watched(stream(play))
    assert error.what == "no answer"
    assert len(shots) >= 59


def test_damaged_pictures_are_passed_over_or_end_it_but_nothing_worse() -> None:
    def play(camera: HttpCamera, send: Send) -> None:
        pictures(camera, send, 60)
        for number in range(10):
            send(part(picture()[: 400 + number * 100] + bytes([number]) * 300))
        pictures(camera, send, 10)

    chunks, _, error = watched(stream(play))
    assert error.remedy
    assert len(chunks) >= 60
