"""What `meerkat up` runs, decided by a pure function."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from meerkat_cli.plan import DEMO, DEMO_FILE, MEERKAT, Options, build_plan, device_arguments
from meerkat_cli.private_broker import PrivateBroker
from meerkat_cli.supervisor import KILL_AFTER
from meerkat_contract import configfile
from meerkat_contract.added_cameras import AddedCameras
from meerkat_contract.connection import Connection
from meerkat_contract.meter_layout import MeterLayout
from meerkat_devices.scenes.meter import BasementMeter
from meerkat_devices.settings.address import parse_source
from meerkat_devices.settings.device import DevicesSettings
from meerkat_hub.meter_settings import MetersSettings
from meerkat_inference.settings import WorkerSettings

DATA = Path("/data")
ROLES = ("hub", "worker", "homeassistant", "client")
USERS = (*ROLES, "device-porch", "device-basement", "device-here", "device-home")
YARD = AddedCameras("home", {"yard": {"source": "rtsp://cam/1"}})
BROKER = PrivateBroker(("mosquitto", "-c", "x"), 1884, {user: f"secret-{user}" for user in USERS})


def options(**more: object) -> Options:
    return Options(data=DATA, http_port=8480, **more)  # type: ignore[arg-type]


def arguments(plan_options: Options, broker: PrivateBroker | Connection = BROKER) -> dict[str, str]:
    plan = build_plan(plan_options, broker)
    return {spec.name: " ".join(spec.argv).removeprefix(" ".join(MEERKAT) + " ") for spec in plan.processes}


def test_a_device_elsewhere_is_let_in_and_not_run() -> None:
    plan = build_plan(options(config=Path("/m.yaml"), elsewhere=("porch", "here")), BROKER)
    assert {"device-porch", "device-here"} <= set(plan.roles)
    assert [spec.name for spec in plan.processes] == ["broker", "hub", "worker", "ha"]


def test_with_nothing_given_everything_runs_and_the_demo_is_drawn() -> None:
    assert arguments(options()) == {
        "broker": "mosquitto -c x",
        "hub": f"hub --http-host 127.0.0.1 --http-port 8480 --demo {DEMO_FILE} --data /data",
        "worker": "worker --data /data",
        "ha": "ha bridge --data /data",
        "porch": f"device --name porch --config {DEMO_FILE} --data /data",
        "basement": f"device --name basement --config {DEMO_FILE} --data /data",
    }


def test_the_workers_last_clip_takes_no_longer_than_the_supervisor_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    envs = {spec.name: spec.env for spec in build_plan(options(), BROKER).processes}
    for name, text in envs["worker"].items():
        monkeypatch.setenv(name, text)
    settings = configfile.section(None, "worker", WorkerSettings)
    assert settings.drain_seconds == 1.5 < KILL_AFTER / 2
    assert not any("DRAIN" in name for name in envs["hub"])


def test_cameras_of_the_page_run_in_a_device_of_their_own_that_is_not_started_with_the_rest() -> None:
    plan = build_plan(options(added=AddedCameras("home")), BROKER)
    assert plan.added is not None
    told = " ".join(plan.added.argv).removeprefix(" ".join(MEERKAT) + " ")
    assert told == "device --name home --config /data/cameras.yaml --data /data"
    assert "device-home" in plan.roles
    assert "secret-device-home" in plan.added.env["MEERKAT_BROKER"]
    assert plan.drawn == DEMO
    assert "home" not in [spec.name for spec in plan.processes]
    assert arguments(options(added=AddedCameras("home")))["hub"] == (
        f"hub --http-host 127.0.0.1 --http-port 8480 --demo {DEMO_FILE} "
        "--cameras /data/cameras.yaml --over=porch --over=basement --data /data"
    )


def test_with_a_camera_of_the_page_nothing_is_drawn_and_what_was_is_over() -> None:
    plan = build_plan(options(added=YARD), BROKER)
    assert plan.drawn == ()
    assert [spec.name for spec in plan.processes] == ["broker", "hub", "worker", "ha"]
    told = arguments(options(added=YARD))["hub"]
    assert told.endswith("--cameras /data/cameras.yaml --over=porch --over=basement --data /data")
    assert "--demo" not in told
    assert "cam/1" not in told


def test_a_porch_of_ones_own_is_not_over() -> None:
    told = arguments(options(added=YARD, config=Path("/m.yaml"), configured=("porch",)))
    assert "--over=basement" in told["hub"]
    assert "--over=porch" not in told["hub"]
    assert "porch" in told


@pytest.mark.parametrize(
    ("more", "devices"),
    [
        ({"demo": False}, {}),
        ({"video": Path("/a.mp4")}, {"here": ("--camera", "front=/a.mp4", "--loop")}),
        ({"camera": "rtsp://cam/1", "demo": False}, {"here": ("--camera", "front=rtsp://cam/1")}),
        (
            {"config": Path("/m.yaml"), "configured": ("gate", "shed")},
            {"gate": ("--config", "/m.yaml"), "shed": ("--config", "/m.yaml")},
        ),
        (
            {"config": Path("/m.yaml"), "configured": ("gate",), "camera": "0"},
            {"here": ("--camera", "front=0")},
        ),
        ({"config": Path("/m.yaml"), "demo": False}, {}),
        ({"config": Path("/m.yaml"), "elsewhere": ("gate",)}, {}),
    ],
)
def test_which_devices_run(more: dict[str, object], devices: dict[str, tuple[str, ...]]) -> None:
    assert device_arguments(options(**more)) == devices


def test_the_demo_draws_scenes_that_the_devices_know() -> None:
    devices = configfile.section(DEMO_FILE, "devices", DevicesSettings).root
    assert tuple(devices) == DEMO
    for settings in devices.values():
        assert settings.pins in ("auto", "mock")
        assert settings.pins == "mock" or not settings.lights, "nobody has to wire anything"
        for thing in (*settings.cameras.values(), *settings.meters.values()):
            assert parse_source(thing.source).kind == "scene"


def test_a_configuration_without_devices_still_shows_the_demo() -> None:
    assert set(device_arguments(options(config=Path("/m.yaml")))) == {"porch", "basement"}


def test_each_process_gets_its_own_password_and_never_in_argv() -> None:
    plan = build_plan(options(config=Path("/m.yaml")), BROKER)
    users = {"hub": "hub", "worker": "worker", "ha": "homeassistant", "porch": "device-porch"}
    for spec in plan.processes:
        assert "secret" not in " ".join(spec.argv)
        assert "secret" not in repr(spec)
        if user := users.get(spec.name):
            assert spec.env["MEERKAT_BROKER"] == f"mqtt://{user}:secret-{user}@127.0.0.1:1884"
            assert spec.env["MEERKAT_DATA"] == "/data"
            assert spec.env["MEERKAT_CONFIG"] == "/m.yaml"
    assert plan.roles["client"].username == "client"


def test_the_broker_is_waited_for_and_devices_end_first() -> None:
    plan = build_plan(options(), BROKER)
    orders = {spec.name: spec.order for spec in plan.processes}
    assert orders["broker"] < orders["hub"] < orders["worker"] == orders["ha"] < orders["porch"]
    assert [spec.name for spec in plan.processes if spec.gate] == ["broker"]
    assert [spec.name for spec in plan.processes if spec.foreign] == ["broker"]
    assert [spec.name for spec in plan.processes if "MALLOC_TRIM_THRESHOLD_" in spec.env] == ["broker"]


def test_a_broker_that_is_there_is_used_by_all() -> None:
    there = Connection("house", 8883, tls=True, username="me", password="secret", ca_file=Path("/ca.pem"))
    plan = build_plan(options(homeassistant=False), there)
    assert [spec.name for spec in plan.processes] == ["hub", "worker", "porch", "basement"]
    for spec in plan.processes:
        assert spec.env["MEERKAT_BROKER"] == "mqtts://me:secret@house:8883"
        assert spec.env["MEERKAT_BROKER_CA"] == "/ca.pem"
    assert set(plan.roles.values()) == {there}


@pytest.mark.parametrize(
    ("host", "page"),
    [
        ("127.0.0.1", "http://127.0.0.1:8480"),
        ("0.0.0.0", "http://127.0.0.1:8480"),
        ("::", "http://127.0.0.1:8480"),
        ("::1", "http://[::1]:8480"),
        ("192.168.1.5", "http://192.168.1.5:8480"),
    ],
)
def test_the_page_is_named_as_this_machine_reaches_it(host: str, page: str) -> None:
    assert options(http_host=host).page == page


def test_the_drawn_meter_is_laid_out_as_it_is_drawn() -> None:
    told = configfile.section(DEMO_FILE, "meters", MetersSettings).root["basement/water"].layout
    drawn = BasementMeter().layout()
    assert isinstance(told, MeterLayout)
    for boxes, real in ((told.digits, drawn.digits), (told.pointers, drawn.pointers)):
        assert [side for box in boxes for side in box] == pytest.approx(
            [side for box in real for side in box], abs=0.1
        )
    assert told == drawn.model_copy(update={"digits": told.digits, "pointers": told.pointers})


def test_a_file_where_somebody_stands_is_no_part_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise SystemExit('this is no library')")
    said = subprocess.run(
        [*MEERKAT, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (said.returncode, "no library" in said.stderr) == (0, False), said.stderr
