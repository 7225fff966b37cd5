"""The app: its options become Meerkat's configuration, the broker comes from the Supervisor, and it runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from meerkat_cli.main import run
from meerkat_contract import configfile
from meerkat_contract.errors import MeerkatError, UsageError
from meerkat_homeassistant.app.__main__ import prepare
from meerkat_homeassistant.app.options import INGRESS, Options, environment, read
from meerkat_homeassistant.app.supervisor import Supervisor
from support.broker import Mosquitto, free_port
from support.processes import quiet_models
from support.wait import wait_for

APP = Path(__file__).resolve().parents[2] / "homeassistant" / "app"
TOKEN = "the supervisor's"
CAMERAS = [
    {"name": "front", "source": "rtsp://me:pa%ss@192.0.2.1/a,b", "label": "Front: the 'door'"},
    {"name": "back-yard", "source": "http://192.0.2.2/snapshot.jpg"},
]
FULL = {
    "cameras": CAMERAS,
    "demo": True,
    "log": "debug",
    "keep_days": 3.5,
    "keep_gigabytes": 2,
    "events": ["person", "package"],
    "model": "ssdlite-mobiledet",
    "an_option_of_old": 1,
}


class FakeSupervisor(ThreadingHTTPServer):
    """Answers what it is given, to whoever shows the token."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.answers: dict[str, tuple[int, Any]] = {
            "/addons/self/info": (200, {"result": "ok", "data": {"slug": "abc_meerkat"}}),
            "/services/mqtt": (400, {"result": "error", "message": "Service not enabled"}),
        }

    def offer(self, **service: object) -> None:
        self.answers["/services/mqtt"] = (200, {"result": "ok", "data": service})


class _Handler(BaseHTTPRequestHandler):
    server: FakeSupervisor

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == f"Bearer {TOKEN}"
        status, body = self.server.answers.get(self.path, (404, {})) if known else (401, {})
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def supervisor() -> Iterator[FakeSupervisor]:
    server = FakeSupervisor()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


class App:
    """The app's folders, before it starts."""

    def __init__(self, folder: Path, supervisor: FakeSupervisor) -> None:
        self.data, self.config = folder / "data", folder / "config"
        self.data.mkdir()
        self.config.mkdir()
        self.supervisor = supervisor
        self.options()

    def options(self, **options: object) -> None:
        (self.data / "options.json").write_text(json.dumps(options))

    def prepare(self, token: str = TOKEN) -> tuple[tuple[str, ...], dict[str, str]]:
        start = prepare(self.data, self.config, Supervisor(token, self.supervisor.address), port=8480)
        return start.argv, start.environment


@pytest.fixture
def app(tmp_path: Path, supervisor: FakeSupervisor, monkeypatch: pytest.MonkeyPatch) -> App:
    for name in [name for name in os.environ if name.startswith("MEERKAT")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SUPERVISOR_TOKEN", TOKEN)
    return App(tmp_path, supervisor)


# --- options → configuration -------------------------------------------------------------------------


def configured(variables: dict[str, str], file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What every component reads, as plain data."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return {name: model.model_dump(mode="json") for name, model in configfile.load(file).items()}


def test_what_the_form_says_is_what_meerkat_reads(
    app: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app.options(**FULL)
    app.supervisor.offer(host="core-mosquitto", port=1883, username="addons", password="p@ss/w:rd")
    argv, variables = app.prepare()
    assert argv[:5] == (sys.executable, "-P", "-m", "meerkat_cli", "up")
    assert "--no-demo" not in argv
    assert variables["MEERKAT_LOG"] == "debug"
    file = Path(argv[argv.index("--config") + 1])
    found = configured(variables, file, monkeypatch)
    cameras = found["devices"]["house"]["cameras"]
    assert {name: (one["source"], one["label"]) for name, one in cameras.items()} == {
        "front": ("rtsp://me:pa%ss@192.0.2.1/a,b", "Front: the 'door'"),
        "back-yard": ("http://192.0.2.2/snapshot.jpg", ""),
    }
    hub = found["hub"]
    assert (hub["retention"]["days"], hub["retention"]["gigabytes"]) == (3.5, 2)
    assert (hub["http_host"], hub["http_port"], hub["ingress_from"]) == ("0.0.0.0", 8480, "172.30.32.2")
    assert (hub["page"], hub["announce"]) == ("homeassistant://app/abc_meerkat", False)
    assert found["homeassistant"]["events"] == ["person", "package"]
    assert found["worker"]["model"] == "ssdlite-mobiledet"
    assert run(["check", str(file)]) == 0
    assert "is good: devices house" in capsys.readouterr().out


def test_an_empty_form_leaves_all_else_to_the_defaults(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.supervisor.offer(host="core-mosquitto", port=1883)
    argv, variables = app.prepare()
    assert "--no-demo" in argv
    set_here = {name for name in variables if name.startswith("MEERKAT__")}
    assert set_here == {
        f"MEERKAT__HUB__{name}" for name in ("HTTP_HOST", "HTTP_PORT", "INGRESS_FROM", "PAGE", "ANNOUNCE")
    }
    found = configured(variables, Path(argv[argv.index("--config") + 1]), monkeypatch)
    assert found["devices"] == {}
    assert found["hub"]["retention"]["days"] == 14


def test_the_form_goes_before_the_file_and_the_file_before_the_defaults(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.supervisor.offer(host="core-mosquitto", port=1883)
    own = app.config / "meerkat.yaml"
    own.write_text("hub: {retention: {days: 5, gigabytes: 7}, http_host: 127.0.0.1}\ndevices: {gate: {}}\n")
    app.options(keep_days=2, cameras=CAMERAS)
    argv, variables = app.prepare()
    assert str(own) in argv
    found = configured(variables, own, monkeypatch)
    assert (found["hub"]["retention"]["days"], found["hub"]["retention"]["gigabytes"]) == (2, 7)
    assert found["hub"]["http_host"] == "0.0.0.0", "else the ingress would not find it"
    assert set(found["devices"]) == {"gate", "house"}


def test_a_camera_that_is_none_is_named_in_words(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.supervisor.offer(host="core-mosquitto", port=1883)
    app.options(cameras=[{"name": "front", "source": "rtsp://"}])
    argv, variables = app.prepare()
    with pytest.raises(configfile.ConfigurationError) as raised:
        configured(variables, Path(argv[argv.index("--config") + 1]), monkeypatch)
    assert "MEERKAT__DEVICES__HOUSE__CAMERAS: devices.house.cameras.front.source: " in str(raised.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"keep_days": 0}, "option keep_days: input should be greater"),
        ({"events": ["dragon"]}, "option events.0: input should be 'person'"),
        ({"cameras": [{"name": "Front door", "source": "x"}]}, "option cameras.0.name: "),
        ({"cameras": [CAMERAS[0], CAMERAS[0]]}, "there are two cameras 'front'"),
        ({"broker": "http://house"}, "option broker: http://"),
    ],
)
def test_an_option_that_is_wrong_is_named(app: App, options: dict[str, Any], told: str) -> None:
    app.supervisor.offer(host="core-mosquitto", port=1883)
    app.options(**options)
    with pytest.raises(UsageError) as raised:
        app.prepare()
    assert told in str(raised.value)


def test_without_a_supervisor_the_options_are_missed_in_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="elsewhere use `meerkat up`"):
        read(tmp_path / "options.json")


def test_a_password_is_in_no_text() -> None:
    options = Options(broker="mqtt://house", broker_username="me", broker_password="hunter2")
    assert "hunter2" not in repr(options)
    assert not any("hunter2" in value for value in environment(options, port=1, page="").values())
    assert options.own_broker is not None
    assert options.own_broker.secret_url == "mqtt://me:hunter2@house:1883"


# --- the Supervisor ----------------------------------------------------------------------------------


def test_the_broker_is_the_houses_and_the_token_is_not_passed_on(app: App) -> None:
    app.supervisor.offer(host="core-mosquitto", port=8883, ssl=True, username="addons", password="p@ss")
    _, variables = app.prepare()
    assert variables["MEERKAT_BROKER"] == "mqtts://addons:p%40ss@core-mosquitto:8883"
    assert TOKEN not in variables.values()


def test_a_broker_of_ones_own_goes_first(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.options(broker="mqtt://house:1884", broker_username="me", broker_password="mine")
    assert app.prepare()[1]["MEERKAT_BROKER"] == "mqtt://me:mine@house:1884"
    app.options()
    own = app.config / "meerkat.yaml"
    own.write_text("broker: {url: mqtt://attic}\n")
    _, variables = app.prepare()
    assert "MEERKAT_BROKER" not in variables, "`meerkat up` reads it from the file"
    assert configured(variables, own, monkeypatch)["broker"]["url"] == "mqtt://attic"


def test_a_house_without_a_broker_is_told_what_to_install(app: App) -> None:
    with pytest.raises(UsageError) as raised:
        app.prepare()
    assert "there is no MQTT broker in this Home Assistant" in str(raised.value)
    assert "Mosquitto broker" in raised.value.remedy


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, {}), "refuses with status 500"),
        ((200, b"<html>"), "does not answer as it should"),
        ((200, {"result": "ok"}), "does not answer as it should"),
        ((200, {"data": {"port": 1883}}), "without its host or port"),
        ((200, {"data": None}), "without its host or port"),
    ],
)
def test_an_answer_that_makes_no_sense_is_no_broker(app: App, answer: tuple[int, Any], told: str) -> None:
    app.supervisor.answers["/services/mqtt"] = answer
    with pytest.raises(MeerkatError, match=told):
        app.prepare()


def test_with_another_token_nothing_is_told(app: App) -> None:
    with pytest.raises(MeerkatError, match="refuses with status 401"):
        app.prepare(token="another")


def test_a_supervisor_that_is_away_is_told_of(app: App) -> None:
    app.supervisor.address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(MeerkatError, match="does not answer as it should"):
        app.prepare()


def test_without_its_own_name_the_app_starts_all_the_same(
    app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    app.supervisor.answers["/addons/self/info"] = (403, {})
    app.supervisor.offer(host="core-mosquitto", port=1883)
    assert "MEERKAT__HUB__PAGE" not in app.prepare()[1]
    assert "The devices will not link to Meerkat's page" in capsys.readouterr().err


# --- for real ----------------------------------------------------------------------------------------


def run_sh(app: App, port: int, **variables: str) -> subprocess.Popen[str]:
    arguments = {"--data": app.data, "--config": app.config, "--supervisor": app.supervisor.address}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.Popen(
        [
            *("sh", APP / "run.sh", "--http-port", str(port)),
            *(str(part) for pair in arguments.items() for part in pair),
        ],
        env={**os.environ, **quiet_models(app.data), "PATH": path, "SUPERVISOR_TOKEN": TOKEN, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_without_a_broker_it_ends_with_words(app: App) -> None:
    process = run_sh(app, free_port())
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert told.startswith("error: ")
    assert "there is no MQTT broker in this Home Assistant" in told


def test_it_runs_on_the_houses_broker_and_opens_the_page_to_the_ingress_alone(
    app: App, broker: Mosquitto
) -> None:
    app.supervisor.offer(host="127.0.0.1", port=broker.port, username="addons", password="p@ss")
    quick = "worker: {fetch: false, tasks: [detect_objects]}\nhomeassistant: {enabled: false}\n"
    (app.config / "meerkat.yaml").write_text(quick)
    port = free_port()
    process = run_sh(app, port)
    lines: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lines.extend, args=(process.stderr,))
    reader.start()
    page = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client() as client:

            def healthy() -> bool:
                assert process.poll() is None, "".join(lines)
                try:
                    return client.get(f"{page}/healthz").status_code == 200
                except httpx.TransportError:
                    return False

            wait_for(healthy, seconds=60, what="the hub to be connected to the broker")
            refused = client.get(page)
        assert refused.status_code == 403
        assert INGRESS in refused.json()["what"]
        kept = app.data / "meerkat"
        assert (kept / "hub/hub.db").is_file()
        assert kept.stat().st_mode & 0o777 == 0o700
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        reader.join(10)
        process.stderr.close()
    assert process.returncode == 0, "".join(lines)


def test_the_file_it_writes_as_root_leads_nowhere_else(app: App) -> None:
    """The folder belongs to a user who decodes what comes from outside."""
    app.supervisor.offer(host="core-mosquitto", port=1883)
    other = app.config / "other"
    other.write_text("mine")
    folder = app.data / "meerkat"
    folder.mkdir()
    (folder / "meerkat.yaml").symlink_to(other)
    app.prepare()
    assert other.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_goes_on_as_somebody_who_is_not_root(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = tmp_path / "meerkat"
    (folder / "hub").mkdir(parents=True)
    script = (
        "import os, pathlib, sys; from meerkat_homeassistant.app.__main__ import leave_root; "
        f"leave_root('nobody', pathlib.Path({str(folder)!r})); "
        "print(os.getuid(), os.getgid(), os.getgroups())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    uid, gid, groups = done.stdout.split(maxsplit=2)
    assert int(uid) != 0
    assert int(gid) != 0
    assert "0" not in groups.strip("[]\n").split(", ")
    assert {path.stat().st_uid for path in (folder, folder / "hub")} == {int(uid)}
