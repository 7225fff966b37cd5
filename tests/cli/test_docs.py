"""What the documents show must be true."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import click
import pytest

from meerkat_cli import main
from meerkat_cli.up import up
from meerkat_contract import configfile

ROOT = Path(__file__).resolve().parents[2]
CONFIGURE = (ROOT / "docs" / "how-to" / "configure.md").read_text()


def test_the_example_configuration_is_good(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", CONFIGURE, re.DOTALL)
    assert example
    file = tmp_path / "meerkat.yaml"
    file.write_text(example[1])
    assert set(configfile.load(file)) >= {"broker", "devices", "hub", "worker", "homeassistant"}


def test_the_reference_lists_every_setting_as_it_is() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "reference.py"))
    page: str = script["page"]()
    assert script["PAGE"].read_text() == page, "type: .venv/bin/python scripts/reference.py"
    assert "|  |" not in page, "a setting without a meaning"


def test_every_option_of_up_is_documented_and_no_other() -> None:
    options = {
        name for parameter in up.params if isinstance(parameter, click.Option) for name in parameter.opts
    }
    named = set(re.findall(r"`(--[a-z-]+)[ `]", CONFIGURE.split("## Options of `meerkat up`")[1]))
    assert named <= options
    assert options - named <= {"--data", "--config"}


def test_links_lead_somewhere() -> None:
    for file in (ROOT / "README.md", *(ROOT / "docs").glob("*/*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", file.read_text()):
            assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    pages = {f"docs/{file.parent.name}/{file.name}" for file in (ROOT / "docs").glob("*/*.md")}
    assert {page for page in pages if f"({page})" not in readme} == set()


def test_the_readme_names_real_commands() -> None:
    named = set(re.findall(r"^meerkat ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert {"up", "watch", "submit", "check", "device", "models"} <= named <= set(main.SUMMARIES)


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.stem)
def test_locks_have_hashes_and_name_no_host(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    pins = re.findall(r"^[A-Za-z0-9._-]+==", text, re.MULTILINE)
    assert pins
    assert len(re.findall(r"^[A-Za-z0-9._-]+==[^#]*?--hash=sha256:", text, re.MULTILINE)) == len(pins)


def test_component_folders_are_no_packages_and_no_file_is_long() -> None:
    subprocess.run([sys.executable, str(ROOT / "scripts" / "layout.py")], check=True)
