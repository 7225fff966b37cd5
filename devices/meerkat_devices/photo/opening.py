"""Open a meter's camera for stills, by its address."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from meerkat_devices.clock import Clock
from meerkat_devices.settings.address import Address
from meerkat_devices.settings.device import MeterSettings
from meerkat_devices.sources.source import Source
from meerkat_devices.sources.watchdog import Watchdog
from meerkat_devices.stills import Still, StillCamera


def open_stills(
    address: Address,
    settings: MeterSettings,
    *,
    clock: Clock,
    lit: bool,
    watchdog: Watchdog | None = None,
) -> StillCamera:
    """A camera that waits for `settings.settle` by itself, if it can. Raises SourceError.

    `lit`: the lamp is on, or the built-in scene has its own. `watchdog`: of this meter, over all its
    pictures, so that a camera that never comes back cannot hold it.
    """
    if address.kind == "scene" and address.target == "meter":
        from .from_scene import SceneStills

        return SceneStills(clock, lit=lit)
    if address.kind == "picamera":
        from meerkat_devices.sources.picamera.still import PicameraStill

        return PicameraStill(int(address.target), settings.picamera, clock=clock)
    if address.kind in ("http", "snapshot"):
        from meerkat_devices.sources import snapshot_stills

        if pictures := snapshot_stills.open_stills(address, clock=clock, options=settings):
            return _Waiting(pictures, clock, settings.settle if settings.light and lit else 0)
    from meerkat_devices.sources.opening import open_source

    from .from_source import SourceStills

    def opener() -> Source:
        return open_source(address, clock=clock, options=settings)

    source = (watchdog or Watchdog(clock)).open(address, opener, threading.Event(), settings)
    assert source is not None  # nobody tells it to stop while it opens
    return SourceStills(source, live=address.live, settle=settings.settle, name=str(address))


class _Waiting(StillCamera):
    """A camera whose exposure follows the light by itself, unseen: it is given time to."""

    def __init__(self, camera: StillCamera, clock: Clock, seconds: float) -> None:
        self._camera = camera
        self._clock = clock
        self._seconds = seconds

    def stills(self, count: int, stop: threading.Event) -> Iterator[Still]:
        if self._seconds and self._clock.wait(stop, self._seconds):
            return
        yield from self._camera.stills(count, stop)

    def __exit__(self, *reason: object) -> None:
        self._camera.__exit__(*reason)
