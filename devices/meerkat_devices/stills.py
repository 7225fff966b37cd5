"""A camera that takes single pictures for a meter, and what it says of each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Still:
    """One exposure. `picture` is BGR, (H, W, 3)."""

    picture: NDArray[np.uint8]
    captured_at: datetime
    exposure: float | None = None
    """Seconds, as the camera's own metadata say; None when it says nothing."""
    gain: float | None = None
    locked: bool | None = None
    """Whether exposure and gain are those that were asked for; None where none can be asked for."""


class StillCamera(AbstractContextManager["StillCamera"], Protocol):
    """Open while a light is on, so that it sees the lit scene; used by one thread."""

    def stills(self, count: int, stop: threading.Event) -> Iterator[Still]:
        """At most `count` exposures of the scene as it is lit now, after the camera has settled.

        Fewer when `stop` is set. Raises SourceError.
        """

    def __exit__(self, *_: object) -> None: ...
