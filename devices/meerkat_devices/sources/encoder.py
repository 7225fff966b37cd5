"""Pictures that do not come as H.264 or HEVC, encoded so that they can be recorded like those that do."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from meerkat_devices.recording.recorder import TICKS, Chunk

_TIME_BASE = Fraction(1, TICKS)


class Encoder:
    """H.264 at the least cost of CPU: one picture in, its packet out, a key frame every second."""

    def __init__(self, width: int, height: int, fps: float) -> None:
        """Sizes in pixels; odd ones lose their last row or column, which 4:2:0 cannot hold."""
        self.width, self.height = width // 2 * 2, height // 2 * 2
        self._duration = round(TICKS / fps)
        self._last_key: int | None = None
        self._last = -1
        # Nothing is muxed into this container: its stream only carries the codec's parameters.
        self._container: Any = av.open(io.BytesIO(), "w", format="mp4")
        stream = self._container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = self.width, self.height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = _TIME_BASE
        stream.codec_context.thread_count = 1
        stream.codec_context.gop_size = 10_000  # key frames are asked for by time, below
        stream.codec_context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": "25",
            "forced-idr": "1",
        }
        self._container.start_encoding()
        self.template: VideoStream = stream

    def convert(self, frame: VideoFrame) -> VideoFrame:
        """The frame in the encoder's size and pixel format."""
        if frame.format.name == "yuv420p" and (frame.width, frame.height) == (self.width, self.height):
            return frame
        return frame.reformat(width=self.width, height=self.height, format="yuv420p")

    def encode(self, frame: VideoFrame, at: int, captured: float) -> list[Chunk]:
        """The packet of `frame`, which is shown at `at` ticks; nothing for one that is out of order."""
        if at <= self._last:
            return []
        self._last = at
        key = self._last_key is None or at - self._last_key >= TICKS
        if key:
            self._last_key = at
        frame.pts, frame.time_base = at, _TIME_BASE
        frame.pict_type = PictureType.I if key else PictureType.NONE
        packets = self.template.encode(frame)
        return [
            Chunk(
                pts=at,
                dts=packet.dts if packet.dts is not None else at,
                duration=self._duration,
                key=packet.is_keyframe,
                size=packet.size,
                captured=captured,
                packet=packet,
            )
            for packet in packets
        ]

    def close(self) -> None:
        self._container.close()
