"""The device's budget in one table: measured here, beside what it may be.

    python benchmarks/budget.py [--clips 60] [--seconds 20] [--sync 0.3] [--json]

`clip on the broker`: from the capture of a clip's last frame to the subscriber that has the whole clip,
over loopback; a replay at its own pace whose clips have some 2 MB. A clip is complete when the next key
frame has come: one frame's 67 ms. Once more on a card whose every sync takes `--sync` seconds longer.
`vision motion`: a replay at 720p and 15 frames a second with something moving in it, CPU beyond a process
that only decodes (see device.py), and what the process holds (resident) at the end. `import`: CPU seconds
of importing the device, the best of five, and what the process holds then; a camera's libraries, and a
meter's, are loaded where there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import device as device_benchmark

IMPORT = """
import time
start = time.process_time()
import meerkat_devices.service{more}
print(time.process_time() - start)
from device import resident
print(resident())
"""

IMPORTS = (
    ("import of the device", "", 0.6),
    ("import, with a meter's pictures", ", meerkat_devices.meter, meerkat_devices.photo.fuse", None),
    ("import, with a camera", ", meerkat_devices.camera", None),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--sync", type=float, default=0.3, help="seconds that a slow card takes to sync")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = latency(options.clips)
    with slow_card(options.sync):
        rows += latency(options.clips // 3 + 2, f", {1000 * options.sync:g} ms a sync")
    rows += [*load(options.seconds), *imports()]
    print(json.dumps(rows, indent=1) if options.json else table(rows))


def row(what: str, measured: float, bound: float | None, unit: str) -> dict[str, Any]:
    return {"what": what, "measured": measured, "bound": bound, "unit": unit}


@contextmanager
def slow_card(seconds: float) -> Iterator[None]:
    """Every sync of this process takes so much longer."""
    real = os.fsync

    def sync(descriptor: int) -> None:
        time.sleep(seconds)
        real(descriptor)

    os.fsync = sync  # type: ignore[assignment]
    try:
        yield
    finally:
        os.fsync = real


def latency(clips: int, card: str = "") -> list[dict[str, Any]]:
    from meerkat_contract.connection import parse_broker_url
    from meerkat_devices.service import Device, Replay
    from meerkat_devices.settings.device import DeviceSettings
    from support.broker import Mosquitto
    from support.stand_in_hub import StandInHub, Taken

    late: list[float] = []
    sizes: list[int] = []
    enough = threading.Event()

    def taken(clip: Taken) -> Any:
        if clip.topic.kind == "clip" and clip.metadata.duration and not clip.metadata.last:
            # The last frame was captured one frame's time before the clip's end.
            late.append(time.time() - clip.metadata.captured_at.timestamp() - clip.metadata.duration + 1 / 15)
            sizes.append(len(clip.payload))
            if len(late) >= clips:
                enough.set()
        return "stored"

    with tempfile.TemporaryDirectory() as folder:
        server = Mosquitto(Path(folder, "broker"))
        server.start()
        hub = StandInHub(server.connection, answer=taken)
        hub.start()
        camera = {"source": str(heavy(Path(folder, "heavy.mp4"))), "clip_seconds": 1, "pre_roll": 0}
        settings = DeviceSettings.model_validate({"cameras": {"porch": camera}})
        broker = parse_broker_url(server.connection.url)
        own = Device("bench", settings, broker, Path(folder), replay=Replay(loop=True))
        own.start()
        try:
            if not enough.wait(20 + 3 * clips):
                print(f"only {len(late)} clips came", file=sys.stderr)
        finally:
            own.stop()
            hub.stop()
            server.stop()
    late.sort()
    size = f"{statistics.mean(sizes) / 1e6:.1f} MB, {len(late)} clips{card}"
    return [
        row(f"clip on the broker, p50 ({size})", 1000 * statistics.median(late), None, "ms"),
        row(f"clip on the broker, p95 ({size})", 1000 * statistics.quantiles(late, n=20)[-1], 300, "ms"),
    ]


def heavy(path: Path) -> Path:
    """720p at 15 frames a second, noise and a square that moves: 2 MB a second."""
    import av
    import numpy as np

    from support.media import TIME_BASE, background, square_at

    chance = np.random.default_rng(1)
    noise = chance.integers(-12, 13, (720, 1280, 3), dtype=np.int16)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 1280, 720, "yuv420p", TIME_BASE
        stream.codec_context.gop_size = 15
        stream.bit_rate = 16_000_000
        stream.codec_context.options = {"preset": "ultrafast", "sc_threshold": "0", "nal-hrd": "cbr"}
        empty = background((1280, 720))
        for index in range(150):
            picture = square_at(empty, index / 60).astype(np.int16) + np.roll(noise, 17 * index, axis=1)
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="bgr24")
            frame.pts, frame.time_base = index * 6000, TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def load(seconds: float) -> list[dict[str, Any]]:
    rows = [found for found in device_benchmark.measure(seconds, None, None) if found["video"] == "moving"]
    decode, own = (next(found for found in rows if found["what"] == what) for what in ("decode", "device"))
    return [
        row("720p15, vision motion, beyond decoding", own["cpu"] - decode["cpu"], 15, "% of a core"),
        row("720p15, memory", own["memory"], 120, "MB"),
    ]


def imports() -> list[dict[str, Any]]:
    rows = []
    for what, more, bound in IMPORTS:
        program = [sys.executable, "-c", IMPORT.format(more=more)]
        runs = [
            subprocess.run(
                program, check=True, capture_output=True, text=True, cwd=Path(__file__).parent
            ).stdout.split()
            for _ in range(5)
        ]
        held = f"{float(runs[0][1]):.0f} MB"
        rows.append(row(f"{what} ({held})", min(float(seconds) for seconds, _ in runs), bound, "s"))
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'what':64} {'measured':>9} {'at most':>8}"]
    for found in rows:
        digits = 2 if found["unit"] == "s" else 1
        bound = f"{found['bound']:g}" if found["bound"] is not None else ""
        lines.append(f"{found['what']:64} {found['measured']:9.{digits}f} {bound:>8} {found['unit']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
