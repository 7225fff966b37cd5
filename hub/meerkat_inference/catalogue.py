"""The models that Meerkat knows: where they come from, what they take, what their scores mean.

The data is `catalogue.toml`, in the order in which models are preferred. Nothing here imports a
runtime, so that `meerkat models` starts at once.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from meerkat_contract.errors import ModelError
from meerkat_contract.messages import Label
from meerkat_contract.vocabulary import LABELS

Task = Literal["detect_objects", "detect_faces"]
Point = tuple[float, Annotated[float, Field(ge=0, le=1)]]


class ModelFile(BaseModel):
    """One file of a model: what it is called on disk and upstream, and how to know it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["model", "config", "labels"]
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="on disk, unique in the catalogue")
    path: str = Field(description="in the upstream repository")
    bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Entry(BaseModel):
    """One model of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    title: str
    task: Task
    family: Literal["yolox", "ssd", "fastestdet", "darknet", "yunet", "slim"]
    engines: tuple[Literal["litert", "tflite_runtime", "onnxruntime", "opencv"], ...] = Field(min_length=1)
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name on GitHub")
    commit: str = Field(pattern=r"^[0-9a-f]{12,40}$", description="as many digits as are known")
    licence: str
    files: tuple[ModelFile, ...] = Field(min_length=1)
    input: tuple[int, int] = Field(description="width and height in pixels")
    fit: Literal["letterbox", "stretch"]
    nms: float = Field(0.45, gt=0, le=1, description="two boxes of a label that overlap more are one")
    vocabulary: Literal["coco", "own", "file"] = Field(
        description="coco: its 80; own: `words`; file: role labels"
    )
    words: tuple[Label, ...] = ()
    factors: dict[Label, Annotated[float, Field(gt=0, le=1)]] = Field(
        default_factory=dict, description="what the raw score of an often mistaken label is multiplied by"
    )
    calibration: tuple[Point, ...] = Field(min_length=3, description="raw score → house score, rising")
    calibrated_on: str = Field(description="where the calibration was measured")
    note: str = ""
    default: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Entry:
        raw, house = zip(*self.calibration, strict=True)
        if any(a >= b for points in (raw, house) for a, b in pairwise(points)):
            raise ValueError(f"{self.name}: the calibration does not rise")
        if house[0] != 0 or house[-1] != 1 or 0.5 not in house:
            raise ValueError(f"{self.name}: the calibration goes from 0 to 1 and has a point at 0.5")
        if [file.role for file in self.files].count("model") != 1:
            raise ValueError(f"{self.name}: exactly one file has the role model")
        return self

    @property
    def model(self) -> ModelFile:
        return next(file for file in self.files if file.role == "model")

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes in the house's words, by class number; empty when a file holds them."""
        return LABELS if self.vocabulary == "coco" else self.words

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.bytes for file in self.files)

    def urls(self, file: ModelFile) -> tuple[str, str]:
        """Where upstream serves it, pinned to the commit; the second is tried when the first fails."""
        return (
            f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{file.path}",
            f"https://github.com/{self.repository}/raw/{self.commit}/{file.path}",
        )


@cache
def entries() -> tuple[Entry, ...]:
    """Every model, the preferred first."""
    data = tomllib.loads(files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8"))
    return tuple(Entry.model_validate(item) for item in data["model"])


def get(name: str) -> Entry:
    """The entry of that name; raises ModelError that lists the names there are."""
    for entry in entries():
        if entry.name == name:
            return entry
    raise ModelError(
        f"no model is named {name!r}",
        where="model",
        remedy=f"Known: {', '.join(entry.name for entry in entries())}",
    )


def ranked(task: str) -> tuple[Entry, ...]:
    """The models of a task, the default first, then in the catalogue's order."""
    return tuple(sorted((e for e in entries() if e.task == task), key=lambda e: not e.default))


def default(task: str = "detect_objects") -> Entry:
    """The model that is fetched and used when nobody says otherwise."""
    return ranked(task)[0]
