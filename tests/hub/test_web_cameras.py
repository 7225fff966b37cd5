"""The API of the cameras that are added on the page."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from hub_support.web_house import Served, WebHouse
from meerkat_contract.added_cameras import AddedCameras, read_cameras, write_cameras
from meerkat_hub.adapters.page_cameras import MOST, ConfiguredDevices, PageCameras
from meerkat_hub.settings import HubSettings
from meerkat_hub.web import glance
from support.http_camera import HttpCamera
from support.media import make_clip
from support.rtsp_camera import RtspCamera

SOURCE = "rtsp://joe:s3cret@10.0.0.5/live?token=s3cret"


@pytest.fixture
def file(house: WebHouse, tmp_path: Path) -> Path:
    """The house's hub was started by `meerkat up`, whose configuration has a camera porch/front."""
    path = tmp_path / "cameras.yaml"
    configured = ConfiguredDevices.model_validate(
        {"porch": {"cameras": {"front": {}}, "meters": {"water": {}}}, "attic": None}
    )
    house.hub.cameras = PageCameras(path, configured=configured.owners, demo=("porch", "basement"))
    return path


def send(web: Served, method: str, path: str, body: Any = None, *, status: int = 204) -> httpx.Response:
    answer = web.http.request(
        method, f"/api/cameras{path}", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    assert "s3cret" not in answer.text
    return answer


def test_a_camera_is_added_changed_and_removed(file: Path, web: Served) -> None:
    assert web.json("/api/cameras") == {"possible": True, "device": "home", "cameras": []}
    send(web, "PUT", "/yard", {"source": f" {SOURCE} ", "label": " Back yard "})
    assert read_cameras(file).cameras == {"yard": {"source": SOURCE, "label": "Back yard"}}
    assert web.json("/api/cameras")["cameras"] == [
        {"name": "yard", "label": "Back yard", "source": "rtsp://10.0.0.5/live"}
    ]
    assert "s3cret" not in web.get("/api/cameras").text
    send(web, "PUT", "/yard", {"label": "Yard"})
    assert read_cameras(file).cameras == {"yard": {"source": SOURCE, "label": "Yard"}}, "its source stays"
    send(web, "PUT", "/yard", {"source": "0", "label": "Yard"})
    assert read_cameras(file).cameras["yard"]["source"] == "0"
    send(web, "PUT", "/door", {"source": "http://10.0.0.6/a.jpg"})
    send(web, "DELETE", "/yard")
    assert set(read_cameras(file).cameras) == {"door"}
    send(web, "DELETE", "/yard", status=404)
    send(web, "PUT", "/yard", {"label": "Yard"}, status=404)


def test_what_was_added_by_hand_stays(file: Path, web: Served) -> None:
    zones = {"path": [[0, 0], [1, 0], [1, 1]]}
    write_cameras(file, AddedCameras("home", {"yard": {"source": SOURCE, "label": "", "zones": zones}}))
    send(web, "PUT", "/yard", {"label": "Yard"})
    assert read_cameras(file).cameras["yard"] == {"source": SOURCE, "label": "Yard", "zones": zones}


@pytest.mark.parametrize("path", ["/yard", "/try"])
@pytest.mark.parametrize(
    "source", ["/etc/passwd", "file:///etc/passwd", "porch.mp4", "/dev/video0", "scene:porch", "", "picamera"]
)
def test_no_file_of_the_machine_is_opened(file: Path, web: Served, path: str, source: str) -> None:
    method = "PUT" if path == "/yard" else "POST"
    answer = send(web, method, path, {"source": source}, status=422)
    assert answer.json()["where"] == "source"
    assert not file.exists()


@pytest.mark.parametrize(
    ("name", "body", "answer"),
    [
        ("front", {"source": SOURCE}, "409 the configuration file has 'front' already, of device 'porch'"),
        ("water", {"source": SOURCE}, "409 the configuration file has 'water' already"),
        ("device", {"source": SOURCE}, "422 names both the device itself and a camera"),
        ("yard", {"source": "rtsp://joe:s3cret/x@camera/1"}, "422 the address cannot be read"),
        ("yard", {"source": SOURCE, "label": "a\nb"}, "422 characters that cannot be seen"),
        ("yard", {"source": SOURCE, "label": 81 * "x"}, "422 at most 80 characters"),
        ("yard", {"source": SOURCE, "zones": {}}, "422 Extra inputs are not permitted"),
        ("Yard!", {"source": SOURCE}, "422 should match pattern"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(
    file: Path, web: Served, name: str, body: dict[str, str], answer: str
) -> None:
    status, what = answer.split(maxsplit=1)
    assert what in send(web, "PUT", f"/{name}", body, status=int(status)).json()["what"]
    assert not file.exists()


def test_there_is_an_end_to_cameras(file: Path, web: Served) -> None:
    write_cameras(file, AddedCameras("home", {f"c{n}": {"source": "0"} for n in range(MOST)}))
    assert "there are 50 cameras already" in send(web, "PUT", "/more", {"source": "1"}, status=422).text
    send(web, "PUT", "/c1", {"source": "1"})


def test_a_file_that_cannot_be_read_is_told_and_the_hub_goes_on(file: Path, web: Served) -> None:
    file.write_text("devices: [")
    assert "cannot be read" in web.get("/api/cameras", status=503).text
    send(web, "PUT", "/yard", {"source": SOURCE}, status=422)
    assert web.json("/api/state")["hints"] == []
    assert file.read_text() == "devices: ["


def test_a_hub_alone_says_that_nobody_would_run_it(web: Served) -> None:
    assert web.json("/api/cameras") == {"possible": False, "device": "", "cameras": []}
    for method, path in (("PUT", "/yard"), ("POST", "/try"), ("DELETE", "/yard")):
        answer = send(web, method, path, {"source": SOURCE}, status=409)
        assert "this hub runs no cameras" in answer.json()["what"]
        assert "meerkat up" in answer.json()["remedy"]


def test_another_web_site_cannot_add_one(file: Path, web: Served) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = web.http.request(
            "PUT",
            "/api/cameras/yard",
            content=json.dumps({"source": SOURCE}),
            headers={"Content-Type": kind},
        )
        assert answer.status_code == 415
    assert not file.exists()


def test_other_machines_are_asked_for_the_password(tmp_path: Path) -> None:
    house = WebHouse(tmp_path, HubSettings(http_host="0.0.0.0"))
    house.hub.cameras = PageCameras(tmp_path / "cameras.yaml")
    body, headers = json.dumps({"source": "0"}), {"Content-Type": "application/json"}
    try:
        with house.served() as web:
            for method, path in (("GET", ""), ("POST", "/try"), ("PUT", "/yard"), ("DELETE", "/yard")):
                given = headers | {"X-Forwarded-For": "192.168.1.7"}
                answer = web.http.request(method, f"/api/cameras{path}", content=body, headers=given)
                assert answer.status_code == 401
            assert not house.hub.cameras.file.exists()
            send(web, "PUT", "/yard", {"source": "0"})
    finally:
        house.close()


def test_the_demo_is_named_until_there_is_a_camera_of_ones_own(file: Path, web: Served) -> None:
    assert web.json("/api/state")["hints"] == [
        "Porch and basement are drawn, so that there is something to see: add a camera of your own, "
        "and they end."
    ]
    send(web, "PUT", "/yard", {"source": SOURCE})
    assert web.json("/api/state")["hints"] == []


# --- trying one -------------------------------------------------------------------------------------


def test_an_address_is_tried_and_shows_a_picture(file: Path, web: Served, tmp_path: Path) -> None:
    camera = RtspCamera(make_clip(tmp_path / "in.mp4", seconds=3, size=(640, 360)), password="s3cret")
    with camera.serving() as port:
        answer = send(web, "POST", "/try", {"source": f"rtsp://joe:s3cret@127.0.0.1:{port}/live"}, status=200)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-size"] == "640x360"
    assert answer.headers["x-frames-per-second"] == "15"
    assert answer.headers["cache-control"] == "no-store"
    pixels = np.frombuffer(answer.content, np.uint8)
    assert cv2.imdecode(pixels, cv2.IMREAD_COLOR).shape == (360, 640, 3)
    assert not file.exists(), "nothing is kept"


def test_a_camera_that_refuses_is_told_without_its_password(file: Path, web: Served) -> None:
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger().addHandler(handler)
    try:
        with HttpCamera(login="basic").serving() as port:
            source = f"http://joe:s3cret@127.0.0.1:{port}/shot?pwd=s3cret"
            problem = send(web, "POST", "/try", {"source": source}, status=502).json()
    finally:
        logging.getLogger().removeHandler(handler)
    assert problem["what"] == "the camera refuses the user or password"
    assert problem["where"] == f"http://127.0.0.1:{port}/shot"
    assert "user:password@" in problem["remedy"]
    assert "s3cret" not in said.getvalue()


def test_one_that_hangs_is_given_up(file: Path, web: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glance, "SECONDS", 60.0)
    monkeypatch.setattr(glance, "START_SECONDS", -59.0)
    camera = HttpCamera()
    camera.respond = lambda handler: (camera.stop.wait(), None)[1]
    with camera.serving() as port:
        problem = send(
            web, "POST", "/try", {"source": f"http://joe:s3cret@127.0.0.1:{port}/a.jpg"}, status=502
        ).json()
    assert "it does not answer within" in problem["what"]
    assert problem["where"] == f"http://127.0.0.1:{port}/a.jpg"
