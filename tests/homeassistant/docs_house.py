"""The house of the documentation's examples, and the automations that stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from meerkat_contract.messages import (
    Battery,
    CameraInfo,
    DeviceInfo,
    LightInfo,
    MeterInfo,
    SensorInfo,
    SettingInfo,
)
from meerkat_homeassistant.catalogue import Worker
from meerkat_homeassistant.counters import Counter
from meerkat_homeassistant.discovery import Bus, Payload, discovery

DOCS = Path(__file__).resolve().parents[2] / "docs/how-to"

WHOLE = ((0, 0), (1, 0), (1, 1), (0, 1))
PORCH = DeviceInfo(
    device="porch",
    cameras=(
        CameraInfo(name="front", label="Front door", zones={"path": WHOLE}),
        CameraInfo(name="yard", zones={"drive": WHOLE}),
    ),
    sensors=(
        SensorInfo(name="hall", kind="motion"),
        SensorInfo(name="gate", kind="door"),
        SensorInfo(name="bell", kind="button", rings="front"),
    ),
    lights=(LightInfo(name="ir"),),
)
CAPTURE = SettingInfo(name="capture", label="Take a picture now", kind="button", common=True)
BASEMENT = DeviceInfo(
    device="basement",
    meters=(MeterInfo(name="water", label="Water meter", settings=(CAPTURE,)),),
    battery=Battery(level=87),
)
BUS = Bus(
    devices={"porch": PORCH, "basement": BASEMENT},
    counters={("basement", "water"): Counter(unit="m³", judged=True)},
    workers={"jetson": Worker("jetson")},
    burst=True,
)


def entities() -> dict[str, Payload]:
    """Entity id → its component, of everything that Home Assistant would show of the house."""
    found: dict[str, Payload] = {}
    for payload in discovery(BUS).values():
        for owner in (payload, *payload.get("cdevs", ())):
            for component in owner.get("cmps", {}).values():
                if "def_ent_id" in component:
                    found[component["def_ent_id"]] = component
    return found


@dataclass(frozen=True)
class Example:
    """An automation of a document."""

    document: str
    config: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.config["alias"])


def examples() -> list[Example]:
    """Every automation that stands in a document of docs/how-to, in YAML."""
    return [Example(path.name, config) for path in sorted(DOCS.glob("*.md")) for config in _of(path)]


def _of(path: Path) -> Iterator[dict[str, Any]]:
    for block in re.findall(r"^```yaml\n(.*?)^```", path.read_text(), flags=re.MULTILINE | re.DOTALL):
        if re.search(r"^triggers:", block, flags=re.MULTILINE):
            yield YAML(typ="safe", pure=True).load(block)


def yours(document: str) -> set[str]:
    """The entities that a document's table says are the reader's own."""
    rows = re.findall(r"^\| (`[a-z_]+\.[a-z_0-9]+`.*?) \|", (DOCS / document).read_text(), flags=re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([a-z_]+\.[a-z_0-9]+)`", row)}
