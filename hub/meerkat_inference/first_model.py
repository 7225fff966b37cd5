"""The first start: the default model is fetched, and nobody waits for a network that is silent.

    fetch = FirstModel(folders)
    fetch.start()
    fetch.wait()                    # as long as bytes arrive, up to a limit
    fetch.when_here(worker.end)     # it went on without: change over when the model has come

What fails is tried again, a minute later at first: a machine may be up before its router is, and
somebody may put a model there by hand meanwhile.

A resolver without a network takes 10 s and more to say so, and no timeout of an HTTP client bounds
it. So the fetch has a thread of its own, and goes on there after the waiting has ended.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from .catalogue import ModelFile

SILENT_SECONDS = 1.5
"""How long after its beginning a start waits for the server's first word…"""
ARRIVING_SECONDS = 6.0
"""…and how long for the rest of a model that is on its way."""
FETCH_SECONDS = 300.0
"""The whole fetch; what has come by then is kept for the next start."""

AGAIN_SECONDS = 60.0
"""How long after a fetch that failed the next one begins; each pause is twice as long…"""
AGAIN_LONGEST = 600.0
"""…up to this."""

Tell = Callable[[ModelFile, int], None]
"""Is told of each file how many bytes are there."""

_log = logging.getLogger(__name__)


class FirstModel:
    """The default model on its way into the user's cache."""

    def __init__(
        self,
        folders: Sequence[Path] = (),
        *,
        silent_seconds: float = SILENT_SECONDS,
        arriving_seconds: float = ARRIVING_SECONDS,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self._folders = tuple(folders)
        self._silent_seconds = silent_seconds
        self._arriving_seconds = arriving_seconds
        self._again_seconds = again_seconds
        self._changed = threading.Condition()
        self._state: Literal["asked", "arriving", "here", "failed"] = "asked"
        self._then: Callable[[], None] | None = None
        self._tell: Tell = _say_once()
        self._begun = 0.0

    @property
    def here(self) -> bool:
        """Whether the model has come."""
        return self._state == "here"

    def start(self) -> None:
        """Begin to fetch, once. What goes wrong is logged in one line, the first time."""
        self._begun = time.monotonic()
        threading.Thread(target=self._keep_fetching, name="first-model", daemon=True).start()

    def wait(self) -> bool:
        """Until the model is here, has failed, or takes too long; whether it is here.

        On a terminal a bar shows how much has come.
        """
        with self._changed, _bar() as show:
            lines, self._tell = self._tell, show or self._tell
            silent = self._begun + self._silent_seconds - time.monotonic()
            self._changed.wait_for(lambda: self._state != "asked", max(0.0, silent))
            if self._state == "arriving":
                self._changed.wait_for(lambda: self._state != "arriving", self._arriving_seconds)
            self._tell = lines
        if self._state in ("asked", "arriving"):
            _log.warning("The model is not here yet; it is used as soon as it has come")
        return self.here

    def when_here(self, then: Callable[[], None]) -> None:
        """Call `then` once when the model has come, at once if it has; it replaces an earlier one."""
        with self._changed:
            if not self.here:
                self._then = then
                return
        then()

    def _keep_fetching(self) -> None:
        """Until the model is here."""
        try:
            from .download import fetch_default  # the HTTP client loads while others start
        except ModuleNotFoundError as error:
            _log.warning(
                "No model can be fetched: %s is not installed. Type: pip install 'meerkat-home[worker]'",
                error.name,
            )
            self._settle(None)
            return
        say, pause = _log.warning, self._again_seconds
        while not self.here:
            model: Path | None = None
            try:
                model = fetch_default(
                    folders=self._folders, log=say, progress=self._arrives, seconds=FETCH_SECONDS
                )
            finally:
                self._settle(model)
            if model is None:
                time.sleep(pause)
                say, pause = _log.debug, min(2 * pause, AGAIN_LONGEST)

    def _settle(self, model: Path | None) -> None:
        """One fetch has ended; who waits for the model is told that it is here, or that it failed."""
        with self._changed:
            self._state = "here" if model else "failed"
            self._changed.notify_all()
            then = self._then if model else None
        if model is not None:
            _log.info("The model %s is here", model.name)
        if then is not None:
            then()

    def _arrives(self, file: ModelFile, have: int) -> None:
        with self._changed:
            self._state = "arriving"
            self._changed.notify_all()
            tell = self._tell
        tell(file, have)


def _say_once() -> Tell:
    """One line for each file, with its size, when it begins to arrive."""
    told: set[str] = set()

    def tell(file: ModelFile, have: int) -> None:
        if file.name not in told and have < file.bytes:
            told.add(file.name)
            _log.info("Fetching the model %s, %.1f MB", file.name, (file.bytes - have) / 1e6)

    return tell


@contextmanager
def _bar() -> Iterator[Tell | None]:
    """A bar on stderr while the block runs; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars: dict[str, TaskID] = {}

        def show(file: ModelFile, have: int) -> None:
            if file.name not in bars:
                bars[file.name] = progress.add_task(file.name, total=file.bytes)
            progress.update(bars[file.name], completed=have)

        yield show
