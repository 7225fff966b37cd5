"""`meerkat ha check`: all rules over what a broker holds, in order of weight."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from . import messages, states
from .finding import ORDER, Finding
from .payload import Told
from .templates import Templates


@dataclass(frozen=True)
class Report:
    """What was looked at, and what was found."""

    findings: tuple[Finding, ...]
    messages: int
    components: int
    rendered: bool
    """Whether templates could be rendered."""

    @property
    def good(self) -> bool:
        """Nothing but notes, and there was something to look at."""
        return self.messages > 0 and all(one.severity == "note" for one in self.findings)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield from (str(one) for one in _together(self.findings))
        many = Counter(one.severity for one in self.findings)
        counted = ", ".join(f"{many[name]} {name}{'' if many[name] == 1 else 's'}" for name in ORDER)
        yield f"{self.messages} devices with {self.components} components: {counted}."
        if not self.messages:
            yield "Nothing is announced on this broker. Does `meerkat ha bridge` run, with the same prefix?"
        yield "Only retained messages can be seen; Home Assistant forgets others at its restart."
        if not self.rendered:
            yield "Templates were not rendered: that needs the package jinja2."

    def to_json(self) -> str:
        told: dict[str, Any] = {
            "good": self.good,
            "messages": self.messages,
            "components": self.components,
            "templates_rendered": self.rendered,
            "findings": [one.as_dict() for one in self.findings],
        }
        return json.dumps(told, indent=2, ensure_ascii=False)


def _together(findings: Iterable[Finding]) -> Iterator[Finding]:
    """What is the same for several components of a device stands there once."""
    same: dict[Finding, list[str]] = {}
    for one in findings:
        same.setdefault(replace(one, component=""), []).append(one.component)
    for one, components in same.items():
        more = f" and {len(components) - 1} more" if len(components) > 1 else ""
        yield replace(one, component=f"{components[0]}{more}")


def check(told: Told) -> Report:
    """Look at everything that was told, as Home Assistant would."""
    templates = Templates()
    found: list[Finding] = []
    for message in told.messages:
        own = list(messages.findings(message, templates))
        found += own
        rejected = frozenset(one.component for one in own if one.severity == "error")
        if message.content is not None and "" not in rejected:
            found += states.findings(message, told, templates, rejected)
    found += messages.together(told.messages, told.others)
    ranks = {severity: rank for rank, severity in enumerate(ORDER)}
    ordered = sorted(dict.fromkeys(found), key=lambda one: (ranks[one.severity], one.topic, one.component))
    components = sum(not one.removal for message in told.messages for one in message.components)
    return Report(tuple(ordered), len(told.messages), components, templates.available)
