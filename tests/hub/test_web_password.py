"""What other machines are asked for, and this one is not."""

from __future__ import annotations

import base64
import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hub_support.web_house import JPEG, Served, WebHouse
from meerkat_contract.ids import new_id
from meerkat_contract.page_password import PagePassword, change_page_password, password_file
from meerkat_hub.settings import HubSettings
from meerkat_hub.web.password import MINUTE, TRIES, Tries, is_here, is_signed, signed

WORD = "open-sesame"
ELSEWHERE = {"X-Forwarded-For": "192.168.1.7"}
"""As a proxy on this machine says where somebody comes from."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[WebHouse]:
    made = WebHouse(tmp_path, HubSettings(http_host="0.0.0.0"))
    change_page_password(tmp_path, WORD)
    yield made
    made.close()


@pytest.fixture
def other(web: Served) -> Iterator[httpx.Client]:
    """A browser on another machine."""
    with httpx.Client(base_url=web.base, headers=ELSEWHERE, timeout=20, verify=False) as client:
        yield client


def log_in(client: httpx.Client, word: str = WORD) -> httpx.Response:
    return client.post("/login", json={"password": word})


@pytest.mark.parametrize("path", ["/", "/api/events", "/metrics", "/openapi.json"])
def test_this_machine_is_asked_nothing(web: Served, path: str) -> None:
    web.get(path)


@pytest.mark.parametrize(
    "path", ["/api/events", "/api/stream", "/metrics", "/openapi.json", "/nothing", "/static/../api/state"]
)
def test_another_machine_is_told_what_is_wrong(other: httpx.Client, path: str) -> None:
    refused = other.get(path)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.headers["cache-control"] == "no-store"
    assert "house's password" in refused.json()["what"]
    assert "meerkat password" in refused.json()["remedy"]


def test_what_changes_anything_is_refused_too(house: WebHouse, other: httpx.Client) -> None:
    event = house.event()
    assert other.post(f"/api/events/{event}/keep", json={"kept": True}).status_code == 401
    assert other.put("/api/people/x", json={}).status_code == 401


def test_the_page_becomes_a_login(other: httpx.Client) -> None:
    page = other.get("/")
    assert page.status_code == 401
    assert 'autocomplete="current-password"' in page.text
    assert 'id="cameras"' not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_what_holds_nothing_of_the_house_stays_open(house: WebHouse, other: httpx.Client) -> None:
    assert other.get("/healthz").status_code == 503, "not connected, and says so"
    for path in ("/static/login.js", "/static/style.css", "/blueprints/", "/blueprints/notify.yaml"):
        assert other.get(path).status_code == 200, path
    assert other.get(f"/api/models/{'0' * 64}").status_code == 404


def test_a_notification_shows_the_picture_of_the_event_that_it_names(
    house: WebHouse, other: httpx.Client
) -> None:
    event = house.event()
    assert other.get(f"/api/events/{event}/picture").content == JPEG
    assert other.get(f"/api/events/{new_id()}/picture").status_code == 404
    assert other.get(f"/api/events/{event}").status_code == 401


def test_the_right_password_opens_and_logging_out_closes(other: httpx.Client) -> None:
    answer = log_in(other)
    assert answer.status_code == 204
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("meerkat="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age=7776000" in cookie
    assert "Secure" not in cookie
    assert WORD not in cookie
    assert other.get("/api/events").status_code == 200
    assert 'id="cameras"' in other.get("/").text
    assert other.post("/logout", json={}).status_code == 204
    assert other.get("/api/events").status_code == 401


def test_behind_https_the_cookie_stays_there(other: httpx.Client) -> None:
    answer = other.post("/login", json={"password": WORD}, headers={"X-Forwarded-Proto": "https"})
    assert all("Secure" in one for one in answer.headers.get_list("set-cookie"))


def test_a_wrong_password_opens_nothing(other: httpx.Client) -> None:
    answer = log_in(other, "open-barley")
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "not the password" in answer.json()["what"]
    assert other.get("/api/events").status_code == 401


@pytest.mark.parametrize("body", ["", "[]", "null", "{}", "x" * 5000, '{"word": 1}'])
def test_a_login_without_a_password_is_refused_in_words(other: httpx.Client, body: str) -> None:
    answer = other.post("/login", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["what"] == "no password was sent"


def test_a_form_of_a_foreign_page_cannot_log_in(other: httpx.Client) -> None:
    assert other.post("/login", data={"password": WORD}).status_code == 415


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    "given", [f"Bearer {WORD}", f"bearer {WORD}", basic(f"any:{WORD}"), basic(f":{WORD}")]
)
def test_programs_send_the_password(other: httpx.Client, given: str) -> None:
    assert other.get("/api/events", headers={"Authorization": given}).status_code == 200
    with other.stream("GET", "/api/stream", headers={"Authorization": given}) as stream:
        assert next(stream.iter_lines()).startswith(("event", "retry", "data"))


@pytest.mark.parametrize(
    "given", ["Bearer", "Bearer x", basic(WORD), basic("any:x"), "Basic ?", "Basic /w==", "Bearer gr\u00fcn"]
)
def test_another_word_does_not_do(other: httpx.Client, given: str) -> None:
    headers = {b"Authorization": given.encode()}
    assert other.get("/api/events", headers=headers).status_code == 401


def test_another_password_ends_all_logins_at_once(house: WebHouse, other: httpx.Client) -> None:
    log_in(other)
    change_page_password(house.hub.data, "another-word")
    assert other.get("/api/events").status_code == 401
    assert log_in(other).status_code == 401
    assert log_in(other, "another-word").status_code == 204


def test_who_tries_too_often_waits_and_others_do_not(
    other: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert [log_in(other, f"word-{n}").status_code for n in range(TRIES + 1)] == [401] * TRIES + [429]
    refused = log_in(other)
    assert refused.status_code == 429, "the right one, too: else trying would go on"
    assert 0 < int(refused.headers["retry-after"]) <= MINUTE
    assert other.get("/api/events", headers={"Authorization": f"Bearer {WORD}"}).status_code == 429
    elsewhere = {"X-Forwarded-For": "192.168.1.8", "Authorization": f"Bearer {WORD}"}
    assert other.get("/api/events", headers=elsewhere).status_code == 200
    told = [record.getMessage() for record in caplog.records if "password" in record.getMessage()]
    assert told == ["page: wrong password from 192.168.1.7"]


def test_after_exactly_a_minute_one_may_try_again() -> None:
    clock = [100.0]
    tries = Tries(lambda: clock[0])
    for _ in range(TRIES - 1):
        tries.wrong("a")
    assert tries.wait("a") == 0
    tries.wrong("a")
    assert tries.wait("a") == MINUTE
    clock[0] += MINUTE - 1
    assert tries.wait("a") == 1
    clock[0] += 1
    assert tries.wait("a") == 0


def test_a_crowd_of_addresses_takes_no_memory() -> None:
    tries = Tries(lambda: 0.0)
    for number in range(3000):
        tries.wrong(str(number))
    assert len(tries._wrong) == 1000


KEPT = PagePassword(WORD, "00" * 32)


def test_a_login_ends_and_cannot_be_made_up() -> None:
    good = signed(KEPT, 4e9)
    until, _, signature = good.partition(".")
    assert is_signed(good, KEPT)
    assert not is_signed(signed(KEPT, 1e9), KEPT), "long ago"
    assert not is_signed(good, PagePassword("another", KEPT.key))
    assert not is_signed(good, PagePassword(WORD, "01" * 32))
    for made_up in (
        "",
        ".",
        until,
        f"{int(until) + 1}.{signature}",
        f"{until}.",
        f"٤.{signature}",
        "9" * 9999,
    ):
        assert not is_signed(made_up, KEPT)


@pytest.mark.parametrize(
    ("client", "headers", "here"),
    [
        ("127.0.0.1", {"host": "localhost:8480"}, True),
        ("::1", {"host": "[::1]:8480"}, True),
        ("::ffff:127.0.0.1", {"host": "127.0.0.1"}, True),
        ("192.168.1.7", {"host": "localhost"}, False),
        ("::ffff:192.168.1.7", {"host": "localhost"}, False),
        ("192.168.1.7", {"host": "localhost", "x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", {"host": "localhost", "x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", {"host": "localhost", "forwarded": "for=127.0.0.1"}, False),
        ("127.0.0.1", {"host": "localhost", "x-real-ip": "127.0.0.1"}, False),
        ("127.0.0.1", {"host": "evil.example"}, False),
        ("127.0.0.1", {}, False),
        ("", {"host": "localhost"}, False),
    ],
)
def test_who_is_here(client: str, headers: dict[str, str], here: bool) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert is_here({"type": "http", "client": (client, 1), "headers": raw}) is here


def test_a_page_that_is_sent_on_from_loopback_asks_as_well(tmp_path: Path) -> None:
    """And the password is made when it is first asked for, for its owner alone."""
    house = WebHouse(tmp_path)
    try:
        with house.served() as web:
            web.get("/api/events")
            assert not password_file(tmp_path).exists()
            web.get("/api/events", status=401, X_Forwarded_For="127.0.0.1")
            path = password_file(tmp_path)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            word = json.loads(path.read_text())["password"]
            web.get("/api/events", X_Forwarded_For="10.0.0.1", Authorization=f"Bearer {word}")
    finally:
        house.close()


@pytest.mark.parametrize(
    ("given", "status"), [("of-the-settings", 401), ("", 200), (False, 200), ("false", 200)]
)
def test_the_settings_go_before_it(tmp_path: Path, given: object, status: int) -> None:
    settings = HubSettings.model_validate({"http_host": "0.0.0.0", "password": given})
    house = WebHouse(tmp_path, settings)
    assert "of-the-settings" not in repr(settings)
    try:
        with house.served() as web, httpx.Client(base_url=web.base, headers=ELSEWHERE) as other:
            assert other.get("/api/events").status_code == status
            if status == 401:
                assert log_in(other, str(given)).status_code == 204
                assert other.get("/api/events").status_code == 200
    finally:
        house.close()


def test_a_file_that_cannot_be_read_lets_nobody_in(house: WebHouse, other: httpx.Client) -> None:
    log_in(other)
    password_file(house.hub.data).write_text("{")
    refused = other.get("/api/events")
    assert refused.status_code == 503
    assert "Remove the file" in refused.json()["remedy"]
    assert log_in(other).status_code == 503


def test_below_a_path_of_a_proxy_it_is_the_same(house: WebHouse) -> None:
    with house.served(prefix="/cams") as web, httpx.Client(base_url=web.base, headers=ELSEWHERE) as other:
        assert 'id="login"' in other.get("/cams/").text
        assert other.get("/cams/static/login.js").status_code == 200
        assert other.get("/cams/api/events").status_code == 401
        assert other.post("/cams/login", json={"password": WORD}).status_code == 204
        assert other.get("/cams/api/events").status_code == 200
