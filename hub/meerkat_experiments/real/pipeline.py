"""`meerkat bench pipeline`: the paper's running example, face by face, on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from meerkat_contract.errors import UsageError
from meerkat_experiments.paper.output import progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .pipeline_run import Outcome

WIDTH, HEIGHT = 500, 420
"""The region of interest of the paper's camera (section 4.1), in pixels."""


@click.command()
@click.option("--picture", type=click.Path(path_type=Path), help="A picture with a face in it.")
@click.option("--detector", metavar="NAME", help="What finds the face  [default: the best that is there]")
@click.option("--model", metavar="NAME", help="The embedder  [default: the best that is there]")
@click.option(
    "--folder",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Look there for models too.",
)
@click.option("--frames", type=click.IntRange(2, 10_000), default=40, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pipeline(
    *,
    picture: Path | None,
    detector: str | None,
    model: str | None,
    folders: tuple[Path, ...],
    frames: int,
    as_json: bool,
) -> None:
    """Time a frame from the camera to the decision, and print it beside the paper's Table 1.

    Face detection, recognition and the rule "who may be on this floor" run as in a house; messages pass
    over a Mosquitto of their own. Without --picture it is the portrait that Matplotlib ships.
    """
    from meerkat_inference.faces.loading import load_embedder
    from meerkat_inference.loading import load_detector

    from .pipeline_run import WARM_UP, run

    seen = region(picture or _portrait())
    embedder = load_embedder(model, folders=folders)
    try:
        finder = load_detector(detector, folders=folders, task="detect_faces")
        try:
            with progress("frames", frames + WARM_UP) as tick:
                outcome = run(seen, finder, embedder, frames=frames, tick=tick)
        finally:
            finder.close()
    finally:
        embedder.close()
    if as_json:
        click.echo(json.dumps(as_object(outcome), ensure_ascii=False))
        return
    from .pipeline_table import notes, table

    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    console.print(table(outcome))
    for line in notes(outcome):
        console.print(line, highlight=False, soft_wrap=True)


def as_object(outcome: Outcome) -> dict[str, object]:
    """What --json prints: ours, and the paper's figures; all in seconds."""
    from .pipeline_table import TABLE_1, modelled

    return {"ours": asdict(outcome), "paper": {"table_1": TABLE_1, "workflow": modelled().whole}}


def region(path: Path) -> NDArray[np.uint8]:
    """The picture cut and scaled to the paper's region of interest, the middle of it kept."""
    import cv2
    import numpy as np

    from meerkat_inference.faces.pictures import read_picture

    whole = read_picture(path)
    height, width = whole.shape[:2]
    scale = max(WIDTH / width, HEIGHT / height)
    size = (max(WIDTH, round(width * scale)), max(HEIGHT, round(height * scale)))
    scaled = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    left, top = (size[0] - WIDTH) // 2, (size[1] - HEIGHT) // 2
    return np.ascontiguousarray(scaled[top : top + HEIGHT, left : left + WIDTH], np.uint8)


def _portrait() -> Path:
    """The portrait that Matplotlib ships. Raises UsageError where it is not installed."""
    spec = find_spec("matplotlib")
    root = Path(spec.origin).parent if spec and spec.origin else None
    path = root / "mpl-data" / "sample_data" / "grace_hopper.jpg" if root else None
    if path is None or not path.is_file():
        raise UsageError(
            "there is no picture of a face to look at",
            where="--picture",
            remedy="Name one, or type: pip install 'meerkat-home[experiments]'",
        )
    return path
