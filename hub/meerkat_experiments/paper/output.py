"""How experiments show themselves: a bar while they run, tables and figures at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from meerkat_contract.errors import StorageError, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr while it is a terminal; call what it yields after each of `total` steps."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def drawing(where: str = "--figures") -> type[Figure]:
    """matplotlib's Figure, which needs no display. Raises UsageError with the remedy without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise UsageError(
            f"drawing needs {error.name}, which is not installed",
            where=where,
            remedy="Type: pip install 'meerkat-home[experiments]'",
        ) from None
    return Figure


def prepare(folder: Path, where: str = "--figures") -> None:
    """Before anything is run: raises UsageError without matplotlib, StorageError for a folder that cannot
    be written."""
    drawing(where)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(path: Path, error: OSError) -> StorageError:
    what = f"the figure cannot be written ({error.strerror})"
    return StorageError(what, where=str(path), remedy="Name another folder")


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write `folder/name`, a PNG. Raises StorageError."""
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
    except OSError as error:
        raise _unwritable(path, error) from error
    return path
