"""What a meter's picture is called, what several exposures make of it, and what taking one costs.

    python benchmarks/photo.py [--picture FILE…]

The drawn meter, 1280 × 720, with what goes wrong with pictures; `--picture` judges others in the same way.
Errors are the root of the mean square against the same picture without noise, in levels of 255.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

AT = datetime(2026, 11, 20, 6, 50, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--picture", type=Path, action="append", default=[])
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child()
        return
    import cv2

    from meerkat_devices.scenes.meter import BasementMeter

    meter = BasementMeter()
    print(verdicts("the drawn meter", meter.render(AT), unlit=meter.render(AT, light=False)))
    for path in options.picture:
        picture = cv2.imread(str(path))
        if picture is None:
            raise SystemExit(f"{path}: no picture")
        print(verdicts(path.name, picture))
    print(exposures(cv2.medianBlur(meter.render(AT), 3)))
    print(cost())


def verdicts(name: str, picture: Any, *, unlit: Any = None) -> str:
    from meerkat_devices.photo.condition import judge, measure
    from photo_support.degrade import compressed, exposed, fogged, noisy, shaken, unfocused

    cases = {
        "as it is": lambda picture: picture,
        "JPEG of quality 30": partial(compressed, quality=30),
        "noise of 15 levels": partial(noisy, levels=15),
        **{f"{times} × the light": partial(exposed, times=times) for times in (2, 4, 8, 16)},
        **{f"1/{part} of the light": partial(exposed, times=1 / part) for part in (16, 64, 200)},
        **{
            f"blurred by {pixels} pixels of 640": partial(unfocused, pixels=pixels)
            for pixels in (1, 1.5, 2, 3)
        },
        **{f"shaken by {pixels} pixels of 640": partial(shaken, pixels=pixels) for pixels in (4, 9, 16)},
        "60 % fog": partial(fogged, share=0.6),
    }
    shown = {what: degrade(picture) for what, degrade in cases.items()}
    if unlit is not None:
        shown["lamp off"] = unlit
    rows = [
        f"\n| {name} | brightness | burnt out | glare | sharpness | noise | verdict |",
        "|---|" + "---:|" * 5 + "---|",
    ]
    for what, one in shown.items():
        seen = measure(one)
        rows.append(
            f"| {what} | {seen.brightness:.2f} | {seen.burnt_out:.2f} | {seen.glare:.2f} "
            f"| {seen.sharpness:.2f} | {seen.noise:.1f} | {judge(seen).replace('_', ' ')} |"
        )
    return "\n".join(rows)


def exposures(clean: Any) -> str:
    import numpy as np

    from meerkat_devices.photo.condition import measure
    from meerkat_devices.photo.fuse import fuse
    from meerkat_devices.stills import Still
    from photo_support.degrade import exposed, noisy

    def still(picture: Any, times: float = 1.0) -> Still:
        return Still(picture, AT, 0.01 * times, 1.0, True)

    def error(picture: Any, truth: Any) -> float:
        return float(np.sqrt(((picture.astype(np.float32) - truth.astype(np.float32)) ** 2).mean()))

    rows = ["\n| exposures alike | error of one | of two | of three | of five |", "|---|" + "---:|" * 4]
    for what, times, levels in (("lit", 1.0, 6), ("a sixteenth of the light", 1 / 16, 6), ("noisy", 1.0, 15)):
        truth = exposed(clean, times)
        taken = [noisy(truth, levels, seed=seed) for seed in range(5)]
        errors = [error(fuse([still(one) for one in taken[:count]], 0)[0], truth) for count in (1, 2, 3, 5)]
        rows.append(f"| {what} | " + " | ".join(f"{one:.1f}" for one in errors) + " |")
    rows += ["", "| exposures that differ | glare of the first | merged |", "|---|---:|---:|"]
    for steps in ((4.0, 1.0), (4.0, 1.0, 0.25), (8.0, 2.0, 0.5)):
        taken = [exposed(clean, times, seed=seed) for seed, times in enumerate(steps)]
        merged, _ = fuse([still(one, times) for one, times in zip(taken, steps, strict=True)], 1)
        name = ", ".join(f"{one:g}×" for one in steps)
        rows.append(f"| {name} | {measure(taken[0]).glare:.3f} | {measure(merged).glare:.3f} |")
    return "\n".join(rows)


def cost() -> str:
    """In a process of its own: memory is counted from the start."""
    return subprocess.run(
        [sys.executable, __file__, "--child"], check=True, capture_output=True, text=True
    ).stdout


def child() -> None:
    """A whole device with one meter, whose camera gives three locked exposures at once."""
    import tempfile
    import threading
    from collections.abc import Iterator

    import numpy as np

    from meerkat_contract.connection import Connection
    from meerkat_devices.service import Device
    from meerkat_devices.settings.device import DeviceSettings
    from meerkat_devices.stills import Still, StillCamera
    from support.broker import free_port

    class Camera(StillCamera):
        def stills(self, count: int, stop: threading.Event) -> Iterator[Still]:
            del stop  # it takes no time
            for seed in range(count):
                coarse = np.random.default_rng(0).integers(0, 255, (45, 80, 3), np.uint8)
                picture = coarse.repeat(16, 0).repeat(16, 1)
                picture[seed::7, ::5] += 3
                yield Still(picture, AT, 0.01, 1.0, True)

        def __exit__(self, *reason: object) -> None:
            del reason  # nothing is open

    with tempfile.TemporaryDirectory() as folder:
        settings = DeviceSettings.model_validate({"meters": {"water": {"source": "scene:meter"}}})
        own = Device("bench", settings, Connection("127.0.0.1", free_port()), Path(folder))
        (meter,) = own.meters
        meter._photographer._open = lambda *_, **__: Camera()
        stop, before = threading.Event(), resident()
        seconds = []
        for _ in range(6):
            began = time.process_time()
            meter._take_one("command", stop)
            seconds.append(time.process_time() - began)
        own.outbox.close()
    print("\n| a picture of three exposures | |\n|---|---:|")
    print(f"| CPU, the first | {seconds[0]:.2f} s |\n| CPU, those after it | {min(seconds[1:]):.2f} s |")
    print(f"| memory of the device before | {before[0]:.0f} MB |\n| at most | {resident()[1]:.0f} MB |")


def resident() -> tuple[float, float]:
    """Megabytes held now, and at most until now."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1e3, int(lines["VmHWM"].split()[0]) / 1e3


if __name__ == "__main__":
    main()
