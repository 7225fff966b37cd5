"""moto as a server in this process: AWS for the tests, with keys that open nothing else."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from cloud_support.stack import empty_stack, make_stack
from meerkat_cloud_burst.aws.clients import Clients
from meerkat_cloud_burst.settings import BurstSettings
from support.broker import free_port

REGION = "eu-central-1"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAEMULATEDEMULATED",
    "AWS_SECRET_ACCESS_KEY": "emulated",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
    # moto, like SQS, empties a queue once a minute at most; the tests want it each time.
    "MOTO_SQS_ENFORCE_STRICT_QUEUE_PURGE_BEHAVIOUR": "false",
}
"""Set by `emulator` only, and taken back by it."""


class Emulator:
    """A running server; what it holds outlives `stop`, as all of it is in this process."""

    def __init__(self) -> None:
        self._port = free_port()
        self._clients: dict[str, Any] = {}
        self._server = self._start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @cached_property
    def clients(self) -> Clients:
        """The product's own; shared by the tests, as each costs a second of work."""
        return Clients(region=REGION, endpoint=self.url)

    def settings(self, **changes: Any) -> BurstSettings:
        return BurstSettings(enabled=True, region=REGION, endpoint=self.url, **changes)

    def client(self, service: str) -> Any:
        """A bare boto3 client, for what a test does behind the product's back."""
        if service not in self._clients:
            self._clients[service] = boto3.client(service, endpoint_url=self.url, region_name=REGION)
        return self._clients[service]

    def make_stack(self, name: str = "meerkat-burst", **changes: Any) -> Mapping[str, str]:
        """The stack's outputs; see `cloud_support.stack`."""
        return make_stack(self.client, name, **changes)

    def empty_stack(self, outputs: Mapping[str, str]) -> None:
        empty_stack(self.client, outputs)

    def stop(self) -> None:
        """From now on nothing answers at this address."""
        self._server.stop()

    def start(self) -> None:
        """Again, at the same address and with all that it held."""
        self._server = self._start()

    def reset(self) -> None:
        """Empty the whole account."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"

    def _start(self) -> ThreadedMotoServer:
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        server.start()
        return server


@contextmanager
def running_emulator() -> Iterator[Emulator]:
    """With the environment that it needs; for a fixture of any scope."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
            patch.delenv(name, raising=False)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        server = Emulator()
        try:
            server.reset()
            yield server
        finally:
            server.stop()
