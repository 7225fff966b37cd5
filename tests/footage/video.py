"""Luma planes of a video, as the motion detector wants them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def luma_planes(video: Path, *, fps: float | None = None) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """(plane (H, W), media time) of each frame, or of the frames that a camera of `fps` would show.

    The planes are views of the decoder's memory: copy what you keep.
    """
    with av.open(str(video)) as container:
        taken = 0
        for frame in container.decode(container.streams.video[0]):
            at = float(frame.time or 0.0)
            if fps is not None:
                if at < taken / fps - 1e-6:
                    continue
                taken = int(at * fps + 1e-6) + 1
            plane = frame.planes[0]
            rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
            yield rows[:, : plane.width], at
