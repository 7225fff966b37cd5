"""What a clip costs the SD card: bytes and syncs from the first byte to the hub's receipt.

    python benchmarks/outbox.py [--clips 300] [--size 2000000] [--folder FOLDER] [--json]

Each clip is written, added, lent and forgotten, as on a device that is connected; in the second row ten
wait all the time. `written` is what the process had written (/proc/self/io), `syncs` counts its fsync and
fdatasync (with strace, in a run of its own). `card` is what reached the block device of an ext4
file system made for it, journal and all: as root only. `add` is the time from the clip's last byte in
memory to its safety on the disk, which is that of FOLDER.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--size", type=int, default=2_000_000)
    parser.add_argument("--folder", type=Path, help="on the disk that is to be measured")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        print(json.dumps(child(options.folder, options.clips, options.size, options.child)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = [measure(Path(folder), options.clips, options.size, waiting) for waiting in (0, 10)]
    print(json.dumps(rows, indent=1) if options.json else table(rows, options.size))


def measure(folder: Path, clips: int, size: int, waiting: int) -> dict[str, Any]:
    row = {"waiting": waiting, **run([], folder / f"a{waiting}", clips, size, waiting)}
    log = folder / "calls"
    trace = ["strace", "-f", "-c", "-o", str(log), "-e", "trace=fsync,fdatasync"]
    try:
        run(trace, folder / f"b{waiting}", clips, size, waiting)
        lines = [line.split() for line in log.read_text().splitlines()]
        calls = [int(line[3]) for line in lines if line and line[-1] in ("fsync", "fdatasync")]
        row["syncs"] = sum(calls) / clips
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"syncs are not counted: {error}", file=sys.stderr)
    row["card"] = on_the_card(folder / f"card{waiting}", clips, size, waiting)
    return row


def on_the_card(folder: Path, clips: int, size: int, waiting: int) -> float | None:
    """Bytes a clip that reach the block device, or None without root."""
    from support.disks import sd_card

    if os.geteuid() != 0:
        return None
    with sd_card(folder, 40 + (waiting + 4) * size // 1_000_000) as card:
        before = card.sectors_written()
        run([], folder / "outbox", clips, size, waiting)
        subprocess.run(["sync", "-f", str(folder)], check=True)
        return (card.sectors_written() - before) * 512 / clips


def run(prefix: list[str], folder: Path, clips: int, size: int, waiting: int) -> dict[str, Any]:
    program = [*prefix, sys.executable, __file__, "--child", str(waiting), "--folder", str(folder)]
    program += ["--clips", str(clips), "--size", str(size)]
    return dict(json.loads(subprocess.run(program, check=True, stdout=subprocess.PIPE).stdout))


def child(folder: Path, clips: int, size: int, waiting: int) -> dict[str, Any]:
    from meerkat_contract.ids import new_id
    from meerkat_contract.metadata import Metadata
    from meerkat_devices.outbox.outbox import Outbox

    outbox = Outbox(folder, max_bytes=10**12, refused_bytes=0)
    payload = os.urandom(size)
    seconds, entries = [], []
    before = written()
    for _ in range(clips):
        about = Metadata(
            id=new_id(),
            captured_at=datetime.now(UTC),
            content_type="video/mp4",
            recording=new_id(),
            duration=5,
        )
        begin = time.perf_counter()
        entries.append(outbox.add_bytes("meerkat/device/porch-pi/front/clip", about, payload))
        seconds.append(time.perf_counter() - begin)
        if len(entries) > waiting:
            entry = entries.pop(0)
            assert outbox.lend(entry) is not None
            outbox.forget(entry.id)
    outbox.close()
    return {
        "written": (written() - before) / clips,
        "p50": 1000 * statistics.median(seconds),
        "p95": 1000 * statistics.quantiles(seconds, n=20)[-1],
    }


def written() -> int:
    """Bytes that this process caused to be written; 0 where the system does not say."""
    file = Path("/proc/self/io")
    found = re.search(r"^write_bytes: (\d+)", file.read_text(), re.MULTILINE) if file.exists() else None
    return int(found[1]) if found else 0


def table(rows: list[dict[str, Any]], size: int) -> str:
    lines = [
        f"{'waiting':>7} {'payload kB':>10} {'written kB':>10} {'over it':>8} {'card kB':>8} "
        f"{'over it':>8} {'syncs':>6} {'add p50':>8} {'p95 ms':>7}"
    ]
    for row in rows:
        card = row["card"]
        reached = f"{card / 1000:8.0f} {100 * (card / size - 1):7.1f}%" if card else f"{'-':>8} {'-':>8}"
        syncs = f"{row['syncs']:6.2f}" if "syncs" in row else f"{'-':>6}"
        lines.append(
            f"{row['waiting']:7} {size / 1000:10.0f} {row['written'] / 1000:10.0f} "
            f"{100 * (row['written'] / size - 1):7.1f}% {reached} {syncs} {row['p50']:8.1f} {row['p95']:7.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
