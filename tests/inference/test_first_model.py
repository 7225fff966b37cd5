"""The first start's fetch: waited for while it comes, gone on without while the network is silent."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meerkat_inference import catalogue
from meerkat_inference.catalogue import ModelFile
from meerkat_inference.first_model import FirstModel
from support.wait import wait_for

HERE = Path("/models/nano.tflite")


class Network:
    """Stands for the download: silent, then the first bytes, then the end, each when the test says so."""

    def __init__(self) -> None:
        self.file: ModelFile = catalogue.default().model
        self.answers = threading.Event()
        self.ends = threading.Event()
        self.result: Path | None = HERE

    def fetch(self, *, progress: Callable[[ModelFile, int], None], **_: Any) -> Path | None:
        assert self.answers.wait(30)
        progress(self.file, 0)
        assert self.ends.wait(30)
        if self.result is not None:
            progress(self.file, self.file.bytes)
        return self.result


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network()
    monkeypatch.setattr("meerkat_inference.download.fetch_default", network.fetch)
    return network


def started(**seconds: float) -> FirstModel:
    fetch = FirstModel(**{"silent_seconds": 30.0, "arriving_seconds": 30.0, **seconds})
    fetch.start()
    return fetch


def test_a_model_that_comes_is_waited_for(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    network.answers.set()
    network.ends.set()
    fetch = started()
    assert fetch.wait()
    assert fetch.here
    wait_for(lambda: "The model nano.tflite is here" in caplog.messages)
    assert caplog.messages[0] == f"Fetching the model {network.file.name}, {network.file.bytes / 1e6:.1f} MB"
    assert len(caplog.messages) == 2
    called: list[str] = []
    fetch.when_here(lambda: called.append("now"))
    assert called == ["now"]


def test_a_silent_network_is_not_waited_for_and_the_model_used_when_it_comes(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    fetch = started(silent_seconds=0.01)
    assert not fetch.wait()
    assert caplog.messages == ["The model is not here yet; it is used as soon as it has come"]
    called = threading.Event()
    fetch.when_here(called.set)
    assert not called.is_set()
    network.answers.set()
    network.ends.set()
    assert called.wait(30)
    assert fetch.here


def test_a_slow_network_is_waited_for_within_limits(network: Network) -> None:
    network.answers.set()
    fetch = started(arriving_seconds=0.01)
    assert not fetch.wait()
    network.ends.set()
    wait_for(lambda: fetch.here)


def test_a_fetch_that_fails_ends_the_wait_and_calls_nobody(network: Network) -> None:
    network.result = None
    network.answers.set()
    network.ends.set()
    fetch = started()
    assert not fetch.wait()
    fetch.when_here(lambda: pytest.fail("called"))
    assert not fetch.here


def test_what_failed_is_tried_again_and_the_worker_changes_over(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    network.result = None
    network.answers.set()
    network.ends.set()
    fetch = started(again_seconds=0.01)
    assert not fetch.wait()
    called = threading.Event()
    fetch.when_here(called.set)
    network.result = HERE
    assert called.wait(30)
    assert fetch.here
    assert sum("Fetching the model" in line for line in caplog.messages) == 1


class Terminal(io.StringIO):
    """The network answers when the bar begins, and the file ends when its name has been drawn."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._network.answers.set()
        if self._network.file.name in text:
            self._network.ends.set()
        return super().write(text)


def test_on_a_terminal_a_bar_shows_what_has_come(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal(network)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    assert started().wait()
    assert network.file.name in screen.getvalue()
    assert "1.2/1.2 MB" in screen.getvalue()


def test_without_the_http_client_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "meerkat_inference.download", raising=False)
    monkeypatch.setitem(sys.modules, "httpx", None)
    fetch = started()
    assert not fetch.wait()
    (line,) = caplog.messages
    assert line == "No model can be fetched: httpx is not installed. Type: pip install 'meerkat-home[worker]'"
