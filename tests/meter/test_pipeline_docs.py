"""The examples that the documents show of meters are true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from meerkat_contract import configfile
from meerkat_contract.errors import UsageError
from meerkat_contract.message import Message
from meerkat_contract.messages import MeterReading, MeterSeen, MeterVerdict
from meerkat_contract.meter_layout import MeterLayout
from meerkat_hub.meter_settings import MetersSettings, configured
from meerkat_hub.web.meter_models import CorrectWish, ExchangeWish, ProposalWish, SetWish, UndoWish

DOCS = Path(__file__).parents[2] / "docs"
TOPICS = (DOCS / "reference" / "topics.md").read_text()
HOW_TO = (DOCS / "how-to" / "read-a-meter.md").read_text()

LAYOUT = """\
digits:
  - [60, 10, 50, 80]
  - [120, 10, 50, 80]
unit: m³
"""


@pytest.mark.parametrize("kind", [MeterReading, MeterVerdict, MeterSeen])
def test_the_messages_are_what_they_say(kind: type[Message]) -> None:
    shown = re.search(rf"### {kind.__name__}\n\n```json\n(.*?)```", TOPICS, re.DOTALL)
    assert shown
    read = kind.model_validate_json(shown[1])
    assert json.loads(read.to_json()).keys() >= json.loads(shown[1]).keys()


def load(file: Path, text: str) -> MetersSettings:
    file.write_text(text)
    found = configfile.load(file, sections={"meters": MetersSettings})["meters"]
    assert isinstance(found, MetersSettings)
    return found


def test_a_layout_is_a_file_beside_the_configuration_or_stands_in_it(tmp_path: Path) -> None:
    (tmp_path / "water.yaml").write_text(LAYOUT)
    inline = "{digits: [[60, 10, 50, 80], [120, 10, 50, 80]]}"
    text = (
        "meters:\n"
        "  basement/water: {layout: water.yaml}\n"
        f"  basement/gas: {{layout: {inline}, max_flow: 4, unit: kWh, calorific_value: 10.3}}\n"
        "  attic/heat: {leak_hours: 0}\n"
    )
    found = configured(load(tmp_path / "meerkat.yaml", text), tmp_path)
    layout = MeterLayout(digits=((60, 10, 50, 80), (120, 10, 50, 80)))
    water, gas, heat = found["basement", "water"], found["basement", "gas"], found["attic", "heat"]
    assert (water.layout, water.settings) == (layout, None), "the settings stay the owner's"
    assert gas.layout == layout
    assert gas.settings is not None
    assert (gas.settings.max_flow, gas.settings.unit) == (4.0, "kWh")
    assert heat.layout is None
    assert heat.settings is not None


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{layout: nowhere.yaml}", "nowhere.yaml"),
        ("{layout: broken.yaml}", "broken.yaml"),
        ("{layout: water.yaml, unit: kWh}", "calorific_value"),
        ("{maxflow: 3}", "did you mean 'max_flow'"),
        ("{zone: Mars/Olympus}", "no time zone"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, entry: str, words: str) -> None:
    (tmp_path / "water.yaml").write_text(LAYOUT)
    (tmp_path / "broken.yaml").write_text("digits: [[1, 2]]\n")
    with pytest.raises(UsageError) as refused:
        configured(load(tmp_path / "meerkat.yaml", f"meters:\n  basement/water: {entry}\n"), tmp_path)
    assert words in str(refused.value)


def test_the_how_tos_configuration_is_good(tmp_path: Path) -> None:
    shown = re.search(r"```yaml\n(meters:.*?)```", HOW_TO, re.DOTALL)
    assert shown
    (tmp_path / "basement.yaml").write_text(LAYOUT)
    found = configured(load(tmp_path / "meerkat.yaml", shown[1]), tmp_path)["basement", "water"]
    assert found.layout is not None
    assert found.settings is not None
    assert found.settings.unit == "L"


def test_what_the_how_to_sends_is_accepted() -> None:
    bodies = dict(re.findall(r"\$M/(?:readings/0197…/)?(\w+) -H \S.*? -d '(\{.*?\})'", HOW_TO))
    kinds = {"correct": CorrectWish, "set": SetWish, "exchange": ExchangeWish, "undo": UndoWish}
    for name, kind in kinds.items():
        kind.model_validate_json(bodies[name])
    ProposalWish.model_validate_json(bodies["propose"])


def test_a_name_is_a_device_and_a_meter(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load(tmp_path / "meerkat.yaml", "meters:\n  water: {max_flow: 3}\n")
