"""A meter's stills from a camera that gives one picture at a time over HTTP.

Decoded by OpenCV, which a meter has loaded anyway: libav would be 15 MB more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from meerkat_devices.clock import Clock
from meerkat_devices.settings.address import Address
from meerkat_devices.settings.sources import DEFAULTS, SourceOptions
from meerkat_devices.stills import Still, StillCamera

from .image_size import image_size
from .snapshot_client import MAX_PIXELS, SnapshotClient, damaged, of_single_pictures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAME = 4
"""Equal answers, byte for byte, after which no further exposure is waited for: the camera keeps one."""

SAME_SECONDS = 0.5


def open_stills(
    address: Address, *, clock: Clock, options: SourceOptions = DEFAULTS
) -> SnapshotStills | None:
    """A GET for each exposure, if this is an address of single pictures. Raises SourceError."""
    if not of_single_pictures(address, clock=clock, options=options):
        return None
    return SnapshotStills(address, clock=clock, options=options)


class SnapshotStills(StillCamera):
    """Each exposure is one GET. An answer that is the one before, byte for byte, does not count twice."""

    def __init__(self, address: Address, *, clock: Clock, options: SourceOptions = DEFAULTS) -> None:
        """Asks for nothing yet."""
        self._address = address
        self._clock = clock
        self._client = SnapshotClient(address, clock=clock, options=options)

    def stills(self, count: int, stop: threading.Event) -> Iterator[Still]:
        before, same, given = b"", 0, 0
        while given < count and not stop.is_set():
            fetched = self._client.fetch()
            if fetched.data == before:
                same += 1
                if same >= SAME or self._clock.wait(stop, SAME_SECONDS):
                    return
                continue
            before, same, given = fetched.data, 0, given + 1
            yield Still(decode(fetched.data, self._address), fetched.captured)

    def __exit__(self, *_: object) -> None:
        """Nothing is open between two pictures."""


def decode(data: bytes, address: Address) -> NDArray[np.uint8]:
    """A JPEG or PNG as BGR (H, W, 3), as the camera sends it: a note on how to turn it is left out.

    The size is read first, so a small file cannot unpack to gigabytes. Raises SourceError.
    """
    import cv2
    import numpy as np

    size = image_size(data)
    if size is None or not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise damaged(address)
    how = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    if picture is None:
        raise damaged(address)
    return picture.astype(np.uint8, copy=False)
