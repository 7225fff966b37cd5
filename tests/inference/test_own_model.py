"""`meerkat models check`: what an owner learns of a Darknet network before using it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from meerkat_contract.errors import ModelError, UsageError
from meerkat_inference import catalogue
from meerkat_inference.loading import load_detector
from meerkat_inference.models_command import models
from meerkat_inference.own_model import find_pair, read_names
from support.darknet import DETECTOR, needs, write_random


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No Darknet of its own, no models."""
    monkeypatch.setenv("MEERKAT_LIBDARKNET", str(tmp_path / "none"))
    monkeypatch.setenv("MEERKAT_DARKNET", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MEERKAT_MODELS", raising=False)
    return tmp_path


def check(*arguments: object) -> Result:
    return CliRunner().invoke(models, ["check", *map(str, arguments)])


def test_one_command_tells_which_engine_runs_it(tmp_path: Path) -> None:
    weights, config = write_random(tmp_path)
    told = check(config, weights)
    assert told.exit_code == 0, told.output
    assert "96x64, 2 classes" in told.output
    rows = dict(line.split()[:2] for line in told.output.splitlines()[3:6])
    assert rows == {"opencv": "yes", "libdarknet": "no", "darknet": "no"}
    assert "Install Debian's package darknet" in told.output


def test_the_engines_are_compared_where_they_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEERKAT_LIBDARKNET")
    needs("libdarknet")
    weights, config = write_random(tmp_path)
    report = json.loads(check(config, weights, "--json").output)
    ours, library, program = report["engines"]
    assert (ours["works"], library["works"], program["works"]) == (True, True, False)
    assert library["agreed"] == library["expected"] == ours["expected"] > 0
    assert library["milliseconds"] > 0


def test_what_no_engine_runs_is_told_with_its_line_and_status_1(tmp_path: Path) -> None:
    weights, config = write_random(tmp_path)
    config.write_text(DETECTOR.replace("activation=relu", "activation=gelu"))
    told = check(weights)
    assert told.exit_code == 1
    line = DETECTOR.splitlines().index("activation=relu") + 1
    assert f"{config}:{line}: activation 'gelu' is not known to OpenCV" in told.output
    assert "No engine here runs it" in told.output


def test_the_entry_it_prints_makes_the_model_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, config = write_random(tmp_path, name="My Porch (2)")
    names = tmp_path / "porch.names"
    names.write_text("Person\nGarden Gnome\n")
    printed = check(config, weights, "--names", names, "--entry")
    assert printed.exit_code == 0, printed.output
    own = tmp_path / "own.toml"
    own.write_text(printed.stdout)
    monkeypatch.setenv("MEERKAT_CATALOGUE", str(own))
    entry = catalogue.get("my-my-porch-2")
    assert entry.engines == ("opencv",)
    detector = load_detector(entry.name, folders=[tmp_path])
    assert (detector.info.name, detector.info.engine) == (entry.name, "opencv")
    detector.close()
    assert "no reason for an event: garden_gnome" in check(config, weights, "--names", names).output


def test_names_must_be_those_of_the_cfg(tmp_path: Path) -> None:
    names = tmp_path / "x.names"
    names.write_text("person\n\n")
    with pytest.raises(ModelError, match=r"1 names, the \.cfg has 2 classes"):
        read_names(names, 2)
    names.write_text("person\nthe dog's\n")
    with pytest.raises(ModelError, match="cannot be a label") as caught:
        read_names(names, 2)
    assert caught.value.where == f"{names}:2"
    assert read_names(None, 80)[0] == "person"
    assert read_names(None, 2) == ("class_0", "class_1")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    weights, config = write_random(tmp_path)
    assert find_pair([config]) == find_pair([weights]) == find_pair([config, weights]) == (weights, config)
    weights.unlink()
    with pytest.raises(UsageError, match=r"random\.weights: this file is not there"):
        find_pair([config])
