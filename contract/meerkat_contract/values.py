"""Values of which many are made: one for each message, frame or job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(kind: type[T]) -> type[T]:
    """A dataclass with slots that nobody changes once it is made.

    The type checker sees to that, and Python does not: a frozen dataclass takes six times as long to make
    (ten fields: 0.72 against 0.12 µs).
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)
