"""What a region of interest saves: 500 × 420 pixels of Full HD at 20 frames a second, beside the whole frame.

    python benchmarks/region.py [--frames 200] [--video FILE] [--task detect_faces] [--json]

The case of the paper's running example (section 4.1). Each row takes the same decoded frames and makes
what would be sent: cut, scale, JPEG. `ms` is CPU time per frame, decoding aside; `core %` what that is of one
core at 20 frames a second; `kB` the mean size; `Mbit/s` what 20 a second are. With `--task`, `look ms` is
what the detector takes for the picture on the processor, and `of frames` the share of 20 a second that one
core has time for. Nothing is published.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from av.video.frame import VideoFrame

FPS = 20
WHOLE = (1920, 1080)
REGION = (710 / 1920, 330 / 1080, 500 / 1920, 420 / 1080)
"""In the middle: the place where faces pass."""

ROWS: dict[str, dict[str, Any]] = {
    "whole, 1920 wide": {"width": 1920},
    "whole, 1280 wide": {"width": 1280},
    "region 500 × 420": {"region": REGION, "width": 1920},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--video", type=Path, help="Full HD; the built-in porch, enlarged, otherwise")
    parser.add_argument("--task", choices=("detect_faces", "detect_objects"), help="look, too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.frames, options.video, options.task)
    print(json.dumps(rows, indent=1) if options.json else table(rows))


def measure(count: int, video: Path | None, task: str | None) -> list[dict[str, Any]]:
    from meerkat_devices.frames.detector import open_for

    detector = open_for(task) if task else None
    totals = {name: {"ms": 0.0, "bytes": 0, "look": 0.0} for name in ROWS}
    taken = 0
    for frame in frames(count, video):
        taken += 1
        for name, settings in ROWS.items():
            one(frame, settings, totals[name], detector)
    if detector is not None:
        detector.close()
    return [
        {
            "what": name,
            "ms": total["ms"] / taken,
            "core": total["ms"] / taken * FPS / 10,
            "kilobytes": total["bytes"] / taken / 1000,
            "megabits": total["bytes"] / taken * FPS * 8 / 1e6,
            "look": total["look"] / taken if detector is not None else None,
        }
        for name, total in totals.items()
    ]


def one(frame: VideoFrame, settings: dict[str, Any], total: dict[str, float], detector: Any) -> None:
    from meerkat_devices.frames.view import view
    from meerkat_devices.picture import encode
    from meerkat_devices.settings.frames import FrameSettings

    begin = time.process_time()
    seen = view(frame, FrameSettings(**settings))
    total["bytes"] += len(encode(seen.picture, max_bytes=1_000_000))
    total["ms"] += 1000 * (time.process_time() - begin)
    if detector is not None:
        begin = time.process_time()
        detector.detect(seen.picture)
        total["look"] += 1000 * (time.process_time() - begin)


def frames(count: int, video: Path | None) -> Iterator[VideoFrame]:
    """Decoded frames of the video, from the beginning again when it ends."""
    from meerkat_devices.settings.address import parse_source
    from meerkat_devices.sources.opening import open_source

    with tempfile.TemporaryDirectory() as folder:
        path = video or porch(Path(folder, "porch.mp4"))
        taken = 0
        with open_source(parse_source(str(path)), pace="fast", loop=True) as source:
            for sample in source.samples(threading.Event()):
                for shot in sample.shots:
                    yield shot.frame
                    taken += 1
                    if taken == count:
                        return


def porch(path: Path) -> Path:
    """Two seconds of the built-in scene with somebody in it, in Full HD with a camera's noise."""
    import av
    import numpy as np

    from meerkat_devices.sources.rendered import open_scene

    scene, noise = open_scene("porch"), np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *WHOLE, "yuv420p"
        stream.codec_context.gop_size = FPS
        stream.codec_context.options = {"preset": "ultrafast", "crf": "20"}
        for number in range(2 * FPS):
            drawn = VideoFrame.from_ndarray(scene.render(8 + number / FPS), format="bgr24")
            large = drawn.reformat(width=WHOLE[0], height=WHOLE[1]).to_ndarray().astype(np.int16)
            grain = noise.integers(-6, 7, (WHOLE[1], WHOLE[0], 1), np.int16)
            picture = np.clip(large + grain, 0, 255).astype(np.uint8)
            container.mux(stream.encode(VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"{'per frame':18} {'ms':>6} {'core %':>7} {'kB':>7} {'Mbit/s':>7} {'look ms':>8} {'of frames':>10}"
    ]
    for row in rows:
        look = row["look"]
        looked = "" if look is None else f"{look:8.1f} {min(100, 100_000 / look / FPS):9.0f}%"
        lines.append(
            f"{row['what']:18} {row['ms']:6.2f} {row['core']:7.1f} {row['kilobytes']:7.1f} "
            f"{row['megabits']:7.2f} {looked}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
