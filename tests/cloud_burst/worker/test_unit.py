"""The systemd unit that the stack's user data and the how-to install."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from support.systemd import analyze

ROOT = Path(__file__).resolve().parents[3]
UNIT = ROOT / "cloud_burst" / "meerkat-cloud-worker.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/meerkat/bin/meerkat", sys.executable))
    return path


def test_systemd_understands_every_line(unit: Path) -> None:
    done = analyze("verify", "--man=no", "--recursive-errors=no", unit)
    assert (done.returncode, done.stderr) == (0, "")


def test_little_is_left_to_it(unit: Path) -> None:
    """1.5 of 10 by systemd's own reckoning; 9.6 is what a unit without a word of it gets."""
    done = analyze("security", "--offline=true", "--threshold=16", "--no-pager", unit)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd cannot judge a unit that is not loaded")
    assert done.returncode == 0, done.stdout


def test_it_runs_what_the_user_data_installs() -> None:
    text = UNIT.read_text()
    template = (ROOT / "cloud_burst" / "template.yaml").read_text()
    assert "ExecStart=/opt/meerkat/bin/meerkat cloud-worker" in text
    assert "/opt/meerkat" in template
    assert "EnvironmentFile=/etc/meerkat/burst.env" in text
    assert "/etc/meerkat/burst.env" in template
    assert UNIT.name in template


def test_the_wheel_carries_it() -> None:
    carried = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    assert carried["force-include"][f"cloud_burst/{UNIT.name}"] == f"meerkat_cloud_burst/{UNIT.name}"


def test_poison_alone_does_not_exhaust_the_starts() -> None:
    """Three receives kill it three times; only what fails more often is broken for good."""
    from meerkat_cloud_burst.messages import RECEIVES

    burst = int(re.findall(r"^StartLimitBurst=(\d+)$", UNIT.read_text(), re.MULTILINE)[0])
    assert burst > 2 * RECEIVES


def test_it_has_longer_to_end_than_the_worker_takes() -> None:
    from meerkat_cloud_burst.worker.loop import CALLED_OFF, HAND_OVER

    stop = float(re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)[0])
    assert 2 * HAND_OVER + CALLED_OFF < 5 < stop
