"""A stack that is followed: each event is told once, and a failure by its first cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from meerkat_cloud_burst.aws.clients import Clients
from meerkat_cloud_burst.burst.progress import PATIENCE, PAUSE, Progress
from meerkat_cloud_burst.errors import CloudError

STACK = "arn:aws:cloudformation:eu-central-1:1:stack/meerkat-burst/5f1c"


class Script:
    """CloudFormation, as it stands at each look: a status, and all events so far, the newest first."""

    def __init__(self, *looks: tuple[str, list[tuple[str, str, str]]]) -> None:
        self.looks = list(looks)
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.looks) > 1:
            self.looks.pop(0)

    @contextmanager
    def asking(self, service: str, doing: str, where: str) -> Iterator[Any]:
        yield self

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        assert StackName == STACK
        return {"Stacks": [{"StackStatus": self.looks[0][0]}]}

    def get_paginator(self, name: str) -> Script:
        return self

    def paginate(self, StackName: str) -> list[dict[str, Any]]:
        events = [
            {
                "EventId": f"{name} {status}",
                "LogicalResourceId": name,
                "ResourceType": "AWS::EC2::VPC",
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
                "Timestamp": datetime(2026, 11, 20, 21, 40, tzinfo=UTC),
            }
            for name, status, reason in self.looks[0][1]
        ]
        return [{"StackEvents": events[::-1]}]


def progress(script: Script, said: list[str], *, told: bool = True) -> Progress:
    return Progress(cast(Clients, script), STACK, say=said.append, pause=script.pause, told=told)


BEGUN = ("Network", "CREATE_IN_PROGRESS", "")
THERE = ("Network", "CREATE_COMPLETE", "")
ROLE = ("WorkerRole", "CREATE_FAILED", "User: a is not authorized to perform: iam:CreateRole on resource: r")
CANCELLED = ("Bucket", "CREATE_FAILED", "Resource creation cancelled")


def test_each_event_is_said_once() -> None:
    script = Script(
        ("CREATE_IN_PROGRESS", [BEGUN]), ("CREATE_IN_PROGRESS", [BEGUN]), ("CREATE_COMPLETE", [BEGUN, THERE])
    )
    said: list[str] = []
    progress(script, said, told=False).follow("CREATE_COMPLETE")
    assert [line.partition("  ")[2] for line in said] == [
        "Network (EC2 VPC) is being made",
        "Network (EC2 VPC) is there",
    ]
    assert script.pauses == [PAUSE, PAUSE]


def test_what_was_before_is_not_said_again() -> None:
    script = Script(("UPDATE_COMPLETE", [BEGUN, THERE]))
    said: list[str] = []
    progress(script, said).follow("UPDATE_COMPLETE")
    assert said == []


@pytest.mark.parametrize("end", ["DELETE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_failure_is_told_by_what_failed_first(end: str) -> None:
    script = Script(("CREATE_IN_PROGRESS", [BEGUN]), (end, [BEGUN, ROLE, CANCELLED]))
    said: list[str] = []
    with pytest.raises(CloudError, match="WorkerRole failed") as caught:
        progress(script, said, told=False).follow("CREATE_COMPLETE")
    assert caught.value.cause == "permission"
    assert caught.value.where == "stack meerkat-burst"
    assert "iam:CreateRole" in caught.value.remedy
    assert "WorkerRole (EC2 VPC) failed: User: a is not authorized" in said[1]


def test_it_does_not_wait_for_ever() -> None:
    script = Script(("CREATE_IN_PROGRESS", []))
    with pytest.raises(CloudError, match="30 minutes"):
        progress(script, []).follow("CREATE_COMPLETE")
    assert sum(script.pauses) == PATIENCE
