"""The date stands below the picture and takes nothing of it away."""

from __future__ import annotations

import numpy as np
import pytest

from meerkat_devices.photo.caption import PAPER, captioned

TEXT = "2026-11-20 08:15"


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (640, 480), (4056, 3040), (160, 120), (16, 16)])
def test_the_picture_stays_as_it_is(width: int, height: int) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    whole = captioned(picture, TEXT)
    assert np.array_equal(whole[:height], picture)
    bar = whole[height:]
    assert bar.shape[1:] == (width, 3)
    assert 0.02 * width <= bar.shape[0] <= max(0.05 * width, 14)
    if width >= 160:
        assert bar.max() > 180, "there is ink"
        assert (bar[:, -2:] == PAPER).all(), "it fits"


def test_other_dates_look_otherwise() -> None:
    picture = np.zeros((72, 128, 3), np.uint8)
    assert not np.array_equal(captioned(picture, TEXT), captioned(picture, "2026-11-20 08:16"))
