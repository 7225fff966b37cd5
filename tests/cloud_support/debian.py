"""A fresh Debian root file system, and shell scripts run in it as root: what a rented machine begins with.

debootstrap makes it once, into the user's cache; each test takes a copy. Nothing but mounts is apart: the
network is this machine's, so that a script reaches the emulator of AWS, Debian's mirror and the package
index as they are set up here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

SUITE = "bookworm"
# What every image of Debian for the cloud has, as far as the user data uses it.
INCLUDED = "python3,ca-certificates"
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")

FAKE = """#!/bin/sh
# Stands for a system manager that this root file system does not have.
echo "$(basename "$0") $*" >> /run/said
"""


def fresh_root(folder: Path) -> DebianRoot:
    """A copy in `folder`; skips the test where none can be made."""
    if os.geteuid() != 0:
        pytest.skip("a root file system can be made by root only")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    for program in ("debootstrap", "unshare", "chroot"):
        if shutil.which(program, path=path) is None:
            pytest.skip(f"{program} is not installed")
    root = folder / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", str(_cached(path)), str(root)], check=True)
    return DebianRoot(root)


def _cached(path: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meerkat"
    ready = cache / f"debian-{SUITE}"
    if not ready.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        half = cache / f"debian-{SUITE}.{os.getpid()}"
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE, str(half), *_mirror()],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": path},
        )
        if done.returncode:
            shutil.rmtree(half, ignore_errors=True)
            last = (done.stdout.strip().splitlines() or [""])[-1]
            pytest.skip(f"Debian's packages are out of reach: {last}")
        half.rename(ready)
    return ready


def _mirror() -> list[str]:
    """The mirror that this machine uses, if it is a Debian; else debootstrap's own choice."""
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    found = re.search(r"^URIs: (\S+)", sources.read_text(), re.MULTILINE) if sources.is_file() else None
    return [found[1]] if found else []


class DebianRoot:
    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("usr/bin/systemctl", "usr/sbin/shutdown"):
            (path / name).write_text(FAKE)
            (path / name).chmod(0o755)
        shutil.copy("/etc/resolv.conf", path / "etc/resolv.conf")
        if BUNDLE.is_file():
            shutil.copy(BUNDLE, path / str(BUNDLE).lstrip("/"))
        if Path("/etc/pip.conf").is_file():
            shutil.copy("/etc/pip.conf", path / "etc/pip.conf")

    def run(
        self, script: str, environment: Mapping[str, str], *, seconds: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """As cloud-init runs user data."""
        (self.path / "user-data").write_text(script)
        return self.command(["/bin/sh", "/user-data"], environment, seconds=seconds)

    def command(
        self, command: list[str], environment: Mapping[str, str] | None = None, *, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        passed = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={self.path}/proc"]
        return subprocess.run(
            [*apart, "chroot", str(self.path), *command],
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": "/root",
                "LANG": "C.UTF-8",
                **passed,
                **(environment or {}),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    def said(self) -> list[str]:
        """To systemctl and shutdown."""
        told = self.path / "run/said"
        return told.read_text().splitlines() if told.exists() else []

    def read(self, name: str) -> str:
        return (self.path / name.lstrip("/")).read_text()

    def installed(self) -> int:
        """Bytes below /opt/meerkat."""
        listed = subprocess.run(
            ["du", "-sb", str(self.path / "opt/meerkat")], capture_output=True, text=True, check=True
        )
        return int(listed.stdout.split()[0])
