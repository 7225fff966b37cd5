"""What a Raspberry Pi gets: wheels for everything, and a device that really starts on an arm64 processor.

The first asks the package registry and runs nothing. The second runs under emulation in what scripts/arm64
makes, and takes a minute or two: --nightly.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from io import BytesIO
from pathlib import Path

import av
import pytest

from meerkat_contract.messages import DeviceInfo, read
from meerkat_contract.session import Incoming, Session
from support.broker import Mosquitto
from support.stand_in_hub import StandInHub
from support.wait import wait_for

ROOT = Path(__file__).resolve().parents[2]

PYTHONS = ("3.11", "3.13")
"""Of Raspberry Pi OS bookworm and trixie."""

PLATFORM = "aarch64-manylinux_2_36"
"""The C library of bookworm; trixie's is newer."""

SOURCES = ("face-recognition-models",)
"""Nothing but data, and only to be had as a source distribution: there is nothing to compile."""

APART = "coral-legacy"
"""Excludes the others, and its runtime ended with Python 3.11."""


def extras() -> list[str]:
    text = (ROOT / "pyproject.toml").read_text()
    table = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    return re.findall(r"^([a-z-]+) = \[", table, re.MULTILINE)


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".venv" / "bin"))
    if program is None:
        pytest.skip("uv is not installed")
    done = subprocess.run(
        [program, "--no-progress", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=150,
    )
    offline = ("Failed to fetch", "dns error", "error sending request", "Could not connect", "client error")
    if done.returncode and any(word in done.stderr for word in offline):
        pytest.skip("the package registry is out of reach: " + done.stderr.strip().splitlines()[-1])
    return done


def resolve(wanted: list[str], python: str) -> subprocess.CompletedProcess[str]:
    """All of them in one question, which takes a fraction of one for each."""
    allowed = [word for source in SOURCES for word in ("--no-binary", source)]
    return uv(
        *("pip", "compile", "pyproject.toml", "--quiet"),
        *(word for extra in wanted for word in ("--extra", extra)),
        *("--python-platform", PLATFORM, "--python-version", python, "--only-binary", ":all:", *allowed),
    )


@pytest.mark.parametrize("python", PYTHONS)
def test_every_extra_has_wheels_for_a_pi(python: str) -> None:
    wanted = [extra for extra in extras() if extra != APART]
    assert {"device", "pins", "worker", "hub", "home", "faces", "experiments"} <= set(wanted)
    done = resolve(wanted, python)
    assert done.returncode == 0, done.stderr
    assert "opencv-python-headless==" in done.stdout


def test_coral_legacy_has_wheels_for_bookworm() -> None:
    done = resolve([APART], "3.11")
    assert done.returncode == 0, done.stderr
    assert "tflite-runtime==" in done.stdout


@pytest.mark.parametrize("python", PYTHONS)
def test_what_the_installer_takes_has_wheels_for_a_pi(python: str, tmp_path: Path) -> None:
    """The very files of the lock, by their hashes; and what is put over Debian's simplejpeg."""
    (tmp_path / "more.in").write_text("simplejpeg\n")
    where = ("--target", str(tmp_path / "t"), "--python-platform", PLATFORM, "--python-version", python)
    for arguments in (("--require-hashes", "-r", "requirements/device.txt"), ("-r", f"{tmp_path}/more.in")):
        how = ("--dry-run", "--no-deps", "--only-binary", ":all:")
        done = uv("pip", "install", *how, *where, *arguments)
        assert done.returncode == 0, done.stderr


class Emulated:
    """`meerkat …` on an arm64 processor."""

    def __init__(self) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = Path(os.environ.get("MEERKAT_ARM64") or cache / "meerkat" / "arm64")
        self.python = folder / "system" / "usr" / "bin" / "python3.11"
        self.qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64") or ""
        if not self.qemu:
            pytest.skip("qemu-aarch64 is not installed: scripts/arm64")
        if not self.python.exists() or not (folder / "site").is_dir():
            pytest.skip(f"there is no arm64 system in {folder}: scripts/arm64")
        self.folder = folder

    def command(self, *arguments: str) -> list[str]:
        return [self.qemu, "-L", str(self.folder / "system"), str(self.python), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """The checkout before what was installed, which may be older; its entry points count."""
        sources = [str(ROOT / part) for part in ("contract", "devices", "hub")]
        return {
            **os.environ,
            "PYTHONPATH": ":".join([*sources, str(self.folder / "site")]),
            "MEERKAT_CONFIG": "",
        }


@pytest.mark.nightly
@pytest.mark.timeout(400)
def test_a_device_starts_on_arm64_and_its_clip_arrives(broker: Mosquitto, tmp_path: Path) -> None:
    emulated = Emulated()
    machine = subprocess.run(
        emulated.command("-c", "import platform; print(platform.machine())"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert machine.stdout == "aarch64\n"
    hub = StandInHub(broker.connection)
    hub.start()
    heard: dict[str, bytes] = {}

    def hear(message: Incoming) -> None:
        heard[message.topic] = message.payload

    listener = Session(broker.connection, client_id="listener")
    listener.subscribe("meerkat/device/pi/#", hear, join_parts=True)
    listener.start()
    log = tmp_path / "device.log"
    arguments = ["device", "--name", "pi", "--camera", "porch=scene:porch", "--data", str(tmp_path / "data")]
    with log.open("wb") as file:
        process = subprocess.Popen(
            emulated.command("-m", "meerkat_cli", *arguments, "--broker", broker.connection.url),
            stdout=file,
            stderr=file,
            env=emulated.environment,
        )
    try:
        picture = wait_for(lambda: heard.get("meerkat/device/pi/porch/picture"), seconds=150)
        assert picture.startswith(b"\xff\xd8")
        info = read(DeviceInfo, heard["meerkat/device/pi/info"])
        assert info.model == "Linux aarch64" or "Raspberry" in info.model
        clip = wait_for(lambda: next(iter(hub.clips()), None), seconds=150, what="a clip")
        with av.open(BytesIO(clip.payload)) as container:
            assert sum(1 for _ in container.decode(video=0)) > 5
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    except BaseException:
        print(log.read_text())
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        listener.stop(timeout=1)
        hub.stop()
