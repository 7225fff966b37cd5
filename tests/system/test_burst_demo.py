"""`meerkat up --burst-demo`: the storm rises, goes out, drains, and no machine is left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from support.broker import free_port
from support.usage import kill_all, tree
from support.wait import wait_for


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_the_show_goes_from_the_storm_to_a_fleet_of_zero(tmp_path: Path) -> None:
    page = free_port()
    command = [sys.executable, "-m", "meerkat_cli", "up", "--burst-demo", "--data", str(tmp_path / "data")]
    command += ["--http-port", str(page), "--mqtt-port", str(free_port())]
    log = tmp_path / "up.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=tmp_path, start_new_session=True)
    try:
        wait_for(lambda: "It is over after" in log.read_text(), seconds=400, what=f"the end\n{log}")
        text = log.read_text()
        assert "burst: " in text
        assert ": Launched; its worker begins in 3 s" in text
        assert ": This instance has ended itself, and the group holds one less" in text
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/api/burst", timeout=10) as answer:
            burst = json.load(answer)
        assert burst["state"]["instances"] == 0
        assert burst["state"]["spent_today"] > 0
        pids = tree(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(15) in (0, 130)
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), what="all to end")
    finally:
        if process.poll() is None:
            kill_all(reversed(tree(process.pid)))
        process.wait(10)
