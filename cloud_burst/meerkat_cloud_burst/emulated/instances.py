"""A real process for each instance that the emulated Auto Scaling group holds.

What AWS would do with a machine is done to a process here:

    the group wants one more         ──▶ launched after `boot` seconds, with its own metadata service
    the instance is terminated       ──▶ SIGTERM as from systemd at a shutdown, SIGKILL after a while
    the process ends by itself       ──▶ the instance is terminated; if the worker did not take itself out
                                         of the group before, the group launches another in its place
    a spot interruption              ──▶ the notice in its metadata; terminated when its time has come
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from meerkat_cli import lifeline, logs

from .metadata import MetadataService
from .stack import REGION, client

log = logging.getLogger("meerkat.emulated")

WORKER = (sys.executable, "-P", "-m", "meerkat_cli", "cloud-worker")
NOTICE = 120.0
"""Seconds between the notice of an interruption and the end, as AWS has it."""
SHUTDOWN = 5.0
"""Seconds that a worker has after SIGTERM."""
LOOK = 0.2
"""Seconds that the last look at the group may take at the end."""

Say = Callable[[str, str], None]


@dataclass(slots=True)
class LocalInstance:
    """One instance. `process` is None while it boots and when it has ended."""

    id: str
    metadata: MetadataService
    launch_at: float
    """time.monotonic() at which the process begins."""
    process: subprocess.Popen[bytes] | None = None
    ending: float | None = None
    """time.monotonic() after which it is killed."""
    taken_at: float | None = None
    """time.monotonic() of a spot interruption."""


class LocalInstances:
    """Looks at the group a few times a second on a thread of its own, and mends the difference."""

    def __init__(
        self,
        endpoint: str,
        group: str,
        *,
        environment: Mapping[str, str],
        command: Sequence[str] = WORKER,
        boot: float = 0.0,
        notice: float = NOTICE,
        look_every: float = 0.25,
        say: Say | None = None,
    ) -> None:
        """`environment`: what the template's user data would set. `boot`: seconds before the process
        begins. `say`: gets each line that a worker writes, with the instance's id."""
        self._endpoint = endpoint
        self._group = group
        self._environment = dict(environment)
        self._command = tuple(command)
        self._boot = boot
        self._notice = notice
        self._look_every = look_every
        self._say = say or _say
        self._instances: dict[str, LocalInstance] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._away = False
        self._clients: dict[str, Any] = {}
        self._lifeline: tuple[int, ...] = ()
        self._thread = threading.Thread(target=self._run, name="instances", daemon=True)

    def start(self) -> None:
        self._lifeline = os.pipe()
        self._thread.start()

    def stop(self) -> None:
        """Every process is gone when it returns; the group is left as it is."""
        self._stopping.set()
        with self._lock:
            until = time.monotonic() + SHUTDOWN
            while not all(self._end(instance, time.monotonic()) for instance in self._instances.values()):
                time.sleep(0.02 if time.monotonic() < until else 0)
            for instance in self._instances.values():
                instance.metadata.stop()
            self._instances.clear()
        if self._thread.is_alive():
            self._thread.join(LOOK)  # a question to the cloud that is under way is not waited for
        for descriptor in self._lifeline:
            os.close(descriptor)
        self._lifeline = ()

    # --- what happens to machines ---------------------------------------------------------------

    def ids(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._instances)

    def pid(self, instance: str) -> int | None:
        """Of its process; None while it boots, or when it is not there any more."""
        with self._lock:
            found = self._instances.get(instance)
            return None if found is None or found.process is None else found.process.pid

    def kill(self, instance: str) -> None:
        """As when the machine's power fails."""
        with self._lock:
            found = self._instances.get(instance)
            if found is not None and found.process is not None:
                found.process.kill()

    def interrupt(self, instance: str) -> None:
        """Spot capacity is wanted elsewhere: its metadata say so now, and it ends after the notice."""
        with self._lock:
            found = self._instances[instance]
            found.taken_at = time.monotonic() + self._notice
            found.metadata.interrupt(datetime.now(UTC) + timedelta(seconds=self._notice))
            self._say(instance, f"INFO Spot interruption in {self._notice:g} s")

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        while not self._stopping.is_set():
            try:
                self._look()
            except (BotoCoreError, ClientError) as error:
                if not self._away:  # the instances work on: they do not need the group
                    log.warning("the emulator does not answer (%s); looking again", error)
                self._away = True
            else:
                self._away = False
            self._stopping.wait(self._look_every)

    def _look(self) -> None:
        wanted = self._held()
        with self._lock:
            if self._stopping.is_set():
                return
            now = time.monotonic()
            for name in wanted - self._instances.keys():
                self._add(name, now)
            for instance in list(self._instances.values()):
                self._mend(instance, instance.id in wanted, now)

    def _mend(self, instance: LocalInstance, held: bool, now: float) -> None:
        if instance.ending is not None or not held:
            if instance.process is None or self._end(instance, now):
                instance.metadata.stop()
                del self._instances[instance.id]
        elif instance.process is None:
            if now >= instance.launch_at:
                self._launch(instance)
        elif (status := instance.process.poll()) is not None:
            self._say(instance.id, f"WARNING The worker ended with status {status}; the machine is lost")
            self._terminate(instance.id)
        elif instance.taken_at is not None and now >= instance.taken_at:
            self._say(instance.id, "INFO Taken away by the spot market")
            self._terminate(instance.id)

    def _add(self, name: str, now: float) -> None:
        metadata = MetadataService(name, REGION)
        metadata.start()
        self._instances[name] = LocalInstance(name, metadata, launch_at=now + self._boot)
        self._say(name, f"INFO Launched; its worker begins in {self._boot:g} s")

    def _launch(self, instance: LocalInstance) -> None:
        # Its credentials come from its metadata, as on EC2, and never from whoever runs this machine.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment = {
            **inherited,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": instance.metadata.endpoint,
            "PYTHONUNBUFFERED": "1",
            logs.FORMAT_VARIABLE: "supervised",
            lifeline.VARIABLE: str(self._lifeline[0]),  # or a worker would outlive us when we are killed
            **self._environment,
        }
        instance.process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=(self._lifeline[0],),
        )
        reader = threading.Thread(
            target=self._pass_on, args=(instance.id, instance.process), name=instance.id, daemon=True
        )
        reader.start()

    def _pass_on(self, name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if text := line.decode("utf-8", "replace").rstrip():
                    self._say(name, text)

    def _end(self, instance: LocalInstance, now: float) -> bool:
        """Ask its process to end, later make it; whether it has ended."""
        process = instance.process
        if process is None or process.poll() is not None:
            return True
        if instance.ending is None:
            instance.ending = now + SHUTDOWN
            process.send_signal(signal.SIGTERM)
        if now >= instance.ending:
            process.kill()
            process.wait(10)
            return True
        return False

    # --- the emulated cloud ---------------------------------------------------------------------

    def _held(self) -> set[str]:
        """The instances of the group that are not on their way out."""
        groups = self._client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[self._group]
        )["AutoScalingGroups"]
        return {
            str(instance["InstanceId"])
            for group in groups
            for instance in group["Instances"]
            if not str(instance["LifecycleState"]).startswith("Terminat")
        }

    def _terminate(self, instance: str) -> None:
        """Without the group's knowledge: it finds one missing and launches another."""
        self._client("ec2").terminate_instances(InstanceIds=[instance])

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = client(self._endpoint, service)
        return self._clients[service]


def _say(instance: str, line: str) -> None:
    """A line of a supervised process is `LEVEL message`; anything else is as it is."""
    word, _, rest = line.partition(" ")
    level = logging.getLevelNamesMapping().get(word)
    if level is None:
        log.info("%s: %s", instance, line)
    else:
        log.log(level, "%s: %s", instance, rest)
