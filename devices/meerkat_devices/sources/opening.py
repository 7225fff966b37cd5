"""Open a source of pictures by its address."""

from __future__ import annotations

from meerkat_contract.errors import UsageError
from meerkat_devices.clock import Clock, SystemClock
from meerkat_devices.settings.address import Address, check_exists
from meerkat_devices.settings.sources import DEFAULTS, SourceOptions

from .container import ContainerSource
from .rendered import RenderedSource, open_scene
from .source import Pace, Source, SourceError


def open_source(
    address: Address,
    *,
    pace: Pace = "own",
    loop: bool = False,
    clock: Clock | None = None,
    options: SourceOptions = DEFAULTS,
) -> Source:
    """Open a source. `pace` and `loop` matter for what is replayed, not for what is live.

    `fast` gives the frames as quickly as they are taken. Raises SourceError.
    """
    clock = clock or SystemClock()
    if address.kind == "scene":
        return RenderedSource(open_scene(address.target), pace=pace, loop=loop, clock=clock)
    if address.kind == "picamera":
        from .picamera.source import PicameraSource

        number, stall = int(address.target), options.stall_seconds
        return PicameraSource(number, options.picamera, clock=clock, stall_seconds=stall)
    try:
        check_exists(address)
    except UsageError as error:
        raise SourceError(error.what, where=error.where, remedy=error.remedy) from None
    if address.kind in ("http", "snapshot"):
        from .snapshot import open_pictures  # what few devices have, few load

        if pictures := open_pictures(address, clock=clock, options=options):
            return pictures
    return ContainerSource(address, pace=pace, loop=loop, clock=clock, options=options)
