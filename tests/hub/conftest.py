from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub_support.core_driver import CoreDriver


@pytest.fixture
def core() -> Iterator[CoreDriver]:
    """A hub's core on a clock that the test turns; its invariants are checked after every step."""
    driver = CoreDriver()
    yield driver
    driver.check()
