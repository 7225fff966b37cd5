"""docker/ without a docker engine: every path, target, variable and command it names must be true."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from meerkat_cli.private_broker import access_text

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
SUBCOMMANDS = set(
    tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["meerkat.commands"]
)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content = YAML(typ="safe", pure=True).load((DOCKER / "compose.yaml").read_text())
    assert isinstance(content, dict)
    return content


def stages() -> dict[str, str]:
    """Each stage's name and the one it stands on."""
    return {name: base for base, name in re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)}


def commands() -> list[list[str]]:
    return [json.loads(text) for text in re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)]


def test_there_is_a_target_for_each_role() -> None:
    assert {"hub", "worker", "device"} <= set(stages())
    for base in stages().values():
        assert base in stages() or base == "debian:bookworm-slim"


def test_what_is_copied_exists_and_is_let_into_the_build() -> None:
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert copied
    for source in " ".join(copied).split():
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in let_in, source


def test_everything_the_wheel_packs_is_copied() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for part in [*wheel["packages"], *wheel["force-include"]]:
        copied = (rf"{part.split('/')[0]} ", rf"{part} ")
        assert re.search(rf"^COPY ({'|'.join(copied)})", DOCKERFILE, re.MULTILINE), part


def test_no_role_runs_as_root() -> None:
    for name in ("base", "device"):
        body = re.split(rf"^FROM \S+ AS {name}$", DOCKERFILE, flags=re.MULTILINE)[1].split("\nFROM ")[0]
        assert re.findall(r"^USER (\S+)$", body, re.MULTILINE)[-1] == "meerkat"
    assert stages()["hub"] == stages()["worker"] == stages()["device"] == "base"


def test_commands_are_those_of_meerkat(compose: dict[str, Any]) -> None:
    named = [service["command"] for service in compose["services"].values() if "command" in service]
    found = [command for command in [*commands(), *named] if command[0] == "meerkat"]
    assert {command[1] for command in found} == {"hub", "worker", "device", "ha"}
    assert {command[1] for command in found} <= SUBCOMMANDS


def test_services_name_targets_and_files_that_exist(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"broker", "hub", "worker", "homeassistant", "porch"}
    for name, service in services.items():
        if "build" in service:
            context = (DOCKER / service["build"]["context"]).resolve()
            assert context == ROOT
            assert (context / service["build"]["dockerfile"]).is_file()
            assert service["build"]["target"] in stages()
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (DOCKER / source).is_file() if source.startswith("./") else source in compose["volumes"], (
                name
            )
        for other in service.get("depends_on", {}):
            assert "healthcheck" in services[other]


def test_ports_are_on_loopback_unless_opened(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for port in service.get("ports", []):
            assert re.fullmatch(r"\$\{\w+:-127\.0\.0\.1\}:\d+:\d+", port)


def test_every_variable_is_in_the_example(compose: dict[str, Any]) -> None:
    example = re.findall(r"^(\w+)=", (DOCKER / "example.env").read_text(), re.MULTILINE)
    assert set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text())) == set(example)
    used = set(re.findall(r"\$(\w+_PASSWORD)", (DOCKER / "start-broker.sh").read_text()))
    assert used == set(compose["services"]["broker"]["environment"])


def test_the_access_list_is_the_one_up_writes(compose: dict[str, Any]) -> None:
    addresses = [
        service.get("environment", {}).get("MEERKAT_BROKER") for service in compose["services"].values()
    ]
    users = [re.sub(r"^mqtt://([^:]+):.*", r"\1", address) for address in addresses if address]
    written = (DOCKER / "access").read_text().split("\n\n", 1)[1]
    assert written.strip() == access_text(users).strip()
    script = (DOCKER / "start-broker.sh").read_text()
    assert set(re.findall(r'-b "\$passwords" (\S+)', script)) == set(users)


def test_the_start_script_is_sound() -> None:
    subprocess.run(["sh", "-n", str(DOCKER / "start-broker.sh")], check=True)
