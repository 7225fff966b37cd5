"""When a submitted clip began."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meerkat_cli.clip_time import began, mp4_seconds
from support.media import make_clip

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def header(scale: int, duration: int, *, version: int = 0) -> bytes:
    times = struct.pack(">QQIQ" if version else ">IIII", 0, 0, scale, duration)
    return box(b"moov", box(b"mvhd", bytes((version, 0, 0, 0)) + times))


@pytest.mark.parametrize("version", [0, 1])
def test_the_length_is_read_from_the_movie_header(version: int) -> None:
    assert mp4_seconds(box(b"ftyp", b"isom") + header(1000, 5250, version=version)) == 5.25


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no video",
        header(0, 5),
        box(b"moov", b""),
        box(b"moov", box(b"mvhd", b"\0\0")),
        struct.pack(">I4s", 4, b"moov"),
        b"\0\0\0\1moov",
        header(1000, 5000)[:-9],
    ],
)
def test_what_says_no_length_has_none(content: bytes) -> None:
    assert mp4_seconds(content) == 0.0


def test_a_clip_begins_its_length_before_the_file_was_closed() -> None:
    closed = NOW - timedelta(minutes=1)
    assert began(header(1, 5), closed.timestamp(), NOW) == closed - timedelta(seconds=5)


def test_no_clip_begins_in_the_future() -> None:
    assert began(b"", (NOW + timedelta(days=3)).timestamp(), NOW) == NOW


def test_a_length_of_days_is_not_believed() -> None:
    assert began(header(1, 10**9), NOW.timestamp(), NOW) == NOW


def test_a_real_clip(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=3)
    assert mp4_seconds(clip.read_bytes()) == pytest.approx(3, abs=0.2)
