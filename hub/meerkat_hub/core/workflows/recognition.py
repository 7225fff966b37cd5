"""Who somebody is: what the core asks of a gallery of known people (`gallery.Gallery` is one)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from meerkat_contract.messages import Face, ModelInfo


class Match(Protocol):
    """Who it is, or why nobody can say."""

    @property
    def person(self) -> str | None: ...

    @property
    def stranger(self) -> bool:
        """Well seen, and far from all who are known. Neither person nor stranger: nobody can tell."""
        ...

    @property
    def incomparable(self) -> bool:
        """Its numbers mean nothing here: whoever it is, nobody is known by them."""
        ...

    @property
    def reason(self) -> str:
        """In words."""
        ...


class Recogniser(Protocol):
    """A gallery: the same question has the same answer until somebody is enrolled."""

    def who_all(self, faces: Sequence[Face], model_sha256: str) -> Sequence[Match]:
        """The faces of one picture, described by the model of this hash, in their order."""
        ...

    def doubt(self, model: ModelInfo) -> str:
        """Why not all who are enrolled can be known by what this model says, and the remedy; empty when all
        can. It goes out on the bus, so it names nobody."""
        ...

    @property
    def known_by(self) -> str:
        """The hash of the model with which most people are enrolled; empty when nobody is."""
        ...
