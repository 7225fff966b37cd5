"""Orders and answers as the hub and its workers write them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from meerkat_cloud_burst.messages import HOME, Finished, Order, clip_key
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Job, Result

THEN = datetime(2026, 5, 1, 12, tzinfo=UTC)


def order(job: str = "", token: int = 1, *, content: bytes = b"clip") -> Order:
    job = job or new_id()
    return Order(
        job=Job(job=job, token=token, device=HOME, camera=HOME, media=job, captured_at=THEN, lease=900),
        key=clip_key(job, token),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        sent_at=THEN,
    )


def finished(
    of: Order,
    *,
    worker: str = "i-1",
    boot: float | None = None,
    state: Literal["done", "failed"] = "done",
    retry: bool = False,
) -> Finished:
    job = of.job
    result = Result(job=job.job, token=job.token, incarnation=new_id(), state=state, frames=25, retry=retry)
    return Finished(result=result, worker=worker, boot=boot)


def clip(folder: Path, content: bytes = b"clip") -> Path:
    path = folder / f"{new_id()}.mp4"
    path.write_bytes(content)
    return path
