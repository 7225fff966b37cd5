"""What one reading of a meter costs: CPU time of one core and memory.

    python benchmarks/meter_reading.py [--times N]

A drawn meter of five wheels and four dials, as JPEG, with a layout that is turned by 3 degrees. The worst
case: every box is in doubt and looked at again. Each size is read in a process of its own. The budgets:
25 ms at 640x480, 60 ms at 1920x1080, 150 MB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZES = {(640, 480): 25.0, (1280, 720): None, (1920, 1080): 60.0, (2592, 1944): None}
"""Pixels, and the budget in milliseconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        width = int(options.child)
        print(json.dumps(measure(sys.stdin.buffer.read(), width, options.times)))
        return
    print("| picture | decode | boxes | networks | number | all | budget | memory |")
    print("|---|---|---|---|---|---|---|---|")
    for (width, height), budget in SIZES.items():
        command = [sys.executable, __file__, "--child", str(width), "--times", str(options.times)]
        picture = meter(width, height)
        told = json.loads(subprocess.run(command, check=True, input=picture, stdout=subprocess.PIPE).stdout)
        cells = " | ".join(
            f"{told[name]:.1f} ms" for name in ("decode", "boxes", "networks", "number", "all")
        )
        limit = f"{budget:g} ms" if budget else ""
        print(f"| {width}x{height} | {cells} | {limit} | {told['memory']:.0f} MB |", flush=True)


def layout_for(width: int) -> Any:
    from meerkat_contract.meter_layout import MeterLayout

    unit = width / 640
    return MeterLayout.model_validate(
        {
            "rotation_deg": 3,
            "digits": [[100 * unit + 40 * unit * i, 100 * unit, 32 * unit, 50 * unit] for i in range(5)],
            "pointers": [[100 * unit + 90 * unit * i, 250 * unit, 80 * unit, 80 * unit] for i in range(4)],
        }
    )


def measure(data: bytes, width: int, times: int) -> dict[str, float]:
    """CPU milliseconds of each step of a reading (the mean), and the process's largest memory in MB."""
    import cv2

    from meerkat_inference.meter import decode, reader
    from meerkat_inference.meter.networks import Networks
    from meerkat_inference.meter.picture_file import decode as unpack

    cv2.setNumThreads(1)
    layout = layout_for(width)
    spent = dict.fromkeys(("decode", "boxes", "networks", "number"), 0.0)

    def timed(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            begun = time.process_time()
            try:
                return function(*given, **named)
            finally:
                spent[step] += time.process_time() - begun

        return call

    reader.AGAIN = 2.0
    networks = Networks()
    reader.read(data, layout, networks)
    reader.unpack = timed("decode", unpack)
    reader.cut = timed("boxes", reader.cut)
    reader.decode = timed("number", decode.decode)
    networks.wheels, networks.needles = (
        timed("networks", networks.wheels),
        timed("networks", networks.needles),
    )
    begun = time.process_time()
    for _ in range(times):
        reader.read(data, layout, networks)
    told = {"all": time.process_time() - begun, **spent}
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    memory = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return {**{name: 1000 * value / times for name, value in told.items()}, "memory": memory}


def meter(width: int, height: int) -> bytes:
    """A JPEG with digits and needles where the layout says."""
    import cv2
    import numpy as np

    layout = layout_for(width)
    canvas = np.full((height, width, 3), 200, np.uint8)
    for i, (x, y, w, h) in enumerate(layout.digits):
        place, thick = (round(x + w / 5), round(y + 0.8 * h)), max(1, round(h / 16))
        cv2.putText(canvas, str(i), place, cv2.FONT_HERSHEY_SIMPLEX, h / 40, (20, 20, 20), thick)
    for i, (x, y, w, h) in enumerate(layout.pointers):
        middle = (round(x + w / 2), round(y + h / 2))
        angle = 2 * np.pi * i / 10
        tip = (round(middle[0] + 0.4 * w * np.sin(angle)), round(middle[1] - 0.4 * h * np.cos(angle)))
        cv2.circle(canvas, middle, round(w / 2), (240, 240, 240), cv2.FILLED)
        cv2.line(canvas, middle, tip, (30, 30, 220), max(1, round(w / 16)))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), layout.rotation_deg, 1)
    canvas = cv2.warpAffine(canvas, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    noise = np.random.default_rng(0).normal(0, 45 * width / 640, canvas.shape)
    noisy = np.clip(canvas + noise, 0, 255).astype(np.uint8)
    return bytes(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())


if __name__ == "__main__":
    main()
