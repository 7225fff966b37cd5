"""What `meerkat up` runs: a pure function from options to processes and who connects how."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from meerkat_contract.added_cameras import AddedCameras, cameras_file
from meerkat_contract.connection import Connection

from . import burst_demo
from .private_broker import DEVICE_PREFIX, ROLES, PrivateBroker, translate
from .supervisor import ProcessSpec, Ready

MEERKAT = (sys.executable, "-P", "-m", "meerkat_cli")
"""-P: a file in the folder where somebody stands (queue.py, h11.py) is no part of the program."""

# Lower orders start first and stop last.
BROKER, HUB, HELPERS, DEVICES = range(4)

DRAIN, DRAIN_SECONDS = "MEERKAT__WORKER__DRAIN_SECONDS", "1.5"
"""What the worker's last clip may take: then it gives it back, before the supervisor's time is over."""

DEMO_FILE = Path(__file__).with_name("demo.yaml")
DEMO = ("porch", "basement")
"""The devices of a first run: a porch with a camera, a basement with a meter and its lamp, all drawn."""

WATCHED_DEVICE, WATCHED_CAMERA = "here", "front"
"""What --video and --camera make; Home Assistant calls it camera.here_front."""


@dataclass(frozen=True)
class Options:
    """What the person asked for.

    config: the configuration file in use, absolute. configured: its devices that have cameras or
    meters. elsewhere: those that have none; another machine runs them, and the broker lets them in.
    added: the cameras that were added on the page; None where none can be. emulator: the port of the
    emulated cloud of --burst-demo.
    """

    data: Path
    http_port: int
    http_host: str = "127.0.0.1"
    video: Path | None = None
    camera: str | None = None
    demo: bool = True
    homeassistant: bool = True
    config: Path | None = None
    configured: Sequence[str] = ()
    elsewhere: Sequence[str] = ()
    added: AddedCameras | None = None
    emulator: int | None = None

    @property
    def page_host(self) -> str:
        """Where this machine itself reaches the page."""
        return "127.0.0.1" if self.http_host in ("0.0.0.0", "::") else self.http_host

    @property
    def page(self) -> str:
        """The page's address for a browser on this machine."""
        host = f"[{self.page_host}]" if ":" in self.page_host else self.page_host
        return f"http://{host}:{self.http_port}"


@dataclass(frozen=True)
class Plan:
    """processes: in the order of their start. roles: how each connects, for connections.json.

    added: what runs the cameras of the page, while there are any. drawn: the devices of the demo.
    """

    processes: tuple[ProcessSpec, ...]
    roles: dict[str, Connection] = field(repr=False)
    added: ProcessSpec | None = None
    drawn: tuple[str, ...] = ()


def device_arguments(options: Options) -> dict[str, tuple[str, ...]]:
    """Each device's name and the arguments of its `meerkat device`, `--name` left out.

    What is named on the command line comes before the file's devices, and those before the demo. The
    cameras of the page run beside these, and instead of the demo.
    """
    if options.emulator is not None:
        return burst_demo.device_arguments()
    if options.video is not None:
        return {WATCHED_DEVICE: ("--camera", f"{WATCHED_CAMERA}={options.video}", "--loop")}
    if options.camera is not None:
        return {WATCHED_DEVICE: ("--camera", f"{WATCHED_CAMERA}={options.camera}")}
    if options.config is not None and (options.configured or options.elsewhere):
        return {name: ("--config", str(options.config)) for name in options.configured}
    own = options.added is not None and options.added.cameras
    return dict.fromkeys(DEMO, ("--config", str(DEMO_FILE))) if options.demo and not own else {}


def let_in(options: Options) -> tuple[str, ...]:
    """The devices that the broker knows: those that run here, and those elsewhere."""
    here = device_arguments(options)
    added = () if options.added is None else (options.added.device,)
    return (*here, *(name for name in (*options.elsewhere, *added) if name not in here))


def build_plan(
    options: Options,
    broker: PrivateBroker | Connection,
    *,
    broker_ready: Ready | None = None,
    page_ready: Ready | None = None,
) -> Plan:
    """The processes for a private broker (started first) or somebody else's (a Connection)."""
    devices = device_arguments(options)
    users = [*ROLES, *(DEVICE_PREFIX + name for name in let_in(options))]
    processes: list[ProcessSpec] = []
    if isinstance(broker, PrivateBroker):
        roles = {user: broker.connection(user) for user in users}
        processes.append(
            ProcessSpec(
                "broker",
                broker.argv,
                BROKER,
                env=broker.environment,
                ready=broker_ready,
                gate=True,
                announce=f"The broker listens on port {broker.port}",
                translate=translate,
                foreign=True,
            )
        )
    else:
        roles = dict.fromkeys(users, broker)

    if options.emulator is not None:
        processes.append(burst_demo.emulator(options.data, options.emulator, BROKER))

    def component(name: str, order: int, role: str, *arguments: str) -> ProcessSpec:
        argv = (*MEERKAT, *arguments, "--data", str(options.data))
        env = _environment(options, roles[role])
        if options.emulator is not None:
            env |= burst_demo.environment(name, options.data, options.emulator)
        return ProcessSpec(name, argv, order, env=env)

    http = ("--http-host", options.http_host, "--http-port", str(options.http_port))
    drawn = devices == dict.fromkeys(DEMO, ("--config", str(DEMO_FILE)))
    demo = ("--demo", str(DEMO_FILE)) if drawn else ()
    hub = component("hub", HUB, "hub", "hub", *http, *demo, *_page_cameras(options, drawn=drawn))
    processes.append(
        ProcessSpec(
            hub.name, hub.argv, hub.order, env=hub.env, ready=page_ready, announce=f"Open {options.page}"
        )
    )
    worker = component("worker", HELPERS, "worker", "worker")
    processes.append(replace(worker, env={**worker.env, DRAIN: DRAIN_SECONDS}))
    if options.homeassistant:
        processes.append(component("ha", HELPERS, "homeassistant", "ha", "bridge"))
    processes.extend(
        component(name, DEVICES, DEVICE_PREFIX + name, "device", "--name", name, *arguments)
        for name, arguments in devices.items()
    )
    if options.emulator is not None:
        processes.append(burst_demo.storm(options.data, DEVICES, _environment(options, roles["client"])))
    added = None
    if options.added is not None:
        name, file = options.added.device, str(cameras_file(options.data))
        added = component(name, DEVICES, DEVICE_PREFIX + name, "device", "--name", name, "--config", file)
    return Plan(tuple(processes), roles, added, DEMO if drawn else ())


def _page_cameras(options: Options, *, drawn: bool) -> tuple[str, ...]:
    """What the hub is told of them, and which devices are the demo's: these it forgets when they are over."""
    if options.added is None:
        return ()
    over = (name for name in DEMO if drawn or name not in let_in(options))
    return ("--cameras", str(cameras_file(options.data)), *(f"--over={name}" for name in over))


def _environment(options: Options, connection: Connection) -> dict[str, str]:
    """A password travels here and not in argv, which every user of the machine can read."""
    env = {"MEERKAT_BROKER": connection.secret_url, "MEERKAT_DATA": str(options.data)}
    if connection.ca_file:
        env["MEERKAT_BROKER_CA"] = str(connection.ca_file)
    if options.config:
        env["MEERKAT_CONFIG"] = str(options.config)
    return env
