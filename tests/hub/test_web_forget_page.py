"""Forgetting a device on the page, as a person does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hub_support.browser import Browser
from hub_support.bus_house import BusHouse
from hub_support.web_house import Served, serving
from meerkat_hub.adapters.live import Change
from meerkat_hub.application import Hub
from meerkat_hub.settings import HubSettings
from support.broker import Mosquitto
from support.wait import wait_for

CARD = "document.querySelector('[data-device={}]')"
HIDDEN = f"{CARD}.querySelector('[data-forget]').hidden"


@pytest.fixture
def house(broker: Mosquitto, tmp_path: Path) -> Iterator[BusHouse]:
    made = BusHouse(broker, tmp_path)
    yield made
    made.bus.stop()


@pytest.fixture
def hub(house: BusHouse) -> Iterator[Hub]:
    with ExitStack() as ends:
        made = house.hub(ends, alone=True)
        for name, word in (("attic", "offline"), ("porch", "online"), ("shed", "asleep")):
            house.device(name, "front", word=word)
        house.tell("device/porch/device/log_level/state", "info")
        wait_for(lambda: len(made.live.availability) == len(made.live.devices) == 3)
        yield made


@pytest.fixture
def web(hub: Hub) -> Iterator[Served]:
    with serving(hub, HubSettings()) as served:
        yield served


@pytest.fixture
def browser(tmp_path: Path, web: Served) -> Iterator[Browser]:
    made = Browser(tmp_path)
    made.open(web.base)
    made.wait(f"!!{CARD.format('attic')}", what="also a device of which nothing can be set has a card")
    yield made
    made.close()


def test_only_one_that_is_offline_can_be_forgotten_and_it_asks_first(
    house: BusHouse, hub: Hub, browser: Browser
) -> None:
    assert not browser.js(HIDDEN.format("attic"))
    assert browser.count("[data-forget]:not([hidden])") == 1, "neither one that is online nor one that sleeps"
    fetched = "performance.getEntriesByType('resource').map(({ name }) => name).join(' ')"
    assert "forget." not in browser.js(fetched), "nothing of it is fetched before"
    browser.js("window.confirm = (text) => { window.asked = text; return false; }")
    browser.click("[aria-label='Forget Attic…']")
    browser.wait("!!window.asked")
    for word in ("Forget Attic?", "Home Assistant", "What it recorded stays", "it is shown again"):
        assert word in browser.js("window.asked")
    assert "attic" in hub.live.devices, "it was not meant"

    browser.js("window.confirm = () => true")
    browser.click("[aria-label='Forget Attic…']")
    browser.wait(f"!{CARD.format('attic')}", what="its card goes")
    browser.wait("!document.querySelector('[data-camera=\"attic/front\"]')", what="and its camera")
    wait_for(lambda: not house.of("attic"))
    assert browser.count("[data-camera]") == 2
    assert browser.complaints == []

    house.device("attic", "front", word="online")
    browser.wait("!!document.querySelector('[data-camera=\"attic/front\"]')", what="it has come back")


def test_one_that_comes_back_meanwhile_stays_and_the_page_says_why(
    house: BusHouse, hub: Hub, browser: Browser
) -> None:
    house.tell("device/attic/availability", "online")
    browser.wait(f"!{CARD.format('attic')}", what="there is nothing to be set of it")
    hub.live.availability["attic"] = "offline"  # this page has not heard of it
    hub.live.tell(Change("device", "attic"))
    browser.wait(f"!{HIDDEN.format('attic')}")
    browser.js("window.confirm = () => true")
    browser.click("[aria-label='Forget Attic…']")
    said = f"{CARD.format('attic')}.querySelector('.why').textContent"
    browser.wait(f"{said}.startsWith('device attic is online. End it first')")
    assert "attic" in hub.live.devices
    assert not browser.js("document.querySelector(\"[aria-label='Forget Attic…']\").disabled")
