"""What one cloud worker is to be: where its queue is, what it looks with, and when it ends."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from meerkat_contract.errors import UsageError


def any_name() -> str:
    """For a machine that is none of EC2's: nothing in it tells whose it is."""
    return f"pc-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class Plan:
    """`jobs` and `results` are the queues' addresses. What is empty is asked of the stack, or chosen."""

    region: str = ""
    stack: str = "meerkat-burst"
    bucket: str = ""
    jobs: str = ""
    results: str = ""
    group: str = ""
    endpoint: str = ""
    model: str = ""
    engine: str = "opencv"
    folders: tuple[Path, ...] = ()
    idle_grace: float | None = 60.0
    """Seconds; None: it stays, and does not ask whether it is an instance of EC2."""
    visibility: float = 60.0
    name: str = field(default_factory=any_name)

    @property
    def named(self) -> bool:
        """Whether bucket and queues are given. Raises UsageError when only some of them are."""
        given = {"MEERKAT_BURST_BUCKET": self.bucket, "MEERKAT_BURST_JOBS": self.jobs}
        given["MEERKAT_BURST_RESULTS"] = self.results
        absent = [variable for variable, value in given.items() if not value]
        if absent and len(absent) < len(given):
            raise UsageError(
                "bucket and queues belong together, and not all of them are given",
                where=" and ".join(absent),
                remedy="Set all three, or none: then the stack is asked for them",
            )
        for variable in ("MEERKAT_BURST_JOBS", "MEERKAT_BURST_RESULTS"):
            if given[variable] and not given[variable].startswith(("https://", "http://")):
                raise UsageError(
                    f"{given[variable]!r} is no address of a queue",
                    where=variable,
                    remedy="Write its URL, https://sqs.…; the stack's outputs show it",
                )
        return not absent
