"""`meerkat up --burst-demo`: the cloud burst without an account, and without a network.

emulator    AWS as moto emulates it, and a `meerkat cloud-worker` for each machine of its group
hub         as ever, with a section `burst` that points to the emulator
storm       more clips at once than the house can look at in time, and what becomes of them
"""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from meerkat_contract.connection import default_data_folder
from meerkat_contract.errors import UsageError

from . import ports
from .supervisor import ProcessSpec, Ready

FILE = Path(__file__).with_name("burst_demo.yaml")
DEVICE = "porch"
BOOT_SECONDS = 3
IDLE_SECONDS = 10
"""As burst_demo.yaml has it: the machines learn it from their user data."""
MODEL = "hog-people"
READY_FILE = "emulator.json"
PREFERRED_PORT = 8490

# Words that AWS itself would refuse.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "EMULATED", "AWS_SECRET_ACCESS_KEY": "emulated"}


def check(**others: object) -> None:
    """Raises UsageError: for an option that does not go with it, and where the emulator is missing."""
    if given := [f"--{name.replace('_', '-')}" for name, value in others.items() if value]:
        raise UsageError(
            f"--burst-demo and {given[0]} do not go together",
            remedy=f"Leave out {given[0]}: the demonstration brings its own cameras and settings",
        )
    if missing := [name for name in ("moto", "boto3", "flask") if find_spec(name) is None]:
        raise UsageError(
            f"the emulator of AWS is not installed ({missing[0]} is missing)",
            where="--burst-demo",
            remedy="Type: scripts/run --burst-demo, or pip install 'meerkat-home[home,burst-demo]'",
        )


def own_folder() -> Path:
    """Beside the house's own data: neither its clips nor its ledger are touched."""
    return default_data_folder() / "burst-demo"


def prepare(folder: Path) -> int:
    """Forget the show before, its clips and its ledger; returns the emulator's port."""
    (folder / READY_FILE).unlink(missing_ok=True)
    if folder == own_folder().absolute():
        shutil.rmtree(folder / "hub", ignore_errors=True)
    return ports.choose(folder, "emulator", preferred=PREFERRED_PORT, requested=None)


def environment(name: str, data: Path, port: int) -> dict[str, str]:
    """What a component is told besides: the hub where the cloud is, the worker to look with no model.

    The detector of last resort is on every machine, and slow enough for a show.
    """
    if name == "hub":
        return {**CREDENTIALS, "MEERKAT__BURST__ENDPOINT": f"http://127.0.0.1:{port}"}
    return _no_models(data) if name == "worker" else {}


def _no_models(data: Path) -> dict[str, str]:
    return {"MEERKAT_MODELS": "", "XDG_CACHE_HOME": str(data.absolute() / "cache")}


def emulator(data: Path, port: int, order: int) -> ProcessSpec:
    """The emulated AWS; who comes after it waits until its stack is made."""
    file = data / READY_FILE
    return ProcessSpec(
        "cloud",
        (
            *(sys.executable, "-P", "-m", "meerkat_cloud_burst.emulated"),
            *("--port", str(port), "--ready", str(file), "--instances", "--boot", str(BOOT_SECONDS)),
            *("--parameter", f"IdleGrace={IDLE_SECONDS}", "--parameter", f"Model={MODEL}"),
        ),
        order,
        env=_no_models(data),
        ready=_there(file),
        gate=True,
    )


def storm(data: Path, order: int, env: dict[str, str]) -> ProcessSpec:
    return ProcessSpec(
        "storm", (sys.executable, "-P", "-m", "meerkat_cli.storm", "--data", str(data)), order, env=env
    )


def device_arguments() -> dict[str, tuple[str, ...]]:
    return {DEVICE: ("--config", str(FILE))}


def _there(file: Path) -> Ready:
    async def ready() -> bool:
        return file.exists()  # noqa: ASYNC240 - a look into a folder of this machine

    return ready
