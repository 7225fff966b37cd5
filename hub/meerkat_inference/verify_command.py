"""`meerkat worker verify`: is this machine's accelerator right, and as fast as it should be?"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meerkat_contract.errors import MediaError, UsageError

from .settings import WorkerSettings

if TYPE_CHECKING:
    from .detector import Found
    from .picture import Picture
    from .verify import Row, Wrong

SUFFIXES = (".jpg", ".jpeg")
MOST_PICTURES = 20
"""Of the owner's folder."""


def verify(settings: WorkerSettings, folders: Sequence[Path], own: Path | None, *, as_json: bool) -> int:
    """Run every case, print the table and what is wrong; the exit status, 1 when something is."""
    from . import coral, node
    from .verify import cases, corals_here, judge_speed, lagging, reference_of, run

    pictures = known_pictures()
    own_pictures = own_ones(own)
    wrong: list[Wrong] = []
    wanted = coral.plugged() if settings.coral == "auto" else settings.coral
    answering, absent = corals_here(() if wanted == "off" else wanted, settings.coral_library)
    wrong += absent
    providers = onnx_providers()
    rows: list[Row] = []
    firsts: dict[str, dict[str, Sequence[Found]]] = {}
    """By model: what its first engine found in the owner's pictures."""
    all_cases = list(cases(folders=folders, corals=answering, providers=providers))
    with _progress(len(all_cases)) as (tell, advance):
        for case in all_cases:
            tell(str(case))
            reference = reference_of(case)
            reference.update(firsts.get(case.entry.name, {}))
            row, founds = run(
                case,
                {**pictures, **own_pictures},
                reference,
                folders=folders,
                library=settings.coral_library,
            )
            if founds:
                firsts.setdefault(case.entry.name, {name: founds[name] for name in own_pictures})
            rows.append(row)
            advance()
        for row in lagging(rows):  # this machine may have been busy just then
            tell(f"{row.case}, once more")
            again, _ = run(row.case, pictures, {}, folders=folders, library=settings.coral_library)
            row.milliseconds = min(filter(None, (row.milliseconds, again.milliseconds)))
    judge_speed(rows)
    wrong += [each for row in rows for each in row.wrong]
    wrong += missing(settings, rows, answering, providers)
    if as_json:
        click.echo(json.dumps(report(rows, wrong), indent=1))
    else:
        kinds = "1 combination" if len(rows) == 1 else f"{len(rows)} combinations"
        click.echo(f"{node.hardware()}: {kinds} of model, engine and device\n")
        show(rows, wrong)
    return 1 if wrong else 0


@contextmanager
def _progress(total: int) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """(say what is looked at, one step further): a bar on stderr while that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield (lambda words: bar.update(task, description=words), lambda: bar.advance(task))


def known_pictures() -> dict[str, Picture]:
    from . import known

    return {each.name: each.load() for each in known.PICTURES}


def own_ones(folder: Path | None) -> dict[str, Picture]:
    """The JPEGs of a folder, by name. Raises UsageError for a folder without one."""
    if folder is None:
        return {}
    from .picture import decode_jpeg

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[:MOST_PICTURES]
    if not paths:
        raise UsageError(
            "no JPEG is there", where=str(folder), remedy=f"Put some {' or '.join(SUFFIXES)} there"
        )
    pictures = {}
    for path in paths:
        try:
            pictures[path.name] = decode_jpeg(path.read_bytes())
        except MediaError as error:
            raise MediaError(error.what, where=str(path), remedy="Take it out of the folder") from error
    return pictures


def onnx_providers() -> list[str]:
    """What the installed onnxruntime was built with; empty without it."""
    from .opening import installed

    if not installed("onnxruntime"):
        return []
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def missing(
    settings: WorkerSettings, rows: Sequence[Row], corals: Sequence[str], providers: Sequence[str]
) -> list[Wrong]:
    """What should be here and is not."""
    from . import node
    from .verify import Wrong

    wrong = []
    if not any(row.case.entry.task == "detect_objects" for row in rows):
        wrong.append(
            Wrong(
                "no model that finds objects is here: a worker would use its detector of last resort",
                "`meerkat models pull` fetches one",
            )
        )
    if corals and not any(row.case.device in corals for row in rows):
        wrong.append(
            Wrong(
                f"an Edge TPU answers ({', '.join(corals)}), and no model for it is here",
                "`meerkat models pull ssdlite-mobiledet ssd-mobilenet-v2-face` fetches two",
            )
        )
    gpus = ("cuda", "tensorrt")
    gpu = {"CUDAExecutionProvider", "TensorrtExecutionProvider"} & set(providers)
    if gpu and not any(row.case.device in gpus for row in rows):
        wrong.append(
            Wrong(
                "onnxruntime has a part for the GPU, and no model that it runs there is here",
                "`meerkat models pull fastestdet yunet` fetches two",
            )
        )
    if ("Jetson" in node.hardware() or settings.device in gpus) and not gpu:
        wrong.append(
            Wrong(
                "this machine is to use its GPU, and the installed onnxruntime has no part for it: all runs "
                "on the processor",
                "Install the GPU build that belongs to this JetPack (docs/how-to/workers.md)",
            )
        )
    return wrong


def show(rows: Sequence[Row], wrong: Sequence[Wrong]) -> None:
    """The table, then each fault with its remedy."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(box=None, pad_edge=False)
    for name in ("model", "engine", "asked", "ran on"):
        table.add_column(name, no_wrap=True)
    for name in ("boxes", "overlap", "score ±", "ms", "table ms"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        table.add_row(
            row.case.entry.name,
            row.case.engine,
            row.case.device,
            row.ran_on or "–",
            f"{row.agreed}/{row.expected}",
            f"{row.overlap:.2f}" if row.agreed else "–",
            f"{row.apart:.2f}" if row.agreed else "–",
            "–" if row.milliseconds is None else f"{row.milliseconds:.1f}",
            "–" if row.published is None else f"{row.published:.1f}",
            "wrong" if row.wrong else "ok, but slow" if row.slow else "ok",
        )
    if rows:
        console.print(table)
    if not wrong:
        console.print("\nAll is as it should be.")
        return
    console.print(f"\n{len(wrong)} things are wrong:" if len(wrong) > 1 else "\nOne thing is wrong:")
    for each in wrong:
        console.print(f"- {each.what}\n  {each.remedy}", markup=False, highlight=False)


def report(rows: Sequence[Row], wrong: Sequence[Wrong]) -> dict[str, object]:
    """The same as `show`, for programs."""
    return {
        "rows": [
            {
                "model": row.case.entry.name,
                "engine": row.case.engine,
                "asked": row.case.device,
                "ran_on": row.ran_on,
                "expected": row.expected,
                "agreed": row.agreed,
                "overlap": round(row.overlap, 3),
                "apart": round(row.apart, 3),
                "milliseconds": row.milliseconds and round(row.milliseconds, 2),
                "published": row.published,
                "slow": row.slow,
                "ok": not row.wrong,
            }
            for row in rows
        ],
        "wrong": [{"what": each.what, "remedy": each.remedy} for each in wrong],
    }
