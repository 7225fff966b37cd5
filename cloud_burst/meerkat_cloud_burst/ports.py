"""What the burst needs of a cloud, as protocols: `aws` fulfils them, tests and `simulate` have their own.

Every method blocks and raises CloudError; none of them is called on the hub's own thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from .errors import CloudError
from .messages import Announced, Finished, Life, Order


@dataclass(frozen=True, slots=True)
class Instance:
    """One machine of the fleet. `since`: when it was launched."""

    id: str
    state: Literal["pending", "running", "ending"]
    since: datetime
    life: str = ""
    """spot | on-demand; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class FleetState:
    desired: int = 0
    maximum: int = 0
    instances: tuple[Instance, ...] = ()
    orphans: tuple[Instance, ...] = ()
    """Instances with the stack's tag that no group counts."""
    trouble: CloudError | None = None
    """Why the last launch failed (quota, capacity, …), while instances are wanted and none is there; or why
    the last machine ended before it was ready."""


class Fleet(Protocol):
    def look(self) -> FleetState: ...

    def set_desired(self, count: int) -> None:
        """Ask for so many instances; never above max_instances nor the group's own maximum."""
        ...

    def end(self, instances: Sequence[str]) -> None:
        """Terminate these, decrementing the group where it counts them."""
        ...


class ClipStore(Protocol):
    def put_clip(self, key: str, path: Path, content_type: str) -> None:
        """Upload once (a clip that is there already is good); encrypted, in parts above 8 MB."""
        ...

    def fetch_clip(self, key: str, path: Path) -> None:
        """Download any object of the bucket, a clip or a model. Raises Gone when it is not there."""
        ...

    def put_result(self, key: str, finished: Finished) -> bool:
        """False when a result of this job was there already (IfNoneMatch): then that one counts."""
        ...

    def put_annotated(self, key: str, path: Path) -> None: ...

    def result(self, key: str) -> Finished: ...

    def delete(self, keys: Sequence[str]) -> None:
        """What is not there is deleted already."""
        ...


@dataclass(frozen=True, slots=True)
class Received:
    """One message: `receipt` is what deletes or prolongs it, `receives` how often it was taken."""

    order: Order
    receipt: str
    receives: int


@dataclass(frozen=True, slots=True)
class QueueState:
    waiting: int = 0
    taken: int = 0
    dead: int = 0


class OrderQueue(Protocol):
    def send(self, order: Order) -> None: ...

    def receive(self, wait: float) -> Received | None:
        """Long poll of at most 20 s."""
        ...

    def prolong(self, receipt: str, seconds: float) -> None:
        """Heartbeat; 0 gives the message back at once."""
        ...

    def delete(self, receipt: str) -> None: ...

    def look(self) -> QueueState: ...

    def dead_letters(self, limit: int = 10) -> Sequence[Received]:
        """Taken from the dead-letter queue; `bury` them when their fate is recorded."""
        ...

    def bury(self, receipt: str) -> None: ...


class ResultQueue(Protocol):
    def announce(self, message: Announced | Life) -> None: ...

    def receive(self, wait: float, limit: int = 10) -> Sequence[tuple[Announced | Life, str]]:
        """Messages with their receipts; what cannot be read is told in the log and deleted."""
        ...

    def delete(self, receipts: Sequence[str]) -> None: ...

    def give_back(self, receipts: Sequence[str]) -> None:
        """Offer them again at once: who took them ends before using them."""
        ...
