"""What a camera costs beyond decoding: CPU of the whole device process beside one that only decodes.

    python benchmarks/device.py [--seconds 30] [--video FILE] [--detect detect_faces] [--json]

Each row is a process of its own that replays the same video at its own pace. The first row opens and
decodes it and does nothing else. The others are the whole device: motion, recording, pictures, outbox
and MQTT, against a real broker and a stand-in hub that gives receipts. In `frames` the hub asks for
frames, too, five a second, always; with `--detect` there is a row in which the device looks at each of
them by itself, on the processor. CPU is counted after the start, in percent of one core; memory is what
the process holds at the end (resident).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

FRAMES_SET = "meerkat/device/bench/porch/frames/set"

SETTLE = 3.0
"""Seconds after the start before counting begins."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--video", type=Path, help="replay this instead of 720p at 15 frames a second")
    parser.add_argument("--detect", choices=("detect_faces", "detect_objects"), help="look on the device")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        kind, video, broker = options.child
        child(kind, Path(video), broker, options.seconds)
        return
    rows = measure(options.seconds, options.video, options.detect)
    print(json.dumps(rows, indent=1) if options.json else table(rows))


def measure(seconds: float, video: Path | None, detect: str | None) -> list[dict[str, Any]]:
    from support.broker import Mosquitto
    from support.media import make_clip
    from support.stand_in_hub import StandInHub

    with tempfile.TemporaryDirectory() as folder:
        if video:
            videos = {"given": video}
        else:
            shape: dict[str, Any] = {"seconds": 20, "fps": 15, "size": (1280, 720)}
            videos = {
                "still": make_clip(Path(folder, "still.mp4"), moving=False, **shape),
                "moving": make_clip(Path(folder, "moving.mp4"), moving=True, **shape),
            }
        server = Mosquitto(Path(folder, "broker"))
        server.start()
        hub = StandInHub(server.connection)
        hub.start()
        try:
            rows = []
            for name, path in videos.items():
                for kind in ("decode", "device", "frames", *([detect] if detect else [])):
                    before = len(hub.arrivals)
                    wish = "" if kind in ("decode", "device") else "5"
                    hub.session.publish(FRAMES_SET, wish, qos=1, retain=True).wait(10)
                    row = run(kind, path, server.connection.url, seconds)
                    rows.append(row | {"video": name, "what": kind, "clips": len(hub.arrivals) - before})
            return rows
        finally:
            hub.stop()
            server.stop()


def run(kind: str, video: Path, broker: str, seconds: float) -> dict[str, Any]:
    program = [sys.executable, __file__, "--seconds", str(seconds), "--child", kind, str(video), broker]
    done = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def child(kind: str, video: Path, broker: str, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as data:
        end = decode(video) if kind == "decode" else device(kind, video, broker, Path(data))
        time.sleep(SETTLE)
        first, begin = cpu(), time.monotonic()
        time.sleep(seconds)
        used, wall = cpu() - first, time.monotonic() - begin
        print(json.dumps({"cpu": 100 * used / wall, "memory": resident()}))
        end()


def decode(video: Path) -> Any:
    from meerkat_devices.settings.address import parse_source
    from meerkat_devices.sources.opening import open_source

    stop = threading.Event()

    def work() -> None:
        with open_source(parse_source(str(video)), loop=True) as source:
            for _ in source.samples(stop):
                pass

    thread = threading.Thread(target=work)
    thread.start()
    return lambda: (stop.set(), thread.join())


def device(kind: str, video: Path, broker: str, data: Path) -> Any:
    from meerkat_contract.connection import parse_broker_url
    from meerkat_devices.service import Device, Replay
    from meerkat_devices.settings.device import DeviceSettings

    detect = kind if kind.startswith("detect") else None
    camera = {"source": str(video), "frames": {"when": "always", "detect": detect, "coral": "off"}}
    settings = DeviceSettings.model_validate({"cameras": {"porch": camera}})
    own = Device("bench", settings, parse_broker_url(broker), data, replay=Replay(loop=True))
    own.start()
    return own.stop


def cpu() -> float:
    """Seconds of CPU that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident() -> float:
    """Megabytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'video':8} {'process':14} {'CPU %':>7} {'beyond':>7} {'MB':>6} {'clips':>6}"]
    base = 0.0
    for row in rows:
        if row["what"] == "decode":
            base = row["cpu"]
        beyond = "" if row["what"] == "decode" else f"{row['cpu'] - base:.1f}"
        lines.append(
            f"{row['video']:8} {row['what']:14} {row['cpu']:7.1f} {beyond:>7} {row['memory']:6.0f} "
            f"{row['clips']:6}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
