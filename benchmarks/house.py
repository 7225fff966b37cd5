"""What a whole house costs: CPU and memory of every process of `meerkat up`.

    python benchmarks/house.py [--seconds N] [--minutes N] [--video FILE]

Three parts, each a table:
  idle     `up --no-demo`: nothing connected. The promise is at most 3 % of one core for all processes.
  camera   one 720p camera at 15 frames a second that shows nothing moving, against a process that only
           decodes the same file at the same pace. At most 15 % of a core beyond it.
  memory   with --minutes N: the demonstration with its events, memory at the beginning and the end.
CPU time is from /proc, over --seconds of wall time after the start has settled.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import av
import cv2
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from support.broker import free_port
from support.usage import Usage, tree, usage

console = Console()

PARTS = 5

DECODE_ONLY = """
import sys, time, av
path, seconds = sys.argv[1], float(sys.argv[2])
start, offset = time.monotonic(), 0.0
while time.monotonic() - start < seconds:
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        at = 0.0
        for frame in container.decode(stream):
            at = offset + frame.time
            time.sleep(max(0.0, start + at - time.monotonic()))
            if time.monotonic() - start >= seconds:
                break
        offset = at + 1 / 15
print(time.process_time())
"""


def start_up(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "meerkat_cli", "up", "--data", str(folder / "data")]
    command += ["--http-port", str(free_port()), "--mqtt-port", str(free_port()), *arguments]
    environment = {**os.environ, "MEERKAT_MODELS_MIRROR": "http://127.0.0.1:9"}
    with (folder / "up.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)


def look(pid: int) -> dict[int, Usage]:
    return {child: seen for child in tree(pid) if (seen := usage(child)) is not None}


def wait(seconds: float, what: str) -> None:
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(what, total=seconds)
        for _ in range(int(seconds * 2)):
            time.sleep(0.5)
            progress.advance(task, 0.5)


def measure(pid: int, seconds: float, what: str) -> tuple[dict[int, Usage], dict[int, Usage], float]:
    before, began = look(pid), time.monotonic()
    wait(seconds, what)
    return before, look(pid), time.monotonic() - began


def show(title: str, before: dict[int, Usage], after: dict[int, Usage], seconds: float) -> float:
    """Print the table; returns the percentage of a core that all of them took."""
    table = Table("process", "CPU %", "resident MB", "private MB", "resident MB before", title=title)
    total = 0.0
    for pid, now in sorted(after.items(), key=lambda item: item[1].name):
        then = before.get(pid)
        share = 100 * (now.cpu - (then.cpu if then else 0)) / seconds
        total += share
        table.add_row(
            now.name,
            f"{share:.2f}",
            f"{now.resident:.1f}",
            f"{now.private:.1f}",
            f"{then.resident:.1f}" if then else "–",
        )
    memory = sum(u.private for u in after.values())
    table.add_row("together", f"{total:.2f}", "", f"{memory:.1f}", "", style="bold")
    console.print(table)
    return total


def show_memory(looks: list[dict[int, Usage]], minutes: float) -> None:
    """Private memory over time, in MB: it may rise at the beginning, then it must stay."""
    times = [f"{minutes * part / PARTS:g} min" for part in range(len(looks))]
    table = Table("process", *times, title=f"private MB of the demonstration over {minutes:g} minutes")
    for pid, first in sorted(looks[0].items(), key=lambda item: item[1].name):
        values = [f"{seen[pid].private:.1f}" if pid in seen else "ended" for seen in looks]
        table.add_row(first.name, *values)
    console.print(table)


def stop(process: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(20)
    console.print(f"Ctrl-C ended everything within {time.monotonic() - began:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--settle", type=float, default=15, help="seconds after the start before measuring")
    parser.add_argument("--minutes", type=float, default=0, help="how long to watch the memory")
    parser.add_argument("--only", choices=("idle", "camera", "memory"), help="one part alone")
    parser.add_argument("--video", type=Path, help="footage for the camera part; made here by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="meerkat-house-") as name:
        folder = Path(name)
        if options.only in (None, "idle"):
            idle(folder / "idle", options.settle, options.seconds)
        if options.only in (None, "camera"):
            camera(folder / "camera", options.video or noisy(folder), options)
        if options.only == "memory" or (options.only is None and options.minutes):
            memory(folder / "memory", options.settle, options.minutes or 10)


def noisy(folder: Path) -> Path:
    """Half a minute of a camera that sees nothing but its own noise: every frame costs its decoding."""
    console.print("making 30 s of 720p at 15 frames a second …")
    path = folder / "still.mp4"
    chance = np.random.default_rng(1)
    base = cv2.GaussianBlur(chance.integers(60, 190, (720, 1280, 3), np.uint8), (0, 0), 12)
    base = cv2.normalize(base, np.empty_like(base), 40, 200, cv2.NORM_MINMAX)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        stream.options = {"preset": "veryfast", "g": "15", "crf": "23"}
        for _ in range(30 * 15):
            noise = chance.integers(-6, 7, base.shape, np.int16)
            picture = np.clip(base + noise, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path


def idle(folder: Path, settle: float, seconds: float) -> None:
    folder.mkdir()
    process = start_up(folder, "--no-demo")
    try:
        wait(settle, "starting")
        total = show("up --no-demo, idle", *measure(process.pid, seconds, "idle"))
        console.print(f"idle: {total:.2f} % of a core; promised at most 3 %\n")
    finally:
        stop(process)


def camera(folder: Path, video: Path, options: argparse.Namespace) -> None:
    folder.mkdir()
    decode = subprocess.Popen(
        [sys.executable, "-c", DECODE_ONLY, str(video), str(options.seconds)], stdout=subprocess.PIPE
    )
    decoded = float(decode.communicate()[0]) / options.seconds * 100
    process = start_up(folder, "--video", str(video))
    try:
        wait(options.settle, "starting")
        total = show("one 720p camera", *measure(process.pid, options.seconds, "camera"))
        console.print(
            f"camera: {total:.2f} % of a core, decoding alone {decoded:.2f} %, "
            f"beyond it {total - decoded:.2f} %; promised at most 15 %\n"
        )
    finally:
        stop(process)


def memory(folder: Path, settle: float, minutes: float) -> None:
    """The demonstration makes clips and events all the time; every process must stay as large as it was."""
    folder.mkdir()
    process = start_up(folder)
    try:
        wait(settle + 60, "starting, and a first round of events")
        looks = [look(process.pid)]
        for part in range(PARTS):
            wait(minutes * 60 / PARTS, f"watching the memory, part {part + 1} of {PARTS}")
            looks.append(look(process.pid))
        show_memory(looks, minutes)
    finally:
        stop(process)


if __name__ == "__main__":
    main()
