"""`meerkat meter read` and `meerkat meter draw`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meerkat_contract.errors import MediaError, UsageError

from .choice import choose
from .layout_file import load_layout
from .picture_file import read_picture, write_picture
from .reference import with_landmarks
from .telling import as_json as _json
from .telling import as_object, in_words, unread

if TYPE_CHECKING:
    from meerkat_contract.meter_layout import MeterLayout
    from meerkat_contract.meter_messages import MeterSeen
    from meerkat_inference.picture import Picture

_layout = click.option(
    "--layout",
    "layout_file",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the wheels and dials are; `meerkat meter propose` writes one.",
)


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path))
@_layout
@click.option(
    "--previous",
    "previous",
    multiple=True,
    metavar="VALUE",
    help="The reading before, NAME=VALUE for a counter with a name. The next picture's is this one's.",
)
@click.option(
    "--max-flow", type=float, metavar="UNITS", help="The most it can have gone on since --previous."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per picture and counter.")
def read(
    *,
    pictures: tuple[Path, ...],
    layout_file: Path,
    previous: tuple[str, ...],
    max_flow: float | None,
    as_json: bool,
) -> None:
    """Read the meter in PICTURES.

    Verdicts: accepted (to be trusted), held (look at it), unreadable, and with --previous implausible.
    Exit status: 0 whatever the verdicts, 1 when a file cannot be read as a picture or does not fit the
    layout (it counts as unreadable, and the others are read), 2 wrong usage, or a layout that cannot be
    used.
    """
    layout = _load(layout_file)
    before = _previous(previous, layout)
    if max_flow is not None and not 0 <= max_flow < inf:
        raise UsageError(f"{max_flow} is no flow", where="--max-flow", remedy="Give units of the meter")
    if max_flow is not None and not before:
        click.echo("warning: --max-flow: means nothing without --previous", err=True)
    failed = False
    reads = _reads(layout)
    for path in pictures:
        try:
            seen = reads(read_picture(path))
        except (MediaError, UsageError) as error:
            failed = True
            words = str(error) if error.where == str(path) else f"{path}: {error}"
            click.echo(_json(unread(path, words)) if as_json else f"error: {words}", err=not as_json)
            continue
        for counter in seen.counters:
            name = counter.counter or ""
            chosen = choose(counter, previous=before.get(name), max_flow=max_flow)
            if name in before and chosen.verdict == "accepted" and chosen.value is not None:
                before[name] = chosen.value
            click.echo(
                _json(as_object(path, seen, counter, chosen)) if as_json else in_words(path, counter, chosen)
            )
    if failed:
        sys.exit(1)


@click.command()
@click.argument("picture", type=click.Path(path_type=Path))
@_layout
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="OUT.png",
    help="Write it there.",
)
@click.option("--boxes", "only_boxes", is_flag=True, help="The boxes alone, unread.")
def draw(*, picture: Path, layout_file: Path, output: Path, only_boxes: bool) -> None:
    """Draw the layout on PICTURE, and what is read in each box."""
    from .align import align, plain
    from .draw import draw as draw_layout

    layout = _load(layout_file)
    pixels = read_picture(picture)
    seen = None if only_boxes else _reads(layout)(pixels)
    if layout.landmarks is not None:
        _, matrix = align(pixels, layout)
    else:
        matrix = plain(layout, pixels.shape[1], pixels.shape[0])
    write_picture(output, draw_layout(pixels, layout, matrix, seen))
    for counter in seen.counters if seen else ():
        click.echo(in_words(picture, counter, choose(counter)))


def _load(file: Path) -> MeterLayout:
    """The layout with the landmarks of its reference; warns of what it does not know."""
    layout, warnings = load_layout(file)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    return with_landmarks(layout, file.parent, str(file))


def _reads(layout: MeterLayout) -> Callable[[Picture], MeterSeen]:
    from .networks import Networks
    from .reader import read as read_meter

    networks = Networks()
    return lambda picture: read_meter(picture, layout, networks)


def _previous(given: tuple[str, ...], layout: MeterLayout) -> dict[str, float]:
    """The readings before, by counter."""
    found: dict[str, float] = {}
    for text in given:
        name, _, value = text.rpartition("=")
        if name not in layout.all_counters:
            raise UsageError(
                f"the layout has no counter {name!r}",
                where="--previous",
                remedy=f"It has {', '.join(layout.counters) or 'the main one alone'}",
            )
        try:
            number = float(value)
        except ValueError:
            number = nan
        span = layout.all_counters[name].span
        if not 0 <= number < span:
            raise UsageError(
                f"{value!r} is no reading of a counter that goes from 0 to {span:g}",
                where="--previous",
                remedy="Give the reading before this picture, such as 206.9",
            )
        found[name] = number
    return found
