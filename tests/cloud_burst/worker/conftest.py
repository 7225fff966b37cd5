"""No worker of a test outlives it: its thread would poll a cloud in memory without a pause."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from support.wait import wait_for


@pytest.fixture(autouse=True)
def _no_worker_is_left() -> Iterator[None]:
    yield
    wait_for(
        lambda: not any(thread.name == "orders" for thread in threading.enumerate()),
        what="the end of the worker's thread",
    )
