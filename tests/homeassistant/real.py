"""A real Home Assistant, when there is one.

MEERKAT_TEST_HOMEASSISTANT names a command. It is run with the broker's `host:port` as its argument,
starts a Home Assistant with the MQTT integration on that broker, prints one line of JSON,
`{"url": "http://…", "token": "a long-lived access token", "log": "/its/log/file"}`, and ends it when
its own standard input is closed. Before, it obeys two lines there: `stop` ends Home Assistant, `start`
starts it with what it had stored; it answers each with a line of JSON, the latter as at first.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.wait import wait_for

COMMAND = os.environ.get("MEERKAT_TEST_HOMEASSISTANT", "")


class HomeAssistant:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._where()

    def _where(self) -> None:
        where = self._answer()
        self.url: str = where["url"]
        self.token: str = where["token"]
        self.log = Path(where["log"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{COMMAND} has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        """End it; it keeps what it has stored."""
        self._tell("stop")
        self._answer()

    def start(self) -> None:
        """Again, after `stop`."""
        self._tell("start")
        self._where()

    def get(self, path: str) -> bytes:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())

    def call(self, service: str, entity: str, **data: Any) -> None:
        """An action, such as `light.turn_on`."""
        body = json.dumps({"entity_id": entity, **data}).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        url = f"{self.url}/api/services/{service.replace('.', '/')}"
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10):
            pass

    def state(self, entity: str) -> dict[str, Any]:
        """The entity's state with its attributes; empty while Home Assistant does not know it."""
        try:
            found: dict[str, Any] = json.loads(self.get(f"/api/states/{entity}"))
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return {}
        return found

    def until(self, entity: str, state: str) -> dict[str, Any]:
        """Waits until the whole state matches the regular expression."""
        return wait_for(
            lambda: (now := self.state(entity)) and re.fullmatch(state, now["state"]) and now,
            seconds=30,
            what=f"{entity} {state}",
        )

    def complaints(self) -> list[str]:
        """What it logs of our payloads, and of MQTT at all."""
        about = re.compile(r" (WARNING|ERROR|CRITICAL) .*(mqtt|template|meerkat)")
        return [line for line in self.log.read_text(errors="replace").splitlines() if about.search(line)]


@contextmanager
def home_assistant(broker: str) -> Iterator[HomeAssistant]:
    """One that runs on the broker at `host:port`."""
    command = [*shlex.split(COMMAND), broker]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield HomeAssistant(process)
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()
