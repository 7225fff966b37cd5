"""`meerkat worker`: offer this machine's accelerator to a hub."""

from __future__ import annotations

import logging
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meerkat_contract.configfile import section
from meerkat_contract.connection import BrokerSettings, default_data_folder, find_connection
from meerkat_contract.errors import StorageError, UsageError
from meerkat_contract.ids import is_name, slug

from .settings import WorkerSettings

if TYPE_CHECKING:
    from .catalogue import ModelFile
    from .detector import Detector

ID_FILE = "worker-id"
FETCH_SECONDS = 10.0
"""How long the first start waits for the default model; the rest of it comes at the next start."""

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
    detector = open_detector(model or settings.model, folders, fetch=settings.fetch)

    from .measure import frames_per_second
    from .worker import Worker

    speed = frames_per_second(detector, now=time.monotonic)
    info = detector.info
    _logger.info("Worker %s: %s on %s, %.1f frames a second", identity, info.name, info.engine, speed)
    serving = Worker(
        identity,
        connection,
        detector,
        speed,
        window=settings.window,
        threads=settings.threads,
        drain_seconds=settings.drain_seconds,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: serving.end())
    status = serving.run()
    if serving.idle:  # else the detector is still in use, and goes with the process
        detector.close()
    sys.exit(status)


def open_detector(model: str | None, folders: list[Path], *, fetch: bool) -> Detector:
    """The model asked for, or the best there is; the default one is fetched first when none is there."""
    from .loading import load_detector

    if model is not None:
        return load_detector(model, folders=folders)
    if fetch and not _any_model(folders):
        from .download import fetch_default

        fetch_default(folders=folders, log=_logger.warning, progress=_tell_once(), seconds=FETCH_SECONDS)
    told: list[str] = []
    detector = load_detector(folders=folders, log=told.append)
    for line in told:
        _logger.log(logging.WARNING if detector.info.fallback else logging.INFO, "%s", line)
    return detector


def _any_model(folders: list[Path]) -> bool:
    """Whether a model that finds objects is here: then nothing is fetched, and no HTTP client loaded."""
    from . import catalogue, store

    return any(store.locate(entry, folders=folders) for entry in catalogue.ranked("detect_objects"))


def _tell_once() -> Callable[[ModelFile, int], None]:
    """Say of each file that it is being fetched, when it begins to arrive."""
    told: set[str] = set()

    def tell(file: ModelFile, have: int) -> None:
        if file.name not in told:
            told.add(file.name)
            _logger.info("Fetching the model %s, %.1f MB", file.name, (file.bytes - have) / 1e6)

    return tell


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
