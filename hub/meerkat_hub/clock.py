"""The machine's clocks, in one place, so that a simulated world can put its own there."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from .core.records import Now


def now() -> Now:
    """This instant."""
    return Now(datetime.now(UTC), time.monotonic())
