"""Models that are not on this machine: what it could do with them, and fetching one when the hub asks.

A workflow that no machine can serve, because the model lies on another, would otherwise wait for a person
with a keyboard. The owner who names a worker's tasks means those, and no other is fetched.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from meerkat_contract.errors import MeerkatError, ModelError
from meerkat_contract.messages import Deploy

from . import catalogue, store
from .bringing import bring_model
from .catalogue import Entry
from .loading import candidates
from .opening import installed

EYES = "yunet"
"""Finds the eyes by which an embedder of alignment arcface lays a face straight."""

_logger = logging.getLogger(__name__)

Failed = Callable[[MeerkatError], None]


def models_here(tasks: Sequence[str], folders: Sequence[Path] = ()) -> frozenset[str]:
    """The names of the models that these tasks may need and that are here."""
    needed = [entry for task in tasks for one in catalogue.ranked(task) for entry in _with_eyes(one)]
    return frozenset(entry.name for entry in needed if store.locate(entry, folders=folders) is not None)


def fetchable(
    tasks: Sequence[str], *, device: str = "cpu", here: Collection[str] = ()
) -> dict[str, tuple[Entry, ...]]:
    """Task → the models that it needs and that can be fetched; tasks that need another thing are left out.

    A model that comes with a Python package is installed, not fetched.
    """
    found = {task: _needed(task, device) for task in tasks}
    return {task: needed for task, needed in found.items() if any(entry.name not in here for entry in needed)}


def _needed(task: str, device: str) -> tuple[Entry, ...]:
    for entry in candidates(task, device):
        able = any(engine != "dlib" and installed(engine) for engine in entry.engines)
        if able and all(entry.urls(file) for file in entry.files):
            return _with_eyes(entry)
    return ()


def _with_eyes(entry: Entry) -> tuple[Entry, ...]:
    wants_eyes = entry.embedding is not None and entry.embedding.alignment == "arcface"
    return (entry, catalogue.get(EYES)) if wants_eyes else (entry,)


class Fetcher:
    """Fetches what the hub asks for, one task's models after the other, on a thread of its own."""

    def __init__(
        self,
        lacking: Mapping[str, tuple[Entry, ...]],
        folders: Sequence[Path] = (),
        *,
        here: Collection[str] = (),
    ) -> None:
        """`lacking`: as `fetchable` says. `here`: models that were here before the tasks were opened."""
        self._lacking = dict(lacking)
        self._here = frozenset(here)
        self._folders = tuple(folders)
        self._lock = threading.Lock()
        self._orders: dict[str, tuple[Deploy, Failed]] = {}
        """By task, those that wait and the one under way, which is the first."""
        self.brought = False
        """Whether a model has come, so that more can be offered."""

    @property
    def tasks(self) -> Collection[str]:
        return self._lacking.keys()

    def ask(self, order: Deploy, *, here: Callable[[], None], failed: Failed) -> None:
        """Returns at once; an order for a task that is waited for already changes nothing.

        On another thread `failed` is told of each order of which nothing comes; `here` is called when no
        order is left and a model has come.
        """
        with self._lock:
            first = not self._orders
            self._orders.setdefault(order.task, (order, failed))
        if first:
            threading.Thread(target=self._run, args=(here,), name="fetch", daemon=True).start()

    def _run(self, here: Callable[[], None]) -> None:
        while True:
            with self._lock:
                order, failed = next(iter(self._orders.values()))
            try:
                self._bring(order)
            except MeerkatError as error:
                failed(error)
            except Exception as error:  # what else a library throws must not end this thread
                _logger.exception("An unexpected error while fetching a model for %s", order.task)
                what = f"it could not be fetched ({type(error).__name__}: {error})"
                failed(ModelError(what, where=order.task, remedy="The worker's log has more"))
            else:
                self.brought = True
            with self._lock:
                del self._orders[order.task]
                if self._orders:
                    continue
            if self.brought:
                here()
            return

    def _bring(self, order: Deploy) -> None:
        wanted = self._wanted(order)
        if all(entry.name in self._here for entry in wanted):  # to start anew would change nothing
            raise ModelError(
                f"{' and '.join(entry.name for entry in wanted)} is here, and does not load",
                where=order.task,
                remedy="`meerkat worker verify` says why",
            )
        for entry in wanted:
            told = {"task": entry.task, "model": entry.name, "sha256": ""}
            bring_model(order.model_copy(update=told), folders=self._folders)

    def _wanted(self, order: Deploy) -> tuple[Entry, ...]:
        """Raises ModelError for what cannot be fetched here."""
        if order.sha256:
            entry = next((e for e in catalogue.ranked(order.task) if e.model.sha256 == order.sha256), None)
            if entry is None:
                raise ModelError(
                    f"no model with the SHA-256 {order.sha256[:12]}… is known here",
                    where=order.task,
                    remedy="Install the same version of Meerkat on both machines",
                )
            if entry.package:
                raise ModelError(
                    f"{entry.name} comes with a Python package and is not fetched",
                    where=order.task,
                    remedy="pip install 'meerkat-home[faces]' on this machine",
                )
            return _with_eyes(entry)
        if order.task not in self._lacking:
            raise ModelError(
                f"no model for {order.task} can be fetched here",
                where=order.task,
                remedy="`meerkat models list` shows what this machine could have",
            )
        return self._lacking[order.task]
