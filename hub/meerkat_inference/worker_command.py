"""`meerkat worker`: offer this machine's accelerator to a hub."""

from __future__ import annotations

import logging
import secrets
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import click

from meerkat_contract.configfile import section
from meerkat_contract.connection import BrokerSettings, default_data_folder, find_connection
from meerkat_contract.errors import StorageError, UsageError
from meerkat_contract.ids import is_name, slug

from .settings import EngineName, WorkerSettings

if TYPE_CHECKING:
    from meerkat_contract.connection import Connection

    from .first_model import FirstModel
    from .nodes import Nodes
    from .serving import Plan

ID_FILE = "worker-id"

_logger = logging.getLogger(__name__)


_models_folder = click.option(
    "--models-folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Searched for models too.",
)


class Verified(NamedTuple):
    """What the subcommand needs of the options before it."""

    settings: WorkerSettings
    folders: tuple[Path, ...]


@click.group(invoke_without_command=True)
@click.option("--broker", metavar="URL", help="mqtt[s]://[user:password@]host[:port]")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The data folder.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="meerkat.yaml")
@click.option("--id", "name", metavar="NAME", help="Name on the bus; the host's name when not given.")
@click.option("--model", metavar="NAME", help="One of `meerkat models list`.")
@click.option(
    "--engine",
    type=click.Choice(get_args(EngineName)),
    help="The runtime for finding objects and faces; the model's best when not given.",
)
@_models_folder
@click.option("--coral", metavar="DEVICE", hidden=True, help="Serve on this Edge TPU alone.")
@click.pass_context
def worker(
    context: click.Context,
    *,
    broker: str | None,
    data: Path | None,
    config: Path | None,
    name: str | None,
    model: str | None,
    engine: EngineName | None,
    models_folder: Path | None,
    coral: str | None,
) -> None:
    """Offer this machine to a hub: it looks at clips and pictures and tells what is in them.

    Measures how fast it is, announces it, and takes jobs until Ctrl-C. Each Coral accelerator becomes
    a worker of its own beside it.
    """
    settings = section(config, "worker", WorkerSettings)
    if engine is not None:
        settings = settings.model_copy(update={"engine": engine})
    folders = tuple(path for path in (models_folder, settings.models_folder) if path is not None)
    if settings.models_folder is not None and not settings.models_folder.is_dir():
        _logger.warning(
            "worker.models_folder: there is no folder %s, so no model is found in it", settings.models_folder
        )
    if context.invoked_subcommand is not None:
        context.obj = Verified(settings, folders)
        return
    from .serving import OBJECTS, Plan, Serving, fitting

    folder = data or default_data_folder()
    if name is not None and not is_name(name):
        raise UsageError(
            f"{name!r} cannot name a worker", where="--id", remedy="Use a-z, 0-9, '-' and '_', at most 63"
        )
    connection = find_connection(
        "worker", broker=broker, data=folder, settings=section(config, "broker", BrokerSettings)
    )
    identity = name or settings.id or kept_name(folder)
    plan = Plan(identity, connection, settings, fitting(model or settings.model, coral), folders, coral)
    if coral is not None:
        sys.exit(Serving(plan).run(None))
    nodes = coral_nodes(plan, config, folder)
    wanted = plan.model is None and settings.fetch and OBJECTS in (settings.tasks or (OBJECTS,))
    fetch = fetch_first(list(folders)) if wanted else None
    sys.exit(Serving(plan, nodes).run(fetch))


@worker.command()
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of JPEGs of your own: every engine is compared with the first one on the processor.",
)
@_models_folder
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def verify(verified: Verified, *, pictures: Path | None, models_folder: Path | None, as_json: bool) -> None:
    """Look at known pictures with every engine found here, and say what is wrong.

    Compares the boxes with the published ones, the speed with the published table, and what runs with
    what was asked for. Ends with status 1 when something is wrong.
    """
    from .verify_command import verify as run

    folders = (models_folder, *verified.folders) if models_folder else verified.folders
    sys.exit(run(verified.settings, folders, pictures, as_json=as_json))


def coral_nodes(plan: Plan, config: Path | None, data: Path) -> Nodes | None:
    """A node for each Coral that the settings name, or that is plugged in; None where there is none."""
    wanted = plan.settings.coral
    if wanted == "off":
        return None
    from . import coral

    devices = coral.plugged() if wanted == "auto" else wanted
    if not devices:
        return None
    from .nodes import Nodes, NodeSpec

    library = plan.settings.coral_library
    shared = ["--config", str(config)] if config else []
    for folder in plan.folders[:1]:
        shared += ["--models-folder", str(folder)]
    specs = []
    for number, device in enumerate(devices):
        name = f"{plan.identity[:56].rstrip('-_')}-coral{number}"
        specs.append(
            NodeSpec(
                name,
                ["worker", "--id", name, "--data", str(data), "--coral", device, *shared],
                partial(coral.probe, device, library),
                _connection_variables(plan.connection),
            )
        )
    return Nodes(specs)


def _connection_variables(connection: Connection) -> dict[str, str]:
    """How a child finds the broker: by its environment, where no list of processes shows a password."""
    found = {"MEERKAT_BROKER": connection.secret_url}
    if connection.ca_file:
        found["MEERKAT_BROKER_CA"] = str(connection.ca_file)
    return found


def fetch_first(folders: list[Path]) -> FirstModel | None:
    """Begin to fetch the default model if none is here, and wait while it comes; None if one is here."""
    if _any_model(folders):
        return None
    from .first_model import FirstModel

    fetch = FirstModel(folders)
    fetch.start()
    from . import hog, looking, worker  # noqa: F401 - what is needed next loads meanwhile

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
