"""What was set while the device ran, on disk: <data>/devices/<name>/settings.json.

    {"front": {"sensitivity": {"value": "0.8", "instead": "0.5"}}}

`instead` is what meerkat.yaml said at the time. Whoever spoke last is right: when meerkat.yaml says
something else now, it was changed since, and what was set before no longer counts.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from meerkat_contract.errors import StorageError


class Override(BaseModel):
    """Payloads, as on the bus."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    value: str
    instead: str


Overrides = dict[str, dict[str, Override]]
"""Thing → setting → what was set."""

_FILE = TypeAdapter(Overrides)


@dataclass(frozen=True, slots=True)
class TuningFile:
    path: Path

    def load(self) -> Overrides:
        """Nothing when there is no file. Raises StorageError; a file that is no such file is put aside."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._refused(error, "Check the permissions of the data folder") from error
        try:
            return _FILE.validate_json(data)
        except ValidationError as error:
            aside = self.path.with_suffix(".damaged")
            try:
                self.path.replace(aside)
            except OSError as refused:
                raise self._refused(refused, "Remove the file: it is damaged") from error
            raise StorageError(
                "what was set while the device ran cannot be read; meerkat.yaml's values count again",
                where=str(self.path),
                remedy=f"Set them anew; the damaged file is kept as {aside.name}",
            ) from error

    def save(self, overrides: Overrides) -> None:
        """Returns when it is on the disk: after a power cut there is the old file or the new one, whole."""
        told = {
            thing: {name: one.model_dump() for name, one in sorted(settings.items())}
            for thing, settings in sorted(overrides.items())
            if settings
        }
        part = self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("w", encoding="utf-8") as file:
                json.dump(told, file, indent=1, ensure_ascii=False)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._refused(
                error, "It holds until the device ends. Is the disk full, or mounted read-only?"
            ) from error

    def _refused(self, error: OSError, remedy: str) -> StorageError:
        return StorageError(
            f"what was set cannot be kept ({error.strerror})", where=str(self.path), remedy=remedy
        )
