"""meerkat.yaml: one section per component, every problem named with its place.

    broker: {url: mqtt://homeassistant.local}
    hub: {retention: {days: 14}}

Sections are pydantic models found through the entry points `meerkat.config`. An environment
variable overrides one value: `MEERKAT__HUB__RETENTION__DAYS=7` is `hub.retention.days: 7`. Parts of
its name are matched without regard to case, and `_` stands for `-` too. Its text is the value; one
that starts with `[` or `{` is read as YAML; an empty one is ignored.

Problems are all reported at once, each as `file:line:column: path.to.field: message`.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import ErrorDetails

from .errors import UsageError
from .ids import NAME_PATTERN, slug
from .yamltree import Problem, Tree, read_tree, read_value

ENTRY_POINTS = "meerkat.config"
ENVIRONMENT_PREFIX = "MEERKAT__"
FILE_NAME = "meerkat.yaml"

_ELSEWHERE = {
    "cameras": "cameras stand below the machine that they hang on: devices: {house: {cameras: {front: …}}}",
    "mqtt": "the section is called broker: {url: mqtt://user:password@host}",
    "detectors": "each worker finds by itself what this machine has; `worker` narrows it down",
}
"""What other camera systems call sections, and how it is written here."""

KeyPath = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


class ConfigurationError(UsageError):
    """meerkat.yaml or a variable that overrides it is wrong; `problems` lists all that was found."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{count} in {file}\n" + "\n".join(str(problem) for problem in self.problems))


def load(path: Path, *, sections: Mapping[str, type[BaseModel]] | None = None) -> Mapping[str, BaseModel]:
    """All sections of the file, with defaults for those that it leaves out.

    `sections` maps a section's name to its model; without it the installed components are asked. A
    section whose component cannot be loaded here is a problem only if the file has it.
    Raises ConfigurationError (a UsageError) that lists every problem.
    """
    if sections is not None:
        return _read(path, sections, known=sections)
    models, absent = installed_sections()
    return _read(path, models, known={*models, *absent}, absent=absent)


def section(path: Path | None, name: str, model: type[Model]) -> Model:
    """One component's settings, for its start.

    Read from `path` (the option --config), else $MEERKAT_CONFIG, else ./meerkat.yaml if it is there,
    else the defaults. Only this section is validated, so that a component starts without the others.
    """
    file = find_file(path)
    known = {entry.name for entry in entry_points(group=ENTRY_POINTS)} | {name}
    found = _read(file, {name: model}, known=known)[name]
    assert isinstance(found, model)
    return found


def find_file(path: Path | None = None) -> Path | None:
    """The configuration file that counts: the option, $MEERKAT_CONFIG, ./meerkat.yaml, or none."""
    if path is not None:
        return path
    if named := os.environ.get("MEERKAT_CONFIG"):
        return Path(named)
    here = Path(FILE_NAME)
    return here if here.exists() else None


def installed_sections() -> tuple[dict[str, type[BaseModel]], dict[str, str]]:
    """The model of each section that can be loaded here; and of the others, what they lack."""
    models: dict[str, type[BaseModel]] = {}
    absent: dict[str, str] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            models[entry.name] = entry.load()
        except ModuleNotFoundError as error:
            absent[entry.name] = error.name or str(error)
    return models, absent


@dataclass
class _Source:
    """The file's tree, and which values came from the environment."""

    name: str
    tree: Tree
    variables: dict[KeyPath, str]

    def problem(self, path: KeyPath, message: str, *, at_key: bool = False) -> Problem:
        """The place of `path`: the variable that set it, else the nearest line of the file."""
        for depth in range(len(path), 0, -1):
            if variable := self.variables.get(path[:depth]):
                return Problem(variable, None, dotted(path), message)
        return Problem(self.name, self.tree.place(path, at_key=at_key), dotted(path), message)


def _read(
    file: Path | None,
    models: Mapping[str, type[BaseModel]],
    *,
    known: Iterable[str],
    absent: Mapping[str, str] | None = None,
) -> dict[str, BaseModel]:
    names = sorted(known)
    source = _Source(str(file or "the environment"), Tree({}), {})
    problems: list[Problem] = []
    if file is not None:
        source.tree, problems = read_tree(file)
        if source.tree.broken:
            raise ConfigurationError(source.name, problems)
    for key in source.tree.data:
        if key not in names:
            hint = f"; {_ELSEWHERE[key]}" if key in _ELSEWHERE else did_you_mean(key, names)
            problems.append(source.problem((key,), f"there is no such section{hint}", at_key=True))
        elif absent and key in absent:
            lack = f"cannot be checked here: {absent[key]} is not installed; pip install 'meerkat-home[home]'"
            problems.append(source.problem((key,), lack, at_key=True))
    problems.extend(_override(source, models, names))
    found: dict[str, BaseModel] = {}
    for name, model in models.items():
        # A section that is there but empty (`hub:` and nothing) means its defaults.
        value = source.tree.data.get(name)
        try:
            found[name] = model.model_validate({} if value is None else value)
        except ValidationError as error:
            problems.extend(_explain(source, name, model, detail) for detail in error.errors())
        except RecursionError:
            problems.append(source.problem((name,), "is nested too deeply"))
    if problems:
        raise ConfigurationError(source.name, sorted(problems, key=Problem.order))
    return found


def _override(source: _Source, models: Mapping[str, type[BaseModel]], names: list[str]) -> Iterator[Problem]:
    """Put the values of MEERKAT__… variables into the tree, and say which cannot be placed."""
    for variable, text in sorted(os.environ.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or not text:
            continue
        parts = variable.removeprefix(ENVIRONMENT_PREFIX).split("__")
        if len(parts) < 2 or not all(parts):
            yield Problem(variable, None, "", "write it as MEERKAT__SECTION__FIELD")
            continue
        name = _same_name(parts[0], names)
        if name is None:
            guess = did_you_mean(parts[0].lower(), names)
            yield Problem(variable, None, "", f"there is no section {parts[0].lower()!r}{guess}")
        elif name in models:
            yield from _place(source, variable, text, name=name, parts=parts[1:], model=models[name])


def _place(
    source: _Source, variable: str, text: str, *, name: str, parts: list[str], model: type[BaseModel]
) -> Iterator[Problem]:
    path: KeyPath = (name,)
    if source.tree.data.get(name) is None:
        source.tree.data[name] = {}
        source.variables[path] = variable
    target: Any = source.tree.data[name]
    for index, part in enumerate(parts):
        if not isinstance(target, dict):
            yield Problem(variable, None, dotted(path), "has no fields that could be set")
            return
        candidates = [*target, *_fields(model, path[1:])]
        key = _same_name(part, candidates) or part.lower()
        path = (*path, key)
        if index == len(parts) - 1:
            target[key] = read_value(text)
        else:
            if target.get(key) is None:
                target[key] = {}
                source.variables[path] = variable
            target = target[key]
    source.variables[path] = variable


def _explain(source: _Source, name: str, model: type[BaseModel], detail: ErrorDetails) -> Problem:
    """One pydantic error in words, with its place."""
    # pydantic's path also names union members and "[key]": only what is a key of the data is kept.
    path: KeyPath = (name,)
    value: Any = source.tree.data.get(name)
    for part in detail["loc"]:
        in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if in_list or (isinstance(value, dict) and part in value):
            value = value[part]
        elif not (detail["type"] == "missing" and part == detail["loc"][-1]):
            continue
        path = (*path, part)
    kind = detail["type"]
    if kind == "extra_forbidden":
        guess = did_you_mean(str(path[-1]), _fields(model, path[1:-1]))
        return source.problem(path, f"there is no such field{guess}", at_key=True)
    if kind == "missing":
        return source.problem(path, "is required", at_key=True)
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind == "string_pattern_mismatch" and detail["ctx"]["pattern"] == f"^{NAME_PATTERN}$":
        message = _no_name(str(detail["input"]))
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        example = "{source: …}" if path[-2:-1] in (("cameras",), ("meters",)) else "{field: value}"
        message = f"write its fields here, such as {example}, or {{}} for the defaults"
    if kind == "path_type":
        message = "is not a path"
    if kind == "string_type" and isinstance(value, int | float | bool):
        message += "; put the value in quotes"
    at_key = bool(detail["loc"]) and detail["loc"][-1] == "[key]"
    return source.problem(path, message[:1].lower() + message[1:], at_key=at_key)


def _no_name(text: str) -> str:
    """Why a text cannot name a device or camera, and what could."""
    try:
        return f"cannot be a name; write {slug(text)}"
    except ValueError:
        return "cannot be a name; use a-z, 0-9, '-' and '_'"


def _fields(annotation: Any, path: KeyPath) -> set[str]:
    """The field names possible at `path` below a model or type: what 'did you mean' chooses from."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _fields(annotation.model_fields["root"].annotation, path)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        if not path:
            return set(fields)
        return _fields(fields[path[0]], path[1:]) if path[0] in fields else set()
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _fields(arguments[0], path)
    if origin in (Union, UnionType):
        return set().union(*(_fields(member, path) for member in arguments))
    if path and arguments and isinstance(origin, type):
        if issubclass(origin, Mapping):
            return _fields(arguments[-1], path[1:])
        if issubclass(origin, Iterable):
            return _fields(arguments[0], path[1:])
    return set()


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the nearest candidate, or an empty string."""
    near = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _same_name(part: str, candidates: Iterable[str]) -> str | None:
    wanted = part.lower().replace("-", "_")
    return next((name for name in candidates if str(name).lower().replace("-", "_") == wanted), None)


def dotted(path: KeyPath) -> str:
    """`devices.porch.sizes[1]`"""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return re.sub(r"^\.", "", text)


__all__ = [
    "ConfigurationError",
    "Problem",
    "did_you_mean",
    "dotted",
    "find_file",
    "installed_sections",
    "load",
    "section",
]
