"""A YAML 1.2 file as plain data, with the line and column of every key and value.

Built on ruamel.yaml's composer rather than its constructor: dates stay text, keys are text, and
nothing in a broken file can raise anything but what is listed as a Problem.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

LIMIT_BYTES = 1_000_000
LIMIT_VALUES = 50_000
"""Aliases can make a small file grow without end; no house has this many settings."""

_TAG = "tag:yaml.org,2002:"
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class Place(NamedTuple):
    """Where something stands in a file, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `source` is a file or an environment variable."""

    source: str
    place: Place | None
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.source}:{self.place.line}:{self.place.column}" if self.place else self.source
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"

    def order(self) -> tuple[bool, Place, str, str]:
        """Sorts the file's problems by line, the environment's after them."""
        return (self.place is None, self.place or Place(0, 0), self.source, self.path)


@dataclass
class Tree:
    """`data` is made of dict, list, str, int, float, bool and None; all keys of dicts are str."""

    data: dict[str, Any]
    keys: dict[tuple[str | int, ...], Place] = field(default_factory=dict)
    values: dict[tuple[str | int, ...], Place] = field(default_factory=dict)
    broken: bool = False

    def place(self, path: tuple[str | int, ...], *, at_key: bool = False) -> Place | None:
        """Where `path` stands, or else its nearest parent."""
        for depth in range(len(path), 0, -1):
            exact = at_key or depth < len(path)
            first, second = (self.keys, self.values) if exact else (self.values, self.keys)
            if found := first.get(path[:depth]) or second.get(path[:depth]):
                return found
        return None


class _Refused(Exception):
    def __init__(self, node: Node, message: str) -> None:
        super().__init__(message)
        self.place = _place(node.start_mark)


def read_tree(file: Path) -> tuple[Tree, list[Problem]]:
    """The file's tree and what is wrong with its YAML. A tree that is `broken` holds nothing of use."""
    broken = Tree({}, broken=True)
    try:
        if file.is_file() and file.stat().st_size > LIMIT_BYTES:
            return broken, [Problem(str(file), None, "", f"is larger than {LIMIT_BYTES:,} bytes")]
        raw = file.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return broken, [Problem(str(file), None, "", f"cannot be read: {reason}")]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        return broken, [Problem(str(file), Place(line, column), "", "is not UTF-8 text")]
    try:
        node = _compose(text)
    except YAMLError as error:
        return broken, [_syntax(str(file), error)]
    except RecursionError:
        return broken, [Problem(str(file), None, "", "is nested too deeply")]
    if node is None or (isinstance(node, ScalarNode) and node.tag == f"{_TAG}null"):
        return broken, [Problem(str(file), Place(1, 1), "", "is empty")]
    if not isinstance(node, MappingNode):
        return broken, [
            Problem(str(file), _place(node.start_mark), "", "is not a mapping; write `key: value` lines")
        ]
    return _build(str(file), node)


def read_value(text: str) -> Any:
    """The value of an environment variable: its text, or YAML where it starts with `[` or `{`."""
    if text.startswith(("[", "{")):
        try:
            node = _compose(text)
            return _Builder("", Tree({})).build(node, ()) if node is not None else text
        except (YAMLError, RecursionError, _Refused):
            return text
    return text


def _compose(text: str) -> Node | None:
    yaml = YAML(typ="safe", pure=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReusedAnchorWarning)
        node: Node | None = yaml.compose(text)
    return node


def _build(source: str, node: MappingNode) -> tuple[Tree, list[Problem]]:
    builder = _Builder(source, Tree({}))
    try:
        builder.tree.data = builder.build(node, ())
    except _Refused as error:
        builder.tree.broken = True
        builder.problems.append(Problem(source, error.place, "", str(error)))
    except RecursionError:
        builder.tree.broken = True
        builder.problems.append(Problem(source, None, "", "is nested too deeply"))
    return builder.tree, builder.problems


class _Builder:
    """Makes plain data of nodes and notes where each came from."""

    def __init__(self, source: str, tree: Tree) -> None:
        self.source = source
        self.tree = tree
        self.problems: list[Problem] = []
        self._open: set[int] = set()
        self._count = 0

    def build(self, node: Node, path: tuple[str | int, ...]) -> Any:
        self._count += 1
        if self._count > LIMIT_VALUES:
            raise _Refused(node, f"has more than {LIMIT_VALUES:,} values, aliases counted")
        if isinstance(node, ScalarNode):
            return _scalar(node)
        if str(node.tag) not in (f"{_TAG}map", f"{_TAG}seq"):
            raise _Refused(node, f"the tag {node.tag} is not known here")
        if id(node) in self._open:
            raise _Refused(node, "refers to itself")
        self._open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return dict(self._pairs(node, path))
            if isinstance(node, SequenceNode):
                return list(self._items(node, path))
        finally:
            self._open.discard(id(node))
        raise _Refused(node, "is neither a value, a list nor a mapping")

    def _pairs(self, node: MappingNode, path: tuple[str | int, ...]) -> Iterator[tuple[str, Any]]:
        seen: dict[str, Place] = {}
        for key_node, value_node in node.value:
            place = _place(key_node.start_mark)
            if not isinstance(key_node, ScalarNode):
                raise _Refused(key_node, "a list or a mapping cannot be a name")
            key = str(key_node.value)
            if key in seen:
                name = ".".join(str(part) for part in (*path, key))
                text = f"is given twice, first in line {seen[key].line}"
                self.problems.append(Problem(self.source, place, name, text))
                continue
            seen[key] = place
            inner = (*path, key)
            self.tree.keys[inner] = place
            self.tree.values[inner] = _place(value_node.start_mark)
            yield key, self.build(value_node, inner)

    def _items(self, node: SequenceNode, path: tuple[str | int, ...]) -> Iterator[Any]:
        for index, item in enumerate(node.value):
            inner = (*path, index)
            self.tree.values[inner] = _place(item.start_mark)
            yield self.build(item, inner)


def _scalar(node: ScalarNode) -> Any:
    text = str(node.value)
    tag = str(node.tag).removeprefix(_TAG)
    try:
        match tag:
            case "null":
                return None
            case "bool":
                return _BOOLEANS[text]
            case "int":
                return int(text.replace("_", ""), 0) if text[:2] in ("0x", "0o") else int(text)
            case "float":
                return _float(text)
            case "str" | "timestamp" | "value" | "merge":
                return text
    except (ValueError, KeyError):
        return text
    raise _Refused(node, f"the tag {node.tag} is not known here")


def _float(text: str) -> float:
    words = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
    return float(words.get(text.lower(), text))


def _syntax(source: str, error: YAMLError) -> Problem:
    """A parser's error in one line of words."""
    if not isinstance(error, MarkedYAMLError):
        return Problem(source, None, "", f"is not YAML: {' '.join(str(error).split())}")
    mark = error.problem_mark or error.context_mark
    text = " ".join((error.problem or error.context or "not YAML").split())
    if "'\\t'" in text or "tab" in text.split():
        text = "a tab stands here; indent with spaces"
    elif error.context and error.problem:
        began = error.context_mark
        since = f", begun in line {began.line + 1}" if began and mark and began.line < mark.line else ""
        text = f"{text} ({' '.join(error.context.split())}{since})"
    return Problem(source, _place(mark) if mark else None, "", text)


def _place(mark: Any) -> Place:
    return Place(int(mark.line) + 1, int(mark.column) + 1)
