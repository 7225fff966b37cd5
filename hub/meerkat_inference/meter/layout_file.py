"""A meter's layout in a file, YAML or JSON (which is YAML): read with every error at its line, and written.

    rotation_deg: -2.5
    digits:
      - [69, 269, 64, 102]
    …

See `meerkat_contract.meter_layout` for the fields. `reference` names a picture beside the layout.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from meerkat_contract.configfile import did_you_mean
from meerkat_contract.errors import UsageError
from meerkat_contract.meter_layout import CounterLayout, MeterLayout
from meerkat_contract.yamltree import Problem, Tree, read_tree

from .unwritable import unwritable

KeyPath = tuple[str | int, ...]

_HEAD = """\
A meter's layout: `meerkat meter read PICTURE --layout THIS_FILE` reads it, `meerkat meter draw` shows it.
Boxes are [x, y, width, height] in pixels, after the picture is turned by rotation_deg about its centre.
"""
_NOTES = {
    "rotation_deg": "degrees by which the picture is turned first; negative: counter-clockwise as seen",
    "digits": "one box for each wheel, most significant first",
    "integer_digits": "how many wheels stand before the decimal point",
    "pointers": "one square box for each dial, most significant first",
    "pointer_factors": "what one step of each dial counts, as printed beside it",
    "mirrored": "dials that run counter-clockwise",
    "display": "segments: the digits are those of an LCD or LED, not wheels",
    "width": "of the picture that the boxes are for",
    "reference": "the picture that later ones are aligned with",
    "counters": "further counters on the same face, by name",
}


def load_layout(file: Path) -> tuple[MeterLayout, tuple[str, ...]]:
    """The layout, and a warning for each key that is not known. Raises UsageError that lists all problems."""
    tree, problems = read_tree(file)
    if not problems:
        try:
            layout = MeterLayout.model_validate(tree.data)
            return layout, tuple(str(one) for one in _unknown(file, tree))
        except ValidationError as error:
            # A field that may be of two types is complained of twice, in the same words.
            problems = list(dict.fromkeys(_explained(file, tree, detail) for detail in error.errors()))
            problems += _unknown(file, tree)
    problems.sort(key=Problem.order)
    raise UsageError(
        "\n".join(str(problem) for problem in problems),
        remedy="docs/how-to/read-a-meter.md shows a layout, and `meerkat meter propose` makes one",
    )


def _unknown(file: Path, tree: Tree) -> list[Problem]:
    """Keys that mean nothing: most are misspelt."""
    counters = tree.data.get("counters")
    scopes: list[tuple[KeyPath, dict[str, Any], set[str]]] = [((), tree.data, set(MeterLayout.model_fields))]
    for name, counter in (counters if isinstance(counters, dict) else {}).items():
        if isinstance(counter, dict):
            scopes.append((("counters", name), counter, set(CounterLayout.model_fields)))
    return [
        _problem(file, tree, (*path, key), f"means nothing here{did_you_mean(key, known)}", at_key=True)
        for path, values, known in scopes
        for key in values
        if key not in known
    ]


def _explained(file: Path, tree: Tree, detail: ErrorDetails) -> Problem:
    """One error of the model in words, at its line."""
    path: KeyPath = ()
    value: Any = tree.data
    for part in detail["loc"]:
        in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if not in_list and not (isinstance(value, dict) and part in value):
            continue  # a member of a union
        value = value[part]
        path = (*path, part)
    kind = detail["type"]
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "finite_number":
        message = f"{value} is no number to measure with"
    elif path[:1] == ("mirrored",) or path[2:3] == ("mirrored",):
        message = f"{value!r} says no direction: write true, false, or one of them for each dial in []"
    elif kind == "string_pattern_mismatch":
        message = "a counter's name is small letters, digits, - and _, such as `night`"
    elif kind == "string_type":
        message = f"{value!r} is no text" if value is not None else "nothing stands here: write a text"
    elif kind == "int_from_float":
        message = f"{value} is no whole number"
    elif kind in ("dict_type", "model_type", "model_attributes_type"):
        message = "write `counters: {name: {digits: …}}`"
    elif kind in ("tuple_type", "list_type") or (kind == "missing" and isinstance(value, list)):
        message = "write a box as [x, y, width, height]"
    elif kind == "too_long" and len(path) == 2:
        message = f"has {len(value)} numbers: a box is [x, y, width, height]"
    elif kind in ("float_type", "float_parsing", "int_type", "int_parsing"):
        message = f"{value!r} is no number"
    elif kind == "greater_than":
        message = f"{value} is not above zero"
    return _problem(file, tree, path, message[:1].lower() + message[1:])


def _problem(file: Path, tree: Tree, path: KeyPath, message: str, *, at_key: bool = False) -> Problem:
    dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return Problem(str(file), tree.place(path, at_key=at_key), dotted, message)


def save_layout(layout: MeterLayout, file: Path) -> None:
    """Write it for people, with a note on each field. Raises StorageError."""
    try:
        file.write_text(layout_text(layout), encoding="utf-8")
    except OSError as error:
        raise unwritable(file, error) from error


def layout_text(layout: MeterLayout) -> str:
    """YAML with comments; fields that say nothing are left out. Read back, it is the same layout."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    told = _as_yaml(layout)
    assert isinstance(told, CommentedMap)
    told.yaml_set_start_comment(_HEAD)
    for key, note in _NOTES.items():
        if key in told:
            told.yaml_set_comment_before_after_key(key, before=note)
    yaml = YAML()
    yaml.width = 100_000  # a box stays on its line
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = StringIO()
    yaml.dump(told, text)
    return text.getvalue()


def _as_yaml(counter: CounterLayout) -> Any:
    from ruamel.yaml.comments import CommentedMap

    told = CommentedMap()
    whole = counter.model_dump(mode="json", exclude_defaults=True)
    for key in type(counter).model_fields:
        value = whole.get(key)
        if key == "counters" and isinstance(counter, MeterLayout):
            if counter.counters:
                told[key] = CommentedMap({name: _as_yaml(one) for name, one in counter.counters.items()})
        elif key in ("digits", "pointers") and value:
            told[key] = [_flowing([_short(side) for side in box]) for box in value]
        elif isinstance(value, list):
            told[key] = _flowing(value)
        elif key in whole or key == "rotation_deg":
            told[key] = getattr(counter, key) if value is None else value
    if counter.digits:  # its default depends on the others
        told["integer_digits"] = counter.integer_digits
    order = ["rotation_deg", "digits", "integer_digits", "pointers", "pointer_factors", "mirrored", "unit"]
    for key in reversed(order):
        if key in told:
            told.move_to_end(key, last=False)
    return told


def _flowing(values: list[Any]) -> Any:
    from ruamel.yaml.comments import CommentedSeq

    sequence = CommentedSeq(values)
    sequence.fa.set_flow_style()
    return sequence


def _short(number: float) -> float | int:
    """269.0 as 269."""
    return int(number) if number == int(number) else round(number, 2)
