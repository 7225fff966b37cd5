"""The paper's running example on this machine: a frame, its faces, who they are, what follows.

One frame at a time goes device → broker → hub → broker → worker → broker → hub, over a Mosquitto of its
own. Device, hub and worker are threads of this process: what is measured is the work and the broker,
not a network.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import fmean, median, pstdev
from typing import TYPE_CHECKING, TypeVar

from meerkat_contract.errors import MeerkatError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Found, Job, Result, read
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import ThingTopic, WorkerTopic
from meerkat_hub.core.workflows.decisions import Seen, WhoMayBeHere, decide
from meerkat_hub.core.workflows.gallery import Gallery, Meaning, Sample, vector_of
from meerkat_inference.detector import Detector
from meerkat_inference.faces.embedder import Embedder
from meerkat_inference.faces.process import process_faces
from meerkat_inference.picture import encode_jpeg

from .dispatch_site import DEVICE, Site, open_site

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORKER = "bench"
CAMERA = "floor"
PEOPLE, SAMPLES = 20, 10
"""Who is enrolled besides: a house, or the people of a floor."""
SURE = 0.5
"""Score from which a face counts."""
WARM_UP = 3
"""Frames that are not counted: code loads, memory is taken."""
SECONDS = 30.0
"""Without an answer for so long the run ends with an error."""

_now = time.perf_counter
_cpu = time.thread_time
_Queue = queue.SimpleQueue
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds of one step over the frames."""

    mean: float
    least: float
    most: float
    deviation: float
    median: float
    cpu: float | None = None
    """Of the thread that did it, the median: what it takes when no neighbour is on the machine."""

    @classmethod
    def of(cls, seconds: Sequence[float], cpu: Sequence[float] = ()) -> Figures:
        spread = fmean(seconds), min(seconds), max(seconds), pstdev(seconds), median(seconds)
        return cls(*spread, cpu=median(cpu) if cpu else None)


@dataclass(slots=True)
class _Times:
    detection: list[float] = field(default_factory=list)
    encoding: list[float] = field(default_factory=list)
    recognition: list[float] = field(default_factory=list)
    decision: list[float] = field(default_factory=list)
    hops: list[list[float]] = field(default_factory=lambda: [[], [], []])
    whole: list[float] = field(default_factory=list)
    cpu: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Of detection, encoding, recognition and decision."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured."""

    frames: int
    size: tuple[int, int]
    """Width and height of the picture."""
    message_bytes: int
    detector: str
    embedder: str
    faces: int
    """Described in each frame."""
    detection: Figures
    encoding: Figures
    recognition: Figures
    """Decoding the JPEG, describing the face, cutting it out."""
    decision: Figures
    """Reading the answer, comparing it with all who are enrolled, the rule."""
    hops: tuple[Figures, Figures, Figures]
    """Camera to hub, hub to worker, and the answer back."""
    whole: Figures
    """From the frame to the decision, everything included."""
    verdict: str
    """What the rule said, in words."""


def run(
    picture: NDArray[np.uint8],
    detector: Detector,
    embedder: Embedder,
    *,
    frames: int,
    tick: Callable[[], None],
) -> Outcome:
    """Send the picture through `frames` times, one after the other.

    Raises MeerkatError when no face is found in it, when a step fails, or when no answer comes.
    """
    first = [f for f in detector.detect(picture) if f.label == "face" and f.score >= SURE]
    if not first:
        raise MeerkatError(
            f"{detector.info.name} finds no face in the picture",
            where="meerkat bench pipeline",
            remedy="Name one with a face: --picture portrait.jpg",
        )
    times, said = _Times(), ""
    with open_site() as site, ExitStack() as stack:
        line = _Line(site, embedder, stack)
        gallery = _gallery(embedder, picture, first[0].box)
        for number in range(WARM_UP + frames):
            said, size, faces = _one(line, picture, detector, gallery, times)
            if number == WARM_UP - 1:
                times = _Times()
            tick()
    height, width = picture.shape[:2]
    detection, encoding, recognition, decision = zip(*times.cpu, strict=True)
    return Outcome(
        frames=frames,
        size=(width, height),
        message_bytes=size,
        detector=f"{detector.info.name} on {detector.info.engine}",
        embedder=f"{embedder.info.name} on {embedder.info.engine}",
        faces=faces,
        detection=Figures.of(times.detection, detection),
        encoding=Figures.of(times.encoding, encoding),
        recognition=Figures.of(times.recognition, recognition),
        decision=Figures.of(times.decision, decision),
        hops=(Figures.of(times.hops[0]), Figures.of(times.hops[1]), Figures.of(times.hops[2])),
        whole=Figures.of(times.whole),
        verdict=said,
    )


class _Line:
    """Device, hub and worker on the bus, each with a session of its own."""

    def __init__(self, site: Site, embedder: Embedder, stack: ExitStack) -> None:
        self._embedder = embedder
        self.frames: _Queue[tuple[float, bytes]] = queue.SimpleQueue()
        """When the hub had a frame, and the frame."""
        self.work: _Queue[tuple[float, float, float, float]] = queue.SimpleQueue()
        """When the worker had a job, when it was done, when the answer went; and the CPU seconds it took."""
        self.answers: _Queue[tuple[float, bytes]] = queue.SimpleQueue()
        """When the hub had the answer, and the answer."""
        self.device, self.hub, self.worker = (
            self._session(site, role, stack) for role in (f"device-{DEVICE}", "hub", "worker")
        )
        self.hub.subscribe(ThingTopic(DEVICE, CAMERA, "frame"), self._frame)
        self.hub.subscribe(WorkerTopic(WORKER, "results"), self._result)
        self.worker.subscribe(WorkerTopic(WORKER, "jobs"), self._job)
        for session in (self.hub, self.worker):
            session.wait_subscribed(SECONDS)

    def _frame(self, message: Incoming) -> None:
        self.frames.put((_now(), bytes(message.payload)))

    def _job(self, message: Incoming) -> None:
        heard, cpu = _now(), _cpu()
        job = read(Job, dict(message.properties)["job"].encode())
        payload = bytes(message.payload)
        result = process_faces(job, payload, self._embedder, None, incarnation=job.media, now=_now)
        done, cpu = _now(), _cpu() - cpu
        answer = result.to_json()
        self.work.put((heard, done, _now(), cpu))
        self.worker.publish(WorkerTopic(WORKER, "results"), answer)

    def _result(self, message: Incoming) -> None:
        self.answers.put((_now(), bytes(message.payload)))

    def _session(self, site: Site, role: str, stack: ExitStack) -> Session:
        session = Session(site.connection(role), client_id=f"pipeline-{role}")
        session.start()
        stack.callback(session.stop, timeout=1)
        session.wait_connected(SECONDS)
        return session


def _one(
    line: _Line, picture: NDArray[np.uint8], detector: Detector, gallery: Gallery, times: _Times
) -> tuple[str, int, int]:
    """One frame through all; returns the decision in words, the message's bytes, how many faces."""
    begin, cpu_begin = _now(), _cpu()
    founds = [f for f in detector.detect(picture) if f.label == "face" and f.score >= SURE]
    detected, cpu_detected = _now(), _cpu()
    jpeg = encode_jpeg(picture, quality=92)
    sent, cpu_sent = _now(), _cpu()
    line.device.publish(ThingTopic(DEVICE, CAMERA, "frame"), jpeg)
    at_hub, payload = _await(line.frames, "the frame did not reach the hub")
    job = _job(tuple(Found(label=f.label, score=f.score, box=f.box) for f in founds))
    given = _now()
    line.hub.publish(WorkerTopic(WORKER, "jobs"), payload, properties=[("job", job.to_json().decode())])
    heard, done, answered, cpu_work = _await(line.work, "the worker did not do its job")
    back, answer = _await(line.answers, "the answer did not reach the hub")
    judging, cpu_judging = _now(), _cpu()
    said, count = _judge(answer, gallery)
    end, cpu_end = _now(), _cpu()
    times.detection.append(detected - begin)
    times.encoding.append(sent - detected)
    times.recognition.append(done - heard)
    times.decision.append(end - judging)
    for hop, seconds in zip(times.hops, (at_hub - sent, heard - given, back - answered), strict=True):
        hop.append(seconds)
    times.whole.append(end - begin)
    times.cpu.append((cpu_detected - cpu_begin, cpu_sent - cpu_detected, cpu_work, cpu_end - cpu_judging))
    return said, len(jpeg), count


def _await(waiting: _Queue[T], what: str) -> T:
    try:
        return waiting.get(timeout=SECONDS)
    except queue.Empty:
        raise MeerkatError(
            f"{what} within {SECONDS:g} s",
            where="meerkat bench pipeline",
            remedy="The machine may be overloaded; try again",
        ) from None


def _judge(payload: bytes, gallery: Gallery) -> tuple[str, int]:
    """The decision level: who may be on this floor."""
    result = read(Result, payload)
    if result.state != "done" or result.model is None:
        raise MeerkatError(f"the worker failed: {result.reason}", where="recognise_faces")
    matches = gallery.who_all(result.faces, result.model.sha256)
    seen = [
        Seen("face", f.score, f.box, m.person, m.stranger, m.reason)
        for f, m in zip(result.faces, matches, strict=True)
    ]
    rule = WhoMayBeHere(allowed=("Ada",), unknown="alert")
    decisions, _ = decide(rule, seen, camera=f"{DEVICE}/{CAMERA}", local=datetime.now().astimezone())
    return "; ".join(decision.reason for decision in decisions), len(result.faces)


def _gallery(
    embedder: Embedder, picture: NDArray[np.uint8], box: tuple[float, float, float, float]
) -> Gallery:
    """The visitor of the picture, and PEOPLE others made of chance, who are far from everybody."""
    import numpy as np

    model = embedder.info.sha256
    vector = embedder.describe(picture, box).embedding
    random = np.random.default_rng(1)
    samples = [Sample("visitor", "the visitor", model, vector_of(vector.astype("<f4").tobytes()))]
    for person in range(PEOPLE):
        home = random.normal(0, 1, len(vector))
        home *= np.linalg.norm(vector) / np.linalg.norm(home)
        for number in range(SAMPLES):
            shot = home + random.normal(0, 0.02, len(vector))
            name = f"person {person}"
            samples.append(Sample(f"{person}-{number}", name, model, tuple(shot.tolist())))
    meaning = Meaning(embedder.embedding.threshold, embedder.embedding.margin)
    return Gallery(samples, {model: meaning})


def _job(found: tuple[Found, ...]) -> Job:
    return Job(
        job=new_id(),
        token=1,
        task="recognise_faces",
        device=DEVICE,
        camera=CAMERA,
        media=new_id(),
        content_type="image/jpeg",
        captured_at=datetime.now(UTC),
        lease=SECONDS,
        found=found,
    )
