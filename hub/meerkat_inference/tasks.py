"""The tasks of one worker: what it can do, how fast, and which of them are loaded.

    tasks = Tasks({"detect_objects": open_objects, "detect_faces": open_faces})
    tasks.prepare()                        # open, measure, keep what the memory allows
    tasks.ready("detect_faces").do(job, payload, …)
    tasks.switch(Deploy(task="detect_faces"))   # this one alone, the others' memory given back

A worker that is told nothing keeps all its tasks ready. One that is told to serve a task runs that one
alone, as a node of MELINDA does (section 3.2), until it is told another or is released. What is so small
that it is in nobody's way (`beside`) stays: else no meter would be read while cameras are watched.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from meerkat_contract.errors import MeerkatError, ModelError
from meerkat_contract.messages import Deploy, Job, ModelInfo, Result, TaskInfo

from .measure import GLANCES, frames_per_second
from .node import memory_free

if TYPE_CHECKING:
    from .picture import Picture

RESERVE_BYTES = 150_000_000
"""What is left free of the machine's memory when several tasks are kept ready."""

BETTER = 1.2
"""A figure that is measured again is announced when it is so many times the one before."""
MOST_FAILED, MOST_WORDS = 8, 300
"""Failed orders that are told, and the length of each reason."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a job meets at this worker, besides its payload."""

    incarnation: str
    cancelled: Callable[[], bool]
    """Asked before each frame; true ends the job."""
    now: Callable[[], float]
    """A monotonic clock."""
    threads: int = 1
    """For decoding."""


class Skill(Protocol):
    """One task, loaded. Used by one thread."""

    @property
    def info(self) -> ModelInfo: ...

    @property
    def device(self) -> str:
        """What it truly runs on: cpu | cuda | tensorrt | edgetpu …"""
        ...

    def do(self, job: Job, payload: bytes, circumstances: Circumstances) -> Result:
        """The job's answer; never raises for what the payload is."""
        ...

    def look(self, picture: Picture) -> object:
        """The work of one frame, for measuring. Raises MeerkatError when it fails."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


Opener = Callable[[str], Skill]
"""Loads a task with the model of that name, or with its own choice for an empty one; raises ModelError."""

Bring = Callable[[Deploy], None]
"""Sees to it that the model of a deployment is on this machine; raises MeerkatError."""


class Tasks:
    """Opens, measures, switches. Belongs to the thread that does the jobs, but for `infos`."""

    def __init__(
        self,
        openers: Mapping[str, Opener],
        *,
        offered: tuple[str, ...] | None = None,
        beside: Collection[str] = (),
        bring: Bring | None = None,
        now: Callable[[], float] = time.monotonic,
        free: Callable[[], int | None] = memory_free,
    ) -> None:
        """`offered`: the tasks to announce, the first the most important; all when None.

        `beside`: those that stay loaded whatever is served. Every task of `openers` can be deployed.
        """
        self._openers = dict(openers)
        self._offered = tuple(openers) if offered is None else offered
        self.beside = frozenset(beside)
        self._bring = bring
        self._now = now
        self._free = free
        self._ready: dict[str, Skill] = {}
        self._infos: dict[str, TaskInfo] = {}
        self._measured: dict[tuple[str, str, str], float] = {}
        self.serving: str | None = None
        """The one task that is loaded; None when all that are offered are."""
        self._short = False
        """Whether the memory holds one task at a time."""
        self.failed: dict[str, str] = {}
        """Tasks whose last order to load them failed, with the reason."""

    @property
    def infos(self) -> tuple[TaskInfo, ...]:
        """What is offered, the most important first."""
        return tuple(self._infos.values())

    @property
    def devices(self) -> tuple[str, ...]:
        """What the loaded tasks run on, each once."""
        return tuple(dict.fromkeys(skill.device for skill in self._ready.values()))

    def info(self, task: str) -> TaskInfo | None:
        return self._infos.get(task)

    def ready(self, task: str) -> Skill | None:
        """The task if it is loaded."""
        return self._ready.get(task)

    def prepare(self, *, go_on: Callable[[], bool] = lambda: True) -> None:
        """Open and measure each offered task; keep them all if the memory allows, else the first alone.

        The first must open: its error is raised. Another that does not is left out with a warning.
        `go_on` is asked before each look; once it says no nothing more is opened, and what is open was
        perhaps not measured: good for nothing but `close()`.
        """
        self._load_all(go_on)

    def switch(self, order: Deploy) -> None:
        """Load the task of `order` and give the others' memory back; an empty task loads all again.

        The others go first, so that two never need memory at once. When the new one cannot be loaded,
        what was loaded before is loaded again, and the error is raised: MeerkatError that says why.
        """
        try:
            self._switch(order)
        except MeerkatError as error:
            if order.task:
                self.failed[order.task[:MOST_WORDS]] = str(error)[:MOST_WORDS]
                while len(self.failed) > MOST_FAILED:
                    del self.failed[next(iter(self.failed))]
            raise
        for task in self._ready:
            self.failed.pop(task, None)

    def _switch(self, order: Deploy) -> None:
        if not order.task:
            if self._short:
                self._switch(Deploy(task=self._offered[0]))
            elif self.serving is not None:
                self._load_all()
            return
        if order.task not in self._openers:
            raise ModelError(
                f"this worker knows no task {order.task!r}",
                where="deploy",
                remedy=f"It can load {', '.join(self._openers)}",
            )
        if self._bring is not None:
            self._bring(order)
        kept = self._ready.get(order.task)
        if kept is not None and order.model in ("", kept.info.name):
            self._keep_only(order.task)
            return
        models = {
            task: skill.info.name
            for task, skill in self._ready.items()
            if task not in self.beside or task == order.task
        }
        self._drop(models)
        try:
            self._load(order.task, order.model)
        except MeerkatError:
            self._restore(models)
            raise
        self.serving = order.task

    def measure_again(self, go_on: Callable[[], bool]) -> bool:
        """Measure anew what is loaded, and believe what is clearly better; whether anything was.

        A busy machine makes a figure worse, never better. `go_on` is asked before each look. Raises
        what a look raises.
        """
        news = False
        for task, skill in self._ready.items():
            found = frames_per_second(skill.look, now=self._now, runs=GLANCES, go_on=go_on)
            if found is None:
                break
            key = (task, skill.info.name, skill.device)
            if found > BETTER * self._measured[key]:
                self._measured[key] = found
                self._infos[task] = self._infos[task].model_copy(update={"frames_per_second": _told(found)})
                news = True
        return news

    def close(self) -> None:
        self._drop(self._ready)

    def _load_all(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """All that is offered; where the memory is short one at a time, and at last the first alone."""
        first = ""
        for task in self._offered:
            if task in self._ready:
                first = first or task
                continue
            if not go_on():
                return
            if self._short and task not in self.beside:
                self._drop(self._large())
            try:
                self._load(task, "", go_on)
            except MeerkatError as error:
                if not first:
                    raise
                self._infos.pop(task, None)
                _logger.warning("Task %s is not offered: %s", task, error)
            first = first or task
            left = self._free()
            if not self._short and len(self._large()) > 1 and left is not None and left < RESERVE_BYTES:
                self._short = True
                _logger.warning(
                    "%d MB of memory are left: one task is loaded at a time, %s at first",
                    left // 10**6,
                    first,
                )
        if not self._short:
            self.serving = None
            return
        self._keep_only(first)
        if first not in self._ready:
            self._load(first, "")

    def _restore(self, models: Mapping[str, str]) -> None:
        """Load again what was there; what does not load any more is offered no longer."""
        for task, model in models.items():
            try:
                self._load(task, model)
            except MeerkatError as error:
                self._infos.pop(task, None)
                _logger.warning("Task %s is no longer offered: %s", task, error)

    def _load(self, task: str, model: str, go_on: Callable[[], bool] = lambda: True) -> None:
        """Open and, the first time, measure. `switch_seconds` is what opening and the first look take.

        Raises MeerkatError, whatever a library throws at a file or a device that it does not like.
        """
        begin = self._now()
        try:
            skill = self._openers[task](model)
            try:
                skill.look(blank())
                took = self._now() - begin
                key = (task, skill.info.name, skill.device)
                if key not in self._measured:
                    self._measured[key] = frames_per_second(skill.look, now=self._now, go_on=go_on) or 0.0
            except BaseException:
                skill.close()
                raise
        except (RuntimeError, ValueError, TypeError, OSError, MemoryError) as error:
            raise ModelError(
                f"it does not load ({type(error).__name__}: {error})",
                where=task,
                remedy="`meerkat worker verify` looks at every model that is here",
            ) from error
        self._ready[task] = skill
        self._infos[task] = TaskInfo(
            task=task,
            model=skill.info,
            frames_per_second=_told(self._measured[key]),
            switch_seconds=round(min(took, 3600.0), 3),
            beside=task in self.beside,
        )

    def _keep_only(self, task: str) -> None:
        self._drop([other for other in self._large() if other != task])
        self.serving = task

    def _large(self) -> list[str]:
        """What is loaded and in the way of others."""
        return [task for task in self._ready if task not in self.beside]

    def _drop(self, names: Iterable[str]) -> None:
        for name in list(names):
            self._ready.pop(name).close()


def _told(frames_per_second: float) -> float:
    """As it is announced."""
    return round(min(max(frames_per_second, 0.001), 1e6), 3)


def blank() -> Picture:
    """A grey picture: for trying a task out."""
    import numpy as np

    return np.full((360, 640, 3), 114, np.uint8)
