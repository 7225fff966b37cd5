"""Who speaks with the cloud for the hub: threads that carry out what the core asks, and bring it the news.

    looks      each tick: fleet and queues → Looked; dead letters → CloudDead
    results    long poll → CloudAnswered, Booted
    uploads    two threads: SendOut → Sent, NotSent
    errands    Scale, EndInstances, TakeBack → TakenBack, Forget

None of them is the hub's own thread, and nothing here decides: a cloud that does not answer costs the house
nothing but the cloud. Trouble is logged once per cause; each thread goes on trying, from every second to
every minute, and all are awake at once when the cloud can be reached again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from meerkat_cloud_burst.aws.external import ExternalFleet
from meerkat_cloud_burst.errors import CloudError, Gone
from meerkat_cloud_burst.messages import annotated_key
from meerkat_cloud_burst.news import CloudEffect, CloudNews, Looked, SendOut
from meerkat_cloud_burst.ports import Fleet
from meerkat_cloud_burst.settings import BurstSettings

from .answers import Answers
from .errands import PARTS as ERRANDS
from .errands import Errands
from .line import Line, Ports
from .reach import FIRST_REST, Reach, unexpected
from .starts import Starts
from .uploads import PART as UPLOADS
from .uploads import Uploads

log = logging.getLogger("meerkat.cloud")

POLL = 20.0
"""Seconds of a long poll for results: the longest that SQS knows, and the cheapest."""

PATIENCE = 120.0
"""Seconds without any success after which a clip that cannot be sent stays at home."""

LOOKING = "looking"

STOP = 0.2
"""Seconds that `stop` takes at most: a long poll is nearly always under way, and `meerkat up` has little time
for its end. A thread that is still in a request then ends by itself, unheard."""


class Agent:
    """`start`, `carry_out` as often as wanted, `stop`; the constructor asks nothing of anybody."""

    def __init__(
        self,
        settings: BurstSettings,
        *,
        media: Callable[[str], Path],
        tell: Callable[[CloudNews], None],
        clock: Callable[[], float] = time.monotonic,
        open_ports: Callable[[BurstSettings], Ports] | None = None,
        poll: float = POLL,
        patience: float = PATIENCE,
        first_rest: float = FIRST_REST,
    ) -> None:
        """`media`: the file of a clip's id; may raise MeerkatError. `tell` is called from several threads,
        never after `stop`. `open_ports`: another cloud than AWS, for tests and demonstrations."""
        self._settings = settings
        self._clock = clock
        self._told = tell
        self._telling = threading.Lock()
        self._stopping = threading.Event()
        self._external = (
            ExternalFleet(settings.max_instances, clock=clock) if settings.fleet == "external" else None
        )
        self._starts = Starts(clock=clock)
        opening = open_ports or _open_aws
        self._line = Line(lambda: opening(settings))
        self._reach = Reach(self._tell, clock=clock, first_rest=first_rest)
        self._uploads = Uploads(
            self._line,
            self._reach,
            media,
            self._tell,
            clock=clock,
            patience=min(patience, settings.timeout / 2),
        )
        self._answers = Answers(self._line, self._reach, self._tell, self._heard, poll=poll)
        self._errands = Errands(
            line=self._line,
            reach=self._reach,
            uploads=self._uploads,
            answers=self._answers,
            fleet=self._fleet,
            tell=self._tell,
            clock=clock,
            tick=settings.tick,
        )
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin; the cloud is opened in the background."""
        self._threads = [
            threading.Thread(target=self._look_on, name="cloud-looks", daemon=True),
            threading.Thread(target=self._answers.run, name="cloud-results", daemon=True),
            threading.Thread(target=self._errands.run, name="cloud-errands", daemon=True),
            *self._uploads.threads(),
        ]
        for thread in self._threads:
            thread.start()

    def carry_out(self, effect: CloudEffect) -> None:
        """Returns at once; what becomes of it comes as news. After `stop` nothing is carried out."""
        if isinstance(effect, SendOut):
            self._uploads.send(effect)
        else:
            self._errands.ask(effect)

    def fetch_annotated(self, clip: str, path: Path) -> None:
        """Bring the video with the boxes of this clip here, on the caller's thread and at once.

        Raises Gone where there is none: it was not asked for, or its seven days are over. Raises CloudError,
        StorageError.
        """
        try:
            self._line.get().store.fetch_clip(annotated_key(clip), path)
        except Gone:
            raise
        except CloudError as error:
            self._line.failed(error)
            raise

    def stop(self) -> None:
        """End within STOP seconds. Nothing is lost: what was not told or done comes again after a start."""
        with self._telling:
            self._stopping.set()
        for part in (self._answers, self._uploads, self._errands, self._reach):
            part.stop()
        until = time.monotonic() + STOP
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if left := [thread.name for thread in self._threads if thread.is_alive()]:
            log.debug("Still waiting for the cloud, and left to themselves: %s", ", ".join(left))

    # --- looking --------------------------------------------------------------------------------

    def _look_on(self) -> None:
        while not self._stopping.is_set():
            began = self._clock()
            try:
                self._look()
            except CloudError as error:
                self._look_failed(error)
            except Exception as error:
                log.exception("An unexpected error while looking at the cloud")
                self._look_failed(unexpected(error))
            else:
                self._stopping.wait(max(0.0, self._settings.tick - (self._clock() - began)))

    def _look_failed(self, error: CloudError) -> None:
        self._line.failed(error)
        self._reach.failed(LOOKING, error)
        self._reach.rest(LOOKING)

    def _look(self) -> None:
        ports = self._line.get()
        fleet = self._starts.looked(self._fleet(ports).look())
        looked = Looked(fleet, ports.orders.look())
        self._reach.works(LOOKING)
        if self._uploads.idle:
            self._reach.forgive(UPLOADS)
        if self._errands.idle:
            for part in ERRANDS.values():
                self._reach.forgive(part)
        self._reach.tell_again()
        self._tell(looked)
        if looked.queue.dead:
            self._answers.look_for_the_dead()

    def _fleet(self, ports: Ports) -> Fleet:
        return self._external or ports.fleet

    def _heard(self, worker: str, what: str, reason: str) -> None:
        if self._external is not None:
            self._external.heard(worker, what)
        else:
            self._starts.heard(worker, what, reason)

    def _tell(self, news: CloudNews) -> None:
        with self._telling:
            if not self._stopping.is_set():
                self._told(news)


def _open_aws(settings: BurstSettings) -> Ports:
    try:
        from meerkat_cloud_burst.aws.opening import open_cloud
    except ImportError as error:
        raise CloudError(
            f"the package {error.name} is not installed",
            where="burst",
            remedy="pip install 'meerkat-home[cloud]'",
        ) from error
    return open_cloud(settings)
