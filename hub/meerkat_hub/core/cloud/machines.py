"""How many machines are asked for, and which of them are ended: never more than configured, never one that is
not paid for in the ledger, and none that has nothing to do.

What the policy wants comes first; then each rule here may say that there are to be fewer: the least holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from meerkat_cloud_burst.news import EndInstances, Scale
from meerkat_cloud_burst.policy.making import idle_grace
from meerkat_cloud_burst.policy.view import BurstDecision
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_hub.core.outputs import Decision
from meerkat_hub.core.records import Now

from .measured import Measured
from .money import Money
from .scene import Scene

ENDED_AGAIN = 60.0
"""Seconds after which a machine that is still there is told again to end."""

LAUNCH_PAUSE = 900.0
"""Seconds without a further launch after one failed: a quota or a shortage is not over in a minute."""

OVERSTAYED = 120.0
"""Seconds that a machine without work gets beyond its boot and idle grace; then it is believed to hang."""


@dataclass(frozen=True, slots=True)
class Fewer:
    """Machines at most, whatever the policy wants."""

    machines: int
    reason: str


class Machines:
    """Of a fleet that costs money; an external one is its owner's, and nothing is asked of it."""

    def __init__(self, settings: BurstSettings, scene: Scene, measured: Measured, money: Money) -> None:
        self.launching = ""
        """Why no machine came that was asked for."""
        self._settings = settings
        self._scene = scene
        self._measured = measured
        self._money = money
        self._launch_again = 0.0
        """When another may be asked for, in monotonic seconds."""
        self._ended: dict[str, float] = {}
        """When a machine was last told to end."""

    def scale(self, decision: BurstDecision, now: Now, out: Decision) -> int | None:
        """Ask for as many as were decided, if that is something else than now and is paid for."""
        if decision.desired is None or not self._scene.pays:
            return None
        held = self._scene.fleet.desired
        desired = max(min(decision.desired, self._scene.limit), 0)
        if decision.reserve is not None and desired > held:
            paid = self._money.reserve(decision.reserve.instances, now, decision.reason)
            if isinstance(paid, str):
                out.notes.append(f"cloud burst: no machine is asked for: {paid}")
                return None
            out.changes += paid
        elif desired > held:
            out.notes.append("cloud burst: no machine is asked for that is not paid for in the ledger")
            return None
        if desired == held:
            return None
        out.effects.append(Scale(desired, decision.reason))
        return desired

    def see_launches(self, now: Now) -> Fewer | None:
        """Where no machine comes, none is asked for for a while."""
        failed = self._scene.fleet.trouble
        if failed is not None and not self._scene.fleet.instances:
            self.launching = f"no machine is launched: {failed}"
            self._launch_again = now.mono + LAUNCH_PAUSE
            return Fewer(0, self.launching)
        if now.mono >= self._launch_again:
            self.launching = ""
        return None

    def see_stop(self, now: Now, out: Decision) -> Fewer | None:
        """A stop holds: also for a machine that came late, and where the hub ended before it was told."""
        if not (self._scene.pays and (self._scene.fleet.instances or self._scene.fleet.desired)):
            return None
        return self._none("somebody stopped the cloud burst", now, out)

    def see_idle(self, now: Now, out: Decision) -> Fewer | None:
        """A worker ends its machine itself when there is nothing to do; should it hang, nobody else would."""
        longest = self._measured.boot + idle_grace(self._settings) + OVERSTAYED
        idle = self._scene.idle(now)
        if idle < longest or not self._scene.pays:
            return None
        return self._none(f"nothing to do for {idle:.0f} s, and it did not end itself", now, out)

    def shrink(self, limits: Sequence[Fewer | None], out: Decision) -> None:
        """After the policy, whatever that wanted."""
        least = min((one for one in limits if one is not None), key=lambda one: one.machines, default=None)
        if least is not None and self._scene.pays:
            out.effects = [effect for effect in out.effects if not isinstance(effect, Scale)]
            out.effects.append(Scale(least.machines, least.reason))

    def stop(self, reason: str, now: Now, out: Decision) -> None:
        """Every one of them, at once."""
        out.effects.append(Scale(0, reason))
        self._none(reason, now, out)

    def _none(self, reason: str, now: Now, out: Decision) -> Fewer:
        self.end([one.id for one in self._scene.fleet.instances if one.state != "ending"], reason, now, out)
        return Fewer(0, reason)

    def end(self, instances: Sequence[str], reason: str, now: Now, out: Decision) -> None:
        self._ended = {one: at for one, at in self._ended.items() if now.mono - at < ENDED_AGAIN}
        fresh = [one for one in instances if one not in self._ended]
        self._ended |= dict.fromkeys(fresh, now.mono)
        if fresh:
            out.effects.append(EndInstances(tuple(fresh), reason))
            out.notes.append(f"cloud burst: {', '.join(fresh)} to be ended: {reason}")
