"""Where a worker's time goes on one clip: CPU milliseconds of each stage, for each model.

    python benchmarks/worker.py [--video FILE] [--models-folder FOLDER] [--rounds N]

The clip is 5 s of 720p at 15 frames a second with B-frames, made on the spot, unless one is given. The
first table is the clip's own cost: decoding everything, decoding what the samples need, and turning
the sampled frames into pictures. The second is the whole job for each model that is on this machine.
CPU time of one process, all its threads; the median of the rounds.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from meerkat_contract.ids import new_id
from meerkat_contract.messages import Job, ModelInfo
from meerkat_inference import catalogue, store
from meerkat_inference.detector import FALLBACK, Detector, Found
from meerkat_inference.loading import load_detector
from meerkat_inference.process import process
from meerkat_inference.sampling import Clip
from meerkat_inference.tracker import Tracker
from support.media import make_clip

console = Console()


@dataclass
class Stopwatch:
    """CPU seconds spent inside `with`."""

    spent: float = 0.0
    _begin: float = field(default=0.0, repr=False)

    def __enter__(self) -> None:
        self._begin = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.spent += time.process_time() - self._begin


class TimedClip(Clip):
    """A clip that knows how long the conversion to pictures took."""

    def __init__(self, payload: bytes) -> None:
        super().__init__(payload)
        self.converting = Stopwatch()

    def _picture(self, frame: VideoFrame) -> NDArray[np.uint8]:
        with self.converting:
            return super()._picture(frame)


@dataclass
class TimedDetector:
    """A detector that knows how long it looked."""

    detector: Detector
    watch: Stopwatch = field(default_factory=Stopwatch)
    founds: list[list[Found]] = field(default_factory=list)

    @property
    def info(self) -> ModelInfo:
        return self.detector.info

    def detect(self, picture: NDArray[np.uint8]) -> list[Found]:
        with self.watch:
            found = self.detector.detect(picture)
        self.founds.append(found)
        return found

    def close(self) -> None:
        self.detector.close()


def milliseconds(rounds: int, work: Callable[[], float]) -> float:
    """The median of `work`'s CPU seconds, in ms."""
    return 1000 * median(work() for _ in range(rounds))


def decode_all(payload: bytes) -> float:
    watch = Stopwatch()
    with watch, av.open(io.BytesIO(payload)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for _ in container.decode(video=0):
            pass
    return watch.spent


def clip_table(payload: bytes, rounds: int) -> Table:
    converting: list[float] = []

    def sample() -> float:
        watch = Stopwatch()
        with watch, TimedClip(payload) as clip:
            for _ in clip:
                pass
        converting.append(clip.converting.spent)
        return watch.spent - clip.converting.spent

    with TimedClip(payload) as clip:
        samples = sum(1 for _ in clip)
        shape = f"{clip.width} x {clip.height}, {clip.duration:.1f} s, {len(payload) / 1e6:.2f} MB"
    every, needed = milliseconds(rounds, lambda: decode_all(payload)), milliseconds(rounds, sample)
    table = Table(title=f"The clip: {shape}, {samples} samples, {clip.decoded} frames decoded")
    for name in ("decode all", "decode what is needed", "pictures", "per sample"):
        table.add_column(f"{name}, ms", justify="right")
    pictures = 1000 * median(converting)
    table.add_row(f"{every:.0f}", f"{needed:.0f}", f"{pictures:.1f}", f"{(needed + pictures) / samples:.1f}")
    return table


def job_row(name: str, detector: Detector, payload: bytes, rounds: int) -> tuple[str, ...]:
    job = Job(
        job=new_id(),
        token=1,
        device="bench",
        camera="bench",
        media=new_id(),
        captured_at=datetime.now(UTC),
        lease=600,
    )
    totals, looks, tracks = [], [], []
    result = None
    for _ in range(rounds + 1):  # the first is the warm-up
        timed, whole, tracking = TimedDetector(detector), Stopwatch(), Stopwatch()
        with whole:
            result = process(
                job, payload, timed, incarnation=new_id(), cancelled=lambda: False, now=time.monotonic
            )
        tracker = Tracker()
        with tracking:
            for index, founds in enumerate(timed.founds):
                tracker.update(index / 5, founds)
        totals.append(whole.spent)
        looks.append(timed.watch.spent)
        tracks.append(tracking.spent)
    assert result is not None
    assert result.state == "done", result.reason
    total, look, track = (1000 * median(values[1:]) for values in (totals, looks, tracks))
    return (
        name,
        detector.info.engine,
        f"{total:.0f}",
        f"{look:.0f}",
        f"{look / result.frames:.1f}",
        f"{track:.1f}",
        f"{total - look - track:.0f}",
        str(len(result.tracks)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--models-folder", type=Path, action="append", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.video or make_clip(Path(folder) / "clip.mp4", size=(1280, 720), b_frames=2)
        payload = path.read_bytes()
    console.print(clip_table(payload, options.rounds))

    table = Table(title="The job, CPU ms")
    for name in ("model", "engine", "whole", "detect", "per frame", "track", "all else", "tracks"):
        words = name in ("model", "engine")
        table.add_column(
            name,
            justify="left" if words else "right",
            no_wrap=words,
            min_width=17 if name == "model" else None,
        )
    names = [
        entry.name
        for entry in catalogue.ranked("detect_objects")
        if store.locate(entry, folders=options.models_folder)
    ]
    for name in [*names, FALLBACK]:
        detector = load_detector(name, folders=options.models_folder)
        table.add_row(*job_row(name, detector, payload, options.rounds))
        detector.close()
    console.print(table)


if __name__ == "__main__":
    main()
