"""What a foreign page in the owner's browser cannot do."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub_support.web_house import WebHouse
from meerkat_hub.settings import HubSettings
from meerkat_hub.web.guard import is_loopback, names_this_machine


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8480", "LOCALHOST:8480", "127.0.0.1:1", "127.0.0.1", "[::1]:8480", "[::1]"],
)
def test_names_of_this_machine(host: str) -> None:
    assert names_this_machine(host)


OTHERS = """
evil.example localhost.evil.example 127.0.0.1.evil.example 192.168.1.5:8480 localhost:x [::1 0.0.0.0
localhost@evil.example localhost:8480:1
"""


@pytest.mark.parametrize("host", ["", *OTHERS.split()])
def test_names_of_others(host: str) -> None:
    assert not names_this_machine(host)


def test_which_addresses_are_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.0.0.53", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.5", "hub.local")))


@pytest.mark.parametrize("path", ["/", "/api/events", "/metrics", "/static/app.js", "/api/nothing"])
def test_on_loopback_another_host_is_refused(house: WebHouse, path: str) -> None:
    with house.served() as web:
        refused = web.get(path, status=421, Host="evil.example:8480").json()
        assert "'evil.example:8480' is not this machine" in refused["what"]
        assert "hub.http_host" in refused["remedy"]


def test_opened_to_the_lan_any_name_will_do(tmp_path: Path) -> None:
    house = WebHouse(tmp_path, HubSettings.model_validate({"http_host": "0.0.0.0", "password": False}))
    try:
        with house.served() as web:
            web.get("/api/events", Host="hub.local:8480")
    finally:
        house.close()


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_what_a_form_can_send_changes_nothing(house: WebHouse, kind: str) -> None:
    event = house.event()
    with house.served() as web:
        refused = web.http.post(
            f"/api/events/{event}/keep", content=b'{"kept": true}', headers={"Content-Type": kind}
        )
        assert refused.status_code == 415
        assert refused.json()["where"] == "Content-Type"
        assert web.json(f"/api/events/{event}")["kept"] is False


def test_no_other_origin_is_let_in(house: WebHouse) -> None:
    origin = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    with house.served() as web:
        for method in ("GET", "OPTIONS"):
            answer = web.http.request(method, "/api/events", headers=origin)
            assert not any(name.startswith("access-control") for name in answer.headers)


def test_every_answer_tells_the_browser_to_be_strict(house: WebHouse) -> None:
    with house.served() as web:
        for path, status in (("/", 200), ("/api/events", 200), ("/api/nothing", 404)):
            headers = web.get(path, status=status).headers
            assert headers["x-content-type-options"] == "nosniff"
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "server" not in headers
