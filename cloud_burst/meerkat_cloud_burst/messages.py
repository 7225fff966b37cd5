"""What travels between the hub and the cloud workers: SQS bodies, and the names of S3 objects.

    s3://<bucket>/clips/<job>-<token>        the clip, deleted after its result
    s3://<bucket>/results/<job>.json         Finished; written once (IfNoneMatch), by job id
    s3://<bucket>/annotated/<job>.mp4        when it is asked for
    s3://<bucket>/models/<file>, wheels/…    what `meerkat burst deploy` put there

    queue jobs      Order      → worker      (dead letters after three receives: queue dead)
    queue results   Announced  → hub

Nothing here names a camera or a person of the house: the Job's `device` and `camera` are replaced by
the word `home` on their way out, and the hub knows by the job's id what it was.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from meerkat_contract.ids import Id, Name, UtcTime
from meerkat_contract.message import Message
from meerkat_contract.messages import Job, Result

HOME = "home"
"""Stands for device and camera in a Job that leaves the house."""

RECEIVES = 3
"""So often a worker may take an order before it is a dead letter."""

LIFE_AGAIN = 60.0
"""Seconds after which a worker that no group counts says `ready` again; thrice as long in silence, and it
counts no longer."""


def clip_key(job: str, token: int) -> str:
    return f"clips/{job}-{token}"


def result_key(job: str) -> str:
    return f"results/{job}.json"


def annotated_key(job: str) -> str:
    return f"annotated/{job}.mp4"


def model_key(file: str) -> str:
    """Of one file of a model, by its name in the catalogue (`ModelFile.name`, unique there)."""
    return f"models/{file}"


OWN_CATALOGUE = "catalogue.toml"
"""What the owner's catalogue is called beside the files of a model that stands there alone."""


class Order(Message):
    """One clip to look at (queue jobs)."""

    job: Job
    key: str = Field(pattern=r"^clips/[0-9a-f-]+$")
    size: int = Field(ge=0, description="bytes")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    sent_at: UtcTime
    until: UtcTime | None = Field(
        None,
        description="nobody waits for it after this: a worker deletes it unread, so that a fleet whose hub "
        "has died runs out of work and ends; sent_at + burst.timeout",
    )
    model: str = ""
    annotated: bool = False


class Finished(Message):
    """The result as it lies in S3."""

    result: Result
    worker: str = Field(description="instance id, or the name of the machine")
    boot: float | None = Field(None, ge=0, description="seconds from launch to its first order, told once")
    annotated: str = Field("", description="key of the annotated video")


class Announced(Message):
    """A result is there (queue results), or a worker says that it could not and why.

    An order that cannot be done (a poison clip) is Finished with state failed by the worker that could
    still say so; one that kills its workers ends in the dead-letter queue and is announced by nobody.
    """

    job: Id
    token: int = Field(ge=0)
    key: str = ""
    worker: str = ""


class Life(Message):
    """A worker's own words about itself (queue results): its boot took so long, it ends for this reason.

    With an external fleet `ready` is all that tells of a worker: it says so every LIFE_AGAIN seconds.
    """

    worker: str
    what: Literal["ready", "interrupted", "ending"]
    boot: float | None = Field(None, ge=0)
    reason: str = ""
    name: Name = HOME
