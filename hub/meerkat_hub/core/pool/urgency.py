"""How much may go before all else: a doorbell that is stuck, or ten of them, must not stop the house.

What is urgent goes before every flow, whatever their weights. That is right for somebody at the door and
wrong for ever, so a source's urgent work is counted as it comes, in seconds that the whole pool needs for
it. Within its allowance it is urgent. What is more is live: it waits in its flow by age, which has its share
like any other. So a source alone takes the pool from the others for at most 40 s, and all sources together
for two minutes; from then on others have three quarters of it, or half.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .work import Item, Priority

OF_ONE, OF_ALL = 0.25, 0.5
"""Parts of the pool's time that one source, and all of them, may ask for as urgent in the long run."""

BURST = 30.0
"""Seconds of the pool's work that one source may ask for at once; all of them twice as many."""

REMEMBERED = 64
"""Sources. When there are more, those that have their whole allowance are forgotten."""


@dataclass(slots=True)
class _Allowance:
    rate: float
    """Seconds of work a second."""
    most: float
    left: float
    at: float
    told: bool = False
    """That it was used up, since it was whole."""

    def pass_time(self, now: float) -> None:
        self.left = min(self.left + (now - self.at) * self.rate, self.most)
        self.at = now
        if self.left == self.most:
            self.told = False

    def draw(self, seconds: float) -> None:
        """One item may be more than is left: a long clip is urgent as a whole, and the next ones are not."""
        self.left = max(self.left - seconds, -self.most)


class Urgency:
    def __init__(self) -> None:
        self._all = _Allowance(OF_ALL, 2 * BURST, 2 * BURST, 0.0)
        self._sources: dict[str, _Allowance] = {}
        self._news: list[str] = []

    def within(self, item: Item, seconds: float, now: float) -> Item:
        """An urgent item that comes now, as it is or live; the whole pool needs so many seconds for it."""
        source = item.source or item.flow
        own = self._sources.get(source)
        if own is None:
            self._forget_whole(now)
            own = self._sources[source] = _Allowance(OF_ONE, BURST, BURST, now)
        own.pass_time(now)
        self._all.pass_time(now)
        if own.left > 0 and self._all.left > 0:
            own.draw(seconds)
            self._all.draw(seconds)
            return item
        if not own.told:
            own.told = True
            part, whose = ("a quarter", source) if own.left <= 0 else ("half", "all urgent sources together")
            self._news.append(
                f"{whose}: more than {part} of the pool's time is asked for as urgent; what else comes "
                f"from {source} waits in line (is its bell stuck?)"
            )
        return replace(item, priority=Priority.LIVE)

    def news(self) -> tuple[str, ...]:
        """What is to be said since this was asked last."""
        if not self._news:  # as nearly always
            return ()
        news, self._news = self._news, []
        return tuple(news)

    def _forget_whole(self, now: float) -> None:
        if len(self._sources) >= REMEMBERED:
            for own in self._sources.values():
                own.pass_time(now)
            self._sources = {name: own for name, own in self._sources.items() if own.left < own.most}
