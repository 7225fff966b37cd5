"""`scripts/train-meter`: look at the renders, train, export, score, write the card."""

from __future__ import annotations

import dataclasses
import math
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from meerkat_contract.errors import MeerkatError, UsageError

if TYPE_CHECKING:
    from .train import Look, Trained

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "hub/meerkat_inference/meter/models"
PAGE = ROOT / "docs/reference/meter-models.md"
KINDS = ("wheel", "needle", "segment")
MINUTES = {"wheel": 30.0, "needle": 20.0, "segment": 12.0}
SCORING_SEED = 910_000_000

console = Console()


@click.command(name="scripts/train-meter")
@click.option(
    "--preview",
    type=click.Path(path_type=Path, file_okay=False),
    help="Only write contact sheets of renders there, to look at.",
)
@click.option("--only", type=click.Choice(KINDS), help="Train one of the networks.")
@click.option("--minutes", type=click.FloatRange(min=0.1), help="Minutes for each network.  [30, 20 and 12]")
@click.option("--samples", type=click.IntRange(min=256), help="Pictures to show instead; repeatable.")
@click.option("--seed", type=click.IntRange(min=0, max=800), default=1, show_default=True)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that render."
)
@click.option(
    "--extra",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder of your own labelled examples: wheel/3.4_any.png, needle/none_any.png.",
)
@click.option(
    "--begin",
    type=click.Path(path_type=Path, file_okay=False),
    help="Go on from what an earlier training left in this folder, its --out.",
)
@click.option(
    "--validate",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A .zip of labelled crops of real wheels, for the card's figures only.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=MODELS,
    help="Where the networks and card.json go.  [hub/meerkat_inference/meter/models]",
)
@click.option("--score", is_flag=True, help="Train nothing: score what is in --out and write the card anew.")
def main(  # noqa: PLR0917
    preview: Path | None,
    only: str | None,
    minutes: float | None,
    samples: int | None,
    seed: int,
    workers: int,
    extra: Path | None,
    begin: Path | None,
    validate: Path | None,
    out: Path,
    score: bool,
) -> None:
    """Make the networks that read meters, from rendered pictures."""
    kinds = (only,) if only else KINDS
    try:
        if preview is not None:
            _preview(preview, seed)
            return
        for kind in kinds:
            if score:
                _score(kind, out, validate)
                continue
            _train(
                kind,
                out,
                validate,
                extra,
                {
                    "minutes": minutes or MINUTES[kind],
                    "samples": samples,
                    "seed": seed,
                    "workers": workers,
                    "begin": _weights(begin, kind, out),
                },
            )
    except MeerkatError as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        sys.exit(error.exit_status)


def _weights(folder: Path | None, kind: str, out: Path) -> Path | None:
    """The weights that a training left. Raises UsageError when there are none.

    A display's digits are learnt from a tenth of the pictures by who knows wheels, whose weights do, too.
    """
    wheel = (folder or out) / "wheel.pt"
    if folder is None:
        return wheel if kind == "segment" and wheel.is_file() else None
    path = folder / f"{kind}.pt"
    if not path.is_file() and kind == "segment":
        path = wheel
    if not path.is_file():
        raise UsageError(
            "there are no weights to go on from",
            where=str(path),
            remedy="Give the --out of an earlier training; the networks of the repository come without",
        )
    return path


def _preview(folder: Path, seed: int) -> None:
    import cv2

    from .faces import preview as faces
    from .preview import sheet

    folder.mkdir(parents=True, exist_ok=True)
    meters = cv2.imencode(".png", faces.sheet(24, seed))[1].tobytes()
    sheets = {
        "wheels": sheet("wheels", 500, seed),
        "needles": sheet("needles", 240, seed),
        "segments": sheet("segments", 500, seed),
        "meters": meters,
    }
    for name, picture in sheets.items():
        path = folder / f"{name}.png"
        path.write_bytes(picture)
        console.print(f"Wrote {path}", highlight=False)


def _train(kind: str, out: Path, validate: Path | None, extra: Path | None, choices: dict[str, Any]) -> None:
    from . import card, dataset, examples, segment_score
    from .train import Plan, save, shape_of, train

    own = examples.load(extra, kind, *shape_of(kind)) if extra is not None else None
    if own is not None:
        console.print(f"{len(own[1])} examples of your own for the {kind} network")
    render = dataset.render_of(kind)
    plan = Plan(**choices)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[now]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        stock = progress.add_task(f"{kind}: first renders", total=1.0, now=f"{plan.stock:,}")
        task = progress.add_task(f"{kind}: training", total=1.0, now="")

        def tell(look: Look) -> None:
            now = f"loss {look.loss:.3f}, within 0.2 {look.within * 100:.1f} %, {look.per_second:,.0f}/s"
            progress.update(task, completed=look.done, now=now)

        trained = train(
            kind,
            render,
            plan,
            extra=own,
            tell=tell,
            filling=lambda share: progress.update(stock, completed=share),
        )
        progress.update(task, completed=1.0)
    if trained.stopped_early:
        console.print("Stopped early: the held-out renders got no better")
    out.mkdir(parents=True, exist_ok=True)
    save(trained.network, out / f"{kind}.pt")
    with tempfile.TemporaryDirectory(dir=out) as folder:
        draft = Path(folder)
        entry = export(trained, draft, plan.seed)
        figures = _figures(kind, draft, validate)
        if kind == "segment":
            segment_score.check(figures)
        for path in draft.glob("*.tflite"):
            path.replace(out / path.name)
    entry["training"]["examples"] = len(own[1]) if own is not None else 0
    if plan.begin is not None and plan.begin.stem == kind:
        entry["training"] = card.summed(card.read(plan.begin.parent), kind, entry["training"])
    elif plan.begin is not None:
        entry["training"]["began"] = plan.begin.stem
    _write(kind, out, entry, figures)


def export(trained: Trained, out: Path, seed: int) -> dict[str, Any]:
    """Write both files of a network into `out` once they pass the checks; returns the card's entry."""
    from . import card, dataset
    from .export import CALIBRATION, check_int8, export_float, export_int8
    from .train import shape_of

    kind = trained.kind
    render = dataset.render_of(kind)
    out.mkdir(parents=True, exist_ok=True)
    # The old files stay until the new ones have passed.
    with tempfile.TemporaryDirectory(dir=out) as draft:
        full, small = Path(draft) / f"{kind}-float.tflite", Path(draft) / f"{kind}.tflite"
        export_float(trained.network, kind, full)
        pictures, _ = render(CALIBRATION, SCORING_SEED + 1, 1)
        export_int8(full, pictures, small)
        check_int8(small, kind)
        for path in (full, small):
            path.replace(out / path.name)
    return {
        "input": [1, *shape_of(kind), 3],
        "training": {
            "samples": trained.samples,
            "renders": trained.renders,
            "minutes": round(trained.seconds / 60, 1),
            "seed": seed,
            "losses": [round(loss, 4) for loss in trained.losses],
        },
        "versions": card.versions(),
    }


def _score(kind: str, out: Path, validate: Path | None) -> None:
    from . import card

    entry = dict(card.read(out)["networks"][kind])
    entry.pop("files")
    before = entry["figures"]
    # What cannot be measured without the float file or the crops stays as it was.
    figures = {**before, **_figures(kind, out, validate)}
    _write(kind, out, entry, figures)


def _figures(kind: str, out: Path, validate: Path | None) -> dict[str, Any]:
    """Score the exported files; see the card's page for what each figure is."""
    import numpy as np

    from . import dataset, evaluate, segment_score
    from .targets import softmax
    from .train import shape_of

    if kind == "segment":
        return segment_score.figures(out / f"{kind}.tflite", SCORING_SEED)
    render = dataset.render_of(kind)
    pictures, positions = render(4000, SCORING_SEED, 1)
    runner = evaluate.Runner(out / f"{kind}.tflite")
    logits = runner.logits(pictures)
    temperature = evaluate.fitting_temperature(logits, positions, kind)

    def run(shown: Any) -> Any:
        return softmax(runner.logits(shown), temperature)

    sure = softmax(logits, temperature)
    empty = run(evaluate.nothings(2000, *shape_of(kind), SCORING_SEED))
    figures: dict[str, Any] = {
        "temperature": temperature,
        "milliseconds": round(runner.milliseconds(pictures[:1000]), 4),
        "renders": _plain(evaluate.score(sure, positions)),
        "negatives": {
            "pictures": int(np.isnan(positions).sum()),
            "confident": round(evaluate.confident(sure[np.isnan(positions)]), 4),
        },
        "nothing": {"pictures": len(empty), "confident": round(evaluate.confident(empty), 4)},
    }
    if (path := out / f"{kind}-float.tflite").is_file():
        full = evaluate.Runner(path).logits(pictures[:2000])
        figures["agreement"] = {"pictures": len(full), **evaluate.agreement(full, logits[: len(full)])}
    if validate is not None and kind == "wheel":
        crops, truth = evaluate.load_crops(validate)
        figures["validation"] = _plain(evaluate.score(run(crops), truth))
        figures["validation_shifts"] = _plain(evaluate.score(evaluate.shifted(run, crops), truth))
    return figures


def _plain(score: Any) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else round(value, 4)
        for name, value in dataclasses.asdict(score).items()
    }


def _write(kind: str, out: Path, entry: dict[str, Any], figures: dict[str, Any]) -> None:
    from . import card

    temperature = figures.pop("temperature")
    written = card.write(out, kind, {**entry, "temperature": temperature, "figures": figures})
    console.print(f"{kind}: {out / f'{kind}.tflite'}", highlight=False)
    for name in ("renders", "digits", "readable", "validation", "validation_shifts", "agreement", "nothing"):
        if name in figures:
            console.print(f"  {name}: {figures[name]}")
    if out == MODELS and {"wheel", "needle"} <= set(written["networks"]):
        PAGE.write_text(card.page(written), encoding="utf-8")
        console.print(f"The card: {PAGE}", highlight=False)


if __name__ == "__main__":
    main()
