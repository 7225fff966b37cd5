"""Drives a HubCore with a simulated clock, keeps its decisions, and checks its invariants."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from meerkat_cloud_burst.policy.view import Policy
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.messages import (
    Box,
    Event,
    ModelInfo,
    Outcome,
    Result,
    Sighting,
    TaskInfo,
    Track,
    WorkerState,
)
from meerkat_hub.core.clips import CoreSettings
from meerkat_hub.core.cloud.permission import SaidNow, nothing_said
from meerkat_hub.core.inputs import BusChanged, ClipArrived, Input, ResultArrived, TimeReached, WorkerSeen
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.outputs import (
    Announce,
    Change,
    ClipSettled,
    ClipStored,
    Effect,
    SendJob,
    SendReceipt,
)
from meerkat_hub.core.records import Clip, Now

START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def an_id(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


def a_clip(
    number: int,
    *,
    sequence: int = 0,
    recording: int = 0xA000,
    last: bool = False,
    start: float | None = None,
    seconds: float = 5.0,
    received_at: datetime = START,
) -> Clip:
    """A clip of the porch; `start` is seconds after START, by default its place in the recording."""
    return Clip(
        id=an_id(number),
        device="porch",
        camera="front",
        captured_at=START + timedelta(seconds=sequence * seconds if start is None else start),
        received_at=received_at,
        recording=an_id(recording),
        sequence=sequence,
        last=last,
        duration=seconds,
    )


class CoreDriver:
    def __init__(
        self,
        *,
        settings: CoreSettings | None = None,
        burst: tuple[BurstSettings, Policy] | None = None,
        cloud_of: SaidNow = nothing_said,
    ) -> None:
        self._next_id = 0xE000
        self.mono = 0.0
        self.changes: list[Change] = []
        self.effects: list[Effect] = []
        self.notes: list[str] = []
        self.core = HubCore(epoch=1, new_id=self._new_id, settings=settings, burst=burst, cloud_of=cloud_of)
        self.do(BusChanged(up=True))

    def _new_id(self) -> str:
        self._next_id += 1
        return an_id(self._next_id)

    @property
    def now(self) -> Now:
        return Now(START + timedelta(seconds=self.mono), self.mono)

    def do(self, happened: Input) -> None:
        decision = self.core.step(happened, self.now)
        self.changes += decision.changes
        self.effects += decision.effects
        self.notes += decision.notes
        self.check()

    def turn(self, seconds: float) -> None:
        """Turn the clock and let the core see the time."""
        self.mono += seconds
        self.do(TimeReached())

    # --- what happens ---------------------------------------------------------------------------

    def clip(
        self,
        number: int,
        *,
        sequence: int = 0,
        recording: int = 0xA000,
        last: bool = False,
        start: float | None = None,
        seconds: float = 5.0,
    ) -> Clip:
        clip = a_clip(
            number,
            sequence=sequence,
            recording=recording,
            last=last,
            start=start,
            seconds=seconds,
            received_at=self.now.wall,
        )
        self.do(ClipArrived(clip))
        return clip

    def worker(
        self, name: str = "cpu", *, fps: float = 10, window: int = 2, start: int = 1, online: bool = True
    ) -> None:
        task = TaskInfo(task="detect_objects", model=ModelInfo(name="test"), frames_per_second=fps)
        state = WorkerState(
            worker=name, incarnation=an_id(0xB000 + start), online=online, tasks=(task,), window=window
        )
        self.do(WorkerSeen(state))

    def jobs(self, worker: str | None = None) -> list[SendJob]:
        return [e for e in self.effects if isinstance(e, SendJob) and worker in (None, e.worker)]

    def job_of(self, clip: Clip) -> SendJob:
        return [job for job in self.jobs() if job.clip.id == clip.id][-1]

    def answer(
        self,
        clip: Clip,
        *tracks: Track,
        state: str = "done",
        retry: bool = False,
        reason: str = "",
        token: int | None = None,
        start: int = 1,
        begun: bool = True,
    ) -> None:
        job = self.job_of(clip)
        result = Result(
            job=clip.id,
            token=job.job.token if token is None else token,
            incarnation=an_id(0xB000 + start),
            state=state,
            retry=retry,
            reason=reason,
            frames=25 if begun else 0,
            seconds=2.5 if begun else 0,
            duration=clip.duration,
            model=ModelInfo(name="test"),
            tracks=tracks,
        )
        self.do(ResultArrived(job.worker, result))

    # --- what followed --------------------------------------------------------------------------

    def receipts(self) -> list[tuple[str, str]]:
        return [(e.receipt.id, e.receipt.outcome) for e in self.effects if isinstance(e, SendReceipt)]

    def events(self) -> list[Event]:
        return [
            Event.model_validate_json(c.payload)
            for c in self.changes
            if isinstance(c, Announce) and c.topic.endswith("/event")
        ]

    def outcomes(self) -> list[Outcome]:
        return [
            Outcome.model_validate_json(c.payload)
            for c in self.changes
            if isinstance(c, Announce) and c.topic.endswith("/outcome")
        ]

    def settled(self) -> list[tuple[str, str]]:
        return [(c.id, c.state) for c in self.changes if isinstance(c, ClipSettled)]

    # --- invariants -----------------------------------------------------------------------------

    def check(self) -> None:
        """Counts add up, nothing is in two places, nobody holds more than the window."""
        stored = [c.clip.id for c in self.changes if isinstance(c, ClipStored)]
        settled = [clip_id for clip_id, _ in self.settled()]
        core = self.core
        assert len(set(settled)) == len(settled), "a clip was settled twice"
        aloft = core.clips.aloft
        assert sorted(stored) == sorted([*settled, *core.waiting, *core.leases, *core.pool.aside, *aloft])
        held = [lease.token for worker in core.workers.values() for lease in worker.leases]
        leased = [lease.token for leases in core.leases.values() for lease in leases]
        assert sorted(held) == sorted(leased)
        for worker in core.workers.values():
            assert len(worker.leases) <= worker.window
        for recording in core.recordings.values():
            for clip_id in recording.pending:
                assert core.pool.has(clip_id) != (clip_id in aloft)


def track(
    number: int = 0,
    *,
    label: str = "person",
    start: float = 0.0,
    end: float = 5.0,
    x: Sequence[float] = (0.1, 0.5),
    score: float = 0.8,
    step: float = 0.2,
    picture: bytes | None = b"jpeg",
) -> Track:
    """An object of size 0.1 × 0.4 that moves from x[0] to x[1] between two media times."""
    count = max(1, round((end - start) / step))
    sightings = []
    for i in range(count):
        share = i / max(1, count - 1)
        box: Box = (x[0] + (x[1] - x[0]) * share, 0.3, 0.1, 0.4)
        sightings.append(Sighting(at=start + i * step, score=score, box=box))
    return Track(
        track=number,
        label=label,
        score=score,
        hits=sum(s.score >= 0.5 for s in sightings) or 1,
        sightings=tuple(sightings),
        best=sightings[len(sightings) // 2],
        picture=base64.b64encode(picture) if picture else None,
    )
