"""A Darknet network of a few kilobytes that a catalogue knows, for buckets and caches."""

from __future__ import annotations

import hashlib
from pathlib import Path

from meerkat_cloud_burst.messages import model_key
from support.networks import write_darknet

MODEL = "tiny"
_CATALOGUE = f"""
[[model]]
name = "{MODEL}"
title = "Tiny"
task = "detect_objects"
family = "darknet"
engines = ["opencv"]
licence = "none"
input = [32, 32]
words = ["person"]
calibration = [[0, 0], [0.5, 0.5], [1, 1]]
calibrated_on = "nothing"
"""


class TinyModel:
    """`catalogue` is the file for $MEERKAT_CATALOGUE; the files themselves are kept in memory."""

    def __init__(self, folder: Path, *, pinned: bool = True) -> None:
        """`pinned`: whether the catalogue knows what its files hold."""
        self.folder = folder
        self.files: dict[str, bytes] = {}
        lines = [_CATALOGUE]
        for role, path in zip(("model", "config"), write_darknet(folder), strict=True):
            data = self.files[path.name] = path.read_bytes()
            path.unlink()
            lines += [
                "[[model.files]]",
                f'role = "{role}"',
                f'name = "{path.name}"',
            ]
            digest = hashlib.sha256(data).hexdigest()
            if pinned:
                lines += [f"bytes = {len(data)}", f'sha256 = "{digest}"']
            else:
                self.files[path.name + ".sha256"] = f"{digest}\n".encode()
        self.catalogue = folder / "catalogue.toml"
        self.catalogue.write_text("\n".join(lines))

    def objects(self) -> dict[str, bytes]:
        """As they lie in the bucket."""
        return {model_key(name): data for name, data in self.files.items()}

    def write(self, folder: Path) -> None:
        folder.mkdir()
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
