"""`meerkat models`: which models there are, and fetch them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meerkat_contract.errors import MeerkatError, UsageError

if TYPE_CHECKING:
    from .catalogue import Entry

_KINDS: dict[tuple[str, ...], str] = {("person",): "people", ("face",): "faces"}


@click.group()
def models() -> None:
    """Which models there are, and fetch them."""


@models.command("list")
@click.option(
    "--folder", "folders", multiple=True, type=click.Path(path_type=Path), help="Look there too. Repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per model.")
def list_command(folders: tuple[Path, ...], as_json: bool) -> None:
    """List the models of the catalogue and where they lie on this machine."""
    from . import catalogue, store

    rows = [(entry, store.locate(entry, folders=folders)) for entry in catalogue.entries()]
    if as_json:
        for entry, files in rows:
            click.echo(json.dumps(_describe(entry, files.model if files else None)))
        return
    lines = [("model", "finds", "role", "size", "licence", "on this machine")]
    lines += [
        (
            entry.name + (" *" if entry.default else ""),
            _finds(entry),
            "Edge TPU" if entry.devices == ("edgetpu",) else entry.place,
            _size(entry.size),
            entry.licence,
            str(files.model) if files else "no",
        )
        for entry, files in rows
    ]
    *widths, _ = (max(map(len, column)) for column in zip(*lines, strict=True))
    for line in lines:  # the path comes last and whole, so that it can be copied from any terminal
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        cells[3] = line[3].rjust(widths[3])
        click.echo("  ".join((*cells, line[-1])))
    places = ", ".join(str(folder) for folder in store.search_path(folders))
    click.echo(f"\n* default of its task. Looked in: {places}")
    if not any(files for entry, files in rows if entry.task == "detect_objects"):
        click.echo(
            "None is here: the built-in people detector is used. `meerkat models pull` fetches the default."
        )


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Every model that is meant for a house.")
@click.option("--cloud", is_flag=True, help="Every model that is meant for a rented machine.")
@click.option("--default", "defaults", is_flag=True, help="The default model of each task.")
@click.option("--folder", type=click.Path(path_type=Path), help="Put them there instead of the user's cache.")
def pull(
    names: tuple[str, ...], *, everything: bool, cloud: bool, defaults: bool, folder: Path | None
) -> None:
    """Fetch models by name; without a name, the default one for objects.

    An interrupted fetch goes on where it stopped. $MEERKAT_MODELS_MIRROR names another server.
    """
    from . import download, store

    if sum((bool(names), everything, cloud, defaults)) > 1:
        raise UsageError(
            "names, --all, --cloud and --default exclude each other",
            where="meerkat models pull",
            remedy="Give one of them",
        )
    wanted = _wanted(names, everything=everything, cloud=cloud, defaults=defaults)
    target = folder or store.cache_folder()
    failed: list[MeerkatError] = []

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for entry in wanted:
            bars = {file.name: progress.add_task(file.name, total=file.bytes or None) for file in entry.files}
            try:
                path = download.pull(
                    entry,
                    target,
                    progress=lambda file, have, bars=bars: progress.update(bars[file.name], completed=have),  # type: ignore[misc]
                )
            except MeerkatError as error:
                failed.append(error)
                for bar in bars.values():
                    progress.remove_task(bar)
                progress.console.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
            else:
                click.echo(path)
    if failed:
        raise SystemExit(1)


@models.command()
@click.argument(
    "files", nargs=-1, required=True, metavar="CFG WEIGHTS", type=click.Path(path_type=Path, dir_okay=False)
)
@click.option("--names", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="A name a line.")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A folder of JPEGs of your own to look at.",
)
@click.option("--entry", is_flag=True, help="Print the entry for your catalogue and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def check(
    files: tuple[Path, ...], *, names: Path | None, pictures: Path | None, entry: bool, as_json: bool
) -> None:
    """Try a Darknet network of your own with every engine that is here.

    Says which engine runs it, or what it refuses and in which line; ends with status 1 when none does.
    """
    from .check_command import check as run

    raise SystemExit(run(files, names, pictures, entry=entry, as_json=as_json))


def _wanted(names: tuple[str, ...], *, everything: bool, cloud: bool, defaults: bool) -> list[Entry]:
    from . import catalogue

    fetched = [entry for entry in catalogue.entries() if entry.urls(entry.model)]
    if everything or cloud:
        return [entry for entry in fetched if entry.place == ("cloud" if cloud else "home")]
    if defaults:
        return [entry for entry in fetched if entry.default]
    if not names:
        return [catalogue.default()]
    known = {entry.name for entry in catalogue.entries()}
    unknown = [name for name in names if name not in known]
    if unknown:
        from difflib import get_close_matches

        close = get_close_matches(unknown[0], known, n=1)
        raise UsageError(
            f"no model is named {unknown[0]!r}",
            where="meerkat models pull",
            remedy=f"Did you mean {close[0]}?" if close else f"Known: {', '.join(sorted(known))}",
        )
    return [catalogue.get(name) for name in dict.fromkeys(names)]


def _finds(entry: Entry) -> str:
    if entry.embedding is not None:
        return "who it is"
    if len(entry.words) > 1:
        return f"{len(entry.words)} kinds"
    return _KINDS.get(entry.words, entry.words[0] if entry.words else "80 kinds")


def _size(count: int) -> str:
    """Bytes for people: `1.2 MB`, `47 kB`; `?` for a file that we never held."""
    if not count:
        return "?"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"


def _describe(entry: Entry, path: Path | None) -> dict[str, object]:
    from . import store

    return {
        "name": entry.name,
        "title": entry.title,
        "task": entry.task,
        "default": entry.default,
        "place": entry.place,
        "path": str(path) if path else None,
        "bytes": entry.size,
        "sha256": entry.model.sha256 or (store.noted_hash(path) if path else ""),
        "licence": entry.licence,
        "engines": list(entry.engines),
        "input": list(entry.input),
        "urls": [url for file in entry.files for url in entry.urls(file)[:1]],
    }
