"""Whether the cloud can be used: told once per cause, and how long whoever failed rests before the next try.

The agent's threads use different services, and each may fail while the others work. A *part* is one such
use («looking», «uploads»). There is trouble while at least one part has failed and not worked since.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from meerkat_cloud_burst.errors import Cause, CloudError
from meerkat_cloud_burst.news import Reached, Trouble

log = logging.getLogger("meerkat.cloud")

FIRST_REST = 1.0
"""Seconds after the first failure; twice as long after each that follows."""

LONGEST_REST = 60.0

PROBATION = 300.0
"""Seconds after which a part that has had nothing to do since it failed is believed to work again."""

COMMON: Collection[Cause] = ("network", "throttled", "clock", "credentials", "region")
"""Causes that meet all parts alike: when one works, the others may be tried."""


def unexpected(error: Exception) -> CloudError:
    """A fault of ours, so that it is told like any trouble and the thread goes on."""
    return CloudError(
        f"an unexpected error: {type(error).__name__}",
        where="cloud burst",
        remedy="The hub's log tells where; please report it",
    )


@dataclass(slots=True)
class _Failure:
    error: CloudError
    at: float
    rest: float


class Reach:
    """Used by all threads of the agent."""

    def __init__(
        self,
        tell: Callable[[Trouble | Reached], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        first_rest: float = FIRST_REST,
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._first_rest = first_rest
        self._changed = threading.Condition()
        self._failed: dict[str, _Failure] = {}
        self._shown: Trouble | None = None
        self._awakened = 0
        self._stopped = False

    def trouble(self, part: str) -> CloudError | None:
        """Why this part does not work; None when it does, or was not tried."""
        with self._changed:
            failure = self._failed.get(part)
            return None if failure is None else failure.error

    def failed(self, part: str, error: CloudError) -> None:
        with self._changed:
            before = self._failed.get(part)
            rest = self._first_rest if before is None else min(before.rest * 2, LONGEST_REST)
            self._failed[part] = _Failure(error, self._clock(), rest)
            log.debug("The cloud, %s: %s", part, error)
            self._show()

    def works(self, part: str) -> None:
        """It did what it should. What it has recovered from the others are tried again with, at once."""
        with self._changed:
            failure = self._failed.pop(part, None)
            if failure is not None:
                cause = failure.error.cause
                self._failed = {
                    other: failed for other, failed in self._failed.items() if failed.error.cause != cause
                }
                self._show()
                self._wake()

    def forgive(self, part: str) -> None:
        """`part` has nothing to do, so that it cannot show that it works; another one does."""
        with self._changed:
            failure = self._failed.get(part)
            if failure is None:
                return
            age = self._clock() - failure.at
            if age >= (LONGEST_REST if failure.error.cause in COMMON else PROBATION):
                del self._failed[part]
                self._show()
                self._wake()

    def tell_again(self) -> None:
        """The trouble that stands, for a hub whose core was loaded anew since it was told."""
        with self._changed:
            if self._shown is not None:
                self._tell(self._shown)

    def rest(self, part: str) -> None:
        """Wait as long as this part's failures ask for, or until something works again, or until `stop`."""
        with self._changed:
            failure = self._failed.get(part)
            if failure is None:
                return
            awakened = self._awakened
            self._changed.wait_for(lambda: self._stopped or self._awakened != awakened, failure.rest)

    def stop(self) -> None:
        """Nobody rests any longer."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _wake(self) -> None:
        self._awakened += 1
        self._changed.notify_all()

    def _show(self) -> None:
        """Tell what is true now, if that is not what was told last."""
        causes = {failure.error.cause for failure in self._failed.values()}
        if self._shown is not None and self._shown.cause in causes:
            return
        if self._failed:
            latest = max(self._failed.values(), key=lambda failure: failure.at)
            self._shown = Trouble(latest.error.cause, str(latest.error))
            log.warning("The cloud cannot be used: %s", latest.error)
            self._tell(self._shown)
        elif self._shown is not None:
            self._shown = None
            log.info("The cloud can be used again")
            self._tell(Reached())
