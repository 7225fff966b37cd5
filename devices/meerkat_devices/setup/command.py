"""`meerkat device init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from meerkat_devices.settings.pins import PinChoice


@click.command("init")
@click.option("--name", metavar="NAME", help="Name of this device; the host's name by default.")
@click.option("--broker", metavar="URL", help="mqtt[s]://[user:password@]host[:port], instead of a search.")
@click.option("--camera", "cameras", metavar="NAME=SOURCE", multiple=True, help="As of `meerkat device`.")
@click.option("--pir", "sensors", metavar="NAME=GPIO", multiple=True, help="A motion sensor on a pin.")
@click.option("--light", "lights", metavar="NAME=GPIO", multiple=True, help="A lamp on a pin.")
@click.option("--pins", type=click.Choice(["auto", "mock", "none"]), help="mock: without hardware.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="meerkat.yaml")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="Folder for the pictures to look at; this one by default.",
)
@click.option("--overwrite", is_flag=True, help="Change what meerkat.yaml says otherwise, without asking.")
@click.option("--yes", is_flag=True, help="Ask nothing: take the options and the defaults.")
def init(
    *,
    name: str | None,
    broker: str | None,
    cameras: tuple[str, ...],
    sensors: tuple[str, ...],
    lights: tuple[str, ...],
    pins: PinChoice | None,
    config: Path | None,
    pictures: Path,
    overwrite: bool,
    yes: bool,
) -> None:
    """Set this device up: its name, the hub, a camera, what is wired to it.

    Each is tried, with a picture to look at. What meerkat.yaml says already stays in it.
    """
    from meerkat_contract.configfile import FILE_NAME, find_file

    from .questions import Questions
    from .walk import Walk, Wishes

    wishes = Wishes(
        config=find_file(config) or Path(FILE_NAME),
        pictures=pictures,
        name=name,
        broker=broker,
        cameras=cameras,
        sensors=sensors,
        lights=lights,
        pins=pins,
        overwrite=overwrite,
    )
    Walk(wishes, Questions(yes=yes)).go()
