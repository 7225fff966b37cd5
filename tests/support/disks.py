"""Small and hostile disks: a file system of a few megabytes, one that fails, a folder that is locked.

Most of it needs root, as mounting does; without it the tests are skipped and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} does not work here: {(done.stderr or done.stdout).strip()[:200]}")


def _needs_root(*programs: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    for program in programs:
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"needs {program}")


@contextmanager
def memory_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system in memory, mounted at `folder`."""
    _needs_root("mount")
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class SdCard:
    """An ext4 file system in a file, mounted as a Pi mounts its card: at an error it turns read-only."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.image = image
        self.folder = folder

    def mount(self) -> None:
        _run("mount", "-o", "loop,errors=remount-ro", self.image, self.folder)

    def remount(self, how: str) -> None:
        """`ro` or `rw`; the first fails while anybody has a file open for writing."""
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.folder)], check=True)

    def fail(self) -> None:
        """As after a bad block of the journal."""
        source = subprocess.check_output(["findmnt", "-n", "-o", "SOURCE", str(self.folder)], text=True)
        trigger = Path("/sys/fs/ext4", Path(source.strip()).name, "trigger_fs_error")
        if not trigger.exists():
            pytest.skip("this kernel cannot make a file system fail")
        trigger.write_text("for a test")

    def unmount(self) -> None:
        """Fails while anybody holds a file open."""
        subprocess.run(["umount", str(self.folder)], check=True)

    def repair(self) -> None:
        done = subprocess.run(["e2fsck", "-fy", str(self.image)], capture_output=True, text=True, check=False)
        assert done.returncode <= 1, done.stdout

    def sectors_written(self) -> int:
        """Sectors of 512 bytes that reached the block device since it was attached."""
        source = subprocess.check_output(["findmnt", "-n", "-o", "SOURCE", str(self.folder)], text=True)
        return int(Path("/sys/block", Path(source.strip()).name, "stat").read_text().split()[6])


@contextmanager
def sd_card(folder: Path, megabytes: int) -> Iterator[SdCard]:
    _needs_root("mount", "mkfs.ext4", "e2fsck", "findmnt")
    folder.mkdir()
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(megabytes * 1_000_000)
    _run("mkfs.ext4", "-q", image)
    card = SdCard(image, folder)
    card.mount()
    try:
        yield card
    finally:
        if folder.is_mount():
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody can make, rename or delete anything in `folder`, whoever they are."""
    root = os.geteuid() == 0
    if root:
        _run("chattr", "+i", folder)
    else:
        folder.chmod(0o555)
    try:
        yield
    finally:
        if root:
            subprocess.run(["chattr", "-i", str(folder)], check=True)
        else:
            folder.chmod(0o755)
