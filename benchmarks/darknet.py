"""Darknet's networks: OpenCV against Darknet's own library, and our path against the command line.

    python benchmarks/darknet.py [--rounds N] [--media FOLDER] [--models FOLDER]

*A picture*: Yolo-Fastest (320x320) on 25 pictures, engines in turn on each picture, so that a busy
neighbour troubles all alike. CPU includes letterboxing and reading of boxes; of libdarknet that of its
process too.

*A clip*: five seconds of car-detection.mp4 (768x432), brought to the 15 frames a second that our camera
records by default, of which 25 frames are sampled. Ours decodes it, looks, follows what it found and draws
the pictures, with the model loaded as in a worker. The command line is Debian's `darknet` in a temporary
folder, on the same network: `detector test`, to which ffmpeg gives 25 frames (counted), or `detector demo`,
which takes the clip and looks at every frame of it. CPU is user and system time of all processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from rich.console import Console
from rich.table import Table

from meerkat_contract.ids import new_id
from meerkat_contract.messages import Job
from meerkat_inference import catalogue
from meerkat_inference.detector import Detector, Found
from meerkat_inference.loading import load_detector
from meerkat_inference.opening import darknet_program, installed
from meerkat_inference.process import process
from meerkat_inference.sampling import Clip, Picture
from meerkat_inference.tracker import overlap
from support.shared import FOLDER

MODEL, MEDIA, BEGIN, SECONDS = "yolo-fastest", "car-detection.mp4", 4, 5
RECORDED, SAMPLED = 15, 5
"""Frames a second."""
ENGINES = ("opencv", "libdarknet", "darknet")


def cut(media: Path, folder: Path) -> Path:
    """Five seconds of the footage."""
    clip = folder / "clip.mp4"
    source = ["-ss", str(BEGIN), "-t", str(SECONDS), "-i", str(media / MEDIA)]
    made = ["-an", "-r", str(RECORDED), "-c:v", "libx264", str(clip)]
    subprocess.run(["ffmpeg", "-v", "error", *source, *made], check=True)
    return clip


def children() -> float:
    """CPU seconds of ended children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu(detector: Detector) -> float:
    """CPU seconds so far of this process, and of the detector's own if it has one."""
    child = getattr(getattr(detector, "_engine", None), "_child", None)
    own = 0.0
    if child is not None:
        text = Path(f"/proc/{child._process.pid}/schedstat").read_text()
        own = int(text.split()[0]) / 1e9
    return time.process_time() + own


def agreement(ours: list[list[Found]], theirs: list[list[Found]]) -> tuple[int, float, float]:
    """Boxes compared, the smallest overlap, the largest difference of scores."""
    count, least, most = 0, 1.0, 0.0
    for mine, others in zip(ours, theirs, strict=True):
        for found in mine:
            if found.score < 0.5:
                continue
            best = max(others, key=lambda other, box=found.box: overlap(other.box, box))  # type: ignore[misc]
            count += 1
            least, most = min(least, overlap(best.box, found.box)), max(most, abs(best.score - found.score))
    return count, least, most


def pictures(detectors: dict[str, Detector], frames: list[Picture], rounds: int) -> Table:
    table = Table("engine", "ms CPU a picture", "times OpenCV", "boxes", "least IoU", "score ±")
    spent: dict[str, list[float]] = {name: [] for name in detectors}
    seen: dict[str, list[list[Found]]] = {name: [] for name in detectors}
    for turn in range(rounds):
        for frame in frames:
            for name, detector in detectors.items():
                start = cpu(detector)
                founds = detector.detect(frame)
                spent[name].append(cpu(detector) - start)
                if turn == 0:
                    seen[name].append(founds)
    base = median(spent["opencv"])
    for name, spans in spent.items():
        count, least, most = agreement(seen["opencv"], seen[name])
        row = (f"{1000 * median(spans):.1f}", f"{median(spans) / base:.1f}")
        table.add_row(name, *row, str(count), f"{least:.4f}", f"{most:.5f}")
    return table


def look(clip: bytes, detector: Detector) -> None:
    """The clip as a worker does it."""
    job = Job(
        job=new_id(),
        token=1,
        device="bench",
        camera="bench",
        media=new_id(),
        captured_at=datetime.now(UTC),
        lease=600,
        sample_fps=SAMPLED,
    )
    result = process(job, clip, detector, incarnation=new_id(), cancelled=lambda: False, now=time.monotonic)
    assert result.state == "done", result.reason
    assert result.frames == SECONDS * SAMPLED, result.frames


class CommandLine:
    """Debian's program, as somebody types it."""

    def __init__(self, folder: Path, clip: Path, models: Path) -> None:
        entry = catalogue.get(MODEL)
        self._folder, self._clip, self._program = folder, clip, str(darknet_program())
        text = (models / entry.files[1].name).read_text().replace("batch=32", "batch=1")
        (folder / "y.cfg").write_text(text)
        shutil.copy(models / entry.model.name, folder / "y.weights")
        (folder / "data").write_text(f"names={models / 'coco.names'}\n")

    def _run(self, *arguments: str, given: str = "") -> str:
        command = [self._program, "detector", *arguments]
        done = subprocess.run(
            command,
            cwd=self._folder,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return done.stdout

    def _frames(self) -> list[str]:
        sampled = ["-i", str(self._clip), "-vf", f"fps={SAMPLED}", "-y", "frame%02d.png"]
        subprocess.run(["ffmpeg", "-v", "error", *sampled], cwd=self._folder, check=True)
        return sorted(path.name for path in self._folder.glob("frame*.png"))[: SECONDS * SAMPLED]

    def one_load(self) -> None:
        names = self._frames()
        out = self._run("test", "data", "y.cfg", "y.weights", "-out", "p", given="\n".join(names) + "\n")
        assert out.count("Predicted in") == len(names), out[-500:]

    def a_load_per_frame(self) -> None:
        for name in self._frames():
            assert "Predicted in" in self._run("test", "data", "y.cfg", "y.weights", name, "-out", "p")

    def whole_clip(self) -> None:
        """Debian's build ends with SIGFPE when the clip does; by then each frame has its picture."""
        for old in self._folder.glob("shot_*.jpg"):
            old.unlink()
        self._run("demo", "data", "y.cfg", "y.weights", self._clip.name, "-prefix", "shot")
        assert len(list(self._folder.glob("shot_*.jpg"))) >= SECONDS * RECORDED - 2


def timed(do: Callable[[], None], detector: Detector | None) -> tuple[float, float]:
    """CPU and wall seconds."""
    begin, at_first = time.monotonic(), children()
    own = cpu(detector) if detector is not None else 0.0
    do()
    spent = children() - at_first + (cpu(detector) - own if detector is not None else 0.0)
    return spent, time.monotonic() - begin


def clips(detectors: dict[str, Detector], clip: Path, line: CommandLine | None, rounds: int) -> Table:
    data = clip.read_bytes()
    ways: list[tuple[str, Callable[[], None], Detector | None]] = [
        (f"ours, {name}", lambda each=each: look(data, each), each)  # type: ignore[misc]
        for name, each in detectors.items()
    ]
    if line is not None:
        ways += [
            ("command line, 25 frames, one load", line.one_load, None),
            ("command line, 25 frames, a load for each", line.a_load_per_frame, None),
            (f"command line, the clip, {SECONDS * RECORDED} frames, one load", line.whole_clip, None),
        ]
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name, *_ in ways}
    for _ in range(rounds):
        for name, do, detector in ways:
            spent[name].append(timed(do, detector))
    table = Table("a clip of 5 s", "s CPU", "s", "times ours (CPU)")
    base = median(span for span, _ in spent["ours, opencv"])
    for name, spans in spent.items():
        used, took = (median(column) for column in zip(*spans, strict=True))
        table.add_row(name, f"{used:.2f}", f"{took:.2f}", f"{used / base:.1f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--media", type=Path, default=FOLDER / "media")
    parser.add_argument("--models", type=Path, default=FOLDER / "models")
    options = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    console = Console(width=None if sys.stdout.isatty() else 120)
    detectors: dict[str, Detector] = {
        kind: load_detector(MODEL, folders=[options.models], engine=kind)
        for kind in ENGINES
        if installed(kind)
    }
    if len(detectors) < len(ENGINES):
        console.print("Debian's package darknet is not here: its part is left out (apt install darknet)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = cut(options.media, folder)
        with Clip(clip.read_bytes(), sample_fps=SAMPLED) as opened:
            samples = [sample.picture for sample in opened]
        loaded = {kind: each for kind, each in detectors.items() if kind != "darknet"}
        for each in detectors.values():
            each.detect(samples[0])
        console.print(pictures(loaded, samples, options.rounds))
        line = CommandLine(folder, clip, options.models) if "darknet" in detectors else None
        console.print(clips(detectors, clip, line, options.rounds))
    for each in detectors.values():
        each.close()


if __name__ == "__main__":
    main()
