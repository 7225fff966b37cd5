"""What a section of the configuration finds when it looks further: at files, at other sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel


class Finding(NamedTuple):
    """`path` leads to the value within the section. One that is not `sure` may be as somebody wants it."""

    path: tuple[str | int, ...]
    message: str
    sure: bool = True


@runtime_checkable
class Looks(Protocol):
    """A section's model that looks; `sections` are all of the same file."""

    def look(self, sections: Mapping[str, BaseModel]) -> Iterator[Finding]: ...
