"""The scripts of a newcomer's first minute, on a machine where nearly everything is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("awk", "basename", "cat", "chmod", "cksum", "dirname", "env", "mkdir", "rm", "sh", "uname")


def load(name: str) -> ModuleType:
    spec = spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Machine:
    """A checkout and a PATH of our own making; the user is not root and sudo would ask."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "meerkat"
        self.bin = folder / "bin"
        self.bin.mkdir()
        shutil.copytree(ROOT / "scripts", self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "requirements", self.root / "requirements")
        shutil.copy(ROOT / "pyproject.toml", self.root)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (self.bin / tool).symlink_to(found)
        self.has("id", "echo 1000")
        self.has("sudo", "exit 1")
        for program in ("mosquitto", "ffmpeg"):
            self.has(program, "exit 0")

    def has(self, program: str, body: str, *, folder: Path | None = None) -> None:
        path = (folder or self.bin) / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def run(self, script: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "scripts" / script, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=cwd,
            env={"PATH": str(self.bin), "HOME": str(self.root)},
        )

    def stamp(self, kind: str) -> None:
        """As a set-up of this very checkout would leave it."""
        text = "".join(
            (self.root / part).read_text() for part in (f"requirements/{kind}.txt", "pyproject.toml")
        )
        sums = subprocess.run(
            ["cksum"], input=text, capture_output=True, text=True, check=True
        ).stdout.strip()
        (self.root / ".venv" / f"meerkat-{kind}.stamp").write_text(f"{self.root} {sums}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_python_it_says_what_to_type(machine: Machine) -> None:
    done = machine.run("run")
    assert done.returncode == 1
    wanted = "brew" if sys.platform == "darwin" else "sudo apt"
    assert done.stderr == (
        f"error: Python 3.11 or newer is missing. Type: {wanted} install python3 python3-venv\n"
    )


def test_without_venv_it_says_what_to_type(machine: Machine) -> None:
    machine.has("python3", 'case "$2" in *ensurepip*) exit 1;; esac; echo Python 3.11.2')
    done = machine.run("test")
    assert done.returncode == 1
    assert "error: Python's venv is missing. Type: " in done.stderr
    assert not (machine.root / ".venv").exists()


def test_an_environment_whose_python_has_gone_is_made_anew(machine: Machine) -> None:
    (machine.root / ".venv" / "bin").mkdir(parents=True)
    (machine.root / ".venv" / "bin" / "python").symlink_to("/usr/bin/python3.0")
    done = machine.run("run")
    assert done.stderr.startswith("The environment in .venv does not work any more; making it anew\n")
    assert not (machine.root / ".venv").exists()


def test_a_missing_program_is_named(machine: Machine) -> None:
    (machine.bin / "ffmpeg").unlink()
    assert "Missing: ffmpeg. Type: " in machine.run("run").stderr


@pytest.mark.parametrize("kind", ["run", "dev"])
def test_when_everything_is_there_nothing_is_installed(machine: Machine, tmp_path: Path, kind: str) -> None:
    machine.has("python", "exit 0", folder=machine.root / ".venv" / "bin")
    machine.has("meerkat", 'echo "$PWD: meerkat $*"', folder=machine.root / ".venv" / "bin")
    machine.stamp(kind)
    done = machine.run("run", "--video", "clip.mp4", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path}: meerkat up --video clip.mp4\n"


def test_the_burst_demo_has_a_lock_of_its_own(machine: Machine) -> None:
    machine.has("python", "exit 0", folder=machine.root / ".venv" / "bin")
    machine.has("meerkat", 'echo "meerkat $*"', folder=machine.root / ".venv" / "bin")
    machine.stamp("run")
    (machine.root / "requirements" / "burst-demo.txt").write_text("# nothing is needed\n")
    assert machine.run("run").stderr == "", "what everybody runs does not need it"
    done = machine.run("run", "--burst-demo")
    assert (done.stdout, done.stderr) == ("meerkat up --burst-demo\n", "Set-up is complete\n")
    assert machine.run("run", "--burst-demo").stderr == ""


def test_the_burst_demo_changes_no_version_of_the_others() -> None:
    pins = {
        name: set(re.findall(r"^\S+==\S+", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE))
        for name in ("run", "burst-demo", "dev")
    }
    assert pins["run"] <= pins["burst-demo"] <= pins["dev"], "else the environment would go to and fro"


def test_a_changed_lock_sets_up_again(machine: Machine) -> None:
    machine.has("python", "exit 0", folder=machine.root / ".venv" / "bin")
    machine.has("meerkat", "exit 0", folder=machine.root / ".venv" / "bin")
    machine.stamp("run")
    (machine.root / "requirements" / "run.txt").write_text("# nothing is needed any more\n")
    assert machine.run("run").stderr == "Set-up is complete\n"
    assert machine.run("run").stderr == ""


def test_bench_lists_what_there_is(machine: Machine) -> None:
    machine.has("motion.py", "", folder=machine.root / "benchmarks")
    done = machine.run("bench", "nonsense")
    assert done.returncode == 2
    assert "  motion" in done.stderr


def test_installed_reads_a_lock() -> None:
    missing = load("installed").missing
    here = f"pytest=={pytest.__version__} \\\n    --hash=sha256:00\n"
    assert missing(here) == []
    assert missing("pytest==0.1 \\\n") == ["pytest==0.1"]
    assert missing("no-such-thing==1 \\\n") == ["no-such-thing==1"]
    assert missing("no-such-thing==1 ; sys_platform == 'win32' \\\n") == []


def test_layout_finds_packages_and_long_files(tmp_path: Path) -> None:
    layout = load("layout")
    (tmp_path / "homeassistant").mkdir()
    (tmp_path / "homeassistant" / "__init__.py").touch()
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "long.py").write_text("x = 1\n" * (layout.LONGEST + 1))
    found = layout.problems(tmp_path)
    assert [text.split(":")[0] for text in found] == ["homeassistant/__init__.py", "hub/long.py"]


def test_scripts_can_be_run() -> None:
    for name in ("run", "test", "check", "bench", "lock"):
        path = ROOT / "scripts" / name
        assert os.access(path, os.X_OK)
        subprocess.run(["sh", "-n", str(path)], check=True)
    assert (ROOT / ".ci" / "run").exists()
