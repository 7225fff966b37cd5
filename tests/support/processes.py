"""Real Meerkat processes for tests: started, killed, started again, and all ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from meerkat_contract.connection import Connection


def quiet_models(folder: Path) -> dict[str, str]:
    """Environment: no model on the search path and none to be fetched, so that the fallback looks."""
    return {
        "MEERKAT_MODELS": "",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "MEERKAT_MODELS_MIRROR": "http://127.0.0.1:9",
    }


class Program:
    """One `meerkat …` process; its output goes to a file that a failing test shows."""

    def __init__(
        self,
        name: str,
        arguments: list[str],
        *,
        connection: Connection,
        folder: Path,
        environment: dict[str, str] | None = None,
        models: bool = False,
    ) -> None:
        """`models`: let it use the models of this machine, instead of the built-in fallback alone."""
        self.name = name
        self.arguments = arguments
        self.log = folder / f"{name}.log"
        self._environment = {
            **os.environ,
            **({} if models else quiet_models(folder)),
            "MEERKAT_BROKER": connection.secret_url,
            **(environment or {}),
        }
        self._folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "meerkat_cli", *self.arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._environment,
                cwd=self._folder,
            )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """As a power cut would: SIGKILL."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)

    def stop(self, seconds: float = 15) -> int:
        """SIGTERM, and its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(seconds)

    def wait(self, seconds: float) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""
