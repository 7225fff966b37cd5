"""`meerkat worker`: offer this machine's accelerator to a hub."""

from __future__ import annotations

import logging
import secrets
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meerkat_contract.configfile import section
from meerkat_contract.connection import BrokerSettings, default_data_folder, find_connection
from meerkat_contract.errors import StorageError, UsageError
from meerkat_contract.ids import is_name, slug

from .settings import WorkerSettings

if TYPE_CHECKING:
    from meerkat_contract.connection import Connection

    from .detector import Detector
    from .first_model import FirstModel
    from .worker import Worker

ID_FILE = "worker-id"

_logger = logging.getLogger(__name__)


@click.command()
@click.option("--broker", metavar="URL", help="mqtt[s]://[user:password@]host[:port]")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The data folder.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="meerkat.yaml")
@click.option("--id", "name", metavar="NAME", help="Name on the bus; the host's name when not given.")
@click.option("--model", metavar="NAME", help="One of `meerkat models list`.")
@click.option(
    "--models-folder", type=click.Path(path_type=Path, file_okay=False), help="Searched for models too."
)
def worker(
    *,
    broker: str | None,
    data: Path | None,
    config: Path | None,
    name: str | None,
    model: str | None,
    models_folder: Path | None,
) -> None:
    """Offer this machine to a hub: it looks at clips and tells what is in them.

    Measures how fast it is, announces it, and takes jobs until Ctrl-C.
    """
    settings = section(config, "worker", WorkerSettings)
    folder = data or default_data_folder()
    if name is not None and not is_name(name):
        raise UsageError(
            f"{name!r} cannot name a worker", where="--id", remedy="Use a-z, 0-9, '-' and '_', at most 63"
        )
    connection = find_connection(
        "worker", broker=broker, data=folder, settings=section(config, "broker", BrokerSettings)
    )
    identity = name or settings.id or kept_name(folder)
    folders = [path for path in (models_folder, settings.models_folder) if path is not None]
    model = model or settings.model
    fetch = fetch_first(folders) if model is None and settings.fetch else None
    sys.exit(Serving(identity, connection, settings, model, folders).run(fetch))


class Serving:
    """One detector after the other, each offered by a worker of its own: a change is a new start."""

    def __init__(
        self,
        identity: str,
        connection: Connection,
        settings: WorkerSettings,
        model: str | None,
        folders: list[Path],
    ) -> None:
        self._identity = identity
        self._connection = connection
        self._settings = settings
        self._model = model
        self._folders = folders
        self._current: Worker | None = None
        self._ending = False

    def run(self, fetch: FirstModel | None) -> int:
        """Serve until a signal asks for the end; the exit status. Changes over when `fetch` is done."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.end())
        while True:
            detector = open_detector(self._model, self._folders)
            if not detector.info.fallback:
                fetch = None  # it came in time
            status = self._offer(detector, fetch)
            if status or self._ending or fetch is None or not fetch.here:
                return status
            _logger.info("Changing over to the model that has come")
            fetch = None  # once: should it not load, the fallback stays

    def end(self) -> None:
        """Ask for the end. Safe in a signal handler."""
        self._ending = True
        if self._current is not None:
            self._current.end()

    def _offer(self, detector: Detector, fetch: FirstModel | None) -> int:
        from .measure import frames_per_second
        from .worker import Worker

        speed = frames_per_second(detector, now=time.monotonic)
        info, settings = detector.info, self._settings
        _logger.info(
            "Worker %s: %s on %s, %.1f frames a second", self._identity, info.name, info.engine, speed
        )
        serving = self._current = Worker(
            self._identity,
            self._connection,
            detector,
            speed,
            window=settings.window,
            threads=settings.threads,
            drain_seconds=settings.drain_seconds,
        )
        if self._ending:  # while the detector was opened: there was no worker to tell
            detector.close()
            return 0
        if fetch is not None:
            fetch.when_here(serving.end)
        status = serving.run()
        if serving.idle:  # else the detector is still in use, and goes with the process
            detector.close()
        return status


def open_detector(model: str | None, folders: list[Path]) -> Detector:
    """The model asked for, or the best there is; what it falls back to is said as a warning."""
    from .loading import load_detector

    if model is not None:
        return load_detector(model, folders=folders)
    told: list[str] = []
    detector = load_detector(folders=folders, log=told.append)
    for line in told:
        _logger.log(logging.WARNING if detector.info.fallback else logging.INFO, "%s", line)
    return detector


def fetch_first(folders: list[Path]) -> FirstModel | None:
    """Begin to fetch the default model if none is here, and wait while it comes; None if one is here."""
    if _any_model(folders):
        return None
    from .first_model import FirstModel

    fetch = FirstModel(folders)
    fetch.start()
    from . import hog, measure, worker  # noqa: F401 - what is needed next loads meanwhile

    fetch.wait()
    return fetch


def _any_model(folders: list[Path]) -> bool:
    """Whether a model that finds objects is here: then nothing is fetched, and no HTTP client loaded."""
    from . import catalogue, store

    return any(store.locate(entry, folders=folders) for entry in catalogue.ranked("detect_objects"))


def kept_name(folder: Path) -> str:
    """This worker's name: made of the host's name once, and kept in the data folder."""
    path = folder / ID_FILE
    try:
        if path.exists():
            name = path.read_text(encoding="utf-8").strip()
            if is_name(name):
                return name
            raise UsageError(
                f"{name!r} cannot name a worker",
                where=str(path),
                remedy="Delete the file, or name one with --id",
            )
        try:
            host = slug(socket.gethostname().partition(".")[0])[:56].rstrip("-_")
        except ValueError:
            host = "worker"
        name = f"{host}-{secrets.token_hex(2)}"
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(name + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"the worker's name cannot be kept ({error.strerror})",
            where=str(path),
            remedy="Name one with --id, or another folder with --data",
        ) from error
    return name
