"""The demonstration of the cloud burst: what runs, what it refuses, and what the storm says."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meerkat_cli import burst_demo, up
from meerkat_cli.plan import Options, build_plan
from meerkat_cli.private_broker import PrivateBroker
from meerkat_cli.storm import FEWEST, MOST, PAUSE_SECONDS, Storm
from meerkat_cli.supervisor import Output
from meerkat_cloud_burst.emulated.stack import REGION, template_text
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract import configfile
from meerkat_contract.connection import BrokerSettings
from meerkat_contract.errors import UsageError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import BurstState, HubState, Outcome
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming
from meerkat_devices.settings.address import parse_source
from meerkat_devices.settings.device import DevicesSettings
from meerkat_inference.detector import FALLBACK
from meerkat_inference.settings import WorkerSettings
from support.broker import free_port

BROKER = PrivateBroker(
    ("mosquitto",),
    1884,
    {user: user for user in ("hub", "worker", "homeassistant", "client", "device-porch")},
)
OPTIONS = Options(
    data=Path("/data"), http_port=8480, config=burst_demo.FILE, homeassistant=False, emulator=8490
)


def test_the_hub_waits_for_the_emulated_cloud_and_knows_where_it_is() -> None:
    plan = build_plan(OPTIONS, BROKER)
    found = {spec.name: spec for spec in plan.processes}
    assert list(found) == ["broker", "cloud", "hub", "worker", "porch", "storm"]
    assert found["cloud"].gate
    assert found["cloud"].order < found["hub"].order
    assert found["hub"].env["MEERKAT__BURST__ENDPOINT"] == "http://127.0.0.1:8490"
    assert found["hub"].env["AWS_ACCESS_KEY_ID"] == "EMULATED"
    assert "AWS_ACCESS_KEY_ID" not in found["cloud"].env, "its machines get theirs from their metadata"
    assert found["storm"].env["MEERKAT_BROKER"] == "mqtt://client:client@127.0.0.1:1884"


@pytest.mark.parametrize("announced", [True, False])
def test_home_assistant_is_pointed_to_the_broker_only_where_it_is_told_anything(announced: bool) -> None:
    said = io.StringIO()
    up._greet(Output(said), replace(OPTIONS, homeassistant=announced), BROKER)
    assert ("For Home Assistant" in said.getvalue()) is announced
    assert "MQTT broker port 1884" in said.getvalue(), "the port is told in any case"


def test_without_it_nothing_of_it_runs() -> None:
    plan = build_plan(Options(data=Path("/data"), http_port=8480, demo=False), BROKER)
    assert not {"cloud", "storm"} & {spec.name for spec in plan.processes}
    assert not any("AWS_ACCESS_KEY_ID" in spec.env for spec in plan.processes)


def test_its_settings_fit_each_other_and_the_template() -> None:
    burst = configfile.section(burst_demo.FILE, "burst", BurstSettings)
    assert burst.enabled
    assert burst.idle_grace == burst_demo.IDLE_SECONDS
    assert burst.boot >= burst_demo.BOOT_SECONDS
    assert burst.model == burst_demo.MODEL == FALLBACK
    assert configfile.section(burst_demo.FILE, "worker", WorkerSettings).model == FALLBACK, (
        "chosen, not missing"
    )
    assert burst.region == REGION
    for parameter in ("IdleGrace", "Model"):
        assert f"  {parameter}:\n" in template_text()
    devices = configfile.section(burst_demo.FILE, "devices", DevicesSettings).root
    assert list(devices) == [burst_demo.DEVICE]
    assert parse_source(devices[burst_demo.DEVICE].cameras["front"].source).kind == "scene"


def test_what_does_not_go_with_it_is_said() -> None:
    with pytest.raises(UsageError, match="--burst-demo and --video do not go together"):
        burst_demo.check(video=Path("a.mp4"), camera=None)


def test_without_an_emulator_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burst_demo, "find_spec", lambda name: None if name == "moto" else object())
    with pytest.raises(UsageError, match="moto is missing") as raised:
        burst_demo.check()
    assert "scripts/run --burst-demo" in raised.value.remedy


def test_its_storm_never_comes_over_the_broker_of_the_house(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEERKAT_BROKER", "mqtt://house")
    port, more = free_port(), {"open_lan": False, "was_killed": False}
    demo = replace(OPTIONS, data=tmp_path)
    assert isinstance(up._broker(demo, None, port, BrokerSettings(), **more), PrivateBroker)
    usual = replace(demo, emulator=None)
    assert not isinstance(up._broker(usual, None, None, BrokerSettings(), **more), PrivateBroker)


def test_the_command_line_knows_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "meerkat_cli", "up", "--burst-demo", "--camera", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
    assert done.returncode == 2
    assert "--burst-demo and --camera do not go together" in done.stderr


def test_the_show_before_is_forgotten_in_its_own_folder_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    own, other = burst_demo.own_folder().absolute(), tmp_path / "other"
    for folder in (own, other):
        (folder / "hub").mkdir(parents=True)
        (folder / burst_demo.READY_FILE).touch()
        burst_demo.prepare(folder)
        assert not (folder / burst_demo.READY_FILE).exists()
    assert not (own / "hub").exists()
    assert (other / "hub").exists()


# --- the storm -----------------------------------------------------------------------------------


def clip(seconds: float = 5) -> Incoming:
    metadata = Metadata(id=new_id(), captured_at=datetime.now(UTC), duration=seconds)
    return Incoming(
        topic="meerkat/device/porch/front/clip", payload=b"clip", properties=metadata.to_properties()
    )


@pytest.mark.parametrize(("frames_per_second", "size"), [(5, FEWEST), (20, 60), (1000, MOST)])
def test_a_storm_is_as_large_as_the_house_is_slow(frames_per_second: float, size: int) -> None:
    assert Storm(clip=clip(), house=frames_per_second).size() == size


def test_it_is_over_when_all_is_done_and_no_machine_runs() -> None:
    storm = Storm(clip=clip(), house=10, sent={"a": 100.0, "b": 100.0})
    busy = BurstState(state="burst", reason="2 clips would be late", in_cloud=1, instances=1)
    line = storm.note_state(HubState(backlog=1, burst=busy), 101)
    assert "1 in the cloud" in line
    assert line.endswith("burst: 2 clips would be late")
    assert storm.note_state(HubState(backlog=1, burst=busy), 110) == "", "said once"
    moment = datetime.now(UTC)
    for name in ("a", "b"):
        storm.ended[name] = Outcome(
            id=new_id(), device="street", camera="north", captured_at=moment, state="done"
        )
    assert storm.verdict(130) == "", "a machine runs still"
    assert storm.note_state(HubState(burst=BurstState(spent_today=0.001, ceiling_day=0.5)), 139)
    words = storm.verdict(140)
    assert words.startswith(
        "It is over after 40 s: 2 of 2 clips were looked at, up to 1 at a time in the cloud"
    )
    assert "$0.001 of the day's $0.50" in words
    assert storm.verdict(150) == "", "said once"


def test_figures_alone_are_told_every_few_seconds_and_turns_at_once() -> None:
    storm = Storm(clip=clip(), house=10, sent={"a": 100.0})

    def said(now: float, backlog: int, **burst: object) -> bool:
        return bool(storm.note_state(HubState(backlog=backlog, burst=BurstState.model_validate(burst)), now))

    assert said(101, 9)
    assert not said(102, 8)
    assert said(103, 8, state="burst")
    assert said(104, 8, state="burst", instances=1)
    assert said(104 + PAUSE_SECONDS, 7, state="burst", instances=1)
    assert not said(200, 7, state="burst", instances=1), "nothing has changed"
