"""Whatever libav opens as a source: files, network and USB cameras; what goes wrong, in words."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from meerkat_devices.clock import Clock
from meerkat_devices.recording.recorder import TICKS, Chunk
from meerkat_devices.settings.address import Address
from meerkat_devices.settings.sources import DEFAULTS, SourceOptions, UsbOptions

from .encoder import Encoder
from .source import LoginRefused, Pace, Pacer, Sample, Shot, Source, SourceError, SourceInfo
from .timeline import LiveTime, Timeline
from .usb import wishes

OPEN_TIMEOUT = 10.0
BLIND_TIMEOUT = 60.0
"""Seconds of packets without a picture after which a live source is opened anew: longer than the most
lavish interval of key frames."""


class ContainerSource(Source):
    """Anything that libav opens: files, RTSP and HTTP streams, USB cameras.

    8-bit H.264 and HEVC packets pass through as they are; everything else is encoded again.
    """

    def __init__(
        self,
        address: Address,
        *,
        pace: Pace,
        loop: bool,
        clock: Clock,
        options: SourceOptions = DEFAULTS,
    ) -> None:
        self._address = address
        self._stall = options.stall_seconds
        self._loop = loop
        self._clock = clock
        self._container = _open(address, options)
        try:
            self._stream = _video_stream(self._container, address)
            context = self._stream.codec_context
            context.thread_count = 1
            self._turned = _rotation(self._container, self._stream) if address.kind == "file" else 0
            width, height = context.width, context.height
            if self._turned % 180:
                width, height = height, width
            self.info = SourceInfo(address.kind, width, height, _frame_rate(self._stream))
            nominal = self.info.fps or 15.0
            base = self._stream.time_base
            assert base is not None
            self._timeline = Timeline(base, round(TICKS / nominal))
            replayed = address.kind == "file" or (self._container.duration or 0) > 0
            self._pacer = Pacer(clock, pace) if replayed else None
            self._live = LiveTime()
            self._size: tuple[int, int] | None = None
            copied = _can_copy(self._stream) and not self._turned
            self._encoder = None if copied else Encoder(width, height, nominal)
            self.template: VideoStream = self._encoder.template if self._encoder else self._stream
        except BaseException:
            self._container.close()
            raise

    def samples(self, stop: threading.Event) -> Iterator[Sample]:
        shown = 0
        shown_at = self._clock.monotonic()
        while not stop.is_set():
            before = self._timeline.end
            try:
                for packet in self._packets():
                    sample = self._take(packet, stop)
                    if sample is None:
                        return
                    if sample.shots:
                        shown += len(sample.shots)
                        shown_at = self._clock.monotonic()
                    elif self._pacer is None and self._clock.monotonic() - shown_at > BLIND_TIMEOUT:
                        raise self._blind()
                    yield sample
                    if stop.is_set():
                        return
            except av.FFmpegError as error:
                raise source_error(error, self._address) from None
            if not shown:
                raise SourceError(
                    "there is no frame in it that can be decoded",
                    where=str(self._address),
                    remedy="Is the file whole? `ffprobe` shows what is in it",
                )
            if self._pacer is None:
                raise SourceError("the stream ended", where=str(self._address))
            if not self._loop or self._timeline.end == before:
                return
            self._container.seek(0)
            self._timeline.restart()

    def _packets(self) -> Iterator[Any]:
        packets = self._container.demux()  # of sound, too: its packets must not hide that no picture comes
        came = self._clock.monotonic()
        while True:
            try:
                packet = next(packets)
            except (StopIteration, IndexError):
                # IndexError: PyAV 18 trips at the end when streams have appeared since the opening, as
                # MPEG-TS allows. What there was has been read.
                return
            if packet.stream_index == self._stream.index:
                yield packet
                came = self._clock.monotonic()
            elif self._pacer is None and self._clock.monotonic() - came > self._stall:
                raise SourceError(
                    f"sends sound, but no picture for {self._stall:g} s",
                    where=str(self._address),
                    remedy="Start the camera anew; it is opened again meanwhile",
                )

    def close(self) -> None:
        if self._encoder:
            self._encoder.close()
        self._container.close()

    def _take(self, packet: Any, stop: threading.Event) -> Sample | None:
        """One packet's sample; None when `stop` was set while waiting for its time."""
        if packet.size == 0:  # the end: what the decoder still holds
            return self._encode(packet) if self._encoder else Sample((), self._decode(packet))
        pts, dts, duration = self._timeline.place(packet.pts, packet.dts, packet.duration)
        if self._pacer:
            if not self._pacer.wait(dts, stop):
                return None
            captured = self._pacer.captured(pts)
        else:
            now, monotonic = self._clock.now().timestamp(), self._clock.monotonic()
            captured = self._live.captured(pts / TICKS, now, monotonic)
        if self._encoder:
            return self._encode(packet)
        chunk = Chunk(pts, dts, duration, packet.is_keyframe, packet.size, captured, packet)
        return Sample((chunk,), self._decode(packet))

    def _decode(self, packet: Any) -> tuple[Shot, ...]:
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            return ()  # a damaged packet; the decoder goes on at the next one it can read
        shots = []
        for frame in frames:
            self._check_size(frame)
            at = self._timeline.shown_at(frame.pts) if frame.pts is not None else self._timeline.end
            shots.append(Shot(at, self._captured(at), frame))
        return tuple(shots)

    def _check_size(self, frame: VideoFrame) -> None:
        """A camera that is set to another size, a phone that is turned, goes on in the same stream. What
        follows does not belong into a file that begins with the old codec parameters, nor stretched into
        the old size: the recording ends, a new one may begin."""
        size = (frame.width, frame.height)
        if self._size is None:
            self._size = size
        if size != self._size and self._pacer is None:
            raise SourceError(
                f"the camera's picture is {size[0]}×{size[1]} now, it was {self._size[0]}×{self._size[1]}",
                where=str(self._address),
                remedy="It is opened anew; nothing needs to be done",
            )

    def _blind(self) -> SourceError:
        return SourceError(
            f"sends, but no picture could be decoded for {BLIND_TIMEOUT:g} s",
            where=str(self._address),
            remedy="Set the camera to H.264 and a key frame every 1 or 2 seconds, or start it anew",
        )

    def _encode(self, packet: Any) -> Sample:
        assert self._encoder
        chunks: list[Chunk] = []
        shots = []
        for shot in self._decode(packet):
            frame = self._encoder.convert(_upright(shot.frame, self._turned))
            chunks += self._encoder.encode(frame, shot.at, shot.captured)
            shots.append(Shot(shot.at, shot.captured, frame))
        return Sample(tuple(chunks), tuple(shots))

    def _captured(self, at: int) -> float:
        if self._pacer:
            return self._pacer.captured(at)
        return self._live.time_of(at / TICKS)


def _open(address: Address, source_options: SourceOptions) -> Any:
    if address.kind == "usb":
        return _open_usb(address, source_options.usb)
    options = {"fflags": "+genpts"}
    if address.kind == "rtsp":
        options |= {"rtsp_transport": "tcp", "rtsp_flags": "prefer_tcp", "fflags": "+genpts+discardcorrupt"}
    timeout = (OPEN_TIMEOUT, source_options.stall_seconds) if address.live else None
    try:
        container = av.open(address.target, options=options, timeout=timeout, metadata_errors="replace")
        if container.format.name != "mpjpeg":
            return container
        # Motion JPEG over HTTP has no timestamps; libav would count 25 frames a second.
        container.close()
        options |= {"use_wallclock_as_timestamps": "1"}
        return av.open(address.target, options=options, timeout=timeout)
    except (av.FFmpegError, OSError) as error:
        raise (error.errno == errno.EIO and _nameless(address)) or source_error(error, address) from None


def _nameless(address: Address) -> SourceError | None:
    """That nothing has the name in an address: libav says `Input/output error` there, as elsewhere."""
    if "://" not in address.target or not (host := urlsplit(address.target).hostname):
        return None
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            what, remedy = f"the name {host} cannot be looked up now", "Check this machine's network"
        else:
            what, remedy = f"the name {host} is unknown", "Check the name"
        return SourceError(what, where=str(address), remedy=f"{remedy}, or write the camera's IP address")
    return None


def _open_usb(address: Address, options: UsbOptions) -> Any:
    error: Exception | None = None
    for wish in wishes(options):
        try:
            return av.open(address.target, format="v4l2", options=wish)
        except (av.FFmpegError, OSError) as problem:
            error = problem
            if problem.errno != errno.EINVAL:  # that is: it cannot do this size, rate or format
                break
    assert error is not None
    if options.format != "auto" and getattr(error, "errno", None) == errno.EINVAL:
        raise SourceError(
            f"the camera gives no {options.format} pictures at {options.width}×{options.height}",
            where=str(address),
            remedy="Set usb.format to auto; `v4l2-ctl --list-formats-ext` shows what it can do",
        ) from None
    raise source_error(error, address) from None


def _video_stream(container: Any, address: Address) -> VideoStream:
    for stream in container.streams.video:
        if stream.codec_context is not None and stream.codec_context.width:
            return stream  # type: ignore[no-any-return]
    raise SourceError(
        "there is no video in it that can be decoded",
        where=str(address),
        remedy="Meerkat reads what FFmpeg reads, such as MP4, MKV, AVI, RTSP and HTTP streams",
    )


def _frame_rate(stream: VideoStream) -> float:
    """Frames per second; 0 when unknown. Some network cameras name their clock's rate, 90000."""
    rate = float(stream.guessed_rate or stream.average_rate or 0)
    return round(rate, 3) if rate <= 120 else 0.0


def _rotation(container: Any, stream: VideoStream) -> int:
    """Degrees by which a file's pictures are to be turned against the clock: phones film like that."""
    try:
        frame = next(container.decode(stream), None)
        container.seek(0)
    except av.FFmpegError:
        return 0  # reading it in earnest says what is wrong
    return 0 if frame is None else round(frame.rotation / 90) * 90 % 360


def _upright(frame: VideoFrame, degrees: int) -> VideoFrame:
    if not degrees:
        return frame
    picture: Any = np.rot90(frame.to_ndarray(format="bgr24"), degrees // 90)
    return VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")


def _can_copy(stream: VideoStream) -> bool:
    """Whether browsers and workers can play the stream's own packets in an MP4."""
    context = stream.codec_context
    return context.name in ("h264", "hevc") and context.pix_fmt in ("yuv420p", "yuvj420p")


_REMEDIES: tuple[tuple[type[BaseException], str, str], ...] = (
    (
        av.error.HTTPUnauthorizedError,
        "the camera refuses the user or password",
        "Write rtsp://user:password@…",
    ),
    (av.error.HTTPForbiddenError, "the camera forbids access", "Check the user's rights in the camera"),
    (av.error.HTTPNotFoundError, "the camera has no such stream", "Check the path in the address"),
    (av.error.ProtocolNotFoundError, "this kind of stream is not known here", "Write its RTSP address"),
    (ConnectionRefusedError, "connection refused", "Is the camera on, and the port right?"),
    (TimeoutError, "no answer", "Is the camera on, and in this network?"),
    (av.error.ExitError, "no answer", "Is the camera on, and in this network?"),
    (FileNotFoundError, "not found", "Check the path; is the camera plugged in?"),
    (PermissionError, "may not be read", "Add this user to the group video, or check the file's permissions"),
    (
        av.error.InvalidDataError,
        "not a video that can be read, or damaged",
        "Is the file whole? `ffprobe` shows what is in it",
    ),
)


_LOGIN = (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)


def source_error(error: Exception, address: Address) -> SourceError:
    """What went wrong in words, without the address's password, which libav's messages repeat."""
    where = str(address)
    if isinstance(error, OSError) and error.errno == 16:
        return SourceError(
            "the camera is busy", where=where, remedy="Another program uses it: close that first"
        )
    if isinstance(error, OSError) and error.errno == 5:
        return SourceError(
            "the connection broke off, or there is none",
            where=where,
            remedy="Is the camera on, and its name or number right?",
        )
    if isinstance(error, av.error.InvalidDataError) and address.live:
        return SourceError(
            "no answer, or none that is a video",
            where=where,
            remedy="Is the camera on, and this the address of its stream?",
        )
    for kind, what, remedy in _REMEDIES:
        if isinstance(error, kind):
            raised = LoginRefused if kind in _LOGIN else SourceError
            return raised(what, where=where, remedy=remedy)
    reason = getattr(error, "strerror", None) or type(error).__name__
    return SourceError(str(reason), where=where, remedy="Is the camera on, and the address right?")
