"""`meerkat simulate`: the hub's own decisions on a simulated clock."""

from __future__ import annotations

from typing import ClassVar

import click

from .lazy import Lazily


class _Simulate(Lazily):
    members: ClassVar[dict[str, tuple[str, str, str]]] = {
        "house": (
            "A house with faults: nothing durable may be lost.",
            "meerkat_experiments.house.command",
            "house",
        ),
        "burst": (
            "Days of storms: what is late and what the cloud costs, by policy.",
            "meerkat_experiments.burst.command",
            "burst",
        ),
        "e1": ("The MELINDA paper's experiment 1: workflow time.", "meerkat_experiments.paper.command", "e1"),
        "e2": (
            "The MELINDA paper's experiment 2: balance.",
            "meerkat_experiments.paper.command",
            "e2",
        ),
    }


@click.group(cls=_Simulate)
def simulate() -> None:
    """Run the hub's own decisions on a simulated clock."""
