"""What the core asks of the cloud besides uploads, one after the other on one thread.

Scale          the latest counts; a wish for machines that cannot be told within a tick is dropped, as the
               core decides anew at the next look. A wish for none is told however long it takes.
EndInstances   told until it is heard; those that are asked for again are told once
Forget         many at once: two requests for all of them
TakeBack       SQS cannot delete what nobody holds. So the clip's object is deleted: a worker that takes
               the order and finds no clip drops it without a word. The clip may be done at home at once,
               even when the object could not be deleted yet; should a worker have begun it, its result
               comes to a job that has another answer already, and is dropped by its id.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.messages import clip_key, result_key
from meerkat_cloud_burst.news import EndInstances, Forget, Scale, TakeBack, TakenBack
from meerkat_cloud_burst.ports import Fleet

from .answers import Answers, Mark
from .line import Line, Ports
from .reach import COMMON, LONGEST_REST, Reach, unexpected
from .uploads import Uploads

log = logging.getLogger("meerkat.cloud")

STALE = 5.0
"""Seconds for which a wish for machines holds at least, however short a tick is."""


@dataclass(frozen=True, slots=True)
class _Sweep:
    """Objects of clips that were taken back."""

    keys: tuple[str, ...]


_Errand = Scale | EndInstances | Forget | TakeBack | _Sweep

PARTS: dict[type[_Errand], str] = {
    Scale: "asking for instances",
    EndInstances: "ending instances",
    Forget: "deleting what is done",
    TakeBack: "taking clips back",
    _Sweep: "taking clips back",
}
"""What Reach calls them: one that is refused does not mean that the others are."""


@dataclass(slots=True, eq=False)
class _Wish:
    errand: _Errand
    asked: float
    not_before: float = 0.0


class Errands:
    """`ask` returns at once; `run` is the thread's."""

    def __init__(
        self,
        *,
        line: Line,
        reach: Reach,
        uploads: Uploads,
        answers: Answers,
        fleet: Callable[[Ports], Fleet],
        tell: Callable[[TakenBack], None],
        clock: Callable[[], float],
        tick: float,
    ) -> None:
        self._line = line
        self._reach = reach
        self._uploads = uploads
        self._answers = answers
        self._fleet = fleet
        self._tell = tell
        self._clock = clock
        self._stale = max(tick, STALE)
        self._changed = threading.Condition()
        self._waiting: deque[_Wish] = deque()
        self._busy = False
        self._stopped = False

    @property
    def idle(self) -> bool:
        with self._changed:
            return not self._waiting and not self._busy

    def ask(self, errand: Scale | EndInstances | Forget | TakeBack) -> None:
        with self._changed:
            self._waiting = deque(wish for wish in self._waiting if not _covers(errand, wish.errand))
            self._waiting.append(_Wish(errand, self._clock()))
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run(self) -> None:
        while wishes := self._next():
            part = PARTS[type(wishes[0].errand)]
            try:
                self._do([wish.errand for wish in wishes])
            except CloudError as error:
                self._failed(part, wishes, error)
            except Exception as error:
                log.exception("An unexpected error while %s", part)
                self._failed(part, wishes, unexpected(error))
            else:
                if not isinstance(wishes[0].errand, TakeBack):  # which asks nothing of the cloud itself
                    self._reach.works(part)
            finally:
                with self._changed:
                    self._busy = False

    def _next(self) -> list[_Wish]:
        """The first that may be tried, and with one Forget all of them; nothing when the agent stops."""
        with self._changed:
            while not self._stopped:
                now = self._clock()
                ready = [wish for wish in self._waiting if wish.not_before <= now]
                if not ready:
                    soonest = min((wish.not_before for wish in self._waiting), default=None)
                    self._changed.wait(None if soonest is None else soonest - now)
                    continue
                wishes = ready[:1]
                if isinstance(ready[0].errand, Forget):
                    wishes = [wish for wish in ready if isinstance(wish.errand, Forget)]
                self._waiting = deque(wish for wish in self._waiting if wish not in wishes)
                self._busy = True
                return wishes
            return []

    def _do(self, errands: list[_Errand]) -> None:
        match errands[0]:
            case Scale(desired=desired, reason=reason):
                self._fleet(self._line.get()).set_desired(desired)
                log.info("Asked for %d instances: %s", desired, reason)
            case EndInstances(instances=instances, reason=reason):
                self._fleet(self._line.get()).end(instances)
                log.info("Ended %s: %s", ", ".join(instances), reason)
            case TakeBack(jobs=jobs):
                self._take_back(jobs)
            case _Sweep(keys=keys):
                self._line.get().store.delete(keys)
            case Forget():
                self._forget([(each.job, each.token) for each in errands if isinstance(each, Forget)])

    def _take_back(self, jobs: tuple[Mark, ...]) -> None:
        offered = [mark for mark in jobs if not self._uploads.withdraw(*mark)]
        if offered:
            sweep = _Sweep(tuple(clip_key(*mark) for mark in offered))
            with self._changed:
                self._waiting.appendleft(_Wish(sweep, self._clock()))
        for mark in jobs:
            self._tell(TakenBack(*mark))

    def _forget(self, marks: list[Mark]) -> None:
        for mark in marks:
            self._uploads.withdraw(*mark)
        keys = [clip_key(*mark) for mark in marks]
        # A clip that is on its way again will have its result under the same name.
        keys += [result_key(job) for job, token in marks if not self._uploads.newer(job, token)]
        # The objects first: a message that then comes once more finds no result, and is deleted.
        self._line.get().store.delete(keys)
        self._answers.forget(marks)

    def _failed(self, part: str, wishes: list[_Wish], error: CloudError) -> None:
        with self._changed:
            if self._stopped:
                return
        self._line.failed(error)
        self._reach.failed(part, error)
        common = error.cause in COMMON
        with self._changed:
            for wish in wishes:
                if self._holds(wish, error):
                    # Who is refused waits alone; who finds nobody there waits with all the others, below.
                    wish.not_before = 0.0 if common else self._clock() + LONGEST_REST
                    self._waiting.append(wish)
        if common:
            self._reach.rest(part)

    def _holds(self, wish: _Wish, error: CloudError) -> bool:
        """Whether it is to be tried again. Called with the lock held."""
        if any(_covers(other.errand, wish.errand) for other in self._waiting):
            return False  # another wish came meanwhile
        match wish.errand:
            case Scale(desired=desired) if desired > 0 and self._clock() - wish.asked > self._stale:
                log.warning("The wish for %d instances is dropped: %s", desired, error)
                return False
            case EndInstances() if error.cause == "other":
                return False  # not ours to end; the core asks again while it is there
            case _:
                return True


def _covers(later: _Errand, earlier: _Errand) -> bool:
    """Whether `earlier` need not be told any more."""
    match later, earlier:
        case Scale(), Scale():
            return True
        case EndInstances(instances=all_of_them), EndInstances(instances=some):
            return set(some) <= set(all_of_them)
    return False
