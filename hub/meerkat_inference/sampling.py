"""Pictures out of a clip: decoded once, from memory, at a few frames for each second of media.

The clock is the media's own. With `sample_fps` f, the sampled frames are the first frame at or
after each multiple of 1/f, counted from the clip's first frame, whatever the frame rate does. Only
those are turned into pictures (0.5 ms at 768x432), and what they do not need is not decoded:
frames that nothing refers to, and the tail of a group of pictures after its last sampled frame.
That saves a quarter of the decoder's time on a clip with B-frames (measured: 549 → 409 ms for 139 s
of 432p at 10 frames/s) and nothing on one without.

A damaged clip gives what can be had: the decoder is asked for every frame from the first error on,
and `damage` says what happened. What gives no picture at all is a MediaError.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from types import TracebackType
from typing import Self, cast

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from meerkat_contract.errors import MediaError

Picture = NDArray[np.uint8]

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,h264,hevc,m4v,mjpeg,ivf"
"""Containers that are read: none that names further files or addresses, such as a play list."""

_TOLERANCE = 1e-4  # seconds: time stamps are rounded to their time base
_REMEDY = "Send H.264 in MP4 of the camera's own recording, whole"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a clip may ask of a worker."""

    duration: float = 900.0  # seconds of media
    pixels: int = 50_000_000  # of one frame
    frames: int = 60_000


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Sample:
    """A sampled frame: `at` seconds after the clip's first frame; `picture` is (height, width, 3) BGR."""

    at: float
    picture: Picture


class Grid:
    """Which of the frames, given in order of time, are the sampled ones."""

    def __init__(self, sample_fps: float) -> None:
        self._fps = sample_fps
        self._next = 0.0

    def due(self, at: float) -> bool:
        """Whether the frame at this time (seconds, ≥ 0) is the first at or after the next multiple."""
        if at < self._next - _TOLERANCE:
            return False
        self._next = (int((at + _TOLERANCE) * self._fps) + 1) / self._fps
        return True


class Clip:
    """An opened clip; iterate over it once for its samples, then read `decoded` and `damage`.

    Raises MediaError on opening what is empty, no video, or above a limit, and on iterating when
    not one frame can be decoded.
    """

    def __init__(
        self, payload: bytes, *, sample_fps: float = 5.0, limits: Limits = LIMITS, threads: int = 1
    ) -> None:
        self.decoded = 0
        """Frames that the decoder gave."""
        self.damage = ""
        """What is wrong with the clip, in words; empty when nothing is."""
        self._fps = sample_fps
        self._limits = limits
        self._reformatter = VideoReformatter()
        if not payload:
            raise MediaError("the clip is empty (0 bytes)", remedy=_REMEDY)
        try:
            self._container = av.open(
                io.BytesIO(payload),
                mode="r",
                options={"format_whitelist": FORMATS},
                metadata_errors="replace",
            )
        except (FFmpegError, ValueError, OSError) as error:
            raise MediaError(
                f"the {len(payload):,} bytes are not a video that can be read ({_words(error)})",
                remedy=_REMEDY,
            ) from None
        try:
            self._open(threads)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Sample]:
        grid = Grid(self._fps)
        last = -1.0
        for frame in self._frames():
            self.decoded += 1
            at = self._time(frame, last)
            if at > last and grid.due(at):
                yield Sample(at, self._picture(frame))
            last = max(last, at)
        if not self.decoded:
            raise MediaError("not one frame of the clip can be decoded", where=self.damage, remedy=_REMEDY)

    # --- opening --------------------------------------------------------------------------------

    def _open(self, threads: int) -> None:
        stream = self._container.streams.best("video")
        if not isinstance(stream, av.VideoStream):
            raise MediaError("the file holds no video, only other streams", remedy=_REMEDY)
        self._decoder = decoder = stream.codec_context
        self.width, self.height = decoder.width, decoder.height
        if not self.width or not self.height:
            raise MediaError("the clip does not say how large its pictures are", remedy=_REMEDY)
        if self.width * self.height > self._limits.pixels:
            raise MediaError(
                f"the clip's frames are {self.width} x {self.height}, above {self._limits.pixels:,} pixels",
                remedy="Set a smaller resolution on the camera",
            )
        decoder.thread_count = threads
        decoder.options = {**decoder.options, "max_pixels": str(self._limits.pixels)}
        self._base = stream.time_base or Fraction(1, 1000)  # the frames that a flush gives have none
        self._packets = self._read(stream)
        timed = [
            packet for packet in self._packets if packet.pts is not None and packet.time_base is not None
        ]
        self._timed = len(timed) == len(self._packets)
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        self._interval = 1 / rate
        shown = [packet for packet in timed if not packet.is_discard] or timed
        if self._timed:
            times = [_seconds(packet) for packet in shown]
            self._start = min(times)
            lasts = max(shown, key=_seconds)
            length = float((lasts.duration or 0) * (lasts.time_base or 0)) or self._interval
            self.duration = max(times) - self._start + length
        else:
            self._start = 0.0
            self.duration = len(self._packets) * self._interval
        if self.duration > self._limits.duration:
            raise MediaError(
                f"the clip is {self.duration:,.0f} s long, above {self._limits.duration:,.0f} s",
                remedy="Cut it into shorter clips",
            )
        declared = float(stream.duration * self._base) if stream.duration else 0.0
        if not self.damage and self._timed and declared > self.duration + 0.5:
            self.damage = f"it ends {declared - self.duration:.1f} s early"

    def _read(self, stream: av.VideoStream) -> list[av.Packet[av.VideoStream]]:
        """All packets of the video, in order of decoding; up to the damage where the file is cut off."""
        packets: list[av.Packet[av.VideoStream]] = []
        try:
            for packet in self._container.demux(stream):
                if not packet.size:
                    continue
                packets.append(packet)
                if packet.is_corrupt:
                    self.damage = "the file is cut off"
                if len(packets) > self._limits.frames:
                    raise MediaError(
                        f"the clip has more than {self._limits.frames:,} frames",
                        remedy="Cut it into shorter clips",
                    )
        except (FFmpegError, EOFError) as error:
            self.damage = f"the file is cut off ({_words(error)})"
        if not packets:
            raise MediaError(
                "the clip holds no frame" + (f": {self.damage}" if self.damage else ""), remedy=_REMEDY
            )
        return packets

    # --- decoding -------------------------------------------------------------------------------

    def _frames(self) -> Iterator[VideoFrame]:
        """Decoded frames in order of display; those that no sample needs may be left out."""
        decoder = self._decoder
        needs = self._plan() if self._timed and not self.damage else None
        for index, packet in enumerate([*self._packets, None]):
            if packet is not None and needs is not None and not self.damage:
                if needs[index] == _DROP:
                    continue
                decoder.skip_frame = "NONREF" if needs[index] == _REFERENCE else "DEFAULT"
            else:
                decoder.skip_frame = "DEFAULT"
            try:
                for frame in decoder.decode(packet):
                    if frame.is_corrupt:
                        self._damaged("some frames are incomplete")
                    yield frame
            except (FFmpegError, EOFError) as error:
                self._damaged(f"some frames are lost ({_words(error)})")

    def _plan(self) -> list[int]:
        """What each packet is decoded for: a sample, as a reference of others, or not at all."""
        times = [_seconds(packet) - self._start for packet in self._packets]
        shown = sorted(
            time
            for time, packet in zip(times, self._packets, strict=True)
            if time >= 0 and not packet.is_discard
        )
        grid = Grid(self._fps)
        wanted = {time for time in shown if grid.due(time)}
        needs = [_SAMPLE if time in wanted else _REFERENCE for time in times]
        keys = [index for index, packet in enumerate(self._packets) if packet.is_keyframe]
        for key, after in pairwise([*keys, len(times)]):
            following = after + 1
            while following < len(times) and not self._packets[following].is_keyframe:
                following += 1
            if any(time < times[after] for time in times[after:following]):
                continue  # an open group: the next one's first frames refer back to this one's last
            for index in reversed(range(key + 1, after)):
                if needs[index] == _SAMPLE:
                    break
                needs[index] = _DROP
        return needs

    def _time(self, frame: VideoFrame, last: float) -> float:
        """Seconds from the clip's first frame; without time stamps, by the frame's number."""
        if self._timed and frame.pts is not None:
            return max(0.0, float(frame.pts * self._base) - self._start)
        return last + self._interval if last >= 0 else 0.0

    def _picture(self, frame: VideoFrame) -> Picture:
        picture = cast(Picture, self._reformatter.reformat(frame, format="bgr24").to_ndarray())
        turns = (round(frame.rotation / 90) % 4) if frame.rotation else 0
        return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture

    def _damaged(self, what: str) -> None:
        if not self.damage:
            self.damage = what


_DROP, _REFERENCE, _SAMPLE = range(3)


def _seconds(packet: av.Packet[av.VideoStream]) -> float:
    return float((packet.pts or 0) * (packet.time_base or 0))


def _words(error: Exception) -> str:
    """FFmpeg's own words, without the number and the file's name."""
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
