"""How many clips to send, and to how many machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from .latency import clip_seconds, done_by, slots, starts
from .tend import may_go
from .view import WaitingClip, World
from .words import FAR

WORTH = 0.5
"""Of its boot, which is paid for nothing, a further machine must win so much."""

LOOK_ON = 3
"""So many machines more are tried when one more does not win: whole clips make steps."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Send `clips`, with `new` machines more: all would be done in `seconds`, `gain` sooner than now."""

    clips: tuple[WaitingClip, ...]
    new: int
    seconds: float
    gain: float


def best_plan(world: World, always: Sequence[WaitingClip], tail: Sequence[WaitingClip], most: int) -> Plan:
    """The pair of the greatest gain: all of `always` and the first of `tail`, with up to `most` new machines.

    For each number of machines the wait at home falls and the cloud's grows with what is sent, so the best
    is where they meet. A further machine is taken where it wins half of its boot: where it would win
    less, most of what is paid for it would be boot and idle end.
    """
    ways = _Ways(world, always, tail)
    held = slots(world.cloud)
    best = ways.best(0)
    for new in range(1, most + 1):
        if new > best.new + LOOK_ON:
            break
        plan = ways.best(new)
        must_win = WORTH * world.cloud.boot if held + best.new else 0.0
        if plan.seconds < best.seconds - must_win:
            best = plan
    return best


class _Ways:
    def __init__(self, world: World, always: Sequence[WaitingClip], tail: Sequence[WaitingClip]) -> None:
        self._world = world
        self._always = always
        self._tail = tail
        self._each = clip_seconds(world)
        work = _work(world.waiting)
        rate = world.cloud.upload_rate
        self._home = [sum(work.values()) - sum(work[clip.id] for clip in always)]
        self._line = [sum(clip.size for clip in always) / rate]
        for clip in tail:
            self._home.append(self._home[-1] - work[clip.id])
            self._line.append(self._line[-1] + clip.size / rate)
        aloft = len(world.aloft)
        begins = starts(world.cloud)
        self._now = max(sum(work.values()), done_by(begins, aloft, self._each) if begins else 0.0)

    def best(self, new: int) -> Plan:
        begins = starts(self._world.cloud, new)
        low, high = 0, len(self._tail)
        while low < high:
            middle = (low + high) // 2
            if self._cloud(middle, begins) >= self._home[middle]:
                high = middle
            else:
                low = middle + 1
        ways = [(max(self._cloud(more, begins), self._home[more]), more) for more in {max(0, low - 1), low}]
        seconds, more = min(ways)
        return Plan((*self._always, *self._tail[:more]), new, seconds, self._now - seconds)

    def _cloud(self, more: int, begins: Sequence[float]) -> float:
        """L: what is aloft and `more` of the tail, done; the uploads go one after the other."""
        clips = len(self._always) + more
        first = self._line[more] / clips if clips else 0.0
        queue = done_by([begin + first for begin in begins], len(self._world.aloft) + clips, self._each)
        return max(queue, self._line[more] + self._each) if clips else queue


def _work(waiting: Sequence[WaitingClip]) -> dict[str, float]:
    """Seconds of the house's pool that each clip costs, from the waits; the first has the work ahead too.

    Where nobody is at home all waits are without end. What may leave then counts FAR together, and what may
    not counts nothing: it stays where it is whatever the others do.
    """
    work: dict[str, float] = {}
    before = 0.0
    endless = sum(clip.done_in == inf and may_go(clip) for clip in waiting)
    for clip in waiting:
        if clip.done_in == inf:
            work[clip.id] = FAR / endless if may_go(clip) else 0.0
            continue
        until = max(before, min(clip.done_in, FAR))
        work[clip.id] = until - before
        before = until
    return work
