"""`meerkat up`: everything on this machine, from the broker to the cameras, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, ConfigDict, RootModel, SecretStr

from meerkat_contract import configfile
from meerkat_contract.added_cameras import cameras_file
from meerkat_contract.connection import (
    CONNECTIONS_FILE,
    BrokerSettings,
    Connection,
    default_data_folder,
    find_connection,
    write_connections,
)
from meerkat_contract.errors import UsageError
from meerkat_contract.page_password import answers_others, keep_page_password

from . import added as of_page
from . import burst_demo as demonstration
from . import ports, private_broker
from .folder_lock import hold
from .plan import DEMO, WATCHED_DEVICE, Options, Plan, build_plan, device_arguments, let_in
from .supervisor import Output, Ready, Supervisor

USUAL_PORT = 8480
"""Of the page: what the documents say."""
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
    password: SecretStr | bool | None = None
    ingress_from: str | None = None


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

    With nothing given it draws a porch and a meter in a basement, so that there is something to see, until a
    camera is added on its page.
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
    with hold(folder) as was_killed:
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
            preferred=USUAL_PORT,
            requested=http_port or settings.hub.http_port,
            where="--http-port" if http_port else "hub.http_port",
            host=options.http_host,
            patience=SETTLING_SECONDS if was_killed else 0,
        )
        options = replace(options, http_port=port)
        if port != USUAL_PORT and not (http_port or settings.hub.http_port):
            why = ports.why_another(USUAL_PORT, options.http_host)
            output.say("up", f"The page is on port {port}, and stays there: {why}")
        if burst_demo:
            options = replace(options, emulator=demonstration.prepare(folder))
        else:
            taken = (*settings.devices.root, *DEMO, WATCHED_DEVICE)
            # Nobody is to be drawn in a house whose own cameras cannot be read just now.
            demo = options.demo and of_page.is_readable(folder)
            options = replace(options, added=of_page.prepare(folder, taken), demo=demo)
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
        _tell_password(output, options, settings.hub)
        asyncio.run(_supervise(plan, output, folder))


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
    here = list(device_arguments(options))
    added = options.added
    if added is not None and added.cameras:
        here.append(f"{added.device} (cameras added on the page)")
    devices = ", ".join(here) or "none"
    known = {*here, added.device if added else ""}
    if elsewhere := ", ".join(name for name in let_in(options) if name not in known):
        output.say("up", f"Devices on other machines: {elsewhere}; {CONNECTIONS_FILE} has their passwords")
    output.say("up", f"Devices on this machine: {devices}. Ctrl-C ends everything")


def _tell_password(output: Output, options: Options, hub: _Hub) -> None:
    """What other machines are asked for, where the page answers them and no ingress asks in its place."""
    if not answers_others(options.http_host) or hub.ingress_from is not None:
        return
    if hub.password is None:
        word = keep_page_password(options.data).word
        output.say(
            "up", f"The page asks other machines for the password: {word}; change it: `meerkat password`"
        )
    elif isinstance(hub.password, SecretStr) and hub.password.get_secret_value() not in ("", "false"):
        output.say("up", "The page asks other machines for the password of your settings, hub.password")
    else:
        output.say("up", "The page asks nobody for a password: hub.password is off", logging.WARNING)


async def _supervise(plan: Plan, output: Output, folder: Path) -> None:
    supervisor = Supervisor(plan.processes, output)
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
    following = None
    if plan.added is not None:
        file = cameras_file(folder)
        following = loop.create_task(of_page.follow(file, supervisor, output, plan.added, demo=plan.drawn))
        following.add_done_callback(lambda _: stop.set())  # it ends by a mistake of ours only
    await supervisor.run(stop, at_once=at_once)
    if following is not None:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
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
