"""`meerkat ha …`"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from meerkat_contract import configfile
from meerkat_contract.connection import BrokerSettings, Connection, find_connection
from meerkat_contract.errors import MeerkatError, UsageError
from meerkat_contract.ids import is_name
from meerkat_contract.signals import told

from .discovery import HUB_OBJECT, device_object, worker_object
from .settings import HomeAssistantSettings

log = logging.getLogger(__name__)

ROLE = "homeassistant"
"""The broker's user for Home Assistant and for this bridge: reads meerkat/#, writes the prefix."""


@click.group()
def ha() -> None:
    """Show it all in Home Assistant, over MQTT discovery."""


def _connects(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that find the broker; the function gets `connection` and `settings`."""

    @click.option("--broker", metavar="URL", help="mqtt[s]://[user:password@]host[:port]")
    @click.option(
        "--data", type=click.Path(path_type=Path, file_okay=False), help="the data folder of `meerkat up`"
    )
    @click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="meerkat.yaml")
    @click.option("--prefix", help="Home Assistant's discovery prefix  [default: homeassistant]")
    @wraps(function)
    def with_connection(
        broker: str | None, data: Path | None, config: Path | None, prefix: str | None, **others: Any
    ) -> None:
        settings = configfile.section(config, "homeassistant", HomeAssistantSettings)
        if prefix is not None:
            settings = _with_prefix(settings, prefix)
        where = configfile.section(config, "broker", BrokerSettings)
        connection = find_connection(ROLE, broker=broker, data=data, settings=where)
        function(connection=connection, settings=settings, **others)

    return with_connection


def _with_prefix(settings: HomeAssistantSettings, prefix: str) -> HomeAssistantSettings:
    try:
        return HomeAssistantSettings.model_validate({**settings.model_dump(), "prefix": prefix})
    except ValidationError:
        raise UsageError(
            f"{prefix!r} cannot begin a topic",
            where="--prefix",
            remedy="Write what stands in the options of Home Assistant's MQTT integration",
        ) from None


@ha.command()
@_connects
def bridge(connection: Connection, settings: HomeAssistantSettings) -> None:
    """Tell Home Assistant of every camera, meter and the hub, until Ctrl-C."""
    from .bridge import Bridge

    running = Bridge(connection, settings, software=version("meerkat-home"))
    with told((signal.SIGTERM, signal.SIGINT), lambda _number: running.stop()):
        log.info("tells Home Assistant over %s, on %s/…", connection.url, settings.prefix)
        running.run()


@ha.command()
@click.argument("device", required=False)
@click.option("--hub", is_flag=True, help="the hub itself")
@click.option("--worker", metavar="NAME", help="a worker")
@_connects
def restore(
    connection: Connection, settings: HomeAssistantSettings, device: str | None, hub: bool, worker: str | None
) -> None:
    """Show a DEVICE again that was deleted in Home Assistant."""
    from .bridge import restore as ask

    if sum((hub, bool(device), bool(worker))) != 1:
        raise UsageError("name the device, or say --worker or --hub", where="meerkat ha restore")
    name = device or worker
    if name and not is_name(name):
        raise UsageError(f"{name!r} is not a device's name", where="meerkat ha restore")
    if worker:
        name, which = f"Worker {worker}", worker_object(worker)
    else:
        which = device_object(device) if device else HUB_OBJECT
    ask(connection, which, settings.prefix)
    click.echo(f"{name or 'The hub'} may be shown in Home Assistant again.")


@ha.command()
@click.option("--all", "everything", is_flag=True, help="what other programs announce, too")
@click.option("--json", "as_json", is_flag=True, help="for programs")
@click.option(
    "--listen", metavar="SECONDS", type=click.FloatRange(0, 3600), default=0.0, help="for events, so long"
)
@_connects
def check(
    connection: Connection, settings: HomeAssistantSettings, everything: bool, as_json: bool, listen: float
) -> None:
    """Say what Home Assistant would reject, or drop without a word.

    Looks at the discovery messages and at the states on the broker. Exit status 1 if there is an error or
    a warning, or nothing to look at.
    """
    from .check.report import check as look
    from .retained import discovered

    report = look(discovered(connection, settings.prefix, everything=everything, listen=listen))
    if as_json:
        click.echo(report.to_json())
    else:
        for line in report.lines():
            click.echo(line)
    if not report.good:
        raise SystemExit(1)


@ha.command()
@click.option("--json", "as_json", is_flag=True, help="for programs; without it YAML")
@click.option("--title", default="Meerkat", show_default=True)
@_connects
def dashboard(connection: Connection, settings: HomeAssistantSettings, as_json: bool, title: str) -> None:
    """Print a dashboard of your cameras, meters and machines, for Home Assistant's raw editor."""
    import json

    from .dashboard import dashboard as made
    from .dashboard import to_yaml
    from .retained import discovered

    told = discovered(connection, settings.prefix, states=False)
    if not told.messages:
        raise MeerkatError(
            "nothing is announced to Home Assistant",
            where=f"{connection.url}, {settings.prefix}/…",
            remedy="Start `meerkat up` or `meerkat ha bridge` first",
        )
    config = made(told.messages, title=title)
    click.echo(json.dumps(config, indent=2, ensure_ascii=False) if as_json else to_yaml(config), nl=as_json)
