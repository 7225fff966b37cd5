"""Writing a clip: packets into an MP4 that a browser plays, without re-encoding."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.stream import VideoStream

from meerkat_contract.errors import MediaError, StorageError

from .recorder import TICKS, Clip

_TIME_BASE = Fraction(1, TICKS)


def write_clip(path: Path, clip: Clip, template: VideoStream) -> int:
    """Write `clip` to `path`; returns its size in bytes. The outbox syncs it to the disk.

    `template` is the open stream that the packets came from; it gives the codec's parameters. The
    clip's first frame is shown at time 0 (an edit list hides the delay of B-frames), the index
    comes first, so that playing starts before all is loaded. Raises StorageError, MediaError.
    """
    try:
        with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
            stream: Any = container.add_stream_from_template(template, opaque=True)
            stream.time_base = _TIME_BASE
            if template.codec_context.name == "hevc":
                stream.codec_tag = "hvc1"  # Safari plays no hev1
            _write_packets(container, stream, clip)
        return path.stat().st_size
    except OSError as error:
        if isinstance(error, av.FFmpegError) and error.errno not in _DISK_ERRORS:
            raise MediaError(f"the clip cannot be written as MP4 ({error})", where=str(path)) from error
        raise StorageError(
            f"the clip cannot be written ({error.strerror})",
            where=str(path),
            remedy="Free some space on the device's disk, or lower the outbox's max_bytes",
        ) from error
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"the clip cannot be written as MP4 ({error})", where=str(path)) from error


_DISK_ERRORS = frozenset({1, 2, 5, 13, 27, 28, 30, 122})  # EPERM ENOENT EIO EACCES EFBIG ENOSPC EROFS EDQUOT


def _write_packets(container: Any, stream: Any, clip: Clip) -> None:
    start = clip.start
    previous = None
    for chunk in clip.chunks:
        dts = chunk.dts - start
        if previous is not None and dts <= previous:
            dts = previous + 1  # a camera that stumbles; the format wants them to grow
        previous = dts
        packet = av.Packet(bytes(chunk.packet))
        packet.stream = stream
        packet.time_base = _TIME_BASE
        packet.dts = dts
        packet.pts = max(chunk.pts - start, dts)
        packet.duration = chunk.duration
        packet.is_keyframe = chunk.key
        container.mux(packet)
