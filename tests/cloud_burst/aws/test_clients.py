"""How boto3 is set up: patience, who we say we are, and one client for all threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cloud_support.emulator import REGION, Emulator
from meerkat_cloud_burst.aws import clients as module
from meerkat_cloud_burst.aws.clients import CONNECT, LONGEST_POLL, READ, TRIES, Clients
from meerkat_cloud_burst.settings import BurstSettings


def client(clients: Clients, *, polling: bool = False) -> Any:
    with clients.asking("sqs", "testing", "here", polling=polling) as made:
        return made


def test_a_request_ends_in_time_and_says_who_asks(aws: Emulator) -> None:
    config = client(aws.clients).meta.config
    assert (config.connect_timeout, config.read_timeout) == (CONNECT, READ) == (5, 20)
    assert (config.retries["mode"], config.retries["total_max_attempts"]) == ("standard", TRIES)
    assert "meerkat/" in config.user_agent


def test_a_long_poll_is_not_taken_for_a_server_that_hangs_nor_repeated(aws: Emulator) -> None:
    config = client(aws.clients, polling=True).meta.config
    assert config.read_timeout > LONGEST_POLL
    assert config.retries["total_max_attempts"] == 1


def test_many_threads_share_one_client(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = module.boto3.Session.client

    def counted(self: object, service: str, **options: object) -> object:
        made.append(service)
        return real(self, service, **options)

    monkeypatch.setattr(module.boto3.Session, "client", counted)
    clients = Clients(region=REGION, endpoint=aws.url)
    together = threading.Barrier(8)

    def use(_: int) -> Any:
        together.wait(10)
        return client(clients)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(map(id, pool.map(use, range(8))))) == 1
    assert made == ["sqs"]


def test_the_region_is_that_of_the_settings_or_of_the_profile(aws: Emulator) -> None:
    assert Clients.of(BurstSettings(region="us-west-2")).region == "us-west-2"
    assert Clients.of(BurstSettings()).region == REGION
