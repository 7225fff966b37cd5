"""What several tests of meters stand on."""

from __future__ import annotations

import pytest

from meter_support.pipeline import MeterDriver


@pytest.fixture
def core() -> MeterDriver:
    """With a worker, and a layout of the water meter."""
    driver = MeterDriver()
    driver.worker()
    driver.lay_out()
    return driver
