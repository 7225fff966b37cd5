"""Each kind of thing that the hub asks of AWS, with whatever clients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cloud_support.orders import clip, order
from cloud_support.refusing_server import Refusal, RefusingServer
from meerkat_cloud_burst.aws.clients import Clients
from meerkat_cloud_burst.aws.group import AutoScalingFleet
from meerkat_cloud_burst.aws.queues import SqsOrderQueue
from meerkat_cloud_burst.aws.stack import Stack
from meerkat_cloud_burst.aws.store import S3Store
from meerkat_cloud_burst.errors import CloudError

QUEUE = "http://127.0.0.1/123456789012/jobs"


def put(clients: Clients, folder: Path) -> None:
    S3Store(clients, "clips").put_clip("clips/a-1", clip(folder), "video/mp4")


def put_elsewhere(clients: Clients, folder: Path) -> None:
    """boto3 remembers where a bucket is."""
    S3Store(clients, "elsewhere").put_clip("clips/a-1", clip(folder), "video/mp4")


def send(clients: Clients, _: Path) -> None:
    SqsOrderQueue(clients, QUEUE, QUEUE).send(order())


def find(clients: Clients, _: Path) -> None:
    Stack(clients, "meerkat-burst").names()


def scale(clients: Clients, _: Path) -> None:
    AutoScalingFleet(clients, "meerkat-workers", "meerkat-burst", 2).set_desired(1)


def look(clients: Clients, _: Path) -> None:
    AutoScalingFleet(clients, "meerkat-workers", "meerkat-burst", 2).look()


Action = Callable[[Clients, Path], None]


def told(server: RefusingServer, action: Action, refusal: Refusal, folder: Path) -> CloudError:
    server.refusal = refusal
    with pytest.raises(CloudError) as caught:
        action(server.clients, folder)
    error = caught.value
    assert error.what
    assert error.where
    return error
