"""GET /metrics: the hub's counts in Prometheus' text format.

Written by hand after the exposition format 0.0.4: `# HELP`, `# TYPE`, then `name{label="value"} number`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its samples (labels, value). kind: counter | gauge."""

    name: str
    kind: str
    help: str
    samples: Sequence[tuple[Labels, float]] = field(default=())


def exposition(metrics: Sequence[Metric]) -> str:
    """The text of all metrics, prefix `meerkat_` added."""
    lines: list[str] = []
    for metric in metrics:
        name = f"meerkat_{metric.name}"
        lines.append(f"# HELP {name} {_escape(metric.help, quotes=False)}")
        lines.append(f"# TYPE {name} {metric.kind}")
        for labels, value in metric.samples:
            pairs = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
            lines.append(f"{name}{{{pairs}}} {_number(value)}" if pairs else f"{name} {_number(value)}")
    return "\n".join(lines) + "\n"


def _escape(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
