"""`meerkat bench`: how fast this installation is, on this machine."""

from __future__ import annotations

from typing import ClassVar

import click

from .lazy import Lazily


class _Bench(Lazily):
    members: ClassVar[dict[str, tuple[str, str, str]]] = {
        "dispatch": (
            "Deal out jobs over a real broker to worker processes, by several rules.",
            "meerkat_experiments.real.dispatch",
            "dispatch",
        ),
        "pipeline": (
            "From a frame to a decision: what each step takes here.",
            "meerkat_experiments.real.pipeline",
            "pipeline",
        ),
    }


@click.group(cls=_Bench)
def bench() -> None:
    """Measure this installation on this machine."""
