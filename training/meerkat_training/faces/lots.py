"""Drawing one of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from meerkat_training.arrays import Random

T = TypeVar("T")


def one_of(rng: Random, options: Sequence[T]) -> T:
    """Any of them, each as likely; name one twice to see it twice as often."""
    return options[int(rng.integers(len(options)))]
