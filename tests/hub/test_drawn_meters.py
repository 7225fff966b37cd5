"""The meters of the demonstration know their wheels before their first picture comes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from meerkat_cli.plan import DEMO_FILE
from meerkat_contract.configfile import section
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.store import Store
from meerkat_hub.core.meter_records import LayoutSaved
from meerkat_hub.meter_settings import MetersSettings, lay_out

WATER = ("basement", "water")


def test_a_drawn_meter_is_laid_out_before_the_hub_begins(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "hub.db")
    lay_out(Store(engine), section(DEMO_FILE, "meters", MetersSettings))
    engine.dispose()
    again = open_database(tmp_path / "hub.db")
    assert Store(again).meters().layouts[WATER].unit == "m³"
    again.dispose()


def test_what_its_owner_has_changed_stays(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "hub.db")
    store, drawn = Store(engine), section(DEMO_FILE, "meters", MetersSettings)
    lay_out(store, drawn)
    mine = store.meters().layouts[WATER].model_copy(update={"integer_digits": 4})
    store.commit([LayoutSaved(*WATER, mine)], announced=(), now=datetime.now(UTC), pictures={})
    lay_out(store, drawn)
    assert store.meters().layouts[WATER].integer_digits == 4
    engine.dispose()
