"""A core that can do nothing asks to be woken for nothing: otherwise the hub turns without end."""

from __future__ import annotations

from hub_support.core_driver import CoreDriver
from meerkat_hub.core.inputs import BusChanged


def test_while_the_broker_is_away_no_pause_of_a_worker_wakes_the_hub(core: CoreDriver) -> None:
    core.worker()
    clip = core.clip(1)
    core.answer(clip, state="failed", retry=True, reason="window full", begun=False)
    wake = core.core.wake_at()
    assert wake is not None, "the worker's pause will be over"
    core.do(BusChanged(up=False))
    core.turn(5.0)
    wake = core.core.wake_at()
    assert wake is None or wake > core.mono
    core.do(BusChanged(up=True))
    assert [job.clip.id for job in core.jobs()] == [clip.id, clip.id]
