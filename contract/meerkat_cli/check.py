"""`meerkat check FILE`: is this configuration good?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from pydantic import BaseModel, RootModel

from meerkat_contract import configfile


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check a configuration FILE and say what it defines.

    Every problem is named with its line and column; the exit status is then 2.
    """
    sections = configfile.load(file)
    click.echo(f"{file} is good: {'; '.join(summary(sections))}")


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
