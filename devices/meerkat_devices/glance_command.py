"""`meerkat device try`: does this address give a picture?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from meerkat_contract.errors import MeerkatError, StorageError


@click.command("try")
@click.argument("source")
@click.option(
    "--picture", type=click.Path(path_type=Path, dir_okay=False), help="Write the picture here, a JPEG."
)
@click.option(
    "--seconds", type=click.FloatRange(2, 120), default=15.0, show_default=True, help="To wait at most."
)
@click.option("--json", "as_json", is_flag=True, help="Say it, and what is wrong, as JSON for a program.")
def try_command(source: str, picture: Path | None, seconds: float, as_json: bool) -> None:
    """Open a camera once and say what it gives.

    SOURCE is what meerkat.yaml takes: rtsp://user:password@camera/path, http://…, a USB camera's number. `-`
    reads it from the standard input, where the machine's other users do not see its password.
    """
    try:
        told = _try(sys.stdin.readline() if source == "-" else source, picture, seconds)
    except MeerkatError as error:
        if not as_json:
            raise
        click.echo(json.dumps({"what": error.what, "where": error.where, "remedy": error.remedy}))
        sys.exit(error.exit_status)
    if as_json:
        click.echo(json.dumps(told))
        return
    rate = f", {told['fps']:g} frames/s" if told["fps"] else ""
    click.echo(f"{told['source']}: {told['width']}×{told['height']}{rate}")
    if picture is not None:
        click.echo(f"The picture is in {picture}")


def _try(source: str, picture: Path | None, seconds: float) -> dict[str, str | float]:
    from .settings.address import parse_source

    address = parse_source(source, where="source")
    from .glance import glance

    seen = glance(address, seconds=seconds)
    if picture is not None:
        try:
            picture.write_bytes(seen.picture)
        except OSError as error:
            raise StorageError(
                f"cannot be written ({error.strerror})", where=str(picture), remedy="Name another file"
            ) from error
    return {"source": str(address), "width": seen.width, "height": seen.height, "fps": seen.fps}
