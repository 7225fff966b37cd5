"""A device's cameras and meters. Their libraries are loaded when there is one of them, and not before.

Importing `camera` costs 0.3 s and 45 MB on the way; a device of sensors and lamps needs none of that.
"""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from .clock import Clock
from .outbox.outbox import Outbox
from .settings.device import CameraSettings, MeterSettings
from .sources.source import Pace
from .station import Station

if TYPE_CHECKING:
    from .camera import Camera
    from .meter import Meter


def make_cameras(
    settings: dict[str, CameraSettings],
    *,
    station: Station,
    outbox: Outbox,
    clock: Clock,
    pace: Pace,
    loop: bool,
) -> list[Camera]:
    """Raises UsageError for a source that cannot be."""
    if not settings:
        return []
    from .camera import Camera

    return [
        Camera(name, own, station=station, outbox=outbox, clock=clock, pace=pace, loop=loop)
        for name, own in settings.items()
    ]


def make_meters(
    settings: dict[str, MeterSettings],
    *,
    station: Station,
    outbox: Outbox,
    clock: Clock,
    zone: tzinfo,
    data: Path,
    pace: Pace,
) -> list[Meter]:
    """`data` is the device's own folder. Raises UsageError for a source that cannot be."""
    if not settings:
        return []
    from .meter import Meter

    return [
        Meter(name, own, station=station, outbox=outbox, clock=clock, zone=zone, data=data, pace=pace)
        for name, own in settings.items()
    ]
