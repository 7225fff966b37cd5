"""Make, change and delete the stack. What fails is told with its cause, and can be typed again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from meerkat_cloud_burst.aws.clients import Clients
from meerkat_cloud_burst.aws.stack import TAG
from meerkat_cloud_burst.errors import CloudError

from .progress import Progress

_DEAD = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS", "DELETE_FAILED")
"""A stack of which nothing works: it can only be deleted and made anew."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """The stack as it is."""

    id: str
    status: str
    outputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def dead(self) -> bool:
        return self.status in _DEAD


class Stacks:
    def __init__(
        self, clients: Clients, name: str, *, say: Say, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._clients = clients
        self._name = name
        self._say = say
        self._pause = pause

    def find(self) -> Found | None:
        """None where there is no stack of this name. Raises CloudError."""
        with self._asking("looking for the stack") as client:
            try:
                stack = client.describe_stacks(StackName=self._name)["Stacks"][0]
            except client.exceptions.ClientError as error:
                if "does not exist" in str(error):
                    return None
                raise
        return Found(
            str(stack["StackId"]),
            str(stack["StackStatus"]),
            {str(one["OutputKey"]): str(one["OutputValue"]) for one in stack.get("Outputs", ())},
            {
                str(one["ParameterKey"]): str(one.get("ParameterValue", ""))
                for one in stack.get("Parameters", ())
            },
        )

    def create(self, template: str, parameters: Mapping[str, str]) -> None:
        """Until it is there. Raises CloudError when it could not be made: then nothing of it is left."""
        with self._asking("making the stack") as client:
            made = client.create_stack(
                StackName=self._name,
                TemplateBody=template,
                Parameters=[
                    {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
                ],
                Capabilities=["CAPABILITY_IAM"],
                Tags=[{"Key": TAG, "Value": self._name}],
                OnFailure="DELETE",
            )
        self._progress(str(made["StackId"]), told=False).follow("CREATE_COMPLETE")

    def update(self, template: str, parameters: Mapping[str, str], found: Found) -> bool:
        """With all of the template's parameters. False: everything is so already."""
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        progress = self._progress(found.id)
        with self._asking("changing the stack") as client:
            try:
                client.update_stack(
                    StackName=self._name,
                    TemplateBody=template,
                    Parameters=given,
                    Capabilities=["CAPABILITY_IAM"],
                    Tags=[{"Key": TAG, "Value": self._name}],
                )
            except client.exceptions.ClientError as error:
                if "No updates are to be performed" in str(error):
                    return False
                raise
        progress.follow("UPDATE_COMPLETE")
        return True

    def delete(self, found: Found) -> None:
        """Until it is gone. The bucket must be empty, and its policies attached to nobody."""
        progress = self._progress(found.id)
        with self._asking("deleting the stack") as client:
            client.delete_stack(StackName=self._name)
        try:
            progress.follow("DELETE_COMPLETE")
        except CloudError as error:
            if error.cause != "missing":  # a deleted stack is forgotten after a while, by an emulator at once
                raise

    def _progress(self, stack: str, *, told: bool = True) -> Progress:
        return Progress(self._clients, stack, say=self._say, pause=self._pause, told=told)

    def _asking(self, doing: str) -> Any:
        return self._clients.asking("cloudformation", doing, f"stack {self._name}")
