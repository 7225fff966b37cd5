"""The command's root: lazy, and errors in words."""

from __future__ import annotations

import importlib
import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest
from pydantic import RootModel

from meerkat_cli import logs, main
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract import configfile
from meerkat_contract.connection import BrokerSettings
from meerkat_contract.errors import BrokerError, UsageError
from meerkat_devices.settings.device import DevicesSettings
from meerkat_hub.meter_settings import MetersSettings
from meerkat_hub.workflow_settings import WorkflowsSettings


class Rooms(RootModel[dict[str, int]]):
    pass


def meerkat(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "meerkat_cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, EntryPoint]]:
    found: dict[str, EntryPoint] = {}
    monkeypatch.setattr(main, "_commands", lambda: found)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    yield found
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, main.ENTRY_POINTS)


@click.command()
@click.argument("what")
def stub(what: str) -> None:
    """Raises what it is told to."""
    if what == "interrupt":
        raise KeyboardInterrupt
    if what == "usage":
        raise UsageError("no such thing", where="--camera", remedy="Name one")
    if what == "broker":
        raise BrokerError("refused")
    if what == "three":
        raise click.exceptions.Exit(3)
    if what == "import":
        importlib.import_module("lamp_that_is_absent")


def test_a_library_that_is_missed_only_when_a_command_runs(
    commands: dict[str, EntryPoint], capsys: pytest.CaptureFixture[str]
) -> None:
    commands["hub"] = entry("hub", f"{__name__}:stub")
    assert main.run(["hub", "import"]) == 2
    assert capsys.readouterr().err == (
        "error: `meerkat hub` needs lamp_that_is_absent, which is not installed. "
        "Type: pip install 'meerkat-home[hub]'\n"
    )


def test_help_lists_every_installed_command_and_imports_none() -> None:
    done = meerkat("--help")
    assert done.returncode == 0
    for name, (summary, _) in main.SUMMARIES.items():
        assert name in done.stdout
        assert summary in done.stdout
    code = (
        "import sys; from meerkat_cli import main; main.run(['--help']);"
        "heavy = {m.split('.')[0] for m in sys.modules} & {'fastapi', 'cv2', 'av', 'numpy', 'sqlalchemy',"
        "'pydantic', 'meerkat_hub', 'meerkat_devices', 'meerkat_inference', 'meerkat_homeassistant'};"
        "sys.exit(','.join(heavy) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_version() -> None:
    assert meerkat("--version").stdout.startswith("meerkat, version ")


@pytest.mark.parametrize(
    ("what", "status", "text"),
    [
        ("nothing", 0, ""),
        ("usage", 2, "error: --camera: no such thing. Name one\n"),
        ("broker", 1, "error: refused\n"),
        ("interrupt", 130, ""),
        ("three", 3, ""),
    ],
)
def test_exit_statuses(
    commands, capsys: pytest.CaptureFixture[str], what: str, status: int, text: str
) -> None:
    commands["stub"] = entry("stub", f"{__name__}:stub")
    sys.modules.setdefault(__name__, sys.modules[stub.callback.__module__])  # type: ignore[union-attr]
    assert main.run(["stub", what]) == status
    assert capsys.readouterr().err.strip() == text.strip()


def test_a_missing_extra_says_what_to_type(commands, capsys: pytest.CaptureFixture[str]) -> None:
    commands["hub"] = entry("hub", "fastapi_that_is_not_there:hub")
    assert main.run(["hub"]) == 2
    assert "Type: pip install 'meerkat-home[hub]'" in capsys.readouterr().err


def test_an_unknown_command_is_refused(commands, capsys: pytest.CaptureFixture[str]) -> None:
    commands["hub"] = entry("hub", "nowhere:hub")
    assert main.run(["huub"]) == 2
    assert "There is no command 'huub'; did you mean 'hub'?" in capsys.readouterr().err
    assert main.run(["cook"]) == 2
    assert "No such command 'cook'" in capsys.readouterr().err


def test_a_reader_that_has_gone_is_met_with_silence() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "meerkat_cli", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr.read() == b""


@pytest.fixture
def sections(commands, monkeypatch: pytest.MonkeyPatch) -> None:
    commands["check"] = entry("check", "meerkat_cli.check:check")
    monkeypatch.setattr(
        configfile,
        "installed_sections",
        lambda: ({"broker": BrokerSettings, "rooms": Rooms}, {"lamps": "lampd"}),
    )


def test_check_says_what_is_wrong_and_where(
    sections, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "meerkat.yaml"
    bad.write_text("broker: {ulr: mqtt://house}\n")
    assert main.run(["check", str(bad)]) == 2
    expected = f"{bad}:1:10: broker.ulr: there is no such field (did you mean 'url'?)"
    assert expected in capsys.readouterr().err


def test_check_says_what_it_cannot_check(
    sections, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "meerkat.yaml"
    file.write_text("lamps: {}\n")
    assert main.run(["check", str(file)]) == 2
    assert f"{file}:1:1: lamps: cannot be checked here: lampd is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "broker: {url: 'mqtt://house'}\nrooms: {hall: 1, attic: 2}\n",
            "broker sets url; rooms hall, attic",
        ),
        ("broker: {}\n", "every setting has its default"),
    ],
)
def test_check_says_what_a_good_file_defines(
    sections, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, expected: str
) -> None:
    good = tmp_path / "meerkat.yaml"
    good.write_text(text)
    assert main.run(["check", str(good)]) == 0
    assert capsys.readouterr().out == f"{good} is good: {expected}\n"


def test_check_takes_the_file_that_would_be_used(
    commands, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands["check"] = entry("check", "meerkat_cli.check:check")
    monkeypatch.delenv("MEERKAT_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main.run(["check"]) == 2
    assert "there is no meerkat.yaml here" in capsys.readouterr().err
    (tmp_path / "meerkat.yaml").write_text("broker: {}\n")
    assert main.run(["check"]) == 0
    assert capsys.readouterr().out.startswith("meerkat.yaml is good")
    monkeypatch.setenv("MEERKAT_CONFIG", str(tmp_path / "house.yaml"))
    assert main.run(["check"]) == 2
    assert "house.yaml: cannot be read" in capsys.readouterr().err


@pytest.fixture
def house_sections(commands, monkeypatch: pytest.MonkeyPatch) -> None:
    commands["check"] = entry("check", "meerkat_cli.check:check")
    found = {
        "broker": BrokerSettings,
        "burst": BurstSettings,
        "devices": DevicesSettings,
        "meters": MetersSettings,
        "workflows": WorkflowsSettings,
    }
    monkeypatch.setattr(configfile, "installed_sections", lambda: (found, {}))


def test_check_finds_a_rule_for_a_camera_that_is_not_there(
    house_sections, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "meerkat.yaml"
    file.write_text(
        "devices: {porch: {cameras: {front: {source: 'scene:porch'}}}}\n"
        "burst:\n  cameras:\n    porch/front: never\n    attic/roof: never\n"
    )
    assert main.run(["check", str(file)]) == 0
    told = capsys.readouterr().out
    said = "burst.cameras.attic/roof: no device of this file has such a camera; known are porch/front"
    assert told.startswith(f"Look again: {file}:5:17: {said}\n"), "another machine may have it"
    assert "is good" in told
    file.write_text(file.read_text().replace("    porch/front", "    porch/frnot"))
    assert main.run(["check", str(file)]) == 2
    told = capsys.readouterr().err
    assert (
        f"{file}:4:18: burst.cameras.porch/frnot: its device has no such camera (did you mean 'porch/front'?)"
        in told
    )


def test_check_finds_what_a_workflow_or_meter_would_wait_for_in_vain(
    house_sections, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "meerkat.yaml"
    file.write_text(
        "devices: {porch: {cameras: {front: {source: 'scene:porch'}}, "
        "meters: {gas: {source: 'scene:meter'}}}}\n"
        "meters:\n  porch/gas: {}\n  attic/water: {}\n"
        "workflows:\n"
        "  walkers:\n"
        "    cameras: {porch/front: 2, attic/roof: 1}\n"
        "    measurement: detect_object\n"
        "    feature: null\n"
        "    decision: {rule: seen, labels: [person, persn]}\n"
        "  faces:\n"
        "    cameras: {porch/front: 2}\n"
        "    decision: {rule: who_may_be_here}\n"
    )
    assert main.run(["check", str(file)]) == 0, (
        "another machine may have cameras, a worker of one's own tasks"
    )
    *told, good = capsys.readouterr().out.splitlines()
    assert told == [
        f"Look again: {file}:4:16: meters.attic/water: no device of this file has such a meter; known are "
        "porch/gas",
        f"Look again: {file}:7:43: workflows.walkers.cameras.attic/roof: no device of this file has such a "
        "camera; known are porch/front",
        f"Look again: {file}:8:18: workflows.walkers.measurement: no worker of Meerkat's own does "
        "'detect_object' (did you mean 'detect_objects'?)",
        f"Look again: {file}:10:45: workflows.walkers.decision.labels[1]: no model of Meerkat's own finds "
        "'persn' (did you mean 'person'?)",
    ]
    assert "is good" in good
    file.write_text(file.read_text().replace("attic/roof", "porch/roof"))
    assert main.run(["check", str(file)]) == 2
    assert "its device has no such camera" in capsys.readouterr().err


def test_check_finds_a_video_that_is_not_there(
    house_sections, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "meerkat.yaml"
    file.write_text(
        "devices:\n  porch:\n    cameras:\n      front: {source: no.mp4}\n"
        f"    meters:\n      water: {{source: 'file://{tmp_path}'}}\n"
        "  garden: {cameras: {gate: {source: 'rtsp://gate/1'}}}\n"
    )
    assert main.run(["check", str(file)]) == 2
    told = capsys.readouterr().err
    assert (
        f"{file}:4:23: devices.porch.cameras.front.source: {tmp_path}/no.mp4: there is no such file. "
        "Check the path; it counts from the folder in which the device is started" in told
    )
    assert f"{file}:6:23: devices.porch.meters.water.source: {tmp_path}: is a folder. Name one video" in told
    assert "another machine" in told
    assert "2 problems" in told
    (tmp_path / "no.mp4").touch()
    file.write_text(file.read_text().replace(f"file://{tmp_path}", "no.mp4"))
    assert main.run(["check", str(file)]) == 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (io.StringIO(), {}, r"^\d\d:\d\d:\d\d WARNING hub: it rains$"),
        (Terminal(), {}, r"^\x1b\[33m\d\d:\d\d:\d\d WARNING hub: it rains\x1b\[0m$"),
        (Terminal(), {"NO_COLOR": "1"}, r"^\d\d:\d\d:\d\d WARNING hub: it rains$"),
        (io.StringIO(), {"JOURNAL_STREAM": "8:1"}, r"^<4>hub: it rains$"),
        (io.StringIO(), {logs.FORMAT_VARIABLE: "supervised"}, r"^WARNING it rains$"),
    ],
)
def test_log_lines_suit_their_reader(commands, stream: io.StringIO, environment, expected: str) -> None:
    logs.set_up("hub", stream=stream, environment=environment)
    logging.getLogger("meerkat_hub.x").warning("it %s", "rains")
    assert re.match(expected, stream.getvalue())


def test_levels_come_from_options_then_the_environment(commands) -> None:
    stream = io.StringIO()
    environment = {logs.FORMAT_VARIABLE: "supervised", "MEERKAT_LOG": "warning"}
    logs.set_up("hub", stream=stream, environment=environment)
    logging.getLogger("meerkat_hub").info("hidden")
    logs.set_up("hub", stream=stream, environment=environment, verbose=True)
    logging.getLogger("meerkat_hub").debug("shown")
    logging.getLogger("library").debug("shown too")
    logs.set_up("hub", stream=stream, environment={logs.FORMAT_VARIABLE: "supervised"})
    logging.getLogger("library").info("hidden")
    assert stream.getvalue() == "DEBUG shown\nDEBUG shown too\n"
    with pytest.raises(UsageError, match="MEERKAT_LOG: 'loud' is not a level"):
        logs.set_up("hub", environment={"MEERKAT_LOG": "loud"})


def test_an_unforeseen_error_is_called_our_fault(commands) -> None:
    code = "from meerkat_cli import logs; logs.set_up('hub'); [][0]"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "CRITICAL hub: This is a fault in Meerkat" in done.stderr
    assert done.stderr.strip().endswith("IndexError: list index out of range")


def test_at_its_end_a_command_does_not_look_for_garbage() -> None:
    script = (
        "import atexit, gc, sys; from meerkat_cli.main import main; "
        "atexit.register(lambda: print('frozen' if gc.get_freeze_count() else 'looks')); "
        "sys.argv = ['meerkat', '--version']; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.splitlines()[-1] == "frozen"
