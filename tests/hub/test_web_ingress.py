"""The page within Home Assistant: nobody but its ingress gets in, and everything works below its prefix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from hub_support.browser import Browser
from hub_support.core_driver import track
from hub_support.ingress import ADDRESS, PREFIX, IngressProxy, ingress
from hub_support.web_house import Served, WebHouse
from meerkat_contract.messages import CameraInfo, DeviceInfo
from meerkat_hub.adapters.live import Change, LivePicture
from meerkat_hub.command import page_address
from meerkat_hub.settings import HubSettings
from support.media import make_clip

SETTINGS = HubSettings.model_validate({"http_host": "0.0.0.0", "ingress_from": ADDRESS})


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    made = WebHouse(tmp_path_factory.mktemp("house"), SETTINGS)
    yield made
    made.close()


@pytest.fixture(scope="module")
def web(house: WebHouse) -> Iterator[Served]:
    """The hub itself, as its neighbours in Home Assistant's network reach it."""
    with house.served() as served:
        yield served


@pytest.fixture(scope="module")
def proxy(web: Served) -> Iterator[IngressProxy]:
    with ingress(web.base) as made:
        yield made


@pytest.mark.parametrize("path", ["/", "/api/events", "/static/app.js", "/metrics", "/healthz/", "/nothing"])
def test_whoever_is_not_the_ingress_is_turned_away_in_words(web: Served, path: str) -> None:
    pretended = {"X_Ingress_Path": PREFIX, "X_Forwarded_For": ADDRESS, "X_Real_IP": ADDRESS}
    refused = web.get(path, status=403, **pretended).json()
    assert f"127.0.0.1 may not open this page: only Home Assistant's ingress, {ADDRESS}," in refused["what"]
    assert "side bar" in refused["remedy"]


def test_from_within_only_its_health_is_told(web: Served) -> None:
    assert web.get("/healthz", status=503).json()["reason"] == "not connected to the broker"


def test_the_ingress_may_name_any_host(proxy: IngressProxy) -> None:
    answer = httpx.get(f"{proxy.entry}api/events", headers={"Host": "home.example:8123"})
    assert answer.status_code == 200
    assert "events" in answer.json()


def test_a_redirect_stays_below_the_prefix(proxy: IngressProxy) -> None:
    answer = httpx.get(f"{proxy.entry}api/events/?limit=3")
    assert answer.status_code == 307
    assert answer.headers["location"] == f"{PREFIX}/api/events?limit=3"


def test_the_description_of_the_api_names_the_prefix(proxy: IngressProxy) -> None:
    assert httpx.get(f"{proxy.entry}openapi.json").json()["servers"] == [{"url": PREFIX}]


@pytest.mark.parametrize("page", ["", "blueprints", "blueprints/"])
def test_every_link_stays_below_the_prefix_and_leads_somewhere(proxy: IngressProxy, page: str) -> None:
    base = httpx.URL(f"{proxy.entry}{page}")
    links = set(re.findall(r'(?:href|src)="([^"#]+)"', httpx.get(base).text))
    assert len(links) > 3
    for link in links:
        assert str(base.join(link)).startswith(proxy.entry), link
        assert httpx.get(base.join(link)).status_code == 200, link


@pytest.mark.parametrize("prefix", ["//evil.example", "/a/../b c", "javascript:x", "/x\\y", "/a?b"])
def test_what_is_no_prefix_is_not_believed(web: Served, prefix: str) -> None:
    transport = httpx.HTTPTransport(local_address=ADDRESS)
    with httpx.Client(base_url=web.base, transport=transport, headers={"X-Ingress-Path": prefix}) as client:
        assert client.get("/api/events/").headers["location"] == "/api/events"
        assert "servers" not in client.get("/openapi.json").json()


def test_a_change_is_still_json_only(proxy: IngressProxy) -> None:
    """Home Assistant's cookie travels with what a foreign page sends, too."""
    answer = httpx.post(f"{proxy.entry}api/people", content="name=x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_nothing_is_told_of_an_address_that_turns_people_away() -> None:
    assert page_address(SETTINGS) == ""
    at_home = SETTINGS.model_copy(update={"page": "homeassistant://app/local_meerkat"})
    assert page_address(at_home) == "homeassistant://app/local_meerkat"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path)
    yield made
    made.close()


PAGE = "frames[0].document"


def jpeg() -> bytes:
    import cv2
    import numpy as np

    return cv2.imencode(".jpg", np.full((90, 160, 3), 90, np.uint8))[1].tobytes()


def test_the_whole_page_works_in_home_assistants_frame(
    house: WebHouse, proxy: IngressProxy, browser: Browser, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    live = house.hub.live
    live.devices["porch"] = DeviceInfo(device="porch", cameras=(CameraInfo(name="front"),))
    live.availability["porch"] = "online"
    live.pictures["porch", "front"] = LivePicture(jpeg(), now - timedelta(seconds=20))
    video = make_clip(tmp_path / "clip.mp4", seconds=1, fps=10).read_bytes()
    clip = house.clip(at=now, payload=video, tracks=(track(),))
    event = house.event(clip, at=now, picture=jpeg())

    browser.open(proxy.panel)
    browser.wait(f"{PAGE}.querySelector('[data-camera] img')?.naturalWidth === 160", what="the live picture")
    browser.wait(f"{PAGE}.querySelector('#events img')?.naturalWidth === 160", what="the event's picture")
    browser.wait(f"{PAGE}.querySelector('#facts div') !== null", what="the figures")
    links = browser.js(f"[...{PAGE}.querySelectorAll('[href], [src]')].map((one) => one.href || one.src)")
    assert len(links) > 10
    assert [link for link in links if not link.startswith((proxy.entry, "blob:"))] == []

    shown = f"{PAGE}.querySelector('[data-camera] img').src"
    before = browser.js(shown)
    live.pictures["porch", "front"] = LivePicture(jpeg(), now)
    live.tell(Change("picture", "porch", "front"))
    browser.wait(f"{shown} !== {before!r}", what="the stream to bring a new picture")

    browser.js(f"{PAGE}.querySelector('#events a').click()")
    browser.wait(f"{PAGE}.getElementById('video').readyState > 0", what="the clip to play")
    browser.js(f"{PAGE}.getElementById('keep').click()")
    browser.wait(f"{PAGE}.getElementById('keep').ariaPressed === 'true'", what="the event to be kept")
    download = browser.js(f"{PAGE}.getElementById('download').href")
    assert httpx.get(download).content == video
    assert f"POST /api/events/{event}/keep" in proxy.asked
    assert any(asked.startswith("GET /api/stream") for asked in proxy.asked)
    assert proxy.strays == []
    assert browser.complaints == []
