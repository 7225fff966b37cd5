"""Write docs/reference/configuration.md from the settings' own models: every field, default and limit.

    .venv/bin/python scripts/reference.py

A test fails when the page is not what this writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meerkat_contract.configfile import installed_sections

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "configuration.md"

HEAD = """# Configuration

Every setting of `meerkat.yaml`, with its default. [Configure](../how-to/configure.md) says where the file
lies and how a variable overrides one value. `NAME` stands for a name of your own: `a-z`, `0-9`, `-` and `_`.

This page is written by `scripts/reference.py` from the models that check the file.
"""

ORDER = ("broker", "devices", "hub", "meters", "workflows", "orchestrator", "worker", "homeassistant")

# Fields whose name says it all in the code, and not quite to a reader.
MEANINGS = {
    "broker.username": "user; goes before the one in `url`",
    "devices.NAME.label": "what people call the device",
    "devices.NAME.meters.NAME.kind": "what the meter counts",
    "devices.NAME.cameras.NAME.light.name": "of one of the device's `lights`",
    "devices.NAME.sensors.NAME.kind": "what it is",
    "devices.NAME.lights.NAME.kind": "what it shines",
    "hub.http_port": "port of the page",
    "burst.policy (kind: drain).kind": "this rule",
    "burst.policy (kind: threshold).kind": "this rule",
    "workflows.NAME.decision (rule: who_may_be_here).rule": "this rule",
    "workflows.NAME.decision (rule: seen).rule": "this rule",
}

Schema = dict[str, Any]


def page() -> str:
    """The whole document. Needs all components to be installed (extra home)."""
    models, absent = installed_sections()
    if absent:
        raise SystemExit(f"not installed: {', '.join(absent.values())}; scripts/test sets everything up")
    names = [*ORDER, *sorted(set(models) - set(ORDER))]
    parts = [HEAD]
    for name in names:
        schema = models[name].model_json_schema()
        parts += _group(name, schema, schema.get("$defs", {}))
    return "\n".join(parts)


def _group(path: str, schema: Schema, models: dict[str, Schema]) -> Iterator[str]:
    """One table for a model, then those of the models in it."""
    if inner := _named(schema):
        yield from _group(f"{path}.NAME", _resolve(inner, models), models)
        return
    rows: list[str] = []
    below: list[tuple[str, Schema]] = []
    for name, field in schema["properties"].items():
        whole = _resolve(field, models)
        if kinds := [_resolve(kind, models) for kind in whole.get("oneOf", ())]:
            by = whole["discriminator"]["propertyName"]
            below += [(f"{path}.{name} ({by}: {kind['properties'][by]['const']})", kind) for kind in kinds]
        elif "properties" in whole or "properties" in _resolve(_named(whole) or {}, models):
            below.append((f"{path}.{name}", whole))
        else:
            rows.append(_row(f"{path}.{name}", name, whole, required=name in schema.get("required", ())))
    yield f"## `{path}`\n"
    if about := schema.get("description"):
        yield about.split("\n\n")[0].replace("\n", " ") + "\n"
    if rows:
        yield "| Setting | Default | Allowed | Means |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    for inner_path, inner_schema in below:
        yield from _group(inner_path, inner_schema, models)


def _named(schema: Schema) -> Schema | None:
    """What a mapping from names holds, if the schema is one."""
    if patterns := schema.get("patternProperties"):
        return dict(next(iter(patterns.values())))
    more = schema.get("additionalProperties")
    return more if isinstance(more, dict) else None


def _resolve(field: Schema, models: dict[str, Schema]) -> Schema:
    """The field with what it refers to; of a choice with null, the other choice."""
    choices = [choice for choice in field.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) == 1:
        field = {**choices[0], **{key: value for key, value in field.items() if key != "anyOf"}}
    if reference := field.get("$ref"):
        field = {**models[reference.rpartition("/")[2]], **field}
    return field


def _row(path: str, name: str, field: Schema, *, required: bool) -> str:
    default = "required" if required else _value(field.get("default"))
    meaning = field.get("description") or MEANINGS.get(path, "")
    cells = (f"`{name}`", default, _allowed(field), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


def _value(default: object) -> str:
    if default in (None, "", []):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float):
        default = f"{default:g}" if default < 1_000_000 else int(default)
    return f"`{default}`"


def _allowed(field: Schema) -> str:
    if choices := field.get("anyOf"):
        return " or ".join(_allowed(choice) for choice in choices if choice.get("type") != "null")
    if "const" in field:
        return f"`{field['const']}`"
    if "$ref" in field:
        return "the fields themselves"
    if inner := _named(field):
        return f"names, each with a {_allowed(inner)}"
    if numbers := field.get("prefixItems"):
        return f"{len(numbers)} numbers"
    if field.get("type") == "array":
        if len(field["items"].get("prefixItems", ())) == 2:
            return "polygon"
        return f"list of {_allowed({'type': 'string', **field['items']})}"
    if choices := field.get("enum"):
        return ", ".join(f"`{choice}`" for choice in choices)
    kinds = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`", "string": "text"}
    words = "path" if field.get("format") == "path" else kinds[field["type"]]
    limits = (
        ("minimum", "at least"),
        ("exclusiveMinimum", "above"),
        ("maximum", "at most"),
        ("maxLength", "characters at most"),
    )
    for key, said in limits:
        if key in field:
            limit = f"{field[key]:,}".removesuffix(".0").replace(",", " ")
            words += f", {limit} {said}" if key == "maxLength" else f", {said} {limit}"
    return words


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
