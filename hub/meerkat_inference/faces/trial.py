"""Does an embedder tell anything apart? What `meerkat_inference.trial` asks of a detector, of this."""

from __future__ import annotations

import numpy as np

from meerkat_inference import known
from meerkat_inference.catalogue import Entry
from meerkat_inference.trial import unfit

from .embedder import Embedder

APART = 0.1
"""Of the threshold between two people: what a face and something else differ by at least."""


def must_tell_apart(embedder: Embedder, entry: Entry) -> None:
    """Raises ModelError when it describes a face and something else alike: then all people would be one."""
    assert entry.embedding is not None
    face, other = (next(each for each in known.PICTURES if each.label == label) for label in ("face", "car"))
    one, two = (embedder.describe(each.load(), each.box).embedding for each in (face, other))
    # A distance that is no number is not above anything.
    if not float(np.linalg.norm(one - two)) > APART * entry.embedding.threshold:
        raise unfit(entry, embedder, "describes a face and a car alike")
