"""The whole cloud of a configuration, opened at once: what the hub's agent and a worker stand on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from meerkat_cloud_burst.ports import ClipStore, Fleet, OrderQueue, ResultQueue
from meerkat_cloud_burst.settings import BurstSettings

from .clients import Clients
from .external import ExternalFleet
from .group import AutoScalingFleet
from .queues import SqsOrderQueue, SqsResultQueue
from .stack import Stack, StackNames
from .store import S3Store


@dataclass(frozen=True, slots=True)
class Cloud:
    fleet: Fleet
    store: ClipStore
    orders: OrderQueue
    results: ResultQueue
    clients: Clients
    names: StackNames


def open_cloud(
    settings: BurstSettings,
    *,
    names: StackNames | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Cloud:
    """Asks CloudFormation for the stack's names unless they are given. Raises CloudError."""
    clients = Clients.of(settings)
    names = names or Stack(clients, settings.stack).names()
    fleet: Fleet
    if settings.fleet == "external":
        fleet = ExternalFleet(settings.max_instances, clock=clock)
    else:
        fleet = AutoScalingFleet(clients, names.group, settings.stack, settings.max_instances)
    return Cloud(
        fleet=fleet,
        store=S3Store(clients, names.bucket),
        orders=SqsOrderQueue(clients, names.jobs, names.dead),
        results=SqsResultQueue(clients, names.results),
        clients=clients,
        names=names,
    )
