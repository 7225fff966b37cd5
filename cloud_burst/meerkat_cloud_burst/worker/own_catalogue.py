"""A model of the owner's own: its entry comes from the bucket, where `meerkat burst deploy` put it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from meerkat_cloud_burst.errors import Gone
from meerkat_cloud_burst.messages import OWN_CATALOGUE, model_key
from meerkat_contract.errors import MeerkatError, ModelError, StorageError
from meerkat_inference import catalogue, store
from meerkat_inference.catalogue import Entry

_VARIABLE = "MEERKAT_CATALOGUE"


def find_entry(name: str, fetch: Callable[[str, Path], None]) -> Entry:
    """The catalogue's entry of that name, else that of the owner's catalogue in the bucket.

    A machine whose owner named a catalogue ($MEERKAT_CATALOGUE) keeps to it. Raises ModelError for a name
    that stands nowhere, UsageError for a catalogue that cannot be read, StorageError, CloudError.
    """
    try:
        return catalogue.get(name)
    except ModelError:
        if os.environ.get(_VARIABLE):
            raise
        gone = False
        path = store.cache_folder() / OWN_CATALOGUE
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fetch(model_key(OWN_CATALOGUE), path)
        except Gone:
            gone = True
        except OSError as error:
            raise StorageError(
                f"the owner's catalogue cannot be kept ({error.strerror})",
                where=str(path),
                remedy="Free space there, or set XDG_CACHE_HOME to a folder that can be written",
            ) from error
        if gone:
            raise
    os.environ[_VARIABLE] = str(path)
    try:
        return catalogue.get(name)
    except MeerkatError:
        del os.environ[_VARIABLE]
        raise
