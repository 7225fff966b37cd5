"""What a check has found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
"""error    Home Assistant rejects the device or the entity.
warning  It drops something without a word, or shows something else than was meant.
note     Worth knowing; may be as it should be."""

ORDER: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong with what Home Assistant is told."""

    severity: Severity
    rule: str
    """Its name for programs, such as `unknown-option`."""
    topic: str
    """The discovery topic."""
    device: str
    """The device as a person knows it."""
    component: str
    """Id of the component within its message; empty for the whole message."""
    what: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.device}, {self.component}" if self.component else self.device
        return f"{self.severity}: {where}: {self.what}. {self.remedy}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
