"""`meerkat password`: what the hub's page asks of other machines."""

from __future__ import annotations

from pathlib import Path

import click
from pydantic import BaseModel, ConfigDict, SecretStr

from meerkat_contract import configfile
from meerkat_contract.connection import default_data_folder
from meerkat_contract.errors import UsageError
from meerkat_contract.page_password import change_page_password, keep_page_password, random_password


class _Hub(BaseModel):
    model_config = ConfigDict(extra="allow")
    password: SecretStr | bool | None = None


@click.command()
@click.argument("new", required=False)
@click.option("--random", "at_random", is_flag=True, help="Make another one at random.")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="The folder of `meerkat up`.")
@click.option("--config", type=click.Path(path_type=Path), help="The configuration file (meerkat.yaml).")
def password(new: str | None, at_random: bool, data: Path | None, config: Path | None) -> None:
    """Show the password that the hub's page asks of other machines, or change it to NEW.

    A hub that runs takes it at once, and all who have logged in do so again.
    """
    if configfile.section(config, "hub", _Hub).password is not None:
        raise UsageError(
            "hub.password is set, and goes before the one that is kept",
            where=str(configfile.find_file(config) or "MEERKAT__HUB__PASSWORD"),
            remedy="Change it there, or remove it there and ask again",
        )
    if new is not None and at_random:
        raise UsageError("both NEW and --random are given", remedy="Choose one of them")
    folder = (data or default_data_folder()).absolute()
    if not folder.is_dir():
        raise UsageError("there is no data folder", where=str(folder), remedy="Name it with --data")
    if new is None and not at_random:
        click.echo(keep_page_password(folder).word)
        return
    changed = change_page_password(folder, new if new is not None else random_password())
    click.echo(f"The page asks other machines for: {changed.word}")
