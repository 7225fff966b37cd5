"""What the cloud burst does, in words for people: a part of `meerkat watch`."""

from __future__ import annotations

from meerkat_contract.messages import BurstState


class BurstTold:
    """Knows what was said last: figures that only grow or shrink are no news."""

    def __init__(self) -> None:
        self._last: tuple[object, ...] | None = None

    def is_news(self, burst: BurstState) -> bool:
        """Whether it does something else than before, with other machines, or cannot any more."""
        before, self._last = self._last, _gist(burst)
        return self._last != before


def _gist(burst: BurstState) -> tuple[object, ...]:
    return (burst.on, burst.state, burst.trouble, burst.instances, burst.desired, burst.in_cloud > 0)


def burst_in_words(burst: BurstState) -> str:
    """One line: `2 machines, 12 clips out, $0.02 of $0.50 today: of 21 clips 9 would be done later …`"""
    if burst.trouble:
        return f"cannot be used, the hub goes on at home: {burst.trouble}"
    said = []
    if burst.in_cloud:
        said.append(f"{_many(burst.in_cloud, 'clip')} out")
    if burst.instances:
        said.append(_many(burst.instances, "machine"))
    if (coming := burst.desired - burst.instances) > 0:
        said.append(f"{_many(coming, 'machine')} asked for")
    if said and burst.ceiling_day:
        said.append(f"${burst.spent_today:.2f} spent today of ${burst.ceiling_day:.2f}")
    reason = burst.reason or burst.state
    return f"{', '.join(said)}: {reason}" if said else reason


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
