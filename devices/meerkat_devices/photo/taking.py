"""Take a meter's picture: light on, let the camera settle, several exposures, light off; then judge it.

    photographer = Photographer("water", settings, lamps=lamps, clock=clock, zone=zone, report=report)
    photo = photographer.take(stop)

The light is on while the camera looks and not a moment longer: it is off again when the camera fails, when
the program fails, and when it is told to stop. Work on the pictures comes after that. One that is not good
is taken once more, with more or less light where there is a lamp; the better of the two counts, whatever
its verdict.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from typing import TYPE_CHECKING

from meerkat_contract.device_messages import PictureCondition
from meerkat_contract.errors import MeerkatError
from meerkat_devices.clock import Clock
from meerkat_devices.lamps import DeviceEnds, Lamps
from meerkat_devices.settings.address import Address, parse_source
from meerkat_devices.settings.device import MeterSettings
from meerkat_devices.sources.source import SourceError
from meerkat_devices.sources.watchdog import Watchdog
from meerkat_devices.stills import Still, StillCamera

from .opening import open_stills

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .condition import Measured

_log = logging.getLogger("meerkat.device")

QUALITIES = (92, 89, 86, 83, 80)
"""Of the JPEG, best first: below 80 the digits lose their edges, and less wide is the lesser evil."""

MOST_BYTES = 64_000_000
"""Of exposures that are held at once, before they are one picture: 23 of 1280 × 720, 4 of 5 megapixels, at
least one. A Pi Zero 2 W has 512 MB, and to put them together takes as much again."""

LESS_LIGHT = 0.3
"""Times the brightness, for another try at what was burnt out."""

OpenStills = Callable[..., StillCamera]


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture as JPEG, when it was taken, and what it is worth."""

    jpeg: bytes
    captured_at: datetime
    condition: PictureCondition


@dataclass(frozen=True, slots=True)
class _Shown:
    """One try: the combined picture, before it is a JPEG."""

    picture: NDArray[np.uint8]
    captured_at: datetime
    measured: Measured
    condition: PictureCondition


class Photographer:
    """`take` is for one thread."""

    def __init__(
        self,
        meter: str,
        settings: MeterSettings,
        *,
        clock: Clock,
        zone: tzinfo,
        lamps: Lamps,
        report: Callable[[MeerkatError], None],
        open_camera: OpenStills | None = None,
    ) -> None:
        """`report` hears of a lamp that does not go on or off: the picture is taken all the same.

        Raises UsageError for an address that is none.
        """
        self.settings = settings
        """May be exchanged at any time."""
        self._clock = clock
        self._zone = zone
        self._report = report
        self._lamps = lamps
        self._open = open_camera or partial(open_stills, watchdog=Watchdog(clock))
        self.address: Address = parse_source(settings.source, where=f"meter {meter}")

    def take(self, stop: threading.Event) -> Photo | None:
        """One picture; None when it was told to stop first. Raises SourceError."""
        shown = self._try(self.settings.brightness, stop)
        if shown is None:
            return None
        if shown.condition.verdict != "good" and not stop.is_set():
            shown = self._again(shown, stop)
        return self._developed(shown)

    def _again(self, first: _Shown, stop: threading.Event) -> _Shown:
        """Another try at what is not good, if anything can be different; the better of both."""
        brightness, verdict = self.settings.brightness, first.condition.verdict
        if first.condition.light is None:
            if not self.address.live:
                return first
        elif verdict == "dark":
            if brightness == 1:
                return first
            brightness = 1.0
        elif verdict == "burnt_out":
            brightness = LESS_LIGHT * (brightness or 1.0)
        _log.info("the picture is %s; once more", verdict.replace("_", " "))
        try:
            second = self._try(brightness, stop)
        except SourceError as error:
            _log.warning("%s; the first picture counts", error)
            return first
        return second if second is not None and _worth(second) > _worth(first) else first

    def _try(self, brightness: float | None, stop: threading.Event) -> _Shown | None:
        if stop.is_set():
            return None
        settings = self.settings
        with self._light(settings.light, brightness) as light:
            lit = light is not None or settings.light is None
            with self._open(self.address, settings, clock=self._clock, lit=lit) as camera:
                stills = _held(camera.stills(settings.exposures, stop))
        if not stills:
            if stop.is_set():
                return None
            raise SourceError("gave no picture", where=str(self.address), remedy="Is the camera on?")
        return _combined(stills, light, fusing=settings.combine == "fuse")

    @contextmanager
    def _light(self, name: str | None, brightness: float | None) -> Iterator[str | None]:
        """The lamp's name while it is on; None without one, or when it does not go on."""
        held = ExitStack()
        try:
            if name is not None:
                try:
                    held.enter_context(self._lamps.lamp(name).lit(brightness))
                except DeviceEnds:
                    name = None
                except MeerkatError as error:
                    self._report(error)
                    name = None
            yield name
        finally:
            try:
                held.close()
            except MeerkatError as error:
                self._report(error)

    def _developed(self, shown: _Shown) -> Photo:
        from meerkat_devices.picture import encode

        from .caption import captioned

        picture = shown.picture
        if self.settings.caption:
            picture = captioned(picture, f"{shown.captured_at.astimezone(self._zone):%Y-%m-%d %H:%M}")
        jpeg = encode(picture, qualities=QUALITIES)
        return Photo(jpeg, shown.captured_at, shown.condition)


def _held(stills: Iterable[Still]) -> list[Still]:
    """As many as there is memory for."""
    held: list[Still] = []
    for still in stills:
        held.append(still)
        if (len(held) + 1) * still.picture.nbytes > MOST_BYTES:
            break
    return held


def _combined(stills: Sequence[Still], light: str | None, *, fusing: bool) -> _Shown:
    """One picture of several exposures, and what it is worth."""
    from .condition import judge, measure
    from .fuse import fuse, sharpest

    held = [still for still in stills if still.locked is not False] or list(stills)
    best = sharpest(held)
    picture, exposures = fuse(held, best) if fusing else (held[best].picture, 1)
    measured = measure(picture)
    shares = {
        name: round(getattr(measured, name), 4)
        for name in ("brightness", "dark", "burnt_out", "glare", "sharpness")
    }
    condition = PictureCondition(
        verdict=judge(measured),
        **shares,
        noise=round(measured.noise, 2),
        exposures=exposures,
        exposure=held[best].exposure,
        gain=held[best].gain,
        locked=held[best].locked,
        light=light,
    )
    return _Shown(picture, held[best].captured_at, measured, condition)


def _worth(shown: _Shown) -> tuple[int, float]:
    """Which of two tries is better: more is."""
    measured = shown.measured
    match shown.condition.verdict:
        case "good":
            return 3, measured.sharpness
        case "blurred":
            return 2, measured.sharpness
        case "burnt_out":
            return 1, -measured.burnt_out
        case "dark":
            return 0, measured.brightness
