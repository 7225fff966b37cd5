"""The demonstration's meter is one of the family: its truth is what its picture shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from meerkat_devices.scenes.meter import BasementMeter
from meerkat_training.faces.basement import basement_picture
from meerkat_training.faces.preview import turned, with_truth

MORNING = datetime(2026, 11, 20, 6, 50, tzinfo=UTC)
METER = BasementMeter()


def test_truth_is_of_the_picture() -> None:
    picture, truth = basement_picture(MORNING, METER)
    assert picture.shape == (720, 1280, 3)
    assert truth.layout == METER.layout()
    assert truth.reading == METER.reading(MORNING)
    assert len(truth.wheels) == len(truth.layout.digits)
    assert len(truth.needles) == len(truth.layout.pointers)
    assert with_truth(picture, truth).shape == picture.shape


@pytest.mark.parametrize("hours", [0, 5, 29])
def test_needles_point_where_the_truth_says(hours: int) -> None:
    picture, truth = basement_picture(MORNING + timedelta(hours=hours), METER)
    upright = turned(picture, truth.layout)[..., 0].astype(np.float32)
    for (x, y, width, height), position in zip(truth.layout.pointers, truth.needles, strict=True):
        middle, radius = (x + width / 2, y + height / 2), width * 0.2
        turns = np.arange(100) * 2 * np.pi / 100
        columns = np.round(middle[0] + radius * np.sin(turns)).astype(int)
        rows = np.round(middle[1] - radius * np.cos(turns)).astype(int)
        darkest = float(np.argmin(upright[rows, columns])) / 10
        assert abs((darkest - position + 5) % 10 - 5) < 0.6
