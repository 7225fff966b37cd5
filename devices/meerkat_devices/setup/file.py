"""meerkat.yaml as a file that a person keeps: what is in it stays, comments and order too."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from meerkat_contract.configfile import section
from meerkat_contract.connection import BrokerSettings
from meerkat_contract.errors import StorageError, UsageError
from meerkat_contract.yamltree import read_tree
from meerkat_devices.settings.device import DevicesSettings

Path_ = tuple[str, ...]


class Draft:
    """The file with what is to be added; nothing is written before `save`."""

    def __init__(self, file: Path) -> None:
        """Raises UsageError when the file is there and cannot be read."""
        self.file = file
        self._yaml = YAML()
        self._yaml.preserve_quotes = True
        self._yaml.width = 100
        self._yaml.indent(mapping=2, sequence=4, offset=2)
        self._document: Any = CommentedMap()
        self.changes: list[str] = []
        """What was there and is to be something else, in words."""
        if file.exists() and file.stat().st_size:
            self._document = self._load()

    def _load(self) -> Any:
        tree, problems = read_tree(self.file)  # whose errors name line and column
        if tree.broken and not self._only_comments():
            raise UsageError(
                "\n".join(str(problem) for problem in problems),
                remedy="Mend the file first, or name another with --config",
            )
        try:
            found = self._yaml.load(self.file.read_text(encoding="utf-8-sig"))
        except (OSError, YAMLError) as error:
            raise UsageError(
                f"cannot be read ({error})", where=str(self.file), remedy="Name another with --config"
            ) from error
        return found if found is not None else CommentedMap()

    def _only_comments(self) -> bool:
        lines = self.file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        return all(not line.strip() or line.lstrip().startswith("#") for line in lines)

    def get(self, *path: str) -> Any:
        """What stands there, or None."""
        value = self._document
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def set(self, path: Path_, value: Any) -> None:
        """Put a value, which may be a mapping; what would be lost is noted in `changes`."""
        if isinstance(value, dict):
            for key, each in value.items():
                self.set((*path, key), each)
            if not value and not isinstance(self.get(*path), dict):
                self._parent((*path, ""))
            return
        before = self.get(*path)
        if before == value:
            return
        if before is not None:
            shown = ("…", "…") if path[-1] == "password" else (before, value)
            self.changes.append(f"{'.'.join(path)}: {shown[0]} → {shown[1]}")
        self._parent(path)[path[-1]] = value

    def drop(self, path: Path_) -> None:
        """Take a value out, if there is one; noted in `changes`."""
        if self.get(*path) is not None:
            self.changes.append(f"{'.'.join(path)}: taken out")
            del self._parent(path)[path[-1]]

    def _parent(self, path: Path_) -> Any:
        target = self._document
        for depth, part in enumerate(path[:-1]):
            inner = target.get(part)
            if not isinstance(inner, dict):
                if inner is not None:
                    where = ".".join(path[: depth + 1])
                    raise UsageError("is no mapping", where=f"{self.file}, {where}", remedy="Mend it first")
                inner = target[part] = CommentedMap()
            target = inner
        return target

    @property
    def text(self) -> str:
        out = StringIO()
        self._yaml.dump(self._document, out)
        return out.getvalue()

    @property
    def secret(self) -> bool:
        """Whether it holds a password."""
        return _has_secret(self._document)

    def save(self) -> None:
        """Check it, then put it in the file's place, at once or not at all.

        With a password it is its owner's alone (0600). It belongs to whoever owns the folder, so that a
        service that may not be root can read what root has written.
        Raises ConfigurationError when a device would not take it, StorageError when it cannot be written.
        """
        folder = self.file.absolute().parent
        draft = folder / f".{self.file.name}.new"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            mode = 0o600 if self.secret else self.file.stat().st_mode & 0o777 if self.file.exists() else 0o640
            draft.unlink(missing_ok=True)
            with os.fdopen(
                os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            ) as out:
                out.write(self.text)
                out.flush()
                os.fsync(out.fileno())
            section(draft, "devices", DevicesSettings)
            section(draft, "broker", BrokerSettings)
            draft.chmod(mode)
            owner = folder.stat()
            if os.geteuid() == 0:
                os.chown(draft, owner.st_uid, owner.st_gid)
            draft.replace(self.file)
        except OSError as error:
            raise StorageError(
                f"cannot be written ({error.strerror})",
                where=str(self.file),
                remedy="Run it with sudo, or name another file with --config",
            ) from error
        finally:
            draft.unlink(missing_ok=True)


def _has_secret(value: Any, key: str = "") -> bool:
    if isinstance(value, dict):
        return any(_has_secret(each, str(name)) for name, each in value.items())
    if isinstance(value, list):
        return any(_has_secret(each) for each in value)
    if not isinstance(value, str):
        return False
    # rtsp://user:password@camera/… is one, too.
    return key in ("password", "token") or ("://" in value and "@" in value)
