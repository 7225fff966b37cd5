"""Puts a cloud worker together as its plan says, and runs it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from dataclasses import replace

from meerkat_cloud_burst.aws.clients import Clients
from meerkat_cloud_burst.aws.group import leave
from meerkat_cloud_burst.aws.queues import SqsOrderQueue, SqsResultQueue
from meerkat_cloud_burst.aws.stack import Stack
from meerkat_cloud_burst.aws.store import S3Store
from meerkat_cloud_burst.errors import CloudError

from .doing import Cloud, Doing
from .loop import CloudWorker
from .metadata import Identity, Metadata, NoticeWatch
from .models import Models
from .plan import Plan

PAUSES = (1.0, 2.0, 4.0)
"""Seconds between the questions who this instance is: just after its boot nobody may know yet."""


def serve(plan: Plan) -> int:
    """Until the worker ends; its exit status. Raises UsageError or CloudError when it cannot begin."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # nothing is in hand yet
    given = plan.named  # a mistake there is told before anything is waited for
    metadata = Metadata()
    identity = None if plan.idle_grace is None else identify(metadata, needed=bool(plan.group))
    clients = Clients(region=plan.region or (identity.region if identity else ""), endpoint=plan.endpoint)
    cloud, group = _given(plan, clients) if given else _of_stack(plan, clients)
    if identity is not None and group:
        cloud = replace(cloud, leave=lambda: leave(clients, identity.instance))
    name = identity.instance if identity else plan.name
    models = Models(cloud.store.fetch_clip, model=plan.model, engine=plan.engine, folders=plan.folders)
    doing = Doing(cloud, models, name)
    worker = CloudWorker(doing, idle_grace=plan.idle_grace, identity=identity, visibility=plan.visibility)
    watch = NoticeWatch(metadata, worker.notice) if identity else None
    if watch is not None:
        watch.start()
    status = worker.run()
    if watch is not None:
        watch.stop()
    if not worker.idle:  # a detector that hangs is no reason to stay
        logging.shutdown()
        os._exit(status)
    models.close()
    return status


def identify(metadata: Metadata, *, needed: bool) -> Identity | None:
    """Who this instance is. `needed`: its group is known, so that it costs money and must end itself.

    Raises CloudError when it is needed and nobody tells: better no worker than one that never ends.
    """
    identity = metadata.identity()
    if not needed or metadata.disabled:
        return identity
    for pause in PAUSES:
        if identity is not None:
            return identity
        time.sleep(pause)
        identity = metadata.identity()
    if identity is None:
        raise CloudError(
            "this machine is to take itself out of its group at the end, and nobody tells it which one it is",
            where="MEERKAT_BURST_GROUP",
            remedy="On a PC of yours leave the group out and add --stay; on EC2 the metadata service must "
            "be enabled",
        )
    return identity


def _given(plan: Plan, clients: Clients) -> tuple[Cloud, str]:
    return _cloud(clients, plan.bucket, plan.jobs, plan.results), plan.group


def _of_stack(plan: Plan, clients: Clients) -> tuple[Cloud, str]:
    names = Stack(clients, plan.stack).names()
    return _cloud(clients, names.bucket, names.jobs, names.results), plan.group or names.group


def _cloud(clients: Clients, bucket: str, jobs: str, results: str) -> Cloud:
    # A worker buries no dead letters: it needs no address of theirs, nor the right to read them.
    return Cloud(S3Store(clients, bucket), SqsOrderQueue(clients, jobs, ""), SqsResultQueue(clients, results))
