"""Looks at known pictures with every engine, device and model that is here, and says what is wrong.

What an owner runs on a real Coral or Jetson: the boxes are compared with the published ones (or, for
pictures of the owner's own, with those of the first engine on the processor), the speed with the
published table, and what truly runs with what was asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from meerkat_contract.errors import MeerkatError

from . import catalogue, coral, known, store
from .catalogue import Embedding, Entry
from .detector import Detector, Found
from .engine import is_edge_tpu
from .families import build
from .opening import installed
from .tracker import overlap

if TYPE_CHECKING:
    from .picture import Picture

FLOOR = 0.3
"""Boxes below this score are not compared."""
SURE = 0.5
"""A box of the reference with this score must be found…"""
OVERLAP = 0.8
"""…with this much overlap (intersection over union), and a score within…"""
SCORES_APART = 0.12
"""…this of the reference's: engines round differently."""
RUNS = 7
SLOW = 4.0
"""A model that is this many times slower than the others here would have it lacks something."""
CORAL_SLOW = 4.0
"""A Coral this many times slower than Google's figure hangs on a slow port, or is too hot."""


@dataclass(frozen=True, slots=True)
class Case:
    """One model on one engine and device."""

    entry: Entry
    engine: str
    device: str

    def __str__(self) -> str:
        return f"{self.entry.name} on {self.engine}, {self.device}"


@dataclass(slots=True)
class Row:
    """What came of one case."""

    case: Case
    ran_on: str = ""
    expected: int = 0
    """Boxes that had to be found,"""
    agreed: int = 0
    """and those that were."""
    overlap: float = 1.0
    """The smallest of those that agreed."""
    apart: float = 0.0
    """The largest difference of their scores."""
    milliseconds: float | None = None
    published: float | None = None
    slow: bool = False
    """Its engine is far slower than the one that the model prefers: no fault, but good to know."""
    wrong: list[Wrong] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that is not as it should be."""

    what: str
    remedy: str = ""


def milliseconds(
    look: Callable[[Picture], object], picture: Picture, *, now: Callable[[], float] = time.perf_counter
) -> float:
    """The quickest of some looks, after one to warm up: a busy neighbour makes none quicker."""
    look(picture)
    spans = []
    for _ in range(RUNS):
        begin = now()
        look(picture)
        spans.append(now() - begin)
    return 1000 * min(spans)


def cases(
    *,
    folders: Sequence[Path] = (),
    corals: Sequence[str] = (),
    providers: Sequence[str] = (),
) -> Iterator[Case]:
    """Every detector that can run here: model files that lie here, engines that are installed.

    `corals` are Edge TPUs that answered; `providers` what onnxruntime says that it can use.
    """
    gpus = [
        device
        for device, provider in (("cuda", "CUDAExecutionProvider"), ("tensorrt", "TensorrtExecutionProvider"))
        if provider in providers
    ]
    for entry in catalogue.entries():
        if store.locate(entry, folders=folders) is None:
            continue
        for engine in entry.engines:
            if not (_dlib_installed() if engine == "dlib" else installed(engine)):
                continue
            if "cpu" in entry.devices:
                yield Case(entry, engine, "cpu")
            if engine == "onnxruntime":
                yield from (Case(entry, engine, device) for device in gpus)
            if "edgetpu" in entry.devices:
                yield from (Case(entry, engine, device) for device in corals)


def run(
    case: Case,
    pictures: Mapping[str, Picture],
    reference: Mapping[str, Sequence[Found]],
    *,
    folders: Sequence[Path] = (),
    library: str = "",
) -> tuple[Row, dict[str, list[Found]]]:
    """Look at the pictures with one case; returns its row and all that it found.

    `reference` says what must be found in which picture; pictures that it leaves out are looked at only.
    """
    row = Row(case)
    founds: dict[str, list[Found]] = {}
    if case.entry.embedding is not None:
        _run_embedder(row, case.entry.embedding, folders=folders, library=library)
        return row, founds
    try:
        files = store.find(case.entry, folders=folders)
        detector = build(case.entry, files, kind=case.engine, device=case.device, library=library)
        try:
            row.ran_on = str(getattr(detector, "device", "cpu"))
            founds = {name: detector.detect(picture) for name, picture in pictures.items()}
            row.milliseconds = _speed(detector, next(iter(pictures.values())))
        finally:
            detector.close()
    except MeerkatError as error:
        row.wrong.append(Wrong(f"{case}: {error.what}", error.remedy))
        return row, founds
    for name, expected in reference.items():
        compare(row, name, expected, founds[name])
    _check_device(row)
    return row, founds


def _check_device(row: Row) -> None:
    if row.case.device not in row.ran_on:
        row.wrong.append(
            Wrong(
                f"{row.case}: it ran on {row.ran_on}",
                "Install the GPU build of onnxruntime that belongs to this JetPack or CUDA "
                "(docs/how-to/workers.md); the worker's log has its reason",
            )
        )


def _run_embedder(row: Row, meaning: Embedding, *, folders: Sequence[Path], library: str) -> None:
    """Describe the known face: as published within a tenth of what tells two people apart.

    An embedder that is not in the table must describe the face and its mirror image as one person.
    """
    from .faces.loading import load_embedder

    case, face = row.case, next(each for each in known.PICTURES if each.label == "face")
    picture = face.load()
    row.expected = 1
    try:
        embedder = load_embedder(
            case.entry.name,
            folders=folders,
            engine=None if case.engine == "dlib" else case.engine,
            device=case.device,
            library=library,
        )
        try:
            row.ran_on = str(getattr(embedder, "device", "cpu"))
            vector = embedder.describe(picture, face.box).embedding
            table = known.published().get(case.entry.name)
            if table is not None and table.embedding:
                reference, most = np.array(table.embedding, np.float32), 0.1 * meaning.threshold
            else:
                mirrored = (1 - face.box[0] - face.box[2], *face.box[1:])
                flipped = np.ascontiguousarray(picture[:, ::-1])
                reference, most = embedder.describe(flipped, mirrored).embedding, meaning.threshold
            row.apart = float(np.linalg.norm(vector - reference))
            row.milliseconds = milliseconds(lambda seen: embedder.describe(seen, face.box), picture)
        finally:
            embedder.close()
    except MeerkatError as error:
        row.wrong.append(Wrong(f"{case}: {error.what}", error.remedy))
        return
    if row.apart > most:
        row.wrong.append(_unlike(row, f"the face is {row.apart:.2f} from where it should be"))
    else:
        row.agreed = 1
    _check_device(row)


def _dlib_installed() -> bool:
    return find_spec("dlib") is not None


def _speed(detector: Detector, picture: Picture) -> float:
    return milliseconds(detector.detect, picture)


def reference_of(case: Case) -> dict[str, Sequence[Found]]:
    """What the case must find in the known pictures: the published boxes, else the object itself."""
    table = known.published().get(case.entry.name)
    if table is not None:
        return dict(table.founds)
    words = case.entry.labels
    return {
        each.name: [Found(each.label, SURE, each.box)] if each.label in words else []
        for each in known.PICTURES
    }


def compare(row: Row, picture: str, expected: Sequence[Found], found: Sequence[Found]) -> None:
    """Match each sure box of the reference with the best of its label, and tell what is missing.

    A model without published boxes (an Edge TPU's, an owner's) must find the object, nothing more.
    """
    exact = row.case.entry.name in known.published()
    for wanted in expected:
        if wanted.score < SURE:
            continue
        row.expected += 1
        alike = [each for each in found if each.label == wanted.label]
        best = max(alike, key=lambda each: overlap(each.box, wanted.box), default=None)
        if best is None:
            row.wrong.append(_unlike(row, f"in {picture} there is no {wanted.label}"))
            continue
        share, apart = overlap(best.box, wanted.box), abs(best.score - wanted.score)
        least, most = (OVERLAP, SCORES_APART) if exact else (0.4, 1.0)
        if share < least or apart > most:
            row.wrong.append(
                _unlike(
                    row,
                    f"in {picture} the {wanted.label} overlaps by {share:.2f} and scores {best.score:.2f} "
                    f"instead of {wanted.score:.2f}",
                )
            )
            continue
        row.agreed += 1
        row.overlap, row.apart = min(row.overlap, share), max(row.apart, apart)


def _unlike(row: Row, what: str) -> Wrong:
    edge = row.case.entry.devices == ("edgetpu",)
    remedy = (
        "Fetch the file again (`meerkat models pull`), and update libedgetpu to the build of the runtime"
        if edge
        else "Fetch the file again (`meerkat models pull`); if it stays so, this build of the engine is not "
        "to be used: name another engine's model"
    )
    return Wrong(f"{row.case}: {what}", remedy)


def lagging(rows: Sequence[Row]) -> list[Row]:
    """Those whose speed `judge_speed` would blame: to be measured again first, at another moment."""
    copies = [replace(row, wrong=[]) for row in rows]
    judge_speed(copies)
    return [row for row, copy in zip(rows, copies, strict=True) if copy.wrong]


def judge_speed(rows: Sequence[Row]) -> None:
    """Compare each speed with the published one, by the pace of this machine.

    The table is of one core of an AMD EPYC; another machine is slower or faster as a whole, which is no
    fault. A model that falls behind the median of the others is: its engine lacks this processor's fast
    kernels. A GPU must beat the processor with the same model, a Coral come near Google's figure.
    """
    paces: dict[str, float] = {}
    for row in rows:
        table = known.published().get(row.case.entry.name)
        if row.case.device == "cpu" and table is not None:
            row.published = table.milliseconds
            if row.milliseconds and _first(row.case):
                paces[str(row.case)] = row.milliseconds / row.published
        elif is_edge_tpu(row.case.device):
            row.published = known.CORAL_MILLISECONDS.get(row.case.entry.name)
    pace = median(paces.values()) if paces else 1.0
    for row in rows:
        if not row.milliseconds:
            continue
        if row.case.device in ("cuda", "tensorrt"):
            _judge_gpu(row, rows)
        elif row.case.device == "cpu" and row.published:
            behind = row.milliseconds / row.published / pace
            row.slow = behind > SLOW
            if row.slow and _first(row.case) and len(paces) >= 3:
                row.wrong.append(_lags(row, behind))
        elif row.published and row.milliseconds > CORAL_SLOW * row.published:
            row.wrong.append(
                Wrong(
                    f"{row.case}: {row.milliseconds:.1f} ms, Google states {row.published:.1f} ms",
                    "Use a USB 3 port and its own cable, and see that the stick is not too hot",
                )
            )


def _lags(row: Row, behind: float) -> Wrong:
    return Wrong(
        f"{row.case}: {row.milliseconds:.1f} ms, {behind:.0f} times what the other models here let expect",
        "This build of the engine lacks fast kernels: install ai-edge-litert or a current onnxruntime",
    )


def _judge_gpu(row: Row, rows: Sequence[Row]) -> None:
    processor = next(
        (
            other.milliseconds
            for other in rows
            if other.case.entry is row.case.entry
            and other.case.engine == row.case.engine
            and other.case.device == "cpu"
        ),
        None,
    )
    if processor and row.milliseconds and row.milliseconds > processor:
        row.wrong.append(
            Wrong(
                f"{row.case}: {row.milliseconds:.1f} ms, the processor takes {processor:.1f} ms",
                "Parts of the network fall back to the processor: leave device: cpu, or use tensorrt",
            )
        )


def _first(case: Case) -> bool:
    """Whether the published figure is of this engine."""
    table = known.published().get(case.entry.name)
    return table is not None and table.engine == case.engine


def corals_here(wanted: Sequence[str], library: str) -> tuple[list[str], list[Wrong]]:
    """The Edge TPUs that answer, and what is wrong with those that do not."""
    answering, wrong = [], []
    for device in wanted:
        state = coral.probe(device, library)
        if state.ok:
            answering.append(device)
        else:
            wrong.append(Wrong(f"Edge TPU {device}: {state.what}", state.remedy))
    return answering, wrong
