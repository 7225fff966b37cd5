"""Stop what runs, and take the stack away: both work without the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from meerkat_cloud_burst.aws.clients import Clients
from meerkat_cloud_burst.aws.group import AutoScalingFleet
from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.settings import BurstSettings

from .bucket import Bucket
from .stacks import Found, Stacks

Say = Callable[[str], None]
POLICIES = ("HubPolicy", "WorkerPolicy")
"""Outputs that name a policy which people attach to their users: IAM keeps one that is in use."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """What was ended: ids of instances, those that no group counted among them."""

    instances: tuple[str, ...]
    orphans: tuple[str, ...]


def stop(clients: Clients, settings: BurstSettings, group: str) -> Stopped:
    """End every machine and ask for none. Raises CloudError; ends what it can before that."""
    fleet = AutoScalingFleet(clients, group, settings.stack, settings.max_instances)
    state = fleet.look()
    instances = tuple(each.id for each in state.instances if each.state != "ending")
    orphans = tuple(each.id for each in state.orphans)
    refused: CloudError | None = None
    try:
        # First these, then the group's size: AWS ends none that would bring the group below its minimum.
        fleet.end((*instances, *orphans))
    except CloudError as error:
        refused = error
    fleet.set_desired(0)
    left = fleet.look().orphans if refused else ()
    if refused and any(orphan.state != "ending" for orphan in left):
        raise refused  # those of the group it ends by itself now
    return Stopped(instances, orphans)


def teardown(clients: Clients, settings: BurstSettings, stacks: Stacks, found: Found, say: Say) -> None:
    """Machines, objects, attachments, the stack: in this order, so that each can be typed again."""
    if group := found.outputs.get("Group"):
        try:
            stopped = stop(clients, settings, group)
        except CloudError as error:
            if error.cause != "missing":
                raise
        else:
            ended = len(stopped.instances) + len(stopped.orphans)
            say(f"{ended} machines ended" if ended else "no machine runs")
    if name := found.outputs.get("Bucket"):
        try:
            count = Bucket(clients, name).empty(say)
        except CloudError as error:
            if error.cause != "missing":
                raise
        else:
            say(f"bucket {name} is empty, {count} objects were in it")
    for output in POLICIES:
        if policy := found.outputs.get(output):
            for holder in _detach(clients, policy):
                say(f"{output} taken from {holder}")
    stacks.delete(found)


def _detach(clients: Clients, policy: str) -> Iterator[str]:
    """Take the policy from users, groups and roles outside of the stack; those of the stack go with it."""
    with clients.asking("iam", "looking who has a policy of the stack", policy) as client:
        try:
            pages = list(client.get_paginator("list_entities_for_policy").paginate(PolicyArn=policy))
        except client.exceptions.NoSuchEntityException:
            return
        for page in pages:
            for user in _names(page, "PolicyUsers", "UserName"):
                client.detach_user_policy(UserName=user, PolicyArn=policy)
                yield f"user {user}"
            for group in _names(page, "PolicyGroups", "GroupName"):
                client.detach_group_policy(GroupName=group, PolicyArn=policy)
                yield f"group {group}"
            for role in _names(page, "PolicyRoles", "RoleName"):
                if "-WorkerRole-" not in role:
                    client.detach_role_policy(RoleName=role, PolicyArn=policy)
                    yield f"role {role}"


def _names(page: dict[str, Any], kind: str, key: str) -> list[str]:
    return [str(each[key]) for each in page.get(kind, ())]
