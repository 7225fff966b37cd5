"""What the machines of the cloud install: a wheel of this very Meerkat, and the lock of what it stands on."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from meerkat_contract.errors import MeerkatError, UsageError

from . import files

NAME = "meerkat-home"
BUILD_SECONDS = 120
_OWN = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
"""What an installer adds to a wheel's metadata."""
_DATE = (2020, 2, 2, 0, 0, 0)
"""Of every file in a wheel, as hatchling does it: the same Meerkat gives the same bytes."""


@dataclass(frozen=True, slots=True)
class Release:
    """Both files, on this machine; the keys are where they lie in the bucket."""

    wheel: Path
    lock: Path
    wheel_hash: str
    lock_hash: str

    @classmethod
    def of(cls, wheel: Path, lock: Path) -> Release:
        return cls(wheel, lock, sha256(wheel), sha256(lock))

    @property
    def folder(self) -> str:
        """Named by what is in it: a machine that starts never finds another release in its place."""
        both = hashlib.sha256(f"{self.wheel_hash}{self.lock_hash}".encode()).hexdigest()
        return f"wheels/{both[:16]}"

    @property
    def wheel_key(self) -> str:
        return f"{self.folder}/{self.wheel.name}"

    @property
    def lock_key(self) -> str:
        return f"{self.folder}/requirements.txt"


def prepare(folder: Path, *, wheel: Path | None = None) -> Release:
    """The release of this Meerkat; what must be built is built in `folder`.

    `wheel`: one that exists. Else it is built from the checkout, or packed again from what is installed.
    """
    if wheel is not None:
        if not wheel.is_file() or wheel.suffix != ".whl":
            raise UsageError("this is no wheel", where=str(wheel), remedy="Name a file that ends in .whl")
        return Release.of(wheel, files.lock())
    root = files.checkout()
    made = _build(root, folder) if root else pack(_installed(), folder)
    return Release.of(made, files.lock())


def _build(root: Path, folder: Path) -> Path:
    command = [sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS
    )
    made = sorted(folder.glob("*.whl"))
    if done.returncode or not made:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise MeerkatError(
            f"Meerkat's wheel cannot be built: {said[-1] if said else 'no word of why'}",
            where=str(root),
            remedy="Type: pip install hatchling; or build it elsewhere and name it with --wheel",
        )
    return made[0]


def _installed() -> Distribution:
    try:
        return distribution(NAME)
    except PackageNotFoundError:
        raise MeerkatError(
            "it cannot be told which files Meerkat consists of",
            where=NAME,
            remedy="Name a wheel with --wheel",
        ) from None


def pack(installed: Distribution, folder: Path) -> Path:
    """A wheel of what is installed: the files of its RECORD, less what the installer added."""
    listed = installed.files
    if not listed:
        raise MeerkatError(
            "the installation does not list its files", where=NAME, remedy="Name a wheel with --wheel"
        )
    contents: dict[str, bytes] = {}
    for path in sorted(listed, key=str):
        name = path.as_posix()
        outside = name.startswith(("..", "/"))
        own = ".dist-info/" in name and path.name in _OWN
        if outside or own or "__pycache__" in name:
            continue
        contents[name] = Path(str(path.locate())).read_bytes()
    info = next(name for name in contents if name.endswith(".dist-info/METADATA")).rpartition("/")[0]
    contents[f"{info}/RECORD"] = _record(contents, f"{info}/RECORD")
    target = folder / f"{info.removesuffix('.dist-info')}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED)
    return target


def _record(contents: dict[str, bytes], own: str) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for name, content in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow((name, f"sha256={digest}", len(content)))
    rows.writerow((own, "", ""))
    return text.getvalue().encode()


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
