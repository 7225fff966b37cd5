"""The fleet as an Auto Scaling group of EC2.

The group's MaxSize is AWS's own ceiling; below it `max_instances` of the configuration holds. A launch that
fails is told by nobody but the group's scaling activities: SetDesiredCapacity itself succeeds.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from meerkat_cloud_burst.errors import CloudError, Gone
from meerkat_cloud_burst.ports import FleetState, Instance

from .clients import Clients
from .errors import answered_at, launch_trouble
from .stack import TAG

log = logging.getLogger("meerkat.cloud")

ORPHAN = 60.0
"""Seconds after its launch from which an instance without a group is an orphan: EC2 knows a new one before
its group lists it."""

FAILED_LATELY = 300.0
"""Seconds for which a failed launch is told as the fleet's trouble; then one more is tried."""

_ALIVE = ("pending", "running", "stopping", "stopped")
_STATES: dict[str, Literal["pending", "running", "ending"]] = {"pending": "pending", "running": "running"}
"""EC2's states; all others are on their way out."""


class AutoScalingFleet:
    """The port Fleet. May be used by several threads."""

    def __init__(self, clients: Clients, group: str, stack: str, max_instances: int) -> None:
        """`group`: its name; `stack`: the value of the tag `meerkat:stack` on every instance."""
        self._clients = clients
        self._group = group
        self._stack = stack
        self._max_instances = max_instances

    def look(self) -> FleetState:
        # EC2 first: what is launched between the two questions is then missing here, and no orphan.
        machines, now = self._machines()
        group = self._describe()
        listed = {str(each["InstanceId"]): str(each.get("LifecycleState", "")) for each in group["Instances"]}
        instances = tuple(_instance(machines.get(id), id, lifecycle, now) for id, lifecycle in listed.items())
        orphans = tuple(
            orphan
            for id, machine in machines.items()
            if id not in listed
            and (now - (orphan := _instance(machine, id, "", now)).since).total_seconds() >= ORPHAN
        )
        desired = int(group["DesiredCapacity"])
        working = sum(instance.state != "ending" for instance in instances)
        return FleetState(
            desired=desired,
            maximum=self._ceiling(group),
            instances=instances,
            orphans=orphans,
            trouble=self._launch_trouble(now) if working < desired and not working else None,
        )

    def set_desired(self, count: int) -> None:
        with self._asking("asking for instances") as client:
            ceiling = self._ceiling(self._describe())
            client.set_desired_capacity(
                AutoScalingGroupName=self._group,
                DesiredCapacity=max(0, min(count, ceiling)),
                HonorCooldown=False,
            )

    def end(self, instances: Sequence[str]) -> None:
        """Each is tried; the first refusal is raised at the end. What is gone already is ended already."""
        refused: CloudError | None = None
        counted = self._counted(instances)
        for id in instances:
            try:
                if id in counted:
                    leave(self._clients, id)
                else:
                    self._end_orphan(id)
            except Gone:
                continue
            except CloudError as error:
                refused = refused or error
        if refused is not None:
            raise refused

    def _end_orphan(self, id: str) -> None:
        with self._clients.asking("ec2", "ending an instance", f"instance {id}") as client:
            found = client.describe_instances(InstanceIds=[id])
            for machine in _machines_of([found]):
                if _tag(machine) != self._stack:
                    raise CloudError(
                        f"it does not bear the tag {TAG}={self._stack}, so it is not ended",
                        where=f"instance {id}",
                        remedy="End it in the AWS console if it is yours to end",
                    )
            client.terminate_instances(InstanceIds=[id])

    def _counted(self, instances: Sequence[str]) -> set[str]:
        """Those that the group counts."""
        listed = {str(each["InstanceId"]) for each in self._describe()["Instances"]}
        return listed.intersection(instances)

    def _ceiling(self, group: dict[str, Any]) -> int:
        return min(self._max_instances, int(group["MaxSize"]))

    def _describe(self) -> dict[str, Any]:
        with self._asking("looking at the fleet") as client:
            answer = client.describe_auto_scaling_groups(AutoScalingGroupNames=[self._group])
        groups: list[dict[str, Any]] = answer["AutoScalingGroups"]
        if not groups:
            raise CloudError(
                "this Auto Scaling group is not there",
                cause="missing",
                where=f"group {self._group}",
                remedy="meerkat burst deploy makes it; if it is there, look at burst.stack and burst.region",
            )
        return groups[0]

    def _machines(self) -> tuple[dict[str, dict[str, Any]], datetime]:
        """EC2's view of every instance with the stack's tag, and Amazon's time."""
        with self._clients.asking("ec2", "looking at the instances", f"stack {self._stack}") as client:
            pages = list(
                client.get_paginator("describe_instances").paginate(
                    Filters=[
                        {"Name": f"tag:{TAG}", "Values": [self._stack]},
                        {"Name": "instance-state-name", "Values": list(_ALIVE)},
                    ]
                )
            )
        now = answered_at(pages[-1]) or datetime.now(UTC)
        return {str(machine["InstanceId"]): machine for machine in _machines_of(pages)}, now

    def _launch_trouble(self, now: datetime) -> CloudError | None:
        """Why the last launch failed, when that was lately and nothing has been launched since."""
        with self._asking("asking why nothing is launched") as client:
            answer = client.describe_scaling_activities(AutoScalingGroupName=self._group, MaxRecords=10)
        for activity in answer.get("Activities", ()):  # the newest first
            if not str(activity.get("Description", "")).startswith("Launching"):
                continue
            if activity.get("StatusCode") not in ("Failed", "Cancelled"):
                return None
            if (now - activity["StartTime"]).total_seconds() > FAILED_LATELY:
                return None
            return launch_trouble(
                str(activity.get("StatusMessage", "")),
                where=f"group {self._group}",
                region=self._clients.region,
            )
        return None

    def _asking(self, doing: str) -> Any:
        return self._clients.asking("autoscaling", doing, f"group {self._group}")


def leave(clients: Clients, instance: str) -> None:
    """End an instance and let its group hold one less, or it would launch another in its place.

    A worker ends itself with it. Raises Gone when no group counts this instance.
    """
    with clients.asking("autoscaling", "ending an instance", f"instance {instance}") as client:
        try:
            client.terminate_instance_in_auto_scaling_group(
                InstanceId=instance, ShouldDecrementDesiredCapacity=True
            )
        except ClientError as error:
            if "minSize" not in error.response["Error"].get("Message", ""):
                raise
            # Nothing is wanted of the group already, so that nothing replaces this one either.
            client.terminate_instance_in_auto_scaling_group(
                InstanceId=instance, ShouldDecrementDesiredCapacity=False
            )


def _machines_of(pages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        machine
        for page in pages
        for reservation in page.get("Reservations", ())
        for machine in reservation.get("Instances", ())
    ]


def _tag(machine: dict[str, Any]) -> str:
    return next((str(tag["Value"]) for tag in machine.get("Tags", ()) if tag["Key"] == TAG), "")


def _instance(machine: dict[str, Any] | None, id: str, lifecycle: str, now: datetime) -> Instance:
    """`machine` is None where EC2 does not list as alive what the group counts: just launched, or gone."""
    if machine is None:
        return Instance(id, "pending" if lifecycle.startswith("Pending") else "ending", now)
    state = _STATES.get(str(machine["State"]["Name"]), "ending")
    if lifecycle.startswith(("Terminat", "Detach")):
        state = "ending"
    life = "spot" if machine.get("InstanceLifecycle") == "spot" else "on-demand"
    return Instance(id, state, machine["LaunchTime"].astimezone(UTC), life)
