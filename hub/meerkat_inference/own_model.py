"""An owner's Darknet network before it is used: which engines run it, whether they agree, what it finds.

    report = examine(weights, config, names, pictures)

The pair is checked for each engine as it would be when it is opened; those that open it look at the same
pictures and are compared with the first of them. `entry_text` is what goes into the owner's catalogue.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from meerkat_contract.errors import MeerkatError, ModelError, UsageError
from meerkat_contract.message import Label
from meerkat_contract.vocabulary import LABELS, normalise

from .catalogue import Entry
from .detector import Found
from .tracker import overlap
from .verify import milliseconds

if TYPE_CHECKING:
    from .picture import Picture

ENGINES = ("opencv", "libdarknet", "darknet")
FLOOR = 0.25
"""Raw score from which a box is compared and shown: Darknet's own."""


@dataclass(slots=True)
class Outcome:
    """What came of one engine."""

    engine: str
    refused: str = ""
    """Why not, with file and line."""
    remedy: str = ""
    milliseconds: float | None = None
    founds: dict[str, list[Found]] = field(default_factory=dict)
    agreed: int = 0
    expected: int = 0
    """Boxes of the first engine that were compared, and those that this one has too."""


@dataclass(frozen=True, slots=True)
class Report:
    width: int
    height: int
    labels: tuple[str, ...]
    strange: tuple[str, ...]
    """Labels that are none of the house's words: they count only where somebody asks for them."""
    outcomes: tuple[Outcome, ...]

    @property
    def usable(self) -> tuple[str, ...]:
        """The engines that run it, the best first."""
        return tuple(each.engine for each in self.outcomes if not each.refused)


def find_pair(given: Sequence[Path]) -> tuple[Path, Path]:
    """Weights and .cfg from one or two paths, in any order. Raises UsageError."""
    weights = next((path for path in given if path.suffix.lower() == ".weights"), None)
    config = next((path for path in given if path.suffix.lower() == ".cfg"), None)
    known = next(iter(given), Path())
    weights, config = weights or known.with_suffix(".weights"), config or known.with_suffix(".cfg")
    for path in (weights, config):
        if not path.is_file():
            raise UsageError(
                "this file is not there",
                where=str(path),
                remedy="Give the .cfg and the .weights: `meerkat models check my.cfg my.weights`",
            )
    return weights, config


def read_names(path: Path | None, classes: int) -> tuple[str, ...]:
    """The labels by class number, in the words of the house. Without a file COCO's 80, or plain numbers."""
    if path is None:
        return LABELS if classes == len(LABELS) else tuple(f"class_{number}" for number in range(classes))
    try:
        lines = path.read_text(encoding="utf-8").rstrip().splitlines()
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the names cannot be read ({error})", where=str(path), remedy="One name on each line, UTF-8"
        ) from error
    if len(lines) != classes:
        raise ModelError(
            f"there are {len(lines)} names, the .cfg has {classes} classes",
            where=str(path),
            remedy="One name on each line, in the order of the training",
        )
    words = tuple("" if line.strip() in ("", "???") else normalise(line) for line in lines)
    for number, word in enumerate(words, 1):
        if word and not _is_label(word):
            raise ModelError(
                f"{lines[number - 1]!r} cannot be a label",
                where=f"{path}:{number}",
                remedy="Use letters a-z, digits, blanks and '-', at most 64",
            )
    return words


def examine(weights: Path, config: Path, names: Path | None, pictures: Mapping[str, Picture]) -> Report:
    """Try every engine. Raises ModelError when the .cfg is none, or the names are not its own."""
    from .engines.darknet_cfg import read_cfg

    network = read_cfg(config).network()
    labels = read_names(names, network.classes)
    entry = draft(weights, config, names, labels, (network.width, network.height))
    outcomes = [_try(engine, entry, (weights, config), labels, pictures) for engine in ENGINES]
    first = next((each for each in outcomes if not each.refused), None)
    for each in outcomes:
        if first is not None and not each.refused:
            _compare(each, first)
    strange = tuple(label for label in labels if label and label not in (*LABELS, "face"))
    return Report(network.width, network.height, labels, strange, tuple(outcomes))


def draft(
    weights: Path, config: Path, names: Path | None, labels: tuple[str, ...], size: tuple[int, int]
) -> Entry:
    """The catalogue's entry for it, with raw scores as they are."""
    files = [_file("model", weights), _file("config", config)]
    if names is not None:
        files.append(_file("labels", names))
    own = {} if names is not None or labels == LABELS else {"words": labels}
    return Entry.model_validate(
        {
            "name": _name(weights),
            "title": weights.stem,
            "task": "detect_objects",
            "family": "darknet",
            "engines": ENGINES,
            "licence": "yours",
            "files": files,
            "input": size,
            "vocabulary": "file" if names is not None else "own" if own else "coco",
            "calibration": ((0, 0), (0.3, 0.5), (0.8, 0.9), (1, 1)),
            "calibrated_on": "not measured: assumed",
            **own,
        }
    )


def entry_text(entry: Entry, engines: Sequence[str]) -> str:
    """The entry as TOML, for the file that $MEERKAT_CATALOGUE names."""
    lines = ["[[model]]"]
    plain = ("name", "title", "task", "family", "licence", "vocabulary", "calibrated_on")
    lines += [f"{key} = {json.dumps(getattr(entry, key))}" for key in plain]
    lines += [f"engines = {json.dumps(list(engines))}", f"input = {list(entry.input)}"]
    if entry.words:
        lines.append(f"words = {json.dumps(list(entry.words))}")
    lines.append(f"calibration = {json.dumps([[float(x) for x in point] for point in entry.calibration])}")
    for file in entry.files:
        lines += ["", "[[model.files]]", f'role = "{file.role}"', f'name = "{file.name}"']
        lines += [f"bytes = {file.bytes}", f'sha256 = "{file.sha256}"']
    return "\n".join(lines) + "\n"


def _try(
    engine: str,
    entry: Entry,
    pair: tuple[Path, Path],
    labels: tuple[str, ...],
    pictures: Mapping[str, Picture],
) -> Outcome:
    from .families.darknet import Darknet
    from .opening import open_engine

    outcome = Outcome(engine)
    raw = entry.model_copy(update={"calibration": ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0))})
    try:
        detector = Darknet(raw, open_engine(pair[0], kind=engine, config=pair[1]), labels)
        try:
            seen = detector.detect_many(list(pictures.values()))
            outcome.founds = {
                name: [found for found in founds if found.score >= FLOOR]
                for name, founds in zip(pictures, seen, strict=True)
            }
            outcome.milliseconds = milliseconds(detector.detect, next(iter(pictures.values())))
        finally:
            detector.close()
    except MeerkatError as error:
        outcome.refused = f"{error.where}: {error.what}" if error.where else error.what
        outcome.remedy = error.remedy
    return outcome


def _compare(outcome: Outcome, first: Outcome) -> None:
    for picture, expected in first.founds.items():
        for wanted in expected:
            outcome.expected += 1
            outcome.agreed += any(
                found.label == wanted.label
                and overlap(found.box, wanted.box) >= 0.99
                and abs(found.score - wanted.score) <= 1e-3
                for found in outcome.founds[picture]
            )


def _is_label(word: str) -> bool:
    try:
        TypeAdapter(Label).validate_python(word)
    except ValidationError:
        return False
    return True


def _file(role: str, path: Path) -> dict[str, object]:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    name = re.sub(r"[^A-Za-z0-9._-]", "-", path.name)
    file = {"role": role, "name": name.lstrip("._-") or f"my{path.suffix}", "bytes": path.stat().st_size}
    return {**file, "sha256": digest}


def _name(weights: Path) -> str:
    return "my-" + (re.sub(r"[^a-z0-9]+", "-", weights.stem.lower()).strip("-") or "network")
