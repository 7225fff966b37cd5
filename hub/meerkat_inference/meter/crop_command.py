"""`meerkat meter wheel` and `meerkat meter needle`: what a network says of crops."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from meerkat_contract.errors import MediaError

from .picture_file import read_picture
from .telling import as_json

_crops = click.argument("crops", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="CROP...")
_json = click.option("--json", "json_lines", is_flag=True, help="One JSON object per crop.")


@click.command()
@_crops
@_json
def wheel(*, crops: tuple[Path, ...], json_lines: bool) -> None:
    """Say which digit each CROP of a wheel shows, 0.0 to 9.9; the next digit comes from below.

    Exit status 1 when a file cannot be read as a picture (the others are).
    """
    _tell(crops, needle=False, mirrored=False, json_lines=json_lines)


@click.command()
@_crops
@click.option("--mirrored", is_flag=True, help="The dial runs counter-clockwise.")
@_json
def needle(*, crops: tuple[Path, ...], mirrored: bool, json_lines: bool) -> None:
    """Say where the needle of each CROP of a dial points, 0.0 to 9.9.

    Exit status 1 when a file cannot be read as a picture (the others are).
    """
    _tell(crops, needle=True, mirrored=mirrored, json_lines=json_lines)


def _tell(crops: tuple[Path, ...], *, needle: bool, mirrored: bool, json_lines: bool) -> None:
    from .networks import Networks
    from .reader import read_crop

    networks = Networks()
    failed = False
    for path in crops:
        try:
            picture = read_picture(path)
        except MediaError as error:
            failed = True
            told: dict[str, Any] = {"crop": str(path), "position": None, "confidence": 0.0, "digit": None}
            click.echo(
                as_json({**told, "reason": str(error)}) if json_lines else f"error: {error}",
                err=not json_lines,
            )
            continue
        one = read_crop(picture, networks, needle=needle, mirrored=mirrored)
        if json_lines:
            click.echo(
                as_json(
                    {
                        "crop": str(path),
                        "position": one.position,
                        "confidence": one.confidence,
                        "digit": one.digit,
                    }
                )
            )
        elif one.position is None:
            click.echo(f"{path}: {'no needle' if needle else 'no digit'} is to be seen")
        else:
            click.echo(f"{path}: {one.position:.1f} ({one.confidence:.0%})")
    if failed:
        sys.exit(1)
