"""`meerkat check [FILE]`: is this configuration good?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from pydantic import BaseModel, RootModel

from meerkat_contract import configfile
from meerkat_contract.errors import UsageError
from meerkat_contract.findings import Looks
from meerkat_contract.yamltree import Problem, read_tree


@click.command()
@click.argument("named", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
def check(named: Path | None) -> None:
    """Check a configuration FILE and say what it defines.

    Without FILE it is the one that `meerkat up` would take here: $MEERKAT_CONFIG, or ./meerkat.yaml. Every
    problem is named with its line and column; the exit status is then 2. The files that it names are looked
    for on this machine.
    """
    file = configfile.find_file(named)
    if file is None:
        raise UsageError(
            f"there is no {configfile.FILE_NAME} here, so every setting has its default",
            remedy="Name a file, or write one: docs/how-to/configure.md begins with an example",
        )
    sections = configfile.load(file)
    sure, doubtful = look(file, sections)
    if sure:
        raise configfile.ConfigurationError(str(file), sure + doubtful)
    for problem in doubtful:
        click.echo(f"Look again: {problem}")
    click.echo(f"{file} is good: {'; '.join(summary(sections))}")


def look(file: Path, sections: Mapping[str, BaseModel]) -> tuple[list[Problem], list[Problem]]:
    """What is certainly wrong beyond single values, and what may be, both in the order of the file."""
    tree, _ = read_tree(file)
    found: tuple[list[Problem], list[Problem]] = ([], [])
    for name, model in sections.items():
        for finding in model.look(sections) if isinstance(model, Looks) else ():
            path = (name, *finding.path)
            problem = Problem(str(file), tree.place(path), configfile.dotted(path), finding.message)
            found[not finding.sure].append(problem)
    for problems in found:
        problems.sort(key=Problem.order)
    return found


def summary(sections: Mapping[str, BaseModel]) -> Iterator[str]:
    """What the file defines beyond the defaults, one phrase per section."""
    said = False
    for name, model in sections.items():
        value = model.root if isinstance(model, RootModel) else model
        if isinstance(value, Mapping):
            if value:
                said = True
                yield f"{name} {', '.join(str(entry) for entry in value)}"
        elif model.model_fields_set:
            said = True
            yield f"{name} sets {', '.join(sorted(model.model_fields_set))}"
    if not said:
        yield "every setting has its default"
