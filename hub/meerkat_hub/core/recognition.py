"""Who somebody is: what the core asks of a gallery of known people."""

from __future__ import annotations

from typing import Protocol


class Match(Protocol):
    """The nearest known person, if near enough to be named."""

    @property
    def person(self) -> str | None:
        """None: nobody known, at the threshold of the gallery."""
        ...

    @property
    def distance(self) -> float:
        """To the nearest known face, in the embedder's measure; infinite when nobody is known."""
        ...


class Recogniser(Protocol):
    """A gallery at one moment: the same question has the same answer until somebody is enrolled."""

    def who(self, embedding: bytes, model_sha256: str) -> Match:
        """`embedding` is little-endian float32, as the model of this hash describes a face.

        Embeddings of another model cannot be compared: then nobody is known.
        """
        ...
