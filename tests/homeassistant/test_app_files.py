"""The app's files, by the rules of Home Assistant's Supervisor.

It drops a key that it does not know without a word, and shows an app that it cannot read nowhere. The
rules are those of supervisor/apps/validate.py and options.py in home-assistant/supervisor, of 2026.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from meerkat_contract.ids import NAME_PATTERN
from meerkat_homeassistant.app.options import Camera, Options
from meerkat_homeassistant.settings import EventType

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "homeassistant" / "app"

REQUIRED = {"name", "version", "slug", "description", "arch"}
OPTIONAL = set(
    "machine url startup boot init stage ports ports_description watchdog webui ingress ingress_port "
    "ingress_entry ingress_stream panel_icon panel_title panel_admin homeassistant host_network host_pid "
    "host_ipc host_uts host_dbus devices udev tmpfs map environment privileged apparmor full_access audio "
    "video gpio usb uart devicetree kernel_modules realtime hassio_api hassio_role homeassistant_api stdin "
    "legacy docker_api auth_api services discovery backup_exclude backup_pre backup_post backup options "
    "schema image ulimits timeout journald breaking_versions".split()
)
ELEMENT = re.compile(
    r"(?:bool|email|url|port|device(?:\(subsystem=[a-z]+\))?|(?:str|password)(?:\(\d*,\d*\))?|int(?:\(-?\d*,-?\d*\))?"
    r"|float\((?P<least>-?\d*\.?\d+)?,(?P<most>-?\d*\.?\d+)?\)|float|match\((?P<match>.*)\)|list\((?P<list>.+)\))\??"
)
FOLDERS = {"ssl", "backup", "share", "media", "homeassistant_config", "addon_config", "data"}


def read(path: Path) -> dict[str, Any]:
    content = YAML(typ="safe", pure=True).load(path.read_text())
    assert isinstance(content, dict)
    return content


CONFIG = read(APP / "config.yaml")
SCHEMA = CONFIG["schema"]


def element(kind: str) -> re.Match[str]:
    found = ELEMENT.fullmatch(kind)
    assert found, f"{kind} is no type of an option"
    return found


def test_every_key_is_known_to_the_supervisor() -> None:
    assert set(CONFIG) >= REQUIRED
    assert set(CONFIG) - REQUIRED <= OPTIONAL


def test_the_values_are_those_that_it_takes() -> None:
    assert set(CONFIG["arch"]) == {"aarch64", "amd64"}
    assert re.fullmatch(r"[-_.A-Za-z0-9]+", CONFIG["slug"])
    assert CONFIG["startup"] == "application"
    assert CONFIG["boot"] == "auto"
    assert CONFIG["stage"] in {"stable", "experimental", "deprecated"}
    assert CONFIG["backup"] in {"hot", "cold"}
    assert 10 <= CONFIG["timeout"] <= 300
    assert all(re.fullmatch(r"(mqtt|mysql):(provide|want|need)", one) for one in CONFIG["services"])
    assert all(set(one) <= {"type", "read_only", "path"} and one["type"] in FOLDERS for one in CONFIG["map"])
    port = re.fullmatch(
        r"(?:https?|\[PROTO:\w+\]|tcp)://\[HOST\]:(?:\[PORT:(\d+)\]|\d+).*", CONFIG["watchdog"]
    )
    assert port
    assert int(port[1]) == CONFIG["ingress_port"] == 8480
    assert CONFIG["ingress"] is True
    assert CONFIG["panel_icon"].startswith("mdi:")


def test_the_version_is_meerkats_own_and_the_changelog_has_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert CONFIG["version"] == project["version"]
    assert f"## {CONFIG['version']}\n" in (APP / "CHANGELOG.md").read_text()


def test_the_repository_is_one_of_apps() -> None:
    about = read(ROOT / "repository.yaml")
    assert about["name"]
    assert set(about) <= {"name", "url", "maintainer"}
    if shutil.which("git") is None:
        pytest.skip("needs git")
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    others = re.findall(r"^(?:.*/)?config\.(?:ya?ml|json)$", tracked, re.MULTILINE)
    assert set(others) <= {"homeassistant/app/config.yaml"}, "each would be taken for an app"


# --- the form ----------------------------------------------------------------------------------------


def test_the_form_and_the_options_are_the_same() -> None:
    assert set(SCHEMA) == set(Options.model_fields)
    (camera,) = SCHEMA["cameras"]
    assert set(camera) == set(Camera.model_fields)
    for model, kinds in ((Options, SCHEMA), (Camera, camera)):
        for name, kind in kinds.items():
            optional = str(kind[0] if isinstance(kind, list) else kind).endswith("?")
            has_default = name in CONFIG["options"] or not model.model_fields[name].is_required()
            assert has_default or not optional, name
    assert element(camera["name"])["match"] == f"^{NAME_PATTERN}$"
    assert element(SCHEMA["events"][0])["list"].split("|") == list(get_args(EventType))
    Options.model_validate(CONFIG["options"])


def test_what_has_no_question_mark_has_a_default_and_what_has_one_has_none() -> None:
    for name, kind in SCHEMA.items():
        first = kind[0] if isinstance(kind, list) else kind
        if isinstance(first, str):
            element(first)
            assert first.endswith("?") == (name not in CONFIG["options"]), name
    assert set(CONFIG["options"]) <= set(SCHEMA)


@pytest.mark.parametrize("name", [name for name, kind in SCHEMA.items() if str(kind).startswith("float(")])
def test_the_form_ends_where_the_options_end(name: str) -> None:
    limits = element(SCHEMA[name])
    least, most = float(limits["least"]), float(limits["most"])
    for good in (least, most):
        assert getattr(Options.model_validate({name: good}), name) == good
    for bad in (least - 0.01, most + 0.01):
        with pytest.raises(ValidationError):
            Options.model_validate({name: bad})


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_option_is_explained(language: str) -> None:
    told = read(APP / "translations" / f"{language}.yaml")
    assert set(told) == {"configuration"}
    assert list(told["configuration"]) == list(SCHEMA)
    cameras = told["configuration"]["cameras"]
    assert list(cameras["fields"]) == list(SCHEMA["cameras"][0])
    for words in [*told["configuration"].values(), *cameras["fields"].values()]:
        assert words["name"]
        assert words["description"].endswith(".")
        assert set(words) <= {"name", "description", "fields"}


def test_the_documentation_names_every_option() -> None:
    docs = (APP / "DOCS.md").read_text()
    for name in ("cameras", "demo", "log", "keep_days", "events", "model", "broker"):
        assert read(APP / "translations/en.yaml")["configuration"][name]["name"] in docs


def test_the_how_to_says_where_each_option_is_in_the_file() -> None:
    text = (ROOT / "docs/how-to/home-assistant-app.md").read_text()
    rows = re.findall(
        r"^\| (`.+?) \| .+ \|$", text.partition("## Options")[2].partition("\n## ")[0], re.MULTILINE
    )
    assert sorted(", ".join(rows).replace("`", "").split(", ")) == sorted(SCHEMA)
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (ROOT / "docs/how-to" / link).exists(), link


@pytest.mark.parametrize(("name", "size"), [("icon.png", (128, 128)), ("logo.png", (250, 100))])
def test_the_pictures_are_small_and_of_the_size_that_is_asked_for(name: str, size: tuple[int, int]) -> None:
    content = (APP / name).read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == size
    assert len(content) < 10_000


# --- the image ---------------------------------------------------------------------------------------


def joined(path: Path) -> str:
    return re.sub(r"\s+", " ", path.read_text().replace("\\\n", " "))


def test_the_image_is_built_as_the_hubs_is() -> None:
    text, hubs = joined(APP / "Dockerfile"), joined(ROOT / "docker/Dockerfile")
    assert re.findall(r"FROM (\S+)", text) == ["debian:bookworm-slim"] * 2, "the Supervisor names no base"
    for install in re.findall(r"RUN (apt-get update .*?/var/lib/apt/lists/\*)", text):
        assert install in hubs
    packed = re.findall(r"/opt/meerkat/bin/pip install [^;&]*?/app/source[^\s;]*", text)
    assert len(packed) == 2
    for install in packed:
        assert install.replace("/app/source", "/src") in hubs
    assert 'CMD ["/run.sh"]' in text
    assert subprocess.run(["sh", "-n", APP / "run.sh", APP / "pack"], check=True).returncode == 0


def test_a_packed_app_has_all_that_its_image_needs_and_is_one_app(tmp_path: Path) -> None:
    packed = tmp_path / "meerkat"
    (packed / "source/old").mkdir(parents=True)
    (packed / "config.yaml").touch()  # as an earlier one has left it
    subprocess.run([APP / "pack", packed], check=True, capture_output=True)
    assert not (packed / "source/old").exists()
    for name in ("config.yaml", "Dockerfile", "run.sh", "icon.png", "translations/de.yaml"):
        assert (packed / name).read_bytes() == (APP / name).read_bytes()
    assert [path.relative_to(packed) for path in packed.rglob("config.yaml")] == [Path("config.yaml")]
    wheel = tomllib.loads((packed / "source/pyproject.toml").read_text())["tool"]["hatch"]["build"][
        "targets"
    ]["wheel"]
    for part in (*wheel["packages"], *wheel["force-include"], "requirements/run.txt", "README.md", "LICENSE"):
        assert (packed / "source" / part).exists(), part
    assert not list(packed.rglob("__pycache__"))


def test_nothing_foreign_is_packed_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = subprocess.run([APP / "pack", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "holds something else" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
