"""Mistakes to plant in the hub: each must be found, else the simulated world proves nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from meerkat_contract.messages import CloudRule, Result
from meerkat_hub.core.clips import CLIPS
from meerkat_hub.core.inputs import Input, ResultArrived, WorkerSeen
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.outputs import Decision, SendReceipt
from meerkat_hub.core.pool.work import Dropped, Item
from meerkat_hub.core.records import Clip, Now
from meerkat_hub.turn import Work

from .hub import HubProcess, WatchedTurn

WIDE = 8
"""What a hub that ignores windows takes them for."""


class _TakesAnyResult(HubCore):
    """Whoever says done, and with whatever token: the job's newest lease is taken to be meant."""

    def step(self, happened: Input, now: Now) -> Decision:
        if isinstance(happened, ResultArrived) and self._is_forged(happened.result):
            lease = self.pool.leases[happened.result.job][-1]
            worker, incarnation, token = lease.worker, lease.incarnation, lease.token
            forged: Result = happened.result.model_copy(update={"token": token, "incarnation": incarnation})
            happened = ResultArrived(worker, forged)
        return super().step(happened, now)

    def _is_forged(self, result: Result) -> bool:
        leases = self.pool.leases.get(result.job, [])
        return result.state == "done" and bool(leases) and all(one.token != result.token for one in leases)


class _IgnoresWindows(HubCore):
    """Every worker is taken to hold more than it said."""

    def step(self, happened: Input, now: Now) -> Decision:
        if isinstance(happened, WorkerSeen):
            happened = replace(happened, state=happened.state.model_copy(update={"window": WIDE}))
        return super().step(happened, now)


class _OtherCore(WatchedTurn):
    """A turn whose core is one of those above."""

    core_type: type[HubCore]

    def make_core(self, epoch: int) -> HubCore:
        core = super().make_core(epoch)
        core.__class__ = self.core_type  # the same core, one method of which is another
        return core


class _NoToken(_OtherCore):
    core_type = _TakesAnyResult


class _NoRequeue(WatchedTurn):
    """A clip that a worker does not answer, or loses, waits no more."""

    def make_core(self, epoch: int) -> HubCore:
        core = super().make_core(epoch)
        honest = core.pool.again

        def again(item: Item, *, tried: str | None = None) -> list[Dropped]:
            return [] if item.flow == CLIPS else honest(item, tried=tried)

        core.pool.again = again  # type: ignore[method-assign]
        return core


class _NoWindow(_OtherCore):
    core_type = _IgnoresWindows


class _AcknowledgesFirst(WatchedTurn):
    """Acknowledgements and receipts go out before what they promise is committed."""

    def finish(self, work: Work, now: Now) -> None:
        for ack in work.acks:
            ack()
        for effect in work.effects:
            if isinstance(effect, SendReceipt):
                self._acting.carry_out(effect)
        work.acks = []
        work.effects = [effect for effect in work.effects if not isinstance(effect, SendReceipt)]
        super().finish(work, now)


def _anybody(clip: Clip) -> CloudRule:
    del clip
    return "overflow"


class _TellsAll(WatchedTurn):
    """What a camera says of the cloud is not heard."""

    def make_core(self, epoch: int) -> HubCore:
        core = super().make_core(epoch)
        if core.cloud is not None:
            core.cloud._scene.rule = _anybody  # type: ignore[method-assign]
        return core


def _hub_with(turn: type[WatchedTurn]) -> type[HubProcess]:
    return type(turn.__name__, (HubProcess,), {"turn_type": turn})


@dataclass(frozen=True, slots=True)
class Planted:
    """A hub with a mistake, and the invariant that it breaks."""

    said: str
    hub: type[HubProcess]
    breaks: str


PLANTED = {
    "no-token": Planted("results count whatever their token", _hub_with(_NoToken), "one result"),
    "acknowledge-first": Planted(
        "receipts go out before the commit", _hub_with(_AcknowledgesFirst), "acknowledged"
    ),
    "no-requeue": Planted("clips that workers lose are forgotten", _hub_with(_NoRequeue), "counts"),
    "no-secret": Planted("clips of any camera leave the house", _hub_with(_TellsAll), "at home"),
    "no-window": Planted("windows are ignored", _hub_with(_NoWindow), "window"),
}
