"""The models that Meerkat knows: where they come from, what they take, what their scores mean.

The data is `catalogue.toml`, in the order in which models are preferred. Nothing here imports a
runtime, so that `meerkat models` starts at once.
"""

from __future__ import annotations

import os
import tomllib
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from meerkat_contract.errors import ModelError, UsageError
from meerkat_contract.messages import Label
from meerkat_contract.vocabulary import LABELS

Task = Literal["detect_objects", "detect_faces", "recognise_faces"]
EngineName = Literal["litert", "tflite_runtime", "onnxruntime", "opencv", "libdarknet", "darknet", "dlib"]
Place = Literal["home", "cloud"]
Point = tuple[float, Annotated[float, Field(ge=0, le=1)]]

_GAPS = frozenset({11, 25, 28, 29, 44, 65, 67, 68, 70, 82})
"""Class numbers that COCO's first list had and the final one lost."""


def _ninety() -> tuple[str, ...]:
    words = iter(LABELS)
    return tuple("" if number in _GAPS else next(words) for number in range(90))


COCO_90 = _ninety()
"""Labels by class number of a model with 90 classes; empty where a class was given up."""


class ModelFile(BaseModel):
    """One file of a model: what it is called on disk and upstream, and how to know it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["model", "config", "labels", "landmarks"]
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="on disk, unique in the catalogue")
    path: str = Field("", description="in the upstream repository, or in the package")
    release: str = Field(
        "", pattern=r"^[\w.-]*$", description="the tag of the release on GitHub that carries it, if one does"
    )
    bytes: int = Field(0, ge=0, description="0 only where sha256 is not known yet")
    sha256: str = Field(
        "",
        pattern=r"^([0-9a-f]{64})?$",
        description="empty where we never held the file: the first fetch notes it beside the file",
    )

    @model_validator(mode="after")
    def _whole(self) -> ModelFile:
        if bool(self.bytes) != bool(self.sha256):
            raise ValueError(f"{self.name}: bytes and sha256 are known both or not at all")
        return self

    @property
    def pinned(self) -> bool:
        """Whether its content is known beforehand."""
        return bool(self.sha256)


class Embedding(BaseModel):
    """What an embedder takes, and what the distance between two of its embeddings means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dimensions: int = Field(ge=8, le=4096)
    alignment: Literal["dlib", "arcface", "box"] = Field(
        description="dlib, arcface: eyes, nose and mouth are laid on that template; box: cut out with a rim"
    )
    rim: float = Field(0.2, ge=0, le=1, description="box: what is added on each side, in box sizes")
    colour: Literal["rgb", "bgr"] = "rgb"
    mean: float = Field(0.0, description="taken off each pixel value of 0..255")
    scale: float = Field(1.0, gt=0, description="what the rest is multiplied by")
    normalise: bool = Field(True, description="embeddings are brought to length 1")
    threshold: float = Field(gt=0, le=4, description="greatest Euclidean distance that may be one person")
    margin: float = Field(0.05, ge=0, le=4, description="the next person must be that much farther away")
    measured_on: str = Field(description="where threshold and margin come from")


class Entry(BaseModel):
    """One model of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    title: str
    task: Task
    family: Literal["yolox", "ssd", "fastestdet", "darknet", "yunet", "slim", "embedding", "dlib"]
    engines: tuple[EngineName, ...] = Field(min_length=1)
    devices: tuple[Literal["cpu", "edgetpu"], ...] = Field(
        ("cpu",), description="edgetpu alone: compiled for it, no other device runs it"
    )
    repository: str = Field("", pattern=r"^([\w.-]+/[\w.-]+)?$", description="owner/name on GitHub")
    commit: str = Field("", pattern=r"^([0-9a-f]{12,40})?$", description="as many digits as are known")
    branch: str = Field(
        "",
        pattern=r"^[\w./-]*$",
        description="where no commit is known: what it holds at the first fetch counts",
    )
    lfs: bool = Field(False, description="upstream keeps it in Git LFS, which has an address of its own")
    package: str = Field("", pattern=r"^\w*$", description="the Python package that carries it, if one does")
    licence: str
    files: tuple[ModelFile, ...] = Field(min_length=1)
    input: tuple[int, int] = Field(description="width and height in pixels")
    fit: Literal["letterbox", "stretch"] = "letterbox"
    nms: float = Field(0.45, gt=0, le=1, description="two boxes of a label that overlap more are one")
    vocabulary: Literal["coco", "coco90", "own", "file"] = Field(
        "own",
        description="coco: its 80; coco90: numbered as in its first list; own: `words`; file: role labels",
    )
    words: tuple[Label, ...] = ()
    factors: dict[Label, Annotated[float, Field(gt=0, le=1)]] = Field(
        default_factory=dict, description="what the raw score of an often mistaken label is multiplied by"
    )
    calibration: tuple[Point, ...] = Field((), description="raw score → house score, rising")
    calibrated_on: str = Field("", description="where the calibration was measured")
    embedding: Embedding | None = Field(None, description="of recognise_faces, in place of a calibration")
    note: str = ""
    default: bool = False
    place: Place = Field(
        "home", description="cloud: too large for a machine of the house, used there only when it is named"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Entry:
        if [file.role for file in self.files].count("model") != 1:
            raise ValueError(f"{self.name}: exactly one file has the role model")
        if (self.task == "recognise_faces") != (self.embedding is not None):
            raise ValueError(f"{self.name}: recognise_faces, and only that, has a section embedding")
        if self.embedding is None:
            self._check_calibration()
        return self

    def _check_calibration(self) -> None:
        if len(self.calibration) < 3 or not self.calibrated_on:
            raise ValueError(f"{self.name}: a calibration of three points and calibrated_on are missing")
        raw, house = zip(*self.calibration, strict=True)
        if any(a >= b for points in (raw, house) for a, b in pairwise(points)):
            raise ValueError(f"{self.name}: the calibration does not rise")
        if house[0] != 0 or house[-1] != 1 or 0.5 not in house:
            raise ValueError(f"{self.name}: the calibration goes from 0 to 1 and has a point at 0.5")

    @property
    def model(self) -> ModelFile:
        return next(file for file in self.files if file.role == "model")

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes in the house's words, by class number; empty when a file holds them."""
        if self.vocabulary == "coco90":
            return COCO_90
        return LABELS if self.vocabulary == "coco" else self.words

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.bytes for file in self.files)

    def urls(self, file: ModelFile) -> tuple[str, ...]:
        """Where upstream serves it, pinned to the commit; the second is tried when the first fails.

        None for a model that comes with a package, or that its owner put there.
        """
        if self.repository and file.release:
            return (f"https://github.com/{self.repository}/releases/download/{file.release}/{file.path}",)
        version = self.commit or self.branch
        if not self.repository or not version:
            return ()
        if self.lfs:
            raw = f"https://media.githubusercontent.com/media/{self.repository}/{version}/{file.path}"
        else:
            raw = f"https://raw.githubusercontent.com/{self.repository}/{version}/{file.path}"
        return (raw, f"https://github.com/{self.repository}/raw/{version}/{file.path}")


def entries() -> tuple[Entry, ...]:
    """Every model, the preferred first: ours, then those of the owner's file $MEERKAT_CATALOGUE.

    The owner's file may also say at which distance faces are the same person, in `[thresholds]`.
    """
    return _all(os.environ.get("MEERKAT_CATALOGUE", ""))


@cache
def _all(path: str) -> tuple[Entry, ...]:
    owned, thresholds = _owned(path)
    return tuple(_judged(entry, thresholds.get(entry.name)) for entry in (*_ours(), *owned))


def _judged(entry: Entry, threshold: float | None) -> Entry:
    """The entry with the owner's threshold in place of ours."""
    if threshold is None or entry.embedding is None:
        return entry
    changes = {"threshold": threshold, "measured_on": "set by the owner"}
    return entry.model_copy(update={"embedding": entry.embedding.model_copy(update=changes)})


@cache
def _ours() -> tuple[Entry, ...]:
    data = tomllib.loads(files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8"))
    return tuple(Entry.model_validate(item) for item in data["model"])


class _OwnersFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    model: tuple[Entry, ...] = ()
    thresholds: dict[str, Annotated[float, Field(gt=0, le=4)]] = Field(default_factory=dict)


def _owned(path: str) -> tuple[tuple[Entry, ...], dict[str, float]]:
    """The owner's models and thresholds. Raises UsageError that names the file and what is wrong."""
    if not path:
        return (), {}
    try:
        found = _OwnersFile.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        what = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise UsageError(
            f"the catalogue cannot be read ({what})",
            where=path,
            remedy="Correct the file that $MEERKAT_CATALOGUE names; docs/reference/models.md has an example",
        ) from None
    ours = {entry.name: entry for entry in _ours()}
    if taken := {entry.name for entry in found.model} & ours.keys():
        raise UsageError(
            f"the name {min(taken)!r} is Meerkat's own", where=path, remedy="Give your model another name"
        )
    embedders = {e.name for e in (*ours.values(), *found.model) if e.embedding is not None}
    if unknown := found.thresholds.keys() - embedders:
        raise UsageError(
            f"there is no embedder {min(unknown)!r} to have a threshold",
            where=path,
            remedy=f"Name one of {', '.join(sorted(embedders))}",
        )
    return tuple(e.model_copy(update={"default": False}) for e in found.model), found.thresholds


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


def own_file(name: str) -> Path | None:
    """The owner's catalogue, if that is where this model stands; None for ours."""
    path = os.environ.get("MEERKAT_CATALOGUE", "")
    return Path(path) if any(entry.name == name for entry in _owned(path)[0]) else None


def ranked(task: str, place: Place = "home") -> tuple[Entry, ...]:
    """The models of a task, the default first, then in the catalogue's order.

    At home those that are meant for it; in the cloud those that are too large for a house come first.
    """
    meant = (e for e in entries() if e.task == task and (place == "cloud" or e.place == "home"))
    return tuple(sorted(meant, key=lambda e: (e.place != place, not e.default)))


def default(task: str = "detect_objects") -> Entry:
    """The model that is fetched and used when nobody says otherwise."""
    return ranked(task)[0]
