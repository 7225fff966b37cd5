"""The hub's present plan (`core.dispatch`) behind the rules' interface, to compare on equal terms.

It keeps the worker records that the hub's machine would, with the same calls at the same moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from meerkat_contract.messages import ModelInfo, TaskInfo
from meerkat_hub.core import dispatch
from meerkat_hub.core.records import Clip, Lease, Worker
from meerkat_hub.core.rules import ArrivalEstimate, Assignment, WaitingJob, WorkerView

TASK = "detect_objects"
_MODEL = ModelInfo(name="simulated")
_WHEN = datetime(2026, 1, 1, tzinfo=UTC)


class ProductionPlan:
    """`window` is what a worker announces: 2 unless its settings say otherwise."""

    def __init__(self, window: int = 2) -> None:
        self.name = f"production, window {window}"
        self._window = window
        self._workers: dict[str, Worker] = {}

    def assign(
        self,
        waiting: Sequence[WaitingJob],
        workers: Sequence[WorkerView],
        now: float,
        arrivals: ArrivalEstimate,
    ) -> list[Assignment]:
        able = [self._record(view, now) for view in workers]
        clips = [_clip(job.id) for job in waiting]
        sent = []
        for choice in dispatch.plan(clips, able, TASK, now):
            worker = choice.worker
            lease = Lease(choice.clip, worker.id, worker.incarnation, 0, now, now, choice.finish)
            worker.leases.append(lease)
            sent.append(Assignment(choice.clip.id, worker.id))
        return sent

    def _record(self, view: WorkerView, now: float) -> Worker:
        worker = self._workers.get(view.id)
        if worker is None:
            task = TaskInfo(task=TASK, model=_MODEL, frames_per_second=view.weight)
            worker = Worker(view.id, "", {TASK: task}, min(self._window, view.window))
            self._workers[view.id] = worker
        worker.seconds_per_frame[TASK] = view.seconds
        held = {flying.job for flying in view.in_flight}
        if len(held) < len(worker.leases):
            worker.leases = [lease for lease in worker.leases if lease.clip.id in held]
            dispatch.repredict(worker.leases, worker, TASK, now)
        return worker


def _clip(job: str) -> Clip:
    return Clip(job, "", "", _WHEN, _WHEN, job, content_type="image/jpeg")
