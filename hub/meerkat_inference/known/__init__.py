"""Pictures whose content is known, and what each model of the catalogue finds in them: for `verify`.

The pictures are our own: two frames of the rendered porch and a painted face. They and `published.json`
are made by benchmarks/known_pictures.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from meerkat_inference.detector import Found
from meerkat_inference.picture import decode_jpeg

if TYPE_CHECKING:
    from meerkat_inference.picture import Picture


@dataclass(frozen=True, slots=True)
class Known:
    """One picture and the object that everybody who knows its label must find."""

    name: str
    label: str
    box: tuple[float, float, float, float]

    def load(self) -> Picture:
        """(height, width, 3) BGR"""
        return decode_jpeg(files(__package__).joinpath(f"{self.name}.jpg").read_bytes())


PICTURES: tuple[Known, ...] = (
    Known("person", "person", (0.505, 0.355, 0.12, 0.465)),
    Known("car", "car", (0.25, 0.41, 0.345, 0.22)),
    Known("face", "face", (0.45, 0.355, 0.14, 0.293)),
)


@dataclass(frozen=True, slots=True)
class Published:
    """What a model finds and costs on the reference: its first engine on one core of an AMD EPYC."""

    engine: str
    milliseconds: float
    founds: dict[str, tuple[Found, ...]]
    """By picture, those that score at least 0.3."""
    embedding: tuple[float, ...] = ()
    """Of the face, for an embedder."""


@cache
def published() -> dict[str, Published]:
    """By the model's name."""
    data = json.loads(files(__package__).joinpath("published.json").read_text(encoding="utf-8"))
    return {
        name: Published(
            entry["engine"],
            entry["milliseconds"],
            {
                picture: tuple(Found(label, score, tuple(box)) for label, score, box in founds)
                for picture, founds in entry["founds"].items()
            },
            tuple(entry.get("embedding", ())),
        )
        for name, entry in data.items()
    }


CORAL_MILLISECONDS = {
    "ssdlite-mobiledet": 9.1,
    "ssd-mobilenet-v2": 7.3,
    "ssd-mobilenet-v2-face": 5.2,
}
"""One inference with USB 3 and a desktop processor, as coral.ai/models/object-detection states it."""
