"""The page's part about people, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from hub_support.browser import Browser
from hub_support.web_house import WebHouse
from meerkat_hub.adapters.people_store import NewSample
from meerkat_inference import catalogue

ENTRY = catalogue.get("dlib-resnet")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[WebHouse]:
    made = WebHouse(tmp_path / "house")
    yield made
    made.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path)
    yield made
    made.close()


def enrol(house: WebHouse, name: str, pictures: int) -> None:
    def sample(number: int) -> NewSample:
        colour = np.full((160, 160, 3), (40 + 20 * number, 120, 200), np.uint8)
        cv2.circle(colour, (80, 80), 50, (200, 220, 250), -1)
        jpeg = cv2.imencode(".jpg", colour)[1].tobytes()
        return NewSample(np.full(128, number, "<f4").tobytes(), 0.9, jpeg)

    house.hub.people.add(name, ENTRY.model.sha256, ENTRY.name, [sample(n) for n in range(pictures)])


TITLE = "document.getElementById('people-title').textContent"


def test_people_are_listed_with_their_faces_and_can_be_forgotten(house: WebHouse, browser: Browser) -> None:
    enrol(house, "Jürgen Ölçer-O'Neill", 10)
    enrol(house, "Ada", 1)
    with house.served() as web:
        browser.open(web.base)
        browser.wait(f"{TITLE} === '2 people known by face'")
        assert not browser.js("document.getElementById('people').open"), "faces are shown when asked for"
        browser.click("#people summary")
        text = browser.text("#people")
        assert "Jürgen Ölçer-O'Neill" in text
        assert "10 pictures for dlib-resnet" in text
        assert "and 2 more" in text
        assert "1 picture for dlib-resnet" in text
        browser.wait(
            "[...document.querySelectorAll('#faces img')].filter(i => i.complete && i.naturalWidth == 160)"
            ".length == 9",
            what="the faces",
        )
        forget = "[aria-label^='Forget Jürgen']"
        browser.js("window.confirm = (text) => { window.refused = text; return false; }")
        browser.click(forget)
        browser.wait("!!window.refused", what="the question, which is fetched when it is wanted")
        assert browser.count(".card[data-person]") == 2
        browser.js("window.confirm = (text) => { window.asked = text; return true; }")
        browser.click(forget)
        browser.wait(f"{TITLE} === '1 person known by face'")
        assert "Jürgen" in browser.js("window.asked")
        assert [person.name for person in house.hub.people.people()] == ["Ada"]
        browser.click("[aria-label='Forget Ada']")
        browser.wait("document.getElementById('people').hidden")
        assert browser.complaints == []


def test_what_goes_wrong_while_forgetting_is_said(house: WebHouse, browser: Browser) -> None:
    enrol(house, "Ada", 1)
    with house.served() as web:
        browser.open(web.base)
        browser.wait(f"{TITLE} === '1 person known by face'")
        browser.wait("(window.forget = document.querySelector(`[aria-label='Forget Ada']`)) !== null")
        browser.js("window.confirm = () => true; window.alert = (text) => { window.told = text; }")
        house.hub.people.forget("Ada")  # somebody else was quicker
        browser.js("window.forget.click()")  # though the page may have heard of it by now
        browser.wait("window.told?.startsWith('nobody is enrolled as Ada')")
        browser.wait("document.getElementById('people').hidden")
