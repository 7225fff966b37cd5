"""Frames for the motion detector and for people."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from meerkat_devices.photo.taking import QUALITIES
from meerkat_devices.picture import encode, jpeg, luma
from support.media import make_clip


def test_the_luma_plane_is_a_view(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=1, size=(322, 182))
    with av.open(str(video)) as container:
        frame = next(container.decode(video=0))
    plane = luma(frame)
    assert plane.shape == (182, 322)
    assert not plane.flags.owndata
    assert np.array_equal(plane, frame.to_ndarray()[:182])
    ten_bit = luma(frame.reformat(format="yuv420p10le"))
    assert ten_bit.dtype == np.uint8
    assert ten_bit.shape == (182, 322)


def test_a_meters_picture_keeps_its_digits_sharp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the bound by its quality, never below 80; beyond that it becomes smaller."""
    asked: list[int] = []
    imencode = cv2.imencode

    def note(kind: str, picture: Any, options: list[int]) -> Any:
        asked.append(options[1])
        return imencode(kind, picture, options)

    monkeypatch.setattr(cv2, "imencode", note)
    noise = np.random.default_rng(1).integers(0, 255, (1080, 1920, 3), np.uint8)
    assert len(encode(noise, qualities=QUALITIES)) <= 200_000
    assert min(asked) == 80


def test_a_picture_stays_within_its_bounds() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (1080, 1920, 3), np.uint8)
    data = jpeg(av.VideoFrame.from_ndarray(noise, format="bgr24"))
    assert len(data) <= 200_000
    with av.open(BytesIO(data)) as container:
        assert container.streams.video[0].width <= 1280
