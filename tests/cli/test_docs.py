"""What the documents show must be true."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from meerkat_cli import main
from meerkat_cli.up import up
from meerkat_contract import configfile

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *(ROOT / "docs").glob("*/*.md"), *ROOT.glob("[a-z]*/README.md"))
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
    for file in PAGES:
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


def anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """With `-1` and so on, where a heading is there again."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    made = [anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
    return {f"{name}-{again}" if (again := made[:at].count(name)) else name for at, name in enumerate(made)}


def test_links_into_pages_lead_to_a_heading() -> None:
    missing = []
    for page in PAGES:
        for target, name in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text()):
            other = (page.parent / target) if target else page
            if other.suffix == ".md" and name not in anchors(other):
                missing.append(f"{page.name}: {target}#{name}")
    assert missing == []


def commands_in(page: Path) -> Iterator[str]:
    """What stands in blocks for a terminal, continued lines joined, remarks and outputs left out."""
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            if kind == "sh" or (kind == "console" and line.startswith("$ ")):
                typed = line.removeprefix("$ ").split(" #")[0]
                yield from (part[1] for part in re.finditer(r"(?:^|[/\s(])meerkat ([a-z][^|;&>]*)", typed))


def test_commands_in_the_pages_have_these_options() -> None:
    wrong, seen = [], 0
    for page in PAGES:
        for line in commands_in(page):
            command: click.Command = main.cli
            words = line.split()
            context = click.Context(command)
            while isinstance(command, click.Group) and words:
                found = command.get_command(context, words[0])
                if found is None:
                    break
                command, words = found, words[1:]
            if command is main.cli:
                continue  # a path or a folder of that name
            seen += 1
            known = {"--help"} | {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            options = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            wrong += [f"{page.name}: meerkat {line}: {name}" for name in sorted(options - known)]
    assert wrong == []
    assert seen > 80, "they are found"
