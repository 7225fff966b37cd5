"""How the cloud stands, asked of AWS and of the hub; what one cannot say the other may."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from meerkat_cloud_burst.aws.clients import Clients
from meerkat_cloud_burst.aws.group import AutoScalingFleet
from meerkat_cloud_burst.aws.queues import SqsOrderQueue
from meerkat_cloud_burst.aws.stack import Stack
from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.ports import FleetState, QueueState
from meerkat_cloud_burst.settings import BurstSettings

from .hub import Hub, HubSilent
from .prices import unbooked
from .stacks import Stacks


@dataclass(frozen=True, slots=True)
class Seen:
    """`fleet` and `queue` are None where AWS could not be asked, `hub` where the hub did not answer."""

    fleet: FleetState | None
    queue: QueueState | None
    hub: Mapping[str, Any] | None
    hub_silent: str = ""
    trouble: tuple[str, ...] = field(default=())
    """What is wrong, each with its remedy."""


def look(clients: Clients, settings: BurstSettings, hub: Hub) -> Seen:
    trouble: list[str] = []
    fleet = queue = None
    try:
        names = Stack(clients, settings.stack).names()
        queue = SqsOrderQueue(clients, names.jobs, names.dead).look()
        if settings.fleet == "asg":
            trouble.extend(_unbooked(clients, settings))
            group = AutoScalingFleet(clients, names.group, settings.stack, settings.max_instances)
            fleet = group.look()
            if fleet.trouble is not None:
                trouble.append(str(fleet.trouble))
            if fleet.orphans:
                ids = ", ".join(orphan.id for orphan in fleet.orphans)
                trouble.append(f"{ids}: no group counts it, and it costs. `meerkat burst stop` ends it")
    except CloudError as error:
        trouble.append(str(error))
    if queue is not None and queue.dead:
        trouble.append(
            f"{queue.dead} orders in the dead-letter queue: no worker could do them. The running hub takes "
            "them back and looks at them at home"
        )
    try:
        view = hub.burst()
    except HubSilent as silent:
        return Seen(fleet, queue, None, str(silent), tuple(trouble))
    said = str(view.get("state", {}).get("trouble", ""))
    if said and said not in trouble:
        trouble.append(said)
    return Seen(fleet, queue, view, "", tuple(trouble))


def _unbooked(clients: Clients, settings: BurstSettings) -> Iterator[str]:
    found = Stacks(clients, settings.stack, say=lambda _line: None).find()
    if found is not None and (wrong := unbooked(settings, found.parameters)):
        yield wrong
