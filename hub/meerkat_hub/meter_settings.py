"""Section `meters` of meerkat.yaml: what is fixed of meters. The rest is set on the page, or by the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, RootModel

from meerkat_contract.errors import UsageError
from meerkat_contract.findings import Finding, not_among_devices
from meerkat_contract.meter_layout import MeterLayout

from .core.meter_records import ConfiguredMeter, LayoutSaved, MeterKey, StoredMeters
from .core.meters.settings import MeterSettings
from .core.workflow_records import Camera


class MeterEntry(MeterSettings):
    """One meter's layout and limits. What the file says, nobody changes at run time."""

    layout: MeterLayout | Path | None = Field(
        None,
        title="Layout",
        description="where its wheels and dials are: a file, as `meerkat meter propose` writes it, or the "
        "same in place; set on the page when left out",
    )


class MetersSettings(RootModel[dict[Camera, MeterEntry]]):
    """Section `meters`: each by device/meter."""

    model_config = ConfigDict(frozen=True)

    root: dict[Camera, MeterEntry] = Field(default_factory=dict)

    def look(self, sections: Mapping[str, BaseModel]) -> Iterator[Finding]:
        """Meters that none of the file's devices has."""
        yield from not_among_devices(self.root, "meters", sections)


def configured(settings: MetersSettings, folder: Path) -> dict[MeterKey, ConfiguredMeter]:
    """The same for the core; files are looked for from `folder`. Raises UsageError."""
    found: dict[MeterKey, ConfiguredMeter] = {}
    for name, entry in settings.root.items():
        device, _, meter = name.partition("/")
        layout = _layout(entry.layout, folder, f"meters.{name}.layout")
        said = entry.model_fields_set - {"layout"}
        limits = MeterSettings.model_validate(entry.model_dump(include=said)) if said else None
        _check_units(layout, limits, f"meters.{name}.unit")
        found[device, meter] = ConfiguredMeter(layout, limits)
    return found


class Keeps(Protocol):
    """Where layouts are kept: adapters.store."""

    def meters(self) -> StoredMeters: ...

    def commit(
        self,
        changes: Sequence[LayoutSaved],
        *,
        announced: Sequence[int],
        now: datetime,
        pictures: dict[str, str],
    ) -> object: ...


def lay_out(store: Keeps, drawn: MetersSettings) -> None:
    """Give meters without a layout the one that is drawn for them, before the hub that has this store is
    started: no picture comes before it. Unlike a configured one its owner may change it. Raises StorageError.
    """
    known = store.meters().layouts
    changes = [
        LayoutSaved(*key, entry.layout)
        for key, entry in configured(drawn, Path()).items()
        if entry.layout is not None and key not in known
    ]
    store.commit(changes, announced=(), now=datetime.now(UTC), pictures={})


def _layout(said: MeterLayout | Path | None, folder: Path, where: str) -> MeterLayout | None:
    if said is None:
        return None
    if isinstance(said, MeterLayout):
        layout, beside = said, folder
    else:
        from meerkat_inference.meter.layout_file import load_layout

        layout, warnings = load_layout(folder / said)
        if warnings:
            raise UsageError("\n".join(warnings), where=where, remedy="Correct the file")
        beside = (folder / said).parent
    if layout.landmarks is None and layout.reference:
        return _with_landmarks(layout, beside, where)
    return layout


def _with_landmarks(layout: MeterLayout, folder: Path, where: str) -> MeterLayout:
    """The layout with what is to be found again of its picture."""
    if find_spec("cv2") is None:
        raise UsageError(
            f"it has a reference, {layout.reference}, and OpenCV is not installed to look at it",
            where=where,
            remedy="Install the extra worker, or set the layout on the page, where a worker looks at it",
        )
    from meerkat_inference.meter.reference import with_landmarks

    return with_landmarks(layout, folder, where)


def _check_units(layout: MeterLayout | None, settings: MeterSettings | None, where: str) -> None:
    for counter in layout.all_counters.values() if layout and settings else ():
        try:
            assert settings is not None
            settings.conversion(counter.unit)
        except ValueError as error:
            raise UsageError(str(error), where=where, remedy="Leave `unit` out, or give another") from None
