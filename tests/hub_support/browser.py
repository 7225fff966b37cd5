"""A headless Chromium, driven over its debugging pipe with nothing but the standard library.

The page keeps a stream open, so there is no moment at which it has "finished loading": tests wait
for what they want to see instead.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.wait import wait_for

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

# Chromium reads commands from descriptor 3 and answers on 4; either may be the other pipe's number at first.
LAUNCH = """
import fcntl, os, sys
reading, writing = (fcntl.fcntl(int(one), fcntl.F_DUPFD_CLOEXEC, 10) for one in sys.argv[1:3])
os.dup2(reading, 3); os.dup2(writing, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Gone(AssertionError):
    """The page was left while it was asked."""


class Browser:
    """One page in a browser of its own. Skips the test, with the reason, where there is no Chromium."""

    def __init__(self, folder: Path) -> None:
        program = next((path for name in NAMES if (path := shutil.which(name))), None)
        if program is None:
            pytest.skip("no Chromium is installed")
        their_read, self._write = os.pipe()
        self._read, their_write = os.pipe()
        flags = (
            "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking"
        )
        command = [
            program,
            *flags.split(),
            "--remote-debugging-pipe",
            f"--user-data-dir={folder / 'browser'}",
        ]
        with (folder / "browser.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCH, str(their_read), str(their_write), *command, "about:blank"],
                pass_fds=(their_read, their_write),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        os.close(their_read)
        os.close(their_write)
        self._buffer = b""
        self._number = 0
        self._session = ""
        self.complaints: list[str] = []
        """What the page's console said: exceptions, refused scripts, failed requests."""
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """One command of the DevTools protocol and its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if answer.get("error", {}).get("message") == "Inspected target navigated or closed":
                    raise Gone(str(answer))
                assert "error" not in answer, answer
                return answer["result"]
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(answer["params"]))

    def _next(self) -> Any:
        deadline = time.monotonic() + 60
        while b"\0" not in self._buffer:
            ready = select.select([self._read], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, "the browser does not answer"
            more = os.read(self._read, 1 << 20)
            assert more, "the browser has ended"
            self._buffer += more
        one, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(one)

    def open(self, url: str) -> None:
        """Go there; returns when the document has been parsed."""
        self.call("Page.navigate", url=url)
        ready = "location.href !== 'about:blank' && document.readyState === 'complete'"
        self.wait(ready, what=f"{url} to be loaded")

    def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self._evaluate(expression)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str, *, what: str = "") -> Any:
        """Its first truthy value. One that throws is not true yet: what it looks at is perhaps drawn anew, or
        the page is left for another meanwhile."""

        def value() -> Any:
            try:
                answer = self._evaluate(expression)
            except Gone:
                return None
            return None if "exceptionDetails" in answer else answer["result"].get("value")

        return wait_for(value, seconds=30, what=what or expression)

    def _evaluate(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)

    def text(self, selector: str = "body") -> str:
        """What a person reads there."""
        return str(self.js(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def reads(self, *texts: str, selector: str = "body") -> str:
        """Wait until a person reads all of them there, whatever is fetched last; the whole text."""
        for text in texts:
            read = f"document.querySelector({json.dumps(selector)})?.innerText.includes({json.dumps(text)})"
            self.wait(read, what=f"{text!r} in {selector}")
        return self.text(selector)

    def count(self, selector: str) -> int:
        return int(self.js(f"document.querySelectorAll({json.dumps(selector)}).length"))

    def click(self, selector: str) -> None:
        """Once it is there."""
        chosen = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"{chosen} !== null && ({chosen}.click(), true)", what=f"{selector} to be clicked")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        os.close(self._read)
        os.close(self._write)
