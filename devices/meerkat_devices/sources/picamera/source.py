"""A camera on the ribbon cable as a `Source`: H.264 from the Pi's encoder, low-resolution pictures.

    sensor ─▶ ISP ─┬─ main   1280×720 ─▶ H.264 encoder ─▶ Output ─┐
                   └─ lores   640×360 ─▶ one copy ────────────────┴─▶ Feed ─▶ samples

The packets go through the recorder's ring as they are. A camera's buffer is copied once and given back
at once: libcamera has six of them, and one that is held is missing in the stream. Times are those of
the sensor: microseconds of the monotonic clock at which the first row was exposed.
"""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from typing import Any

import av
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from meerkat_devices.clock import Clock
from meerkat_devices.recording.recorder import TICKS, Chunk
from meerkat_devices.settings.picamera import PicameraSettings
from meerkat_devices.settings.sources import DEFAULTS
from meerkat_devices.sources.source import Sample, Shot, Source, SourceError, SourceInfo
from meerkat_devices.sources.watchdog import LOADING_SECONDS

from .board import BOARDS, Board, Boards
from .detections import findings
from .feed import Feed, Packet, View
from .library import in_words

_log = logging.getLogger("meerkat.device")

LOOK_UP = 0.2
"""Seconds between looks at `stop` while no frame comes."""


class PicameraSource(Source):
    """Raises SourceError when the camera cannot be had. `close` closes encoder and camera."""

    template: VideoStream

    def __init__(
        self,
        number: int,
        settings: PicameraSettings,
        *,
        clock: Clock,
        stall_seconds: float = DEFAULTS.stall_seconds,
        boards: Boards = BOARDS,
    ) -> None:
        """`stall_seconds` without a frame, or without a packet, and the camera is taken as gone."""
        self._settings = settings
        self._clock = clock
        self._boards = boards
        self._patience = stall_seconds
        self._parameters: Any = None
        self._start: int | None = None
        self._told_dropped = 0
        self._closed = False
        self._found: tuple[int, Any] | None = None
        self.feed = Feed()
        self._encoder: Any = None
        self._board = boards.open(number, "video", settings)
        try:
            with self._board.said("be started"):
                self._run(self._board)
        except BaseException:
            self.close()
            raise
        main = self._board.picam2.camera_configuration()["main"]["size"]
        self.info = SourceInfo("picamera", main[0], main[1], round(self._board.fps, 2))

    def _run(self, board: Board) -> None:
        settings, picam2 = self._settings, board.picam2
        # Settled once: picamera2 copies its configuration for every request, and we need two numbers.
        self._lores_width = picam2.camera_configuration()["lores"]["size"][0]
        encoder = make_encoder(settings, board.fps)
        picam2.post_callback = self._seen
        picam2.start_encoder(encoder, make_output(self.feed, encoder), name="main")
        self._encoder = encoder
        picam2.start()

    # --- on picamera2's thread ------------------------------------------------------------------

    def _seen(self, request: Any) -> None:
        """A frame is complete. picamera2's event loop ends with an error that leaves this function."""
        try:
            metadata = request.get_metadata()
            sensor = metadata["SensorTimestamp"] // 1000
            found = self._detected(sensor, metadata) if self._board.imx500 is not None else None
            self.feed.view(View(sensor, request.make_array("lores"), found))
        except Exception as error:  # noqa: BLE001 - the camera's thread raises it
            self.feed.fail(error)

    def _detected(self, sensor: int, metadata: dict[str, Any]) -> Any:
        """What the IMX500 found in this frame, or in one of the last half second: it skips some."""
        assert self._settings.imx500 is not None
        found = findings(self._board.imx500, self._board.picam2, metadata, self._settings.imx500)
        if found is not None:
            self._found = (sensor, found)
        if self._found is None or sensor - self._found[0] > 500_000:
            return None
        return self._found[1]

    # --- on the camera's thread -----------------------------------------------------------------

    def samples(self, stop: threading.Event) -> Iterator[Sample]:
        shown = sent = self._clock.monotonic()
        patience = LOADING_SECONDS if self._settings.imx500 is not None else self._patience
        while not stop.is_set():
            try:
                packets, view = self.feed.take(LOOK_UP)
            except Exception as error:
                raise in_words(error, self._board.where, "give its pictures") from error
            now = self._clock.monotonic()
            if view is not None:
                shown, patience = now, self._patience
            chunks = tuple(chunk for packet in packets if (chunk := self._chunk(packet)) is not None)
            if chunks:
                sent = now
            self._tell_dropped()
            if view is None and now - shown > patience:
                raise self._stalled("no picture", now - shown)
            if not chunks and min(now - sent, shown - sent) > self._patience:
                raise self._stalled("pictures, but nothing from the H.264 encoder", now - sent)
            if chunks or view is not None:
                yield Sample(chunks, () if view is None else (self._shot(view),))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._board.picam2.post_callback = None
        self._boards.release(self._board, "video", after=self._stop_encoder)
        if self._parameters is not None:
            self._parameters.close()

    def _stop_encoder(self) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            with self._board.said("stop its encoder"):
                self._board.picam2.stop_encoder(encoder)

    def _chunk(self, packet: Packet) -> Chunk | None:
        """None as long as no key frame has told the stream's parameters."""
        if self._parameters is None and (not packet.key or not self._learn(packet.data)):
            return None
        at = self._at(packet.sensor)
        return Chunk(
            pts=at,
            dts=at,
            duration=round(self._board.frame_duration * TICKS / 1e6),
            key=packet.key,
            size=len(packet.data),
            captured=taken_at(self._clock, packet.sensor),
            packet=packet.data,
        )

    def _learn(self, key_frame: bytes) -> bool:
        """Read size and parameter sets from the first key frame, as a template for the clips."""
        try:
            parameters = av.open(io.BytesIO(key_frame), format="h264")
        except av.FFmpegError:
            return False
        stream = parameters.streams.video[0]
        if not stream.codec_context.extradata or not stream.codec_context.width:
            parameters.close()
            return False
        self._parameters, self.template = parameters, stream
        return True

    def _shot(self, view: View) -> Shot:
        frame = VideoFrame.from_numpy_buffer(view.pixels, format="yuv420p", width=self._lores_width)
        mark_colours(frame, self._settings)
        return Shot(self._at(view.sensor), taken_at(self._clock, view.sensor), frame, view.found)

    def _at(self, sensor: int) -> int:
        """Ticks of media time."""
        if self._start is None:
            self._start = sensor
        return round((sensor - self._start) * TICKS / 1_000_000)

    def _tell_dropped(self) -> None:
        dropped = self.feed.packets_dropped
        if dropped > self._told_dropped and self._parameters is not None:
            _log.warning(
                "%s: %d pictures lost, the disk or the processor did not keep up",
                self._board.where,
                dropped - self._told_dropped,
            )
        self._told_dropped = dropped

    def _stalled(self, what: str, seconds: float) -> SourceError:
        return SourceError(
            f"{what} for {seconds:.0f} s",
            where=self._board.where,
            remedy="It is opened anew. Check the ribbon cable, and the power: vcgencmd get_throttled",
        )


def taken_at(clock: Clock, sensor: int) -> float:
    """Unix time of `sensor`, microseconds of the sensor's clock.

    That is the monotonic one; where it is not (a machine that was suspended), the arrival counts.
    """
    ago = clock.monotonic() - sensor / 1e6
    now = clock.now().timestamp()
    return now - ago if 0 <= ago < 60 else now


def make_encoder(settings: PicameraSettings, fps: float) -> Any:
    """The Pi's H.264: in hardware up to the Pi 4, by libx264 on a Pi 5, as picamera2 chooses.

    A key frame every second, each with its parameter sets.
    """
    from picamera2.encoders import H264Encoder, LibavH264Encoder

    rate = max(1, round(fps))
    encoder = H264Encoder(bitrate=settings.bitrate, repeat=True, iperiod=rate, framerate=rate, profile="high")
    if isinstance(encoder, LibavH264Encoder):
        # Each thread holds a frame back: four of them are a quarter of a second at 15 frames a second.
        encoder.threads = 1 if settings.width * settings.height * rate <= 1280 * 720 * 30 else 4
        encoder.drop_final_frames = True
    return encoder


def make_output(feed: Feed, encoder: Any) -> Any:
    """A picamera2 `Output` that hands the encoder's pictures to `feed`."""
    from picamera2.outputs import Output

    class FeedOutput(Output):  # type: ignore[misc] # picamera2 has no types
        def outputframe(
            self,
            frame: bytes | None,
            keyframe: bool = True,
            timestamp: int | None = None,
            packet: Any = None,
            audio: bool = False,
        ) -> None:
            """`timestamp` is microseconds since the encoder's first frame."""
            del packet
            if audio or frame is None or timestamp is None or not self.recording:
                return
            feed.packet(Packet(encoder.firsttimestamp + timestamp, bool(keyframe), bytes(frame)))

    return FeedOutput()


def mark_colours(frame: VideoFrame, settings: PicameraSettings) -> None:
    """Say which YUV it is: picamera2 takes Rec. 709 from 720p on, Rec. 601 below; both of limited range."""
    hd = settings.width >= 1280 and settings.height >= 720
    frame.colorspace = Colorspace.ITU709 if hd else Colorspace.ITU601
    frame.color_range = ColorRange.MPEG
