"""What `meerkat worker` runs: its tasks on this machine's processor, and a node for each Coral."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from meerkat_contract.errors import ModelError
from meerkat_contract.signals import told

from . import catalogue, node, store
from .settings import WorkerSettings

if TYPE_CHECKING:
    from meerkat_contract.connection import Connection

    from .fetching import Fetcher
    from .first_model import FirstModel
    from .nodes import Nodes
    from .tasks import Opener, Tasks
    from .worker import Worker

OBJECTS, FACES, RECOGNITION = "detect_objects", "detect_faces", "recognise_faces"
METERS = "read_meter"
TASKS = (OBJECTS, FACES, RECOGNITION)
"""Those with models of the catalogue. Meters are read with networks that come with the program."""
END_SECONDS = 3.0
"""What the nodes may take beyond their drain until they are killed."""

_logger = logging.getLogger(__name__)


def fitting(model: str | None, coral: str | None) -> str | None:
    """The model that the settings name, if it runs here: one for the Edge TPU is not for the processor.

    A name that nobody knows is kept, so that loading it tells so.
    """
    entry = next((entry for entry in catalogue.entries() if entry.name == model), None)
    if entry is None or ("edgetpu" if coral else "cpu") in entry.devices:
        return None if coral and entry is None else model
    _logger.info("Model %s runs on %s: another is taken here", model, " or ".join(entry.devices))
    return None


@dataclass(frozen=True, slots=True)
class Plan:
    """What one worker is to offer, and on what."""

    identity: str
    connection: Connection
    settings: WorkerSettings
    model: str | None = None
    folders: tuple[Path, ...] = ()
    coral: str | None = None
    """The Edge TPU that this worker is for; None for the machine's own processor."""


class Serving:
    """One set of tasks after the other, each offered by a worker of its own: a change is a new start."""

    def __init__(self, plan: Plan, nodes: Nodes | None = None) -> None:
        self._plan = plan
        self._nodes = nodes
        self._current: Worker | None = None
        self._ending = False

    def run(self, fetch: FirstModel | None) -> int:
        """Serve until a signal asks for the end; the exit status. Changes over when `fetch` is done."""
        with told((signal.SIGTERM, signal.SIGINT), lambda _number: self.end()):
            try:
                return self._serve(fetch)
            finally:
                if self._nodes is not None:
                    self._nodes.end(self._plan.settings.drain_seconds + END_SECONDS)

    def end(self) -> None:
        """Ask for the end, from any thread; asked twice, the running job is given back at once."""
        first, self._ending = not self._ending, True
        if self._current is not None:
            self._current.end()
        if self._nodes is not None and first:
            self._nodes.ask_to_end()

    def _serve(self, fetch: FirstModel | None) -> int:
        from .fetching import models_here

        while True:
            here = models_here((FACES, RECOGNITION), self._plan.folders)  # what comes later is not opened
            tasks = make_tasks(self._plan)
            tasks.prepare(go_on=lambda: not self._ending)
            if self._ending:
                tasks.close()
                return 0
            objects = tasks.info(OBJECTS)
            if objects is None or not objects.model.fallback:
                fetch = None  # it came in time
            fetcher = make_fetcher(self._plan, [info.task for info in tasks.infos], here)
            status = self._offer(tasks, fetch, fetcher)
            came = fetch is not None and fetch.here
            if status or self._ending or not (came or fetcher.brought):
                return status
            _logger.info("Changing over to the model that has come")
            fetch = None if came else fetch  # once: should it not load, the fallback stays

    def _offer(self, tasks: Tasks, fetch: FirstModel | None, fetcher: Fetcher) -> int:
        from .worker import Worker

        plan, settings = self._plan, self._plan.settings
        for info in tasks.infos:
            _logger.info(
                "Worker %s: %s with %s on %s, %.1f frames a second",
                plan.identity,
                info.task,
                info.model.name,
                info.model.engine,
                info.frames_per_second,
            )
        serving = self._current = Worker(
            plan.identity,
            plan.connection,
            tasks,
            window=settings.window,
            held_bytes=int(settings.held_megabytes * 1e6),
            threads=settings.threads,
            drain_seconds=settings.drain_seconds,
            energy=settings.energy,
            hardware=partial(describe, tasks, wanted=settings.device),
            fetcher=fetcher,
        )
        if self._ending:  # while the tasks were opened: there was no worker to tell
            tasks.close()
            return 0
        if fetch is not None:
            fetch.when_here(serving.end)
        if self._nodes is not None:
            self._nodes.start()  # not before: what is measured here is measured alone
        status = serving.run()
        if serving.idle:  # else a task is still in use, and goes with the process
            tasks.close()
        return status


def describe(tasks: Tasks, *, wanted: str) -> str:
    """The machine and what its tasks truly run on, a fallback named: for people."""
    devices = ", ".join(tasks.devices)
    text = f"{node.hardware()}, {devices}"
    if wanted in ("cuda", "tensorrt") and wanted not in tasks.devices:
        text += f" ({wanted} was asked for and does not work)"
    return text


def make_tasks(plan: Plan) -> Tasks:
    """What the plan's worker can do, nothing loaded yet."""
    from .bringing import bring_model
    from .tasks import Tasks

    openers = make_openers(plan)
    offered = offer(plan) if plan.settings.tasks is None else plan.settings.tasks
    if plan.coral is not None and len(offered) > 1:  # the worker beside it reads meters
        offered = tuple(task for task in offered if task != METERS)
    for task in offered:
        if task not in openers:
            raise ModelError(
                f"no worker here does {task!r}", where="worker.tasks", remedy=f"Known: {', '.join(openers)}"
            )
    bring = None if plan.coral is not None else partial(bring_model, folders=plan.folders)
    return Tasks(openers, offered=offered, beside=(METERS,), bring=bring)


def make_fetcher(plan: Plan, offered: Sequence[str], here: frozenset[str] = frozenset()) -> Fetcher:
    """What the plan's worker could fetch; nothing where its tasks are named, or for an Edge TPU."""
    from .fetching import Fetcher, fetchable

    if not plan.settings.fetch or plan.settings.tasks is not None or plan.coral is not None:
        return Fetcher({})
    missing = [task for task in (FACES, RECOGNITION) if task not in offered]
    return Fetcher(fetchable(missing, here=here), plan.folders, here=here)


def make_openers(plan: Plan) -> dict[str, Opener]:
    """How each task is loaded: on the plan's Edge TPU, or on this machine's processor or GPU."""
    from .looking import opener
    from .metering import meters
    from .recognising import recogniser

    named = None if plan.model is None else _task_of(plan.model)
    models = {task: plan.model if named == task else None for task in TASKS}
    device = plan.coral or plan.settings.device
    library = plan.settings.coral_library
    openers = {
        task: opener(
            task,
            model=models[task],
            folders=plan.folders,
            device=device,
            library=library,
            engine=None if plan.coral else plan.settings.engine,
        )
        for task in (OBJECTS, FACES)
    }
    openers[RECOGNITION] = recogniser(
        model=models[RECOGNITION], folders=plan.folders, device=device, library=library
    )
    if plan.coral is None:  # its networks are compiled for no Edge TPU; a GPU gains nothing with them
        openers[METERS] = meters()
    return openers


def offer(plan: Plan) -> tuple[str, ...]:
    """The tasks whose models are here, the one of the model that is named first.

    Finding objects always on a processor, which has a detector of last resort; and reading meters, last.
    """
    from .loading import candidates

    device = plan.coral or "cpu"
    here = [
        task
        for task in TASKS
        if any(store.locate(entry, folders=plan.folders) for entry in candidates(task, device))
    ]
    if plan.model is not None:
        here.insert(0, _task_of(plan.model))
    elif plan.coral is None or not here:
        here.insert(0, OBJECTS)
    if plan.coral is None:
        here.append(METERS)
    return tuple(dict.fromkeys(here))


def _task_of(model: str) -> str:
    """What a model is for; finding objects, for the built-in detector and a name that nobody knows."""
    return next((entry.task for entry in catalogue.entries() if entry.name == model), OBJECTS)
