"""Flows that different workers may take wait side by side."""

from __future__ import annotations

from hub_support.core_driver import an_id
from meerkat_contract.messages import ModelInfo, TaskInfo, WorkerState
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.pool.work import Flow, Item


def test_a_group_of_which_all_is_dealt_out_does_not_stop_the_others() -> None:
    pool = Pool()
    pool.open(Flow("clips", "detect_objects"))
    pool.open(Flow("frames", "detect_faces"))
    model = ModelInfo(name="test")
    for name, task in (("first", "detect_objects"), ("second", "detect_faces")):
        tasks = (TaskInfo(task=task, model=model, frames_per_second=10),)
        pool.seen(WorkerState(worker=name, incarnation=an_id(1), online=True, tasks=tasks, window=2), 0.0)
    pool.add(Item("clip", "clips", cost=25), 1.0)
    pool.add(Item("frame", "frames", cost=1), 1.0)
    assert {(lease.item.id, lease.worker) for lease in pool.dispatch(1.0)} == {
        ("clip", "first"),
        ("frame", "second"),
    }
    assert pool.queues.waiting == {}
