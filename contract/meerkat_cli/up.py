"""`meerkat up`: everything on this machine, from the broker to the cameras, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, ConfigDict, RootModel

from meerkat_contract import configfile
from meerkat_contract.connection import (
    CONNECTIONS_FILE,
    BrokerSettings,
    Connection,
    default_data_folder,
    find_connection,
    write_connections,
)
from meerkat_contract.errors import UsageError

from . import burst_demo as demonstration
from . import ports, private_broker
from .plan import Options, build_plan, device_arguments, let_in
from .supervisor import Output, Ready, Supervisor

LOCK_FILE = "up.lock"
SETTLING_SECONDS = 5.0
"""How long the children of a run that was killed may still hold their ports."""


class _Devices(RootModel[dict[str, Any]]):
    """Section `devices` as far as `up` cares: the names, and which of them have anything to run."""

    @property
    def here(self) -> tuple[str, ...]:
        things = ("cameras", "meters", "sensors", "lights")
        return tuple(name for name, own in self.root.items() if own and any(own.get(kind) for kind in things))

    @property
    def elsewhere(self) -> tuple[str, ...]:
        here = self.here
        return tuple(name for name in self.root if name not in here)


class _Hub(BaseModel):
    """Section `hub` as far as `up` cares."""

    model_config = ConfigDict(extra="allow")
    http_host: str = "127.0.0.1"
    http_port: int | None = None


class _HomeAssistant(BaseModel):
    """Section `homeassistant` as far as `up` cares."""

    model_config = ConfigDict(extra="allow")
    enabled: bool = True


@dataclass(frozen=True)
class _Settings:
    """What the configuration file says to `up`."""

    file: Path | None
    broker: BrokerSettings
    devices: _Devices
    hub: _Hub
    homeassistant: _HomeAssistant


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder for everything that is kept.")
@click.option("--http-port", type=click.IntRange(1, 65535), help="Port of the page (8480 if free).")
@click.option("--mqtt-port", type=click.IntRange(1, 65535), help="Port of the broker (1883 if free).")
@click.option("--broker", help="Use this broker: mqtt[s]://user:password@host:port.")
@click.option("--no-demo", is_flag=True, help="Do not draw the porch and the basement.")
@click.option("--video", type=click.Path(path_type=Path), help="Watch this recording, again and again.")
@click.option("--camera", help="Watch this camera: rtsp://…, http://…, or a number for USB.")
@click.option("--config", type=click.Path(path_type=Path), help="The configuration file (meerkat.yaml).")
@click.option("--open-lan", is_flag=True, help="Let the house's other machines in: broker and page.")
@click.option("--burst-demo", is_flag=True, help="Show the cloud burst, on this machine alone.")
@click.option("--no-homeassistant", is_flag=True, help="Do not announce anything to Home Assistant.")
def up(
    *,
    data: Path | None,
    http_port: int | None,
    mqtt_port: int | None,
    broker: str | None,
    no_demo: bool,
    video: Path | None,
    camera: str | None,
    config: Path | None,
    open_lan: bool,
    burst_demo: bool,
    no_homeassistant: bool,
) -> None:
    """Run everything on this machine until Ctrl-C.

    With nothing given it draws a porch and a meter in a basement, so that there is something to see.
    """
    if burst_demo:
        demonstration.check(video=video, camera=camera, config=config, no_demo=no_demo, broker=broker)
        data, config, no_homeassistant = data or demonstration.own_folder(), demonstration.FILE, True
    if video is not None and camera is not None:
        raise UsageError("both --video and --camera are given", remedy="Choose one of them")
    if video is not None and not video.is_file():
        raise UsageError("there is no such file", where=str(video), remedy="Name a recording, e.g. an MP4")
    if camera is not None:
        _check_camera(camera)
    settings = _settings(config)
    folder = (data or default_data_folder()).absolute()
    output = Output(sys.stderr, level=logging.getLogger().level)
    with _lock(folder) as was_killed:
        options = Options(
            data=folder,
            http_port=0,
            http_host="0.0.0.0" if open_lan else settings.hub.http_host,
            video=video.absolute() if video else None,
            camera=camera,
            demo=not no_demo,
            homeassistant=settings.homeassistant.enabled and not no_homeassistant,
            config=settings.file,
            configured=settings.devices.here,
            elsewhere=settings.devices.elsewhere,
        )
        port = ports.choose(
            folder,
            "http",
            preferred=8480,
            requested=http_port or settings.hub.http_port,
            where="--http-port" if http_port else "hub.http_port",
            host=options.http_host,
            patience=SETTLING_SECONDS if was_killed else 0,
        )
        options = replace(options, http_port=port)
        if burst_demo:
            options = replace(options, emulator=demonstration.prepare(folder))
        server = _broker(
            options, broker, mqtt_port, settings.broker, open_lan=open_lan, was_killed=was_killed
        )
        address = server if isinstance(server, Connection) else server.connection("hub")
        plan = build_plan(
            options,
            server,
            broker_ready=_accepts(address.host, address.port),
            page_ready=_answers(options.page_host, port),
        )
        write_connections(folder, plan.roles, http=options.page)
        _greet(output, options, server)
        asyncio.run(_supervise(Supervisor(plan.processes, output), output))


def _check_camera(source: str) -> None:
    """What can never become a camera; whether one is there is the device's to find out, again and again."""
    if "://" in source or source.isdecimal() or source.startswith("/dev/") or source.startswith("scene:"):
        return
    if Path(source).is_file():
        raise UsageError("is a file", where=f"--camera {source}", remedy=f"Write --video {source}")
    raise UsageError(
        f"{source!r} is not a camera",
        where="--camera",
        remedy="Write rtsp://user:password@camera/path, http://camera/stream, or 0 for the first USB camera",
    )


def _settings(config: Path | None) -> _Settings:
    file = configfile.find_file(config)
    if file is not None:
        file = file.absolute()
        configfile.load(file)  # better one list of problems now than five children failing
    return _Settings(
        file=file,
        broker=configfile.section(file, "broker", BrokerSettings),
        devices=configfile.section(file, "devices", _Devices),
        hub=configfile.section(file, "hub", _Hub),
        homeassistant=configfile.section(file, "homeassistant", _HomeAssistant),
    )


def _broker(
    options: Options,
    option: str | None,
    mqtt_port: int | None,
    settings: BrokerSettings,
    *,
    open_lan: bool,
    was_killed: bool,
) -> private_broker.PrivateBroker | Connection:
    """Somebody else's broker if one is named anywhere, else our own; the burst's demonstration has its own
    in any case, or its storm would come over the house."""
    named = option or settings.url or os.environ.get("MEERKAT_BROKER")
    if named and options.emulator is None:
        if mqtt_port or open_lan:
            raise UsageError(
                "--mqtt-port and --open-lan are for the private broker, and another one is named",
                remedy="Leave them out, or leave out --broker, MEERKAT_BROKER and broker.url",
            )
        return find_connection("hub", broker=option, settings=settings)
    port = ports.choose(
        options.data,
        "mqtt",
        preferred=1883,
        requested=mqtt_port,
        where="--mqtt-port",
        host="0.0.0.0" if open_lan else "127.0.0.1",
        patience=SETTLING_SECONDS if was_killed else 0,
    )
    return private_broker.prepare(options.data, devices=let_in(options), port=port, open_lan=open_lan)


def _greet(output: Output, options: Options, broker: private_broker.PrivateBroker | Connection) -> None:
    output.say("up", f"Everything is kept in {options.data}")
    if isinstance(broker, Connection):
        output.say("up", f"Using the broker {broker.url}")
    else:
        secrets = options.data / CONNECTIONS_FILE
        where = f"MQTT broker port {broker.port}"
        if options.homeassistant:
            output.say("up", f"For Home Assistant: {where}, user homeassistant, password in {secrets}")
        else:
            output.say("up", f"{where}, users and passwords in {secrets}")
    here = device_arguments(options)
    devices = ", ".join(here) or "none"
    if elsewhere := ", ".join(name for name in let_in(options) if name not in here):
        output.say("up", f"Devices on other machines: {elsewhere}; {CONNECTIONS_FILE} has their passwords")
    output.say("up", f"Devices on this machine: {devices}. Ctrl-C ends everything")


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Hold the data folder for this run; yields whether the run before was killed.

    The kernel lets go of the lock however we end. The file keeps our process id only until an
    orderly end, which is how the next run knows.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / LOCK_FILE).open("a+")
    except OSError as error:
        raise UsageError(
            f"the data folder cannot be used ({error.strerror or error})",
            where=str(folder),
            remedy="Name another with --data",
        ) from None
    with file:
        file.seek(0)
        before = file.read().strip()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another `meerkat up` uses this data folder (process {before or 'unknown'})",
                where=str(folder),
                remedy="End it first, or give this one its own folder with --data",
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield bool(before)
        file.truncate(0)


async def _supervise(supervisor: Supervisor, output: Output) -> None:
    stop, at_once = asyncio.Event(), asyncio.Event()

    def ask() -> None:
        if stop.is_set():
            at_once.set()
        else:
            output.say("up", "Ending everything")
            stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    # A closed terminal ends us, unless `nohup` has asked for the contrary.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, ask)
    await supervisor.run(stop, at_once=at_once)
    output.say("up", "Everything has ended")


def _accepts(host: str, port: int) -> Ready:
    async def ready() -> bool:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            return False
        writer.close()
        return True

    return ready


def _answers(host: str, port: int) -> Ready:
    """Whether the hub's page serves: one plain HTTP request, so that no HTTP library is needed here.

    A hub that is not well answers 503, and its page says why: it serves.
    """

    async def ready() -> bool:
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError:
            return False
        try:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            line = await asyncio.wait_for(reader.readline(), 5)
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
        return line.startswith(b"HTTP/")

    return ready
