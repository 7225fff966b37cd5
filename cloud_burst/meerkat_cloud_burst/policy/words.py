"""Numbers in sentences."""

from __future__ import annotations

from .view import WaitingClip

FAR = 86_400.0
"""Seconds that stand for never, where the house has no worker."""


def many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def seconds(value: float) -> str:
    return f"{value:.0f} s" if value < FAR / 2 else f"more than {FAR / 7200:.0f} hours"


def last(waiting: tuple[WaitingClip, ...]) -> float:
    """When the house has done the last of them."""
    return max((clip.done_in for clip in waiting), default=0.0)
