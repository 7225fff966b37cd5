"""Who cannot be relied on, and for how long: workers that say nothing, and workers that fail at everything.

    silent    Durable leases of it ran out: none for SILENCE seconds, five times as long each time, ten
              minutes at most, until something is heard of it.
    missed    Perishable leases of it ran out. They are short, and their jobs may be lost on the way (QoS
              0), so the first time it gets work at once; after that it waits for as long as the lease was.
    failing   It failed (`failed`, `retry`) at FAILING different jobs and did none in between, nor was
              the last of any other task done well: none for 4 s, twice as long each time, LONGEST at most.
              Then it is tried again: somebody may have mended it.

Whose fault a failure is, nobody can tell from one alone. An item's first counts as a try, whoever failed. A
later one counts where the worker did its last job of the task well, has failed at this very item before, or
where nobody else is able; with a worker that failed at what it had last, or has done nothing yet, it does
not: the item waits, and another gets it. So a clip that nobody can look at ends after its tries, and
workers that are broken, however many, take none with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from .attendance import SILENCE, pause_of
from .members import Member
from .queues import Queues
from .work import Item, Lease

FAILING = 3
"""Different jobs. Fewer may be bad luck: two clips of one camera that are too large for its memory."""

LONGEST = 60.0
"""Seconds. Who fails is tried again so often at least; that costs another's clip the time of one failure."""


class Pause(Protocol):
    """Gives a member no work until then; one that is `silent` only until something is heard of it."""

    def __call__(self, member: Member, until: float, *, silent: bool = ...) -> None: ...


class Trust:
    def __init__(self, members: Mapping[str, Member], queues: Queues, pause: Pause) -> None:
        self._members = members
        self._queues = queues
        self._pause = pause
        self.untold: list[str] = []
        """For the log."""

    def ran_out(self, over: Iterable[Lease], now: float) -> None:
        """These leases ended without an answer."""
        silent: dict[str, Member] = {}
        for lease in over:
            member = self._members.get(lease.worker)
            flow = self._queues.flow(lease.item.flow)
            if member is None:
                continue
            if flow is None or not flow.perishable:
                silent[member.id] = member
            elif lease.sent >= member.missed_at:  # else it was sent before the last such end: one silence
                member.missed += 1
                member.missed_at = now
                if member.missed > 1:
                    self._pause(member, now + (lease.expires - lease.sent), silent=True)
        for member in silent.values():
            member.silent += 1
            self._pause(member, now + pause_of(member.silent, SILENCE), silent=True)

    def failed(self, member: Member, lease: Lease, reason: str, now: float) -> bool:
        """It failed at an item that it had begun; whether that counts as a try of the item's."""
        item = lease.item
        doubted = lease.task not in member.sound
        member.sound.discard(lease.task)
        if len(member.failed_at) < FAILING:
            member.failed_at.add(item.id)
        if len(member.failed_at) == FAILING and not member.sound and now >= member.paused_until:
            self._leave_out(member, reason, now)
        counts = not (doubted and item.attempts) or member.id in item.avoid
        return counts or not self._another(item, member)

    def _leave_out(self, member: Member, reason: str, now: float) -> None:
        before = _failing_pause(member.bouts)
        member.bouts += 1
        pause = _failing_pause(member.bouts)
        if pause > before:
            self.untold.append(
                f"worker {member.id} fails at everything and gets no work for {pause:g} s: {reason}. "
                "Look at its log; mend it and start it anew, or take it away"
            )
        self._pause(member, now + pause)

    def _another(self, item: Item, worker: Member) -> bool:
        """Whether somebody else does such work who has not failed at this item, nor at everything."""
        flow = self._queues.flow(item.flow)
        return flow is not None and any(
            other is not worker
            and other.id not in item.avoid
            and len(other.failed_at) < FAILING
            and other.does(flow.task)
            and (flow.nodes is None or other.id in flow.nodes)
            for other in self._members.values()
        )

    def did(self, member: Member, task: str) -> None:
        """It did a job of this task well, and the one before it not, or there was none."""
        member.sound.add(task)
        member.failed_at.clear()
        if member.bouts:
            member.bouts = 0
            self.untold.append(f"worker {member.id} does its work again")

    def news(self) -> tuple[str, ...]:
        """What is to be said since this was asked last."""
        news, self.untold = self.untold, []
        return tuple(news)


def _failing_pause(bouts: int) -> float:
    """Seconds, when it failed at everything so often in a row."""
    return min(pause_of(bouts + 1, 2.0), LONGEST) if bouts else 0.0
