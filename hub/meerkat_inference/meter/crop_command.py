"""`meerkat meter wheel` and `meerkat meter needle`: what a network says of crops."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meerkat_contract.errors import MediaError

from .picture_file import read_picture
from .telling import as_json

if TYPE_CHECKING:
    from meerkat_contract.meter_messages import PositionSeen
    from meerkat_inference.picture import Picture

    from .networks import Networks

_crops = click.argument("crops", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="CROP...")
_json = click.option("--json", "json_lines", is_flag=True, help="One JSON object per crop.")


@click.command()
@_crops
@click.option(
    "--display",
    type=click.Choice(("wheels", "segments")),
    default="wheels",
    help="segments: digits of an LCD or LED.",
)
@_json
def wheel(*, crops: tuple[Path, ...], display: str, json_lines: bool) -> None:
    """Say which digit each CROP of a wheel shows, 0.0 to 9.9; the next digit comes from below.

    With --display segments, which digit of an LCD or LED it is, or that its place is empty.
    Exit status 1 when a file cannot be read as a picture (the others are).
    """
    _tell(crops, _segment if display == "segments" else _roller, json_lines=json_lines)


@click.command()
@_crops
@click.option("--mirrored", is_flag=True, help="The dial runs counter-clockwise.")
@_json
def needle(*, crops: tuple[Path, ...], mirrored: bool, json_lines: bool) -> None:
    """Say where the needle of each CROP of a dial points, 0.0 to 9.9.

    Exit status 1 when a file cannot be read as a picture (the others are).
    """
    _tell(crops, _mirrored if mirrored else _needle, json_lines=json_lines)


def _roller(picture: Picture, networks: Networks) -> tuple[PositionSeen, str]:
    from .reader import read_crop

    return _in_words(read_crop(picture, networks), "no digit")


def _needle(picture: Picture, networks: Networks) -> tuple[PositionSeen, str]:
    from .reader import read_crop

    return _in_words(read_crop(picture, networks, needle=True), "no needle")


def _mirrored(picture: Picture, networks: Networks) -> tuple[PositionSeen, str]:
    from .reader import read_crop

    return _in_words(read_crop(picture, networks, needle=True, mirrored=True), "no needle")


def _segment(picture: Picture, networks: Networks) -> tuple[PositionSeen, str]:
    from . import segments

    shown = segments.read_crop(picture, networks)
    best = int(shown.argmax())
    one = segments.seen(shown, best if best < segments.EMPTY else None)
    if best == segments.EMPTY:
        return one, f"an empty place ({one.confidence:.0%})"
    return one, f"{best} ({one.confidence:.0%})" if best < segments.EMPTY else "no digit is to be seen"


def _in_words(one: PositionSeen, nothing: str) -> tuple[PositionSeen, str]:
    if one.position is None:
        return one, f"{nothing} is to be seen"
    return one, f"{one.position:.1f} ({one.confidence:.0%})"


def _tell(
    crops: tuple[Path, ...],
    look: Callable[[Picture, Networks], tuple[PositionSeen, str]],
    *,
    json_lines: bool,
) -> None:
    from .networks import Networks

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
        one, words = look(picture, networks)
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
        else:
            click.echo(f"{path}: {words}")
    if failed:
        sys.exit(1)
