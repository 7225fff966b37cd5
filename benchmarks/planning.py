"""What a plan of the orchestrator costs: 200 nodes, 1,000 cameras, CPU time.

    .venv/bin/python benchmarks/planning.py

A plan is made on the hub's thread, which deals out work as well: while it lasts, frames wait.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from meerkat_contract.messages import ModelInfo, TaskInfo, WorkerState
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import Policy, WorkflowSpec
from meerkat_hub.core.workflows.orchestrator import Orchestrator

NODES = 200
NOW = Now(datetime(2026, 11, 20, tzinfo=UTC), 0.0)
SEEN = {"rule": "seen"}
WHO = {"rule": "who_may_be_here"}

CASES: dict[str, tuple[int, int, dict[str, Any]]] = {
    "1 workflow of 1,000 cameras": (1, 1000, {}),
    "20 of 50 cameras": (20, 50, {}),
    "100 of 10 cameras": (100, 10, {}),
    "130 of 10 cameras, 2 frames/s: 30 wait": (130, 10, {"fps": 2.0}),
    "1,000 of 1 camera, detected there, one service": (1000, 1, {"measurement": "device"}),
    "20 of 50 cameras that no node is quick enough for": (20, 50, {"max_delay": 0.001}),
}


def a_node(number: int, chance: random.Random) -> WorkerState:
    speeds: dict[str, float] = {}
    if number % 4 >= 2:
        speeds["detect_objects"] = chance.uniform(5, 20)
    if number % 4 != 1:
        speeds["detect_faces"] = chance.uniform(20, 60)
    if number % 4 in (1, 2):
        speeds["recognise_faces"] = chance.uniform(20, 60)
    return WorkerState(
        worker=f"n{number:03}",
        incarnation=f"00000000-0000-7000-8000-{number:012x}",
        online=True,
        tasks=tuple(
            TaskInfo(task=task, model=ModelInfo(name=task), frames_per_second=fps, switch_seconds=2)
            for task, fps in speeds.items()
        ),
        energy=chance.uniform(2, 60),
    )


def milliseconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return 1000 * (time.process_time() - begin)


def measure(workflows: int, cameras: int, *, fps: float = 1.0, **more: Any) -> tuple[float, ...]:
    """ms: a request (mean, worst), nothing new, a figure that leaps, a node that leaves."""
    chance = random.Random(1)
    orchestrator = Orchestrator(Policy(gather=0.0))
    nodes = [a_node(number, chance) for number in range(NODES)]
    for node in nodes:
        orchestrator.node_seen(node, NOW)
    asked: list[float] = []
    for number in range(workflows):
        names = (f"d{number}-{camera}/c" for camera in range(cameras))
        body = {"cameras": dict.fromkeys(names, fps), "decision": WHO, "max_delay": 10.0, **more}
        spec = WorkflowSpec.model_validate(body)

        def ask(name: str = f"w{number}", spec: WorkflowSpec = spec) -> None:
            orchestrator.request(name, spec, NOW, wait=True)
            orchestrator.plan(NOW)

        asked.append(milliseconds(ask))
    nothing = milliseconds(lambda: orchestrator.plan(NOW))
    orchestrator.node_measured("n001", {"recognise_faces": 5.0}, 0.001, NOW)
    leaps = milliseconds(lambda: orchestrator.plan(NOW))
    used = next((o.node for state in orchestrator.states() for o in state.nodes), nodes[0].worker)
    gone = next(node for node in nodes if node.worker == used)
    orchestrator.node_seen(gone.model_copy(update={"online": False}), NOW)
    leaves = milliseconds(lambda: orchestrator.plan(NOW))
    return sum(asked) / len(asked), max(asked), nothing, leaps, leaves


def main() -> None:
    print(f"{NODES} nodes; ms of CPU time\n")
    print(f"{'':52}{'request':>9}{'worst':>9}{'nothing':>9}{'a leap':>9}{'a leave':>9}")
    for name, (workflows, cameras, more) in CASES.items():
        figures = measure(workflows, cameras, **more)
        print(f"{name:52}" + "".join(f"{figure:9.1f}" for figure in figures))


if __name__ == "__main__":
    main()
