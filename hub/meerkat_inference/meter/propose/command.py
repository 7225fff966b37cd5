"""`meerkat meter propose`: from a picture to a layout file."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meerkat_contract.errors import MediaError
from meerkat_inference.meter.layout_file import layout_text, save_layout
from meerkat_inference.meter.picture_file import read_picture, write_picture

if TYPE_CHECKING:
    from meerkat_contract.meter_layout import MeterLayout

    from .proposing import Proposal


@click.command()
@click.argument("picture", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="LAYOUT.yaml", help="Write the layout there."
)
@click.option(
    "--draw",
    "drawing",
    type=click.Path(path_type=Path),
    metavar="OUT.png",
    help="Draw the boxes on the picture, there.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: layout, score, doubts.")
def propose(*, picture: Path, output: Path | None, drawing: Path | None, as_json: bool) -> None:
    """Find the wheels and dials in PICTURE, and write where they are.

    Without -o the layout goes to the screen. Look at the drawing, and at what it says is a guess, before you
    trust a reading. Exit status 1 when no meter is found.
    """
    from meerkat_inference.meter.networks import Networks

    from .proposing import propose as propose_layout

    pixels = read_picture(picture)
    try:
        proposal = propose_layout(pixels, Networks())
    except MediaError as error:
        raise MediaError(error.what, where=str(picture), remedy=error.remedy) from error
    # The picture itself says more than its landmarks, and a file without them can be read by people. One that
    # is too plain for landmarks is no reference: with it every picture would be refused.
    reference = _reference(picture, output) if proposal.layout.landmarks is not None else ""
    layout = proposal.layout.model_copy(update={"landmarks": None, "reference": reference})
    if output is not None:
        save_layout(layout, output)
    if drawing is not None:
        from meerkat_inference.meter.align import plain
        from meerkat_inference.meter.draw import draw

        height, width = pixels.shape[:2]
        write_picture(drawing, draw(pixels, layout, plain(layout, width, height)))
    if as_json:
        told = {"picture": str(picture), "score": proposal.score, "doubts": list(proposal.doubts)}
        told["layout"] = layout.model_dump(mode="json", exclude_defaults=True) | {
            "rotation_deg": layout.rotation_deg,
            "integer_digits": layout.integer_digits,
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    if output is None:
        click.echo(layout_text(layout), nl=False)
    click.echo(in_words(proposal, output), err=output is None)
    for doubt in proposal.doubts:
        click.echo(f"  look: {doubt}", err=output is None)
    if output is not None and "/" in layout.reference:
        click.echo(f"  keep: later pictures are aligned with {layout.reference}, as seen from the layout")
    if output is not None and drawing is None:
        words = ("meerkat", "meter", "draw", str(picture), "--layout", str(output), "-o", "drawn.png")
        click.echo(f"See it drawn: {shlex.join(words)}")


def _reference(picture: Path, output: Path | None) -> str:
    """The picture as the layout names it: from its own folder, so that both can be moved together."""
    beside = (output.parent if output is not None else Path()).resolve()
    return Path(os.path.relpath(picture.parent.resolve() / picture.name, beside)).as_posix()


def in_words(proposal: Proposal, output: Path | None) -> str:
    """`layout.yaml: 5 wheels (3 after the point), 4 dials, turned by -2.5 degrees, to 0.0001 m³`"""
    layout = proposal.layout
    parts = [f"{_count(len(layout.digits), 'wheel')}{_after(layout)}"]
    if layout.pointers:
        parts.append(_count(len(layout.pointers), "dial"))
    if abs(layout.rotation_deg) >= 0.1:
        parts.append(f"turned by {layout.rotation_deg:g} degrees")
    return f"{output or 'found'}: {', '.join(parts)}; it counts {layout.step:g} {layout.unit}"


def _after(layout: MeterLayout) -> str:
    after = len(layout.digits) - layout.integer_digits
    return f" ({after} after the point)" if after else ""


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
