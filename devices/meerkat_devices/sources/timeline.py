"""From a source's own timestamps to media time, and from media time to the time of day. Pure."""

from __future__ import annotations

from fractions import Fraction

from meerkat_devices.recording.recorder import TICKS

_JUMP = 10 * TICKS
_REORDERED = TICKS
"""How far a stream without times of decoding goes back: its pictures come in another order than shown."""
_STUMBLE = TICKS // 10
"""How far one that has them may: cameras whose pictures are dated by a busy processor."""


class Timeline:
    """Media time of a stream: it starts at 0, and a jump of the source's clock is closed up.

    A loop of a file, a camera that sets its clock, a stream that starts anew, a camera that dates all
    its pictures alike: media time goes on by one frame.
    """

    def __init__(self, time_base: Fraction, frame_ticks: int) -> None:
        self._numerator = time_base.numerator * TICKS
        self._denominator = time_base.denominator
        self._frame = frame_ticks
        self._offset: int | None = None
        self._last_dts = 0
        self._last_raw: int | None = None
        self._end = 0

    def ticks(self, value: int) -> int:
        """A duration or a difference in the source's time base as ticks, to the nearest."""
        return (2 * value * self._numerator + self._denominator) // (2 * self._denominator)

    def place(self, pts: int | None, dts: int | None, duration: int | None) -> tuple[int, int, int]:
        """(pts, dts, duration) in ticks of media time for the next packet in order of decoding."""
        length = self.ticks(duration) if duration else self._frame
        shown = pts if pts is not None else dts
        if shown is None:
            place = self._end
            self._end = self._last_dts = place + length
            return place, place, length
        raw_pts = self.ticks(shown)
        raw_dts = self.ticks(dts) if dts is not None else raw_pts
        back = _REORDERED if dts is None else _STUMBLE
        stands = raw_dts == self._last_raw
        self._last_raw = raw_dts
        if self._offset is None or stands or not -back < raw_dts + self._offset - self._last_dts < _JUMP:
            self._offset = self._end - raw_pts
        self._last_dts = raw_dts + self._offset
        self._end = max(self._end, raw_pts + self._offset + length)
        return raw_pts + self._offset, self._last_dts, length

    def shown_at(self, pts: int) -> int:
        """Ticks of media time of a decoded frame whose packet was placed before."""
        return self.ticks(pts) + (self._offset or 0)

    def restart(self) -> None:
        """The source starts over; its next packet follows the last one."""
        self._offset = None

    @property
    def end(self) -> int:
        """Ticks: when the last frame so far has been shown."""
        return self._end


class LiveTime:
    """The time of day at which a live stream's frames were taken.

    The frame that comes with the least delay tells the difference between the stream's clock and our
    monotonic one best. A camera's clock that runs slow is followed at a millisecond a second; when it is
    set, at once. Ours has been set whenever the time of day says so, by however little.
    """

    CREEP = 0.001
    STEP = 5.0

    def __init__(self) -> None:
        self._offset: float | None = None
        self._at = 0.0
        self._day = 0.0
        """Unix time when the monotonic clock was 0."""

    def captured(self, at: float, now: float, monotonic: float) -> float:
        """Unix time of the frame at `at` seconds of media time that arrived at unix time `now`.

        `monotonic`: seconds of the clock that is never set, at that moment.
        """
        seen = monotonic - at
        if self._offset is None or abs(seen - self._offset) > self.STEP or seen < self._offset:
            self._offset = seen
        else:
            self._offset += min(seen - self._offset, max(0.0, at - self._at) * self.CREEP)
        self._at = at
        self._day = now - monotonic
        return self.time_of(at)

    def time_of(self, at: float) -> float:
        """Unix time of a frame whose packet came before."""
        return at + (self._offset or 0.0) + self._day
