"""Offers this machine's tasks to a hub: takes jobs from the bus and answers each of them.

Three threads: the session's network thread takes messages and only sorts them; one job thread looks
at media, one job at a time, and loads what the hub wants loaded; the thread that calls `run()` waits
for the end and says how the worker is. docs/reference/worker-protocol.md is what travels.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from meerkat_contract.connection import Connection
from meerkat_contract.errors import BadMessage, MeerkatError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import (
    ROLL_CALL,
    Cancel,
    Deploy,
    ErrorReport,
    Job,
    Result,
    WorkerState,
    read,
)
from meerkat_contract.session import Incoming, Session, Will
from meerkat_contract.topics import HubTopic, WorkerTopic

from . import node
from .answers import Answers
from .inbox import MEASURE, Assignment, Inbox
from .measure import QuietTimes
from .tasks import MOST_WORDS, Circumstances, Skill, Tasks, blank

if TYPE_CHECKING:
    from .fetching import Fetcher

ANNOUNCE_SECONDS = 30.0
"""How the worker is (load, temperature, memory) is announced at most this often."""
LOAD_STEP = 0.1
"""…and only when the load has changed by this much,"""
DEGREES_STEP = 3.0
"""the temperature by so many degrees Celsius,"""
MEMORY_STEP = 0.2
"""or the free memory by this share."""
FAILURES = 3
"""Jobs that fail one after the other here, and might succeed elsewhere, until the task is tried out."""
END_SECONDS = 2.0
"""How long the end waits for the broker to take the last words."""

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """What came of the jobs so far: `refused` were not begun, `malformed` could not be read."""

    done: int = 0
    failed: int = 0
    refused: int = 0
    malformed: int = 0


class Worker:
    """`run()` until `end()` is called from any thread or signal handler. Construction does nothing."""

    def __init__(
        self,
        name: str,
        connection: Connection,
        tasks: Tasks,
        *,
        window: int = 16,
        held_bytes: int = 64_000_000,
        threads: int = 1,
        drain_seconds: float = 3.0,
        energy: float | None = None,
        hardware: Callable[[], str] = node.hardware,
        fetcher: Fetcher | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tasks` are prepared. `energy` in watts while it works. `hardware` in words, asked again
        when other tasks have been loaded. `fetcher` brings models; the worker ends when it has."""
        self.counts = Counts()
        self._name = name
        self._tasks = tasks
        self._fetcher = fetcher
        self._threads = threads
        self._drain_seconds = drain_seconds
        self._hardware = hardware
        self._now = now
        self._incarnation = new_id()
        self._state = WorkerState(
            worker=name,
            incarnation=self._incarnation,
            online=True,
            tasks=tasks.infos,
            serving=tasks.serving,
            fetchable=tuple(fetcher.tasks) if fetcher is not None else (),
            window=window,
            ahead=True,
            roll_call=True,
            host=socket.gethostname(),
            hardware=hardware(),
            software=f"meerkat {version('meerkat-home')}",
            load=0.0,
            temperature=node.temperature(),
            memory_free=node.memory_free(),
            energy=energy,
        )
        self._stating = threading.Lock()
        self._gone = False
        self._inbox = Inbox(window, now=now, most_bytes=held_bytes, beside=tasks.beside)
        if tasks.serving is not None:
            self._inbox.deployed(tasks.serving)
        self._requests: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._quiet = QuietTimes(now())
        self._busy = 0.0
        self._failures = 0
        self._giving_back = False
        self._session = Session(
            connection,
            client_id=f"meerkat-worker-{name}",
            will=Will(self._topic("state"), self._offline(), retain=True),
            on_connected=self._connected,
            on_disconnected=lambda _: self._inbox.taken_back(),
        )
        self._answers = Answers(
            lambda payload, metadata: self._session.publish(
                self._topic("results"), payload, qos=1, metadata=metadata
            )
        )

    def run(self) -> int:
        """Serve until the end is asked for; returns the exit status."""
        self._session.subscribe(self._topic("jobs"), self._on_job, join_parts=True)
        self._session.subscribe(self._topic("cancel"), self._on_cancel)
        self._session.subscribe(self._topic("deploy"), self._on_deploy)
        self._session.subscribe(HubTopic("availability"), lambda _: self._inbox.taken_back())
        self._session.keep(self._topic("state"), self._state.to_json())
        jobs = threading.Thread(target=self._work, name="jobs", daemon=True)
        jobs.start()
        self._session.start()
        status = 0
        try:
            while True:
                try:
                    status = 1 if self._requests.get(timeout=ANNOUNCE_SECONDS) == "broken" else 0
                    break
                except queue.Empty:
                    self._announce_rest()
                    if self.idle and self._quiet.due(self._now()):
                        self._inbox.measure()
        finally:
            self._finish()
        return status

    def end(self) -> None:
        """Ask for the end. Safe in a signal handler; asked twice, the running job is given back at once."""
        self._requests.put("end")

    @property
    def idle(self) -> bool:
        """Whether no job runs."""
        return self._inbox.wait_idle(0)

    # --- the network thread -----------------------------------------------------------------------

    def _connected(self) -> None:
        _logger.info("Worker %s is on the bus and takes jobs", self._name)
        self._answers.resend()

    def _on_job(self, message: Incoming) -> None:
        try:
            text = dict(message.properties).get("job")
            if text is None:
                raise BadMessage(
                    "a job without its user property 'job'",
                    where=message.topic,
                    remedy="docs/reference/worker-protocol.md shows the message",
                )
            job = read(Job, text.encode(), topic=message.topic)
        except BadMessage as error:
            self.counts.malformed += 1
            self._report(error)
            return
        if job.task == ROLL_CALL:
            self._answers.send(self._unbegun(job, "it is there"), job.captured_at)
            return
        offered = [info.task for info in self._state.tasks]
        if job.task not in offered:
            reason = f"this worker does not offer {job.task!r}, only {', '.join(offered)}"
        else:
            reason = self._inbox.put(job, message.payload)
        if reason:
            self._hand_back(job, reason)

    def _on_cancel(self, message: Incoming) -> None:
        try:
            cancel = read(Cancel, message.payload, topic=message.topic)
        except BadMessage as error:
            self._report(error)
            return
        waiting = self._inbox.cancel(cancel)
        if waiting is not None:
            self._hand_back(waiting.job, "cancelled before it began")

    def _on_deploy(self, message: Incoming) -> None:
        try:
            order = read(Deploy, message.payload, topic=message.topic)
        except BadMessage as error:
            self._report(error)
            return
        if order.fetch:
            if self._fetcher is not None:
                self._fetcher.ask(order, here=self.end, failed=lambda error: self._not_fetched(order, error))
            return
        for held in self._inbox.deploy(order):
            self._hand_back(held.job, f"this worker was told to serve {order.task!r} alone")

    # --- the job thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while (turn := self._inbox.take()) is not None:
                if isinstance(turn, Deploy):
                    self._switch(turn)
                    continue
                if turn == MEASURE:
                    self._measure_again()
                    continue
                try:
                    self._do(turn)
                finally:
                    self._inbox.done()
        except BaseException:
            _logger.exception("The job thread ended; the worker ends with it")
            self._requests.put("broken")
            raise

    def _switch(self, order: Deploy) -> None:
        """Load what the hub wants; what comes of it is told in the state, and a failure on `error` too."""
        begin = self._now()
        if self._tasks.failed.pop(order.task, None) is not None:
            self._restate(failed=dict(self._tasks.failed) or None)  # so that the same failure is news again
        try:
            self._tasks.switch(order)
        except MeerkatError as error:
            self._report(error, "An order to load a task is not carried out")
            if not self._tasks.devices:  # what was there before does not load any more either
                self._requests.put("broken")
        else:
            self._quiet.worked(self._now())
            what = self._tasks.serving or "all tasks"
            _logger.info("Serving %s, loaded in %.2f s", what, self._now() - begin)
        # The inbox first: a job may come as soon as the state is out.
        others = self._inbox.deployed(self._tasks.serving)
        self._restate(
            tasks=self._tasks.infos,
            serving=self._tasks.serving,
            failed=dict(self._tasks.failed) or None,
            hardware=self._hardware(),
        )
        for held in others:
            self._hand_back(held.job, f"{held.job.task!r} could not be loaded here")

    def _measure_again(self) -> None:
        """Nothing is to be done: see whether a figure was measured in a bad moment."""
        news = False
        try:
            news = self._tasks.measure_again(lambda: self._inbox.quiet)
        except MeerkatError as error:  # the next job tells whether it lasts
            _logger.warning("Measuring again failed: %s", error)
        self._quiet.measured(self._now(), news=news)
        self._inbox.deployed(self._tasks.serving)
        if news:
            self._restate(tasks=self._tasks.infos)

    def _do(self, held: Assignment) -> None:
        begin = self._now()
        waited = round(max(0.0, begin - held.arrived), 4)
        skill = self._tasks.ready(held.job.task)
        if held.late(begin) or skill is None:
            job = self._inbox.settle()
            reason = f"it waited here longer than its lease of {job.lease:g} s"
            self._hand_back(job, reason if skill else f"{job.task!r} is not loaded here")
            return
        result = skill.do(
            held.job,
            held.payload,
            Circumstances(
                incarnation=self._incarnation,
                cancelled=lambda: held.called_off or held.late(self._now()),
                now=self._now,
                threads=self._threads,
            ),
        )
        self._busy += result.seconds
        self._quiet.worked(self._now())
        job = self._inbox.settle()
        if self._giving_back and result.state == "failed":  # it is no try of the medium's
            self._hand_back(job, "the worker is ending")
            return
        self._answers.send(result.model_copy(update={"token": job.token, "waited": waited}), job.captured_at)
        if result.state == "done":
            self._failures = 0
            self.counts.done += 1
            # Pictures come by the dozen each second; clips are few, and people like to read of them.
            _logger.log(
                logging.INFO if result.duration else logging.DEBUG,
                "Looked at %.1f s from %s/%s in %.2f s: %s",
                result.duration,
                job.device,
                job.camera,
                result.seconds,
                ", ".join(sorted(track.label for track in result.tracks)) or "nothing",
            )
        elif held.called_off:
            self.counts.failed += 1
            _logger.info("A job from %s/%s is called off", job.device, job.camera)
        else:
            self.counts.failed += 1
            _logger.warning("A job from %s/%s failed: %s", job.device, job.camera, result.reason)
            if result.retry:
                self._doubt(skill)

    def _doubt(self, skill: Skill) -> None:
        """Too many failures: when the task fails at a plain picture too, the worker ends rather than go on.

        An accelerator that was pulled out fails for ever; whoever keeps the process starts it anew.
        """
        self._failures += 1
        if self._failures < FAILURES:
            return
        self._failures = 0
        try:
            skill.look(blank())
        except MeerkatError as error:
            _logger.error("The worker ends: %s on %s is broken: %s", skill.info.name, skill.device, error)
            self._requests.put("broken")

    def _not_fetched(self, order: Deploy, error: MeerkatError) -> None:
        self._report(error, f"No model for {order.task} was fetched")
        self._restate(failed={**self._tasks.failed, order.task: str(error)[:MOST_WORDS]})

    # --- answers and announcements ----------------------------------------------------------------

    def _hand_back(self, job: Job, reason: str) -> None:
        """Answer a job that was not looked at."""
        self.counts.refused += 1
        _logger.info("Job %s is handed back: %s", job.job, reason)
        self._answers.send(self._unbegun(job, reason), job.captured_at)

    def _unbegun(self, job: Job, reason: str) -> Result:
        info = self._tasks.info(job.task)
        return Result(
            job=job.job,
            token=job.token,
            incarnation=self._incarnation,
            state="failed",
            reason=reason,
            retry=True,
            model=info.model if info else None,
        )

    def _report(self, error: MeerkatError, what: str = "A message is not understood") -> None:
        """Tell the bus of a message that cannot be read or followed."""
        _logger.warning("%s: %s", what, error)
        report = ErrorReport(what=error.what, where=error.where, remedy=error.remedy, at=datetime.now(UTC))
        self._session.publish(self._topic("error"), report.to_json(), qos=1)

    def _announce_rest(self) -> None:
        """Say how the worker is, when something in it has changed enough to matter."""
        load = round(min(1.0, self._busy / ANNOUNCE_SECONDS), 2)
        self._busy = 0.0
        degrees, free = node.temperature(), node.memory_free()
        known = self._state
        if (
            abs(load - (known.load or 0.0)) >= LOAD_STEP
            or abs((degrees or 0.0) - (known.temperature or 0.0)) >= DEGREES_STEP
            or abs((free or 0) - (known.memory_free or 0)) >= MEMORY_STEP * (known.memory_free or 1)
        ):
            self._restate(load=load, temperature=degrees, memory_free=free)

    def _restate(self, **changes: object) -> None:
        """From any thread: the state with these changes, announced."""
        with self._stating:
            self._state = self._state.model_copy(update=changes)
            if self._gone:  # a switch that lasted longer than the drain must not undo the goodbye
                return
            self._session.keep(self._topic("state"), self._state.to_json())

    def _offline(self) -> bytes:
        return self._state.offline().to_json()

    def _topic(self, kind: str) -> str:
        return str(WorkerTopic(self._name, kind))

    def _finish(self) -> None:
        """Hand back what waits, let the running job finish within its limit, say goodbye."""
        for held in self._inbox.close():
            self._hand_back(held.job, "the worker is ending")
        if not self._idle_within(self._drain_seconds):
            _logger.warning("The running job is given back: it took longer than %g s", self._drain_seconds)
            self._giving_back = True
            self._inbox.call_off_running()
            self._inbox.wait_idle(END_SECONDS)
        self._answers.wait_empty(END_SECONDS)
        with self._stating:
            self._gone = True
            self._session.keep(self._topic("state"), self._offline())
        self._session.stop()
        counts = self.counts
        _logger.info(
            "Worker %s has ended: %d jobs done, %d failed, %d handed back, %d not understood",
            self._name,
            counts.done,
            counts.failed,
            counts.refused,
            counts.malformed,
        )

    def _idle_within(self, seconds: float) -> bool:
        """Wait for the running job; a second request to end cuts the wait short."""
        deadline = self._now() + seconds
        while not self._inbox.wait_idle(min(0.1, max(0.0, deadline - self._now()))):
            if self._now() >= deadline or not self._requests.empty():
                return False
        return True
