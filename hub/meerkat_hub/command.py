"""`meerkat hub`: keeps every clip, shares the work out, and serves the page."""

from __future__ import annotations

import platform
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from .settings import HubSettings


def page_address(settings: HubSettings) -> str:
    """The page's address as other machines reach it; empty when it is open to this machine alone."""
    if settings.page:
        return settings.page
    host = settings.http_host
    if host in ("127.0.0.1", "localhost", "::1") or settings.ingress_from is not None:
        return ""
    return f"http://{platform.node() if host in ('0.0.0.0', '::') else host}:{settings.http_port}"


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Data folder.  [default: as `meerkat up`]")
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file, meerkat.yaml.")
@click.option("--broker", metavar="URL", help="MQTT broker, mqtt[s]://user:password@host:port.")
@click.option("--http-host", metavar="ADDRESS", help="Address of the page.  [default: 127.0.0.1]")
@click.option("--http-port", type=click.IntRange(1, 65535), help="Port of the page.  [default: 8480]")
@click.option("--demo", type=click.Path(path_type=Path), hidden=True, help="File of the drawn meters.")
@click.option(
    "--cameras", type=click.Path(path_type=Path), hidden=True, help="File that `meerkat up` runs cameras of."
)
@click.option("--over", multiple=True, hidden=True, help="A device of the demo, to be forgotten.")
def hub(
    *,
    data: Path | None,
    config: Path | None,
    broker: str | None,
    http_host: str | None,
    http_port: int | None,
    demo: Path | None,
    cameras: Path | None,
    over: tuple[str, ...],
) -> None:
    """Run the hub: it keeps every clip, gives it to a worker, and says on the bus what was seen."""
    from meerkat_cloud_burst.settings import BurstSettings
    from meerkat_contract.configfile import find_file, section
    from meerkat_contract.connection import BrokerSettings, default_data_folder, find_connection

    from .adapters.announcement import announced
    from .adapters.page_cameras import ConfiguredDevices, PageCameras
    from .application import build_hub
    from .meter_settings import MetersSettings, configured, lay_out
    from .settings import HubSettings
    from .web.server import serve
    from .web.websensor import posted_pictures
    from .workflow_settings import OrchestratorSettings, WorkflowsSettings

    settings = section(config, "hub", HubSettings)
    changes = {
        name: value
        for name, value in (("http_host", http_host), ("http_port", http_port))
        if value is not None
    }
    settings = settings.model_copy(update=changes)
    folder = data or default_data_folder()
    connection = find_connection(
        "hub", broker=broker, data=folder, settings=section(config, "broker", BrokerSettings)
    )
    page_cameras = None
    if cameras is not None:
        owners = section(config, "devices", ConfiguredDevices).owners
        page_cameras = PageCameras(cameras, configured=owners, demo=() if demo is None else over)
    built = build_hub(
        folder,
        connection,
        settings,
        page=page_address(settings),
        workflows=section(config, "workflows", WorkflowsSettings).root,
        policy=section(config, "orchestrator", OrchestratorSettings).policy(),
        meters=configured(section(config, "meters", MetersSettings), (find_file(config) or Path()).parent),
        burst=section(config, "burst", BurstSettings),
        cameras=page_cameras,
        over=over if demo is None else (),
    )
    if demo is not None:
        lay_out(built.store, section(demo, "meters", MetersSettings))
    built.start()
    told = announced(connection, page=(settings.http_host, settings.http_port))
    try:
        with posted_pictures(built, settings), told if settings.announce else nullcontext():
            serve(built, settings)
    finally:
        built.stop()
