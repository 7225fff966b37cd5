"""Which waiting clip goes to which worker now: the earliest predicted completion.

Each clip at the head of the queue is assigned, in order, to the worker that is predicted to finish
it first, counting what that worker has been given already. Only workers that win a clip in this
plan are fed: a slow worker does not get the last clip that a fast one would finish sooner.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .records import Clip, Lease, Worker

HEAD = 64
"""How many waiting clips one plan looks at."""

SAMPLE_FPS = 5.0
"""Frames looked at per second of video."""

SMOOTHING = 0.2
"""Weight of the newest observation of a worker's speed."""

MIN_LEASE = 60.0
LEASE_FACTOR = 10.0
"""A lease lasts this many times the predicted time, and never less than MIN_LEASE seconds."""


@dataclass(frozen=True, slots=True)
class Assignment:
    clip: Clip
    worker: Worker
    finish: float
    """Predicted, monotonic seconds."""
    lease: float
    """Seconds the worker has."""


def frames_of(clip: Clip) -> int:
    """How many frames a clip costs: its cost in the plan."""
    if clip.content_type.startswith("image/"):
        return 1
    return max(1, round((clip.duration or 5.0) * SAMPLE_FPS))


def service_time(worker: Worker, task: str, frames: int) -> float:
    """Seconds this worker is expected to need for so many frames."""
    spf = worker.seconds_per_frame.get(task) or 1.0 / worker.tasks[task].frames_per_second
    return spf * frames


def plan(waiting: Iterable[Clip], workers: Iterable[Worker], task: str, now: float) -> list[Assignment]:
    """The clips to send now, in order. Pure; changes neither argument."""
    able = [w for w in workers if task in w.tasks and w.paused_until <= now]
    if not able:
        return []
    free_at = {w.id: max([now, *(lease.finish for lease in w.leases)]) for w in able}
    room = {w.id: w.window - len(w.leases) for w in able}
    chosen: list[Assignment] = []
    for _, clip in zip(range(HEAD), waiting, strict=False):
        if not any(n > 0 for n in room.values()):
            break
        frames = frames_of(clip)
        best = min(able, key=lambda w: (free_at[w.id] + service_time(w, task, frames), w.id))
        seconds = service_time(best, task, frames)
        free_at[best.id] += seconds
        if room[best.id] > 0:
            room[best.id] -= 1
            lease = max(MIN_LEASE, LEASE_FACTOR * (free_at[best.id] - now))
            chosen.append(Assignment(clip, best, free_at[best.id], lease))
        else:
            room[best.id] -= 1
    return chosen


def observe(worker: Worker, task: str, frames: int, seconds: float) -> None:
    """Learn from one finished job; an outlier counts at most threefold either way."""
    if frames <= 0 or seconds <= 0 or task not in worker.tasks:
        return
    old = worker.seconds_per_frame.get(task) or 1.0 / worker.tasks[task].frames_per_second
    seen = min(max(seconds / frames, old / 3), old * 3)
    worker.seconds_per_frame[task] = old + SMOOTHING * (seen - old)


def repredict(leases: Sequence[Lease], worker: Worker, task: str, now: float) -> None:
    """Move the predicted finishes of what a worker still holds after it answered."""
    finish = now
    for lease in leases:
        finish += service_time(worker, task, frames_of(lease.clip))
        lease.finish = finish
