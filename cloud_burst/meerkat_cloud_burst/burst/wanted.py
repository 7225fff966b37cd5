"""What `deploy` would make of the settings: the template's parameters, and the model that goes along."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from meerkat_cloud_burst.messages import OWN_CATALOGUE
from meerkat_cloud_burst.policy.making import idle_grace
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.errors import ModelError, UsageError

from . import files, prices
from .release import Release

MANAGED = ("MaxInstances", "MaxPrice", "Wheel", "WheelHash", "LockHash", "Model", "IdleGrace")
"""Parameters that follow from meerkat.yaml and the release."""

_PARAMETER = re.compile(r"^  ([A-Za-z]+):$", re.MULTILINE)
_TYPE = re.compile(r"InstanceType: ([a-z0-9]+\.[a-z0-9]+)")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model of the catalogue, and its files on this machine by their names there."""

    name: str
    files: Mapping[str, Path]

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.files.values())


def template_parameters() -> tuple[str, ...]:
    """The names of all parameters, in the template's order."""
    text = files.template().read_text(encoding="utf-8")
    section = text.partition("\nParameters:\n")[2].partition("\nConditions:\n")[0]
    return tuple(_PARAMETER.findall(section))


def instance_types() -> tuple[str, ...]:
    return tuple(_TYPE.findall(files.template().read_text(encoding="utf-8")))


def choose(given: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` of the command line. Raises UsageError for what cannot be chosen there."""
    free = [name for name in template_parameters() if name not in MANAGED]
    chosen = {}
    for each in given:
        name, equals, value = each.partition("=")
        if name in MANAGED:
            raise UsageError(
                f"{name} follows from meerkat.yaml",
                where="--set",
                remedy="docs/how-to/cloud-burst.md says from which setting",
            )
        if not equals or name not in free:
            raise UsageError(
                f"{each!r} sets nothing", where="--set", remedy=f"NAME=VALUE with one of {', '.join(free)}"
            )
        chosen[name] = value
    return chosen


def parameters(
    settings: BurstSettings, release: Release, model: str, chosen: Mapping[str, str]
) -> dict[str, str]:
    """All that the template is given. Raises UsageError when the prices cannot hold."""
    if chosen.get("Purchase") == "on-demand":
        prices.check_on_demand(settings)
    return {
        "MaxInstances": str(settings.max_instances),
        "MaxPrice": f"{prices.most_for_a_machine(settings):g}",
        "Wheel": release.wheel_key,
        "WheelHash": release.wheel_hash,
        "LockHash": release.lock_hash,
        "Model": model,
        "IdleGrace": str(round(idle_grace(settings))),
        **chosen,
    }


def find_model(name: str, folders: Sequence[Path] = ()) -> ModelFiles:
    """The model of the settings, or the best Darknet one; what is not on this machine is fetched.

    Raises ModelError.
    """
    from meerkat_inference import catalogue, store

    if name:
        entry = catalogue.get(name)
    else:
        darknet = [entry for entry in catalogue.ranked("detect_objects") if entry.family == "darknet"]
        here = [entry for entry in darknet if store.locate(entry, folders=folders) is not None]
        entry = (here or darknet)[0]
    if entry.task != "detect_objects" or entry.package:
        raise ModelError(
            f"model {entry.name} is not one that finds objects in clips",
            where="burst.model",
            remedy="Take another of `meerkat models list`",
        )
    if store.locate(entry, folders=folders) is None:
        from meerkat_inference import download

        download.pull(entry, store.cache_folder())
    found = {file.name: store.locate_file(file, folders=folders) for file in entry.files}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise ModelError(
            f"model {entry.name} lacks {', '.join(missing)}",
            where="burst.model",
            remedy=f"`meerkat models pull {entry.name}` fetches it",
        )
    kept = {name: path for name, path in found.items() if path is not None}
    for file in entry.files:
        if not file.pinned:  # a worker believes it by the note of our own fetch
            note = kept[file.name].with_name(file.name + store.NOTE)
            kept[note.name] = note
    if (own := catalogue.own_file(entry.name)) is not None:
        kept[OWN_CATALOGUE] = own
    return ModelFiles(entry.name, kept)


def settings_text(settings: BurstSettings, region: str) -> str:
    """What to write into meerkat.yaml so that the hub uses the stack: only what is not there yet."""
    lines = ["burst:", "  enabled: true", f"  region: {region}"]
    if settings.stack != "meerkat-burst":
        lines.append(f"  stack: {settings.stack}")
    money = settings.money
    lines.append(f"  money: {_flow({'per_day': money.per_day, 'per_month': money.per_month})}")
    return "\n".join(lines)


def _flow(values: Mapping[str, float]) -> str:
    return json.dumps(values).replace('"', "")
