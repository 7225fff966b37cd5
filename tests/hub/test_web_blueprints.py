"""Blueprints for Home Assistant, as the hub serves them."""

from __future__ import annotations

import html
import re
import tomllib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from hub_support.web_house import Served, WebHouse
from meerkat_contract.errors import MeerkatError
from meerkat_hub.settings import HubSettings
from meerkat_hub.web import routes_blueprints
from meerkat_hub.web.routes_blueprints import BLUEPRINTS, text_of

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "homeassistant/blueprints/automation/meerkat"


def test_every_blueprint_is_served_as_it_is(web: Served) -> None:
    assert {one.name for one in BLUEPRINTS} == {path.stem for path in FILES.glob("*.yaml")}
    for one in BLUEPRINTS:
        answer = web.get(f"/blueprints/{one.name}.yaml")
        assert answer.headers["content-type"].startswith("text/yaml")
        assert answer.content == (FILES / f"{one.name}.yaml").read_bytes()
        assert f"Meerkat: {one.title[0].lower()}{one.title[1:]}" in answer.text
    web.get("/blueprints/other.yaml", status=404)


def test_the_page_leads_there(web: Served) -> None:
    assert 'href="blueprints/"' in web.get("/").text
    for path in ("/blueprints/", "/blueprints"):
        page = web.get(path)
        assert page.headers["content-type"].startswith("text/html")
        for link in re.findall(r'(?:href|src)="([^"]+)"', page.text):
            if not link.startswith("http"):
                web.get(httpx.URL(f"http://127.0.0.1{path}").join(link).path)


def test_a_page_for_the_house_has_badges(house: WebHouse) -> None:
    house.settings = HubSettings(http_host="0.0.0.0")
    with house.served() as web:
        page = web.get("/blueprints/", Host="nas.local:8480")
        links = [html.unescape(link) for link in re.findall(r'href="(https://my[^"]+)"', page.text)]
        asked = [parse_qs(urlsplit(link).query)["blueprint_url"][0] for link in links]
        assert asked == [f"http://nas.local:8480/blueprints/{one.name}.yaml" for one in BLUEPRINTS]
        assert "--open-lan" not in page.text
        for url in asked:
            web.get(urlsplit(url).path, Host="nas.local:8480")


def test_a_page_for_this_machine_says_so(web: Served) -> None:
    assert "--open-lan" in web.get("/blueprints/").text


def test_within_home_assistant_there_is_nothing_to_import_from(web: Served) -> None:
    page = web.get("/blueprints/", X_Ingress_Path="/api/hassio_ingress/abc").text
    assert "my.home-assistant.io" not in page
    assert page.count("download>") == len(BLUEPRINTS)


def test_a_host_cannot_write_into_the_page(house: WebHouse) -> None:
    house.settings = HubSettings(http_host="0.0.0.0")
    with house.served() as web:
        page = web.get("/blueprints/", Host='x"><script>')
        assert "<script" not in page.text


def test_the_wheel_has_them() -> None:
    included = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    assert (
        included["force-include"]["homeassistant/blueprints/automation/meerkat"] == "meerkat_hub/blueprints"
    )
    assert routes_blueprints._FOLDERS[0].parts[-2:] == ("meerkat_hub", "blueprints")


def test_an_installation_without_them_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(routes_blueprints, "_FOLDERS", (tmp_path,))
    with pytest.raises(MeerkatError, match=r"notify\.yaml is not part of this installation"):
        text_of("notify")
