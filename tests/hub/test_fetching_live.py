"""A workflow for which the house has the machine and not the model: a whole hub, and `meerkat worker`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from meerkat_hub.application import build_hub
from meerkat_hub.core.workflow_records import Policy
from meerkat_hub.settings import HubSettings
from meerkat_hub.web.server import HubServer, listen
from support.broker import Mosquitto
from support.processes import Program
from support.shared import shared
from support.wait import wait_for

SEEN = {
    "id": "lobby",
    "cameras": {"porch/front": 2},
    "measurement": "detect_faces",
    "feature": None,
    "decision": {"rule": "seen"},
}


@pytest.fixture
def page(broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A hub that has the model, and hands it out at the address that it tells."""
    model = shared("models/yunet_n_320_320.onnx")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / model.name).symlink_to(model)
    monkeypatch.setenv("MEERKAT_MODELS", str(tmp_path / "models"))
    with listen("127.0.0.1", 0) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = HubSettings(page=address)
        hub = build_hub(
            tmp_path / "hub", broker.connection, settings, page=address, policy=Policy(reserve=None)
        )
        hub.start()
        try:
            server = HubServer(hub, settings)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            wait_for(lambda: server.started, what="the server")
            with httpx.Client(base_url=address) as client:
                yield client
            server.should_exit = True
            thread.join(20)
        finally:
            hub.stop()


def online(page: httpx.Client) -> list[str]:
    return [node["worker"] for node in page.get("/api/nodes").json() if node["online"]]


def admitted(page: httpx.Client) -> dict[str, Any] | None:
    """Ask again; the answer when it runs."""
    answer = page.post("/api/workflows", json=SEEN)
    content: dict[str, Any] = answer.json()
    return content if answer.status_code == 201 else None


def test_the_model_goes_from_the_hub_to_the_worker_and_the_workflow_runs(
    page: httpx.Client, broker: Mosquitto, tmp_path: Path
) -> None:
    worker = Program(
        "worker",
        ["worker", "--id", "pc", "--data", str(tmp_path)],
        connection=broker.connection,
        folder=tmp_path,
    )
    worker.start()
    try:
        wait_for(lambda: online(page) == ["pc"], seconds=60, what="the worker")
        refused = page.post("/api/workflows", json=SEEN)
        assert refused.status_code == 409
        assert "pc fetches a model for detect_faces" in refused.json()["what"]
        asked = wait_for(lambda: admitted(page), seconds=60, what="the model, and that it is measured")
        (node,) = asked["state"]["nodes"]
        assert (node["node"], node["task"]) == ("pc", "detect_faces")
        assert (tmp_path / "cache/meerkat/models/yunet_n_320_320.onnx").is_file()
        assert "Fetching model yunet" in worker.log.read_text()
    finally:
        worker.kill()
