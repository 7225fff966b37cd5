"""Whether the set-up knows that all is there, so that it needs no network."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "installed.py"


@pytest.fixture(scope="module")
def installed() -> ModuleType:
    spec = importlib.util.spec_from_file_location("installed", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_there_in_the_version_of_the_lock_is_met(installed: ModuleType) -> None:
    assert installed.missing(f"click=={version('click')} \\\n    --hash=sha256:00\n") == []


def test_another_version_is_not(installed: ModuleType) -> None:
    assert installed.missing("click==0.1\n") == ["click==0.1"]


def test_a_package_pinned_for_each_version_of_python_is_met_by_one_of_them(installed: ModuleType) -> None:
    pins = f"click==0.1 ; python_version < '3'\nclick=={version('click')} ; python_version >= '3'\n"
    assert installed.missing(pins) == []


def test_only_what_has_a_marker_may_be_absent(installed: ModuleType) -> None:
    pins = "no-such-thing==1 ; sys_platform == 'win32'\nnor-this==2\n"
    assert installed.missing(pins) == ["nor-this==2"]
