"""Who finds which broker in the data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from meerkat_contract.connection import Connection, find_connection, write_connections
from meerkat_contract.errors import UsageError


@pytest.fixture(autouse=True)
def no_broker_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEERKAT_BROKER", raising=False)


def roles(*names: str) -> dict[str, Connection]:
    return {name: Connection("127.0.0.1", username=name, password="x") for name in names}


def test_each_role_has_its_user(tmp_path: Path) -> None:
    write_connections(tmp_path, roles("hub", "client", "device-porch"))
    assert find_connection("device-porch", data=tmp_path).username == "device-porch"
    assert find_connection("somebody", data=tmp_path).username == "client"


def test_a_device_that_the_private_broker_does_not_know_is_told_so(tmp_path: Path) -> None:
    write_connections(tmp_path, roles("hub", "client"))
    with pytest.raises(UsageError, match=r"knows no device 'gate'.*devices: \{gate: \{\}\}"):
        find_connection("device-gate", data=tmp_path)


def test_where_all_share_a_user_every_device_may_come(tmp_path: Path) -> None:
    house = Connection("house", username="ann", password="x")
    write_connections(tmp_path, dict.fromkeys(("hub", "client"), house))
    assert find_connection("device-gate", data=tmp_path) == house


def test_a_run_that_is_named_goes_before_the_environment_and_a_folder_of_ones_own_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_connections(tmp_path, roles("client", "worker"))
    monkeypatch.setenv("MEERKAT_BROKER", "mqtt://house")
    assert find_connection("client", run=tmp_path).host == "127.0.0.1"
    assert find_connection("client", run=tmp_path, broker="mqtt://option").host == "option"
    assert find_connection("worker", data=tmp_path).host == "house"
