from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud_support.emulator import Emulator, running_emulator
from meerkat_cloud_burst.burst import wanted
from meerkat_cloud_burst.burst.wanted import ModelFiles


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator() as running, pytest.MonkeyPatch.context() as patch:
        _let_moto_delete(patch)
        yield running


@pytest.fixture
def account(emulator: Emulator) -> Emulator:
    """With nothing in it."""
    emulator.reset()
    return emulator


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    file = tmp_path / "meerkat_home-0.1.0-py3-none-any.whl"
    file.write_bytes(b"a wheel")
    return file


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFiles:
    """A model that is nobody's, and is the one that `deploy` finds."""
    weights = tmp_path / "tiny.weights"
    weights.write_bytes(b"weights")
    found = ModelFiles("tiny", {"tiny.weights": weights})
    monkeypatch.setattr(wanted, "find_model", lambda name, folders=(): found)
    return found


@pytest.fixture
def config(emulator: Emulator, tmp_path: Path) -> Path:
    """meerkat.yaml of a house whose AWS is the emulator and whose hub is down."""
    file = tmp_path / "meerkat.yaml"
    file.write_text(f"burst: {{region: eu-central-1, endpoint: '{emulator.url}'}}\n")
    return file


def _let_moto_delete(patch: pytest.MonkeyPatch) -> None:
    """moto makes a route table of a template and cannot delete it, and so neither its network."""
    from moto.ec2.models import ec2_backends
    from moto.ec2.models.route_tables import RouteTable

    def delete(table: Any, account: str, region: str) -> None:
        backend = ec2_backends[account][region]
        for association in list(table.associations):
            backend.disassociate_route_table(association)
        backend.delete_route_table(table.id)

    patch.setattr(RouteTable, "delete", delete, raising=False)
