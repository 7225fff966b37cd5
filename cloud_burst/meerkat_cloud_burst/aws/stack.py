"""What the CloudFormation stack made, by the names of its outputs (cloud_burst/template.yaml)."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from meerkat_cloud_burst.errors import CloudError

from .clients import Clients

TAG = "meerkat:stack"
"""Every instance of the stack bears it; its value is the stack's name."""

OUTPUTS = ("Bucket", "Jobs", "Results", "Dead", "Group")


@dataclass(frozen=True, slots=True)
class StackNames:
    """`jobs`, `results` and `dead` are the queues' URLs, `group` the name of the Auto Scaling group."""

    bucket: str
    jobs: str
    results: str
    dead: str
    group: str


class Stack:
    """Asks CloudFormation once. May be used by several threads."""

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients = clients
        self.name = name
        self._lock = threading.Lock()
        self._names: StackNames | None = None

    def names(self) -> StackNames:
        """Raises CloudError: `missing` when the stack is not there, or not of this shape."""
        with self._lock:
            if self._names is None:
                self._names = self._ask()
            return self._names

    def _ask(self) -> StackNames:
        where = f"stack {self.name}"
        with self._clients.asking("cloudformation", "looking for the stack", where) as client:
            stack = client.describe_stacks(StackName=self.name)["Stacks"][0]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
        absent = [name for name in OUTPUTS if not outputs.get(name)]
        if absent:
            status = stack.get("StackStatus", "unknown")
            raise CloudError(
                f"it does not name {', '.join(absent)} (its status is {status})",
                cause="missing",
                where=where,
                remedy="Wait until it is made, or make it anew: meerkat burst deploy",
            )
        return StackNames(*(str(outputs[name]) for name in OUTPUTS))
