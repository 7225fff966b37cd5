"""Brings the model that the hub wants used to this machine: fetched from the hub, its hash checked."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from meerkat_contract.errors import ModelError
from meerkat_contract.messages import Deploy

from . import catalogue, store
from .detector import FALLBACK

SECONDS = 120.0
"""The whole fetch: a hub is near, and jobs wait."""

_logger = logging.getLogger(__name__)


def bring_model(order: Deploy, *, folders: Sequence[Path] = ()) -> None:
    """Fetch the order's model into the user's cache unless it is here.

    Each of its files is asked for at <address>/api/models/<its sha256>, then where the catalogue says.
    An order without a model leaves the choice to the worker. Raises ModelError: a model nobody knows
    here, for another task, another file than the hub's, or not to be had; StorageError for a full disk.
    """
    if order.model in ("", FALLBACK):
        return
    entry = catalogue.get(order.model)
    if entry.task != order.task:
        raise ModelError(
            f"model {entry.name} is for {entry.task}, not for {order.task}",
            where="deploy",
            remedy="Name a model of that task",
        )
    if order.sha256 and entry.model.pinned and order.sha256 != entry.model.sha256:
        raise ModelError(
            f"the hub means another file by {entry.name} ({order.sha256[:12]}… against "
            f"{entry.model.sha256[:12]}… here)",
            where="deploy",
            remedy="Install the same version of Meerkat on both machines",
        )
    if store.locate(entry, folders=folders) is not None:
        return
    from .download import Patience, pull

    _logger.info("Fetching model %s, %.1f MB", entry.name, entry.size / 1e6)
    patience = Patience(attempts=2, connect=5.0, stall=10.0, total=SECONDS)
    pull(entry, patience=patience, hub=order.address)
