"""`meerkat meter examples`: an owner's corrections, cut up to train with."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("archive", type=click.Path(path_type=Path), metavar="ZIP")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where wheel/ and needle/ are made.",
)
def examples(*, archive: Path, output: Path) -> None:
    """Cut the pictures of examples.zip into labelled wheels and needles.

    The file comes from the hub: /api/meters/DEVICE/METER/examples.zip holds the pictures that were corrected.
    `scripts/train-meter --extra DIR` trains with them.
    """
    from .examples import cut_out
    from .networks import Networks

    done = cut_out(archive, output, Networks())
    for line in done.left_out:
        click.echo(f"left out: {line}", err=True)
    click.echo(f"{done.wheels} wheels and {done.needles} needles in {output}")
