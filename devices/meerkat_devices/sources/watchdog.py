"""A live source may hold whoever reads it for ever; here it holds a thread of its own instead.

A wedged USB camera blocks inside the kernel, where no time limit of libav's reaches it. So whatever is
live is opened, read and closed on a *pump*: a daemon thread that takes one step when it is asked to.
When a step takes too long the asker goes its way: the recording is saved, the trouble is told, and the
source is opened anew on another pump. The one that was left behind touches nothing but its own source,
and closes that if it ever comes back. More than MOST_STUCK of them at a time there never are.

What is not live is opened on a thread of its own too, since a scene is painted for seconds on a busy
machine: a device that is to end need not wait for that. It is read by whoever asks.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meerkat_devices.clock import Clock
from meerkat_devices.settings.address import Address
from meerkat_devices.settings.sources import DEFAULTS, SourceOptions

from .source import Sample, Source, SourceError

if TYPE_CHECKING:
    from av.video.stream import VideoStream

OPEN_SECONDS = 40.0
"""What opening may take. libav's own limit is 10 s for each of its steps: connect, describe, probe."""

GRACE = 5.0
"""Seconds after which a pump is left behind, on top of the limit that its library keeps by itself."""

CLOSE_SECONDS = 0.5
"""What is waited for a source to be closed; the same USB camera cannot be opened twice."""

MOST_STUCK = 3

POLL = 0.25
"""Seconds between looks at whether to stop, while nothing comes."""

RIBBON_SECONDS = 100.0
"""What opening a ribbon cable's camera may take: it waits for a meter's picture first."""

RIBBON_CLOSE_SECONDS = 2.0
"""Its encoder looks up every 0.4 s, picamera2's event loop every 0.2 s."""

LOADING_SECONDS = 600.0
"""On top, and for its first frame: an IMX500, whose network goes to the sensor before that."""


class Watchdog:
    """Of one camera, over all the times that its source is opened."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stuck: list[_Opening] = []

    @property
    def hangs(self) -> bool:
        """Whether a thread that was left behind is still held by its source."""
        return any(pump.is_alive() for pump in self._stuck)

    def open(
        self,
        address: Address,
        opener: Callable[[], Source],
        stop: threading.Event,
        options: SourceOptions = DEFAULTS,
    ) -> Source | None:
        """What `opener` opens, watched if it is live; None when `stop` was set meanwhile.

        Raises SourceError, also when what is live does not open in time.
        """
        if not address.live:
            return self._open_aside(address, opener, stop)
        self._stuck = [pump for pump in self._stuck if pump.is_alive()]
        if len(self._stuck) >= MOST_STUCK:
            raise SourceError(
                f"it hangs: {MOST_STUCK} attempts to read it have not come back",
                where=str(address),
                remedy="Unplug the camera and plug it in again, or start this device anew",
            )
        ribbon = address.kind == "picamera"
        loading = LOADING_SECONDS if ribbon and options.picamera.imx500 is not None else 0.0
        pump = _Pump(opener, f"source {address}", RIBBON_CLOSE_SECONDS if ribbon else CLOSE_SECONDS)
        pump.start()
        patience = (RIBBON_SECONDS if ribbon else OPEN_SECONDS) + loading
        what = f"does not open: no answer for {patience:g} s"
        late = SourceError(what, where=str(address), remedy=_remedy(address))
        try:
            answer = self.wait(pump, patience, stop, late)
        except BaseException:
            self.leave(pump)
            raise
        if not isinstance(answer, _Opened):
            self.leave(pump)
            return None
        limit = options.stall_seconds + GRACE + loading
        if answer.source.info.kind == "snapshot":
            limit += options.snapshot_seconds
        return _Watched(self, pump, answer.source, address, limit)

    def _open_aside(
        self, address: Address, opener: Callable[[], Source], stop: threading.Event
    ) -> Source | None:
        opening = _Opening(opener, f"opening {address}")
        opening.start()
        late = SourceError("does not open", where=str(address))
        answer = self.wait(opening, math.inf, stop, late)
        if isinstance(answer, _Opened):
            return answer.source
        self._stuck.append(opening)
        return None

    def wait(
        self, pump: _Opening, seconds: float, stop: threading.Event, late: SourceError
    ) -> _Opened | Sample | None:
        """The pump's next answer, None when `stop` was set; raises what the source raised, else `late`."""
        until = self._clock.monotonic() + seconds
        while not stop.is_set():
            if (left := until - self._clock.monotonic()) <= 0:
                raise late
            with suppress(queue.Empty):
                answer = pump.answers.get(timeout=min(left, POLL))
                if isinstance(answer, BaseException):
                    raise answer
                return answer
        return None

    def leave(self, pump: _Pump) -> None:
        """Let it close its source, and go on without it if that takes long."""
        pump.asks.put(None)
        pump.join(pump.close_seconds)
        if pump.is_alive():
            self._stuck.append(pump)


@dataclass(frozen=True, slots=True)
class _Opened:
    source: Source


class _Opening(threading.Thread):
    """Opens at once, and is done."""

    def __init__(self, opener: Callable[[], Source], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._opener = opener
        self.answers: queue.SimpleQueue[_Opened | Sample | BaseException | None] = queue.SimpleQueue()

    def run(self) -> None:
        self._open()

    def _open(self) -> Source | None:
        """The source, which is the first answer; else the answer is what was raised."""
        try:
            source = self._opener()
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
            self.answers.put(error)
            return None
        self.answers.put(_Opened(source))
        return source


class _Pump(_Opening):
    """Opens at once; then a step for each that is asked for, until it is asked for None, and closes."""

    def __init__(self, opener: Callable[[], Source], name: str, close_seconds: float) -> None:
        super().__init__(opener, name)
        self.close_seconds = close_seconds
        """What is waited for it to close its source."""
        self.asks: queue.SimpleQueue[threading.Event | None] = queue.SimpleQueue()

    def run(self) -> None:
        source = self._open()
        if source is None:
            return
        with source:
            samples: Iterator[Sample] | None = None
            while stop := self.asks.get():
                try:
                    samples = samples or source.samples(stop)
                    self.answers.put(next(samples, None))
                except BaseException as error:  # noqa: BLE001 - as above
                    self.answers.put(error)
            del samples


class _Watched(Source):
    """A source whose every step is taken on its pump, one at a time and only when asked for.

    So nothing of the source is touched while its last sample is worked on or written.
    """

    def __init__(
        self, watchdog: Watchdog, pump: _Pump, source: Source, address: Address, limit: float
    ) -> None:
        """`limit` is what each step may take, in seconds."""
        self.info = source.info
        self._source = source
        self._watchdog = watchdog
        self._pump = pump
        self._address = address
        self._limit = limit

    @property
    def template(self) -> VideoStream:  # type: ignore[override]
        """Of a ribbon cable's camera there is one from the first key frame on."""
        return self._source.template

    def samples(self, stop: threading.Event) -> Iterator[Sample]:
        while not stop.is_set():
            self._pump.asks.put(stop)
            what = f"nothing has come for {self._limit:g} s"
            late = SourceError(what, where=str(self._address), remedy=_remedy(self._address))
            answer = self._watchdog.wait(self._pump, self._limit, stop, late)
            if not isinstance(answer, Sample):
                return
            yield answer

    def close(self) -> None:
        self._watchdog.leave(self._pump)


def _remedy(address: Address) -> str:
    if address.kind == "usb":
        return "Unplug the camera and plug it in again; a USB hub with a power supply of its own often helps"
    if address.kind == "picamera":
        return "Check the ribbon cable, and the power: vcgencmd get_throttled"
    return "It is opened anew. Is the camera on, and the network good enough?"
