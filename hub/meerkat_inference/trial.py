"""Does it see at all? A look at pictures whose content is known, before a model's answers are believed.

An accelerator with the wrong build of its library, a stick that is too hot, a network of which half is
computed wrongly: each may answer every picture with nothing, and no answer shows it. The house would be
told that all is quiet. So a worker tries each model as it loads it; whatever fails is not offered.

Here is only asked whether it works. How well it agrees with the published boxes is asked by `verify`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from meerkat_contract.errors import ModelError

from . import catalogue, known
from .tracker import overlap

if TYPE_CHECKING:
    from meerkat_contract.messages import ModelInfo

    from .catalogue import Entry
    from .detector import Detector

OVERLAP = 0.4
"""Intersection over union with the published box that is enough for having seen it."""
SCORE = 0.3
"""And the score: published are at least 0.5, and engines round differently."""
_SURE = 0.5
"""Published boxes of this score are what must be found."""
_HELP = "`meerkat worker verify` compares every model and device of this machine with what they should find"


def must_see(detector: Detector, entry: Entry) -> None:
    """Raises ModelError when it does not see what this model is known to see.

    A model with published boxes must find the first of them; another of the catalogue must find anything
    at all in the pictures that show what it knows. An owner's own model may know only what these do not show.
    """
    if catalogue.own_file(entry.name) is not None:
        return
    table = known.published().get(entry.name)
    shown = [each for each in known.PICTURES if table is not None or each.label in entry.labels]
    for each in shown:
        founds = detector.detect(each.load())
        if table is None:
            if founds:
                return
            continue
        published = (one for one in table.founds.get(each.name, ()) if one.label == each.label)
        wanted = next((one for one in published if one.score >= _SURE), None)
        if wanted is None:
            continue
        alike = (one for one in founds if one.label == wanted.label and one.score >= SCORE)
        if any(overlap(one.box, wanted.box) >= OVERLAP for one in alike):
            return
        raise unfit(entry, detector, f"does not see the {wanted.label} in a picture that it is known to see")
    if shown and table is None:
        what = " or ".join(each.label for each in shown)
        raise unfit(entry, detector, f"sees nothing at all in pictures of a {what}")


class Model(Protocol):
    """What loads: a detector, an embedder."""

    @property
    def info(self) -> ModelInfo: ...


def unfit(entry: Entry, model: Model, what: str) -> ModelError:
    """What to raise when the model, loaded from this entry, does `what`."""
    device = getattr(model, "device", "cpu")
    return ModelError(
        f"{entry.name} on {model.info.engine}, {device}, {what}", where=entry.task, remedy=_HELP
    )
