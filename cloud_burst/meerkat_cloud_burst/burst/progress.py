"""Follow a stack while CloudFormation works on it, and say in words what happens."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from meerkat_cloud_burst.aws.clients import Clients
from meerkat_cloud_burst.aws.errors import scrubbed
from meerkat_cloud_burst.aws.meanings import CODES
from meerkat_cloud_burst.errors import Cause, CloudError

PAUSE = 3.0
"""Seconds between two looks."""
PATIENCE = 1800.0
"""Seconds that a stack may take."""

_WORDS = {
    "CREATE_IN_PROGRESS": "is being made",
    "CREATE_COMPLETE": "is there",
    "UPDATE_IN_PROGRESS": "is being changed",
    "UPDATE_COMPLETE": "is changed",
    "DELETE_IN_PROGRESS": "is being deleted",
    "DELETE_COMPLETE": "is gone",
}
_ACTION = re.compile(r"not authorized to perform: ([a-zA-Z0-9-]+:[A-Za-z]+)")
_AFTERMATH = ("cancelled", "The following resource(s) failed", "Rollback requested")
"""What merely follows from another failure."""


class Progress:
    """One operation on one stack. `say` gets a line for each thing that happens."""

    def __init__(
        self,
        clients: Clients,
        stack: str,
        *,
        say: Callable[[str], None],
        pause: Callable[[float], None] = time.sleep,
        told: bool = True,
    ) -> None:
        """`stack`: its id, as a stack that is gone is known by nothing else. `told`: what has happened so
        far is not said again."""
        self._clients = clients
        self._stack = stack
        self._name = stack.split("/")[1] if "/" in stack else stack
        self._say = say
        self._pause = pause
        self._seen = {str(event["EventId"]) for event in self._events()} if told else set()
        self._failures: list[tuple[str, str]] = []

    def follow(self, wanted: str) -> None:
        """Until it is done. Raises CloudError with the first cause when its status is not `wanted` then."""
        waited = 0.0
        while True:
            status = self._status()
            for event in self._new_events():
                self._tell(event)
            if not status.endswith("_IN_PROGRESS"):
                break
            if waited >= PATIENCE:
                raise CloudError(
                    f"after {PATIENCE / 60:.0f} minutes it is still {status}",
                    where=f"stack {self._name}",
                    remedy="Look at its events in the CloudFormation console; the same command goes on later",
                )
            self._pause(PAUSE)
            waited += PAUSE
        if status != wanted:
            raise failure(self._name, status, self._failures)

    def _status(self) -> str:
        with self._clients.asking("cloudformation", "looking at the stack", f"stack {self._name}") as client:
            return str(client.describe_stacks(StackName=self._stack)["Stacks"][0]["StackStatus"])

    def _events(self) -> list[dict[str, Any]]:
        """The oldest first."""
        with self._clients.asking(
            "cloudformation", "reading the stack's events", f"stack {self._name}"
        ) as client:
            pages = client.get_paginator("describe_stack_events").paginate(StackName=self._stack)
            found = [event for page in pages for event in page["StackEvents"]]
        return found[::-1]

    def _new_events(self) -> Iterator[dict[str, Any]]:
        for event in self._events():
            if event["EventId"] not in self._seen:
                self._seen.add(str(event["EventId"]))
                yield event

    def _tell(self, event: dict[str, Any]) -> None:
        name, status = str(event["LogicalResourceId"]), str(event["ResourceStatus"])
        kind = str(event.get("ResourceType", "")).removeprefix("AWS::").replace("::", " ")
        reason = str(event.get("ResourceStatusReason", ""))
        moment = event["Timestamp"].astimezone().strftime("%H:%M:%S")
        if status.endswith("_FAILED"):
            if not any(word in reason for word in _AFTERMATH):
                self._failures.append((name, reason))
            self._say(f"{moment}  {name} ({kind}) failed: {scrubbed(reason)}")
        elif status in _WORDS:
            self._say(f"{moment}  {name} ({kind}) {_WORDS[status]}")


def failure(stack: str, status: str, failures: list[tuple[str, str]]) -> CloudError:
    """What a failed stack is told as: the first thing that failed by itself, with its cause."""
    where = f"stack {stack}"
    if not failures:
        return CloudError(
            f"CloudFormation ended with {status}",
            where=where,
            remedy="Its events in the CloudFormation console say why",
        )
    name, reason = failures[0]
    cause: Cause = "other"
    remedy = "Mend it and type the same command again; nothing was left that costs"
    if found := _ACTION.search(reason):
        cause = "permission"
        remedy = f"Let the AWS user that you deploy with {found[1]}, or take an administrator's profile"
    elif code := next((code for code in sorted(CODES, key=len, reverse=True) if code in reason), ""):
        cause, remedy = CODES[code].cause, CODES[code].remedy
    return CloudError(f"{name} failed: {scrubbed(reason)}", cause=cause, where=where, remedy=remedy)
