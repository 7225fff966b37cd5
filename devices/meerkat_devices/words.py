"""Counts in sentences for people."""

from __future__ import annotations


def counted(count: int, one: str, many: str) -> str:
    """`1 file`, `3 files`."""
    return f"{count} {one if count == 1 else many}"


def waiting(count: int) -> str:
    """What of the outbox waits, with its verb."""
    return counted(count, "clip or picture waits", "clips and pictures wait")
