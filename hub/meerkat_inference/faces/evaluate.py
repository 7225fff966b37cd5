"""Evaluate an embedder on pictures of people: one folder per person, as they are and varied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from meerkat_contract.errors import MediaError
from meerkat_inference.detector import Detector

from .embedder import Embedder
from .measuring import Probe
from .pictures import Portrait, faces_in, portrait
from .variations import variations


def describe_people(
    people: Sequence[tuple[str, Sequence[Path]]],
    embedder: Embedder,
    detector: Detector,
    *,
    vary: bool,
    tell: Callable[[str], None],
    advance: Callable[[], None],
) -> list[Probe]:
    """A probe for each picture and each of its variations.

    A picture without exactly one face is left out, and `tell` takes a line that says why; `advance` is
    called after each file. The face is looked for anew in each variation: one in which the detector
    finds none is a probe without an embedding. Raises ModelError when a network fails.
    """
    probes: list[Probe] = []
    for person, files in people:
        for path in files:
            try:
                whole = portrait(path, detector)
            except MediaError as error:
                tell(str(error))
            else:
                probes += _probes(person, whole, embedder, detector, vary=vary)
            advance()
    return probes


def _probes(
    person: str, whole: Portrait, embedder: Embedder, detector: Detector, *, vary: bool
) -> list[Probe]:
    name = whole.path.name
    seen = embedder.describe(whole.picture, whole.found.box)
    probes = [Probe(person, name, "", seen.embedding, seen.quality)]
    if not vary:
        return probes
    for variation, picture in variations(whole.picture, whole.found.box):
        faces = faces_in(picture, detector)
        if not faces:
            probes.append(Probe(person, name, variation, None, 0.0))
            continue
        seen = embedder.describe(picture, max(faces, key=lambda face: face.box[2] * face.box[3]).box)
        probes.append(Probe(person, name, variation, seen.embedding, seen.quality))
    return probes
