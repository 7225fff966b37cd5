"""Worlds for one decision."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from meerkat_cloud_burst.policy.view import AloftClip, CloudView, MoneyView, Rule, WaitingClip, World


def backlog(
    count: int,
    each: float = 35.0,
    *,
    age: float = 0.0,
    rule: Rule = "overflow",
    attempts: int = 0,
    first: int = 0,
) -> tuple[WaitingClip, ...]:
    """So many clips, of which the house does one after the other."""
    return tuple(
        WaitingClip(f"clip-{number}", age, each * (number + 1), 1_000_000, 5.0, rule, attempts)
        for number in range(first, first + count)
    )


def aloft(count: int, *, taken: int = 0) -> tuple[AloftClip, ...]:
    """The last one was sent last."""
    return tuple(
        AloftClip(f"aloft-{number}", 100.0, 60.0 - number, taken=number < taken) for number in range(count)
    )


def world(
    waiting: Sequence[WaitingClip] = (),
    flying: Sequence[AloftClip] = (),
    *,
    money: float = inf,
    launch_seconds: float = 1600.0,
    runway: float = inf,
    cloud: dict[str, Any] | None = None,
    **more: Any,
) -> World:
    """Machines boot in 90 s and do a clip in 20; a megabyte needs a second. Two machines at most."""
    return World(
        tuple(waiting),
        tuple(flying),
        CloudView(**(cloud or {})),
        MoneyView(money, 0.036, launch_seconds, runway),
        **more,
    )
