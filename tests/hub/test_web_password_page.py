"""Logging in with a browser: the page, then everything on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_support.browser import Browser
from hub_support.web_house import WebHouse
from meerkat_contract.page_password import change_page_password
from meerkat_hub.settings import HubSettings
from support.wait import wait_for


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path)
    yield made
    made.close()


def submit(browser: Browser, word: str) -> None:
    browser.wait("document.querySelector('#login button')?.disabled === false", what="the login to be ready")
    browser.js(f"password.value = {json.dumps(word)}, document.querySelector('#login button').click()")


def test_a_person_logs_in_and_out_on_a_phone(tmp_path: Path, browser: Browser) -> None:
    house = WebHouse(tmp_path, HubSettings(http_host="0.0.0.0"))
    change_page_password(tmp_path, "open-sesame")
    event = house.event()
    browser.call("Network.enable")
    browser.call("Network.setExtraHTTPHeaders", headers={"X-Forwarded-For": "192.168.1.7"})
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True
    )
    try:
        with house.served() as web:
            browser.open(f"{web.base}/#event={event}")
            browser.wait("document.activeElement === password", what="the password's field to have the focus")
            assert browser.js("document.documentElement.scrollWidth") <= 390
            submit(browser, "wrong")
            browser.wait("trouble.textContent === 'This is not the password.'")
            submit(browser, "open-sesame")
            browser.wait("document.querySelector('#facts div') !== null", what="the page's figures")
            browser.wait("document.getElementById('detail').open", what="the event that the address names")
            assert browser.js("document.cookie") == "meerkat_login=1", "the login itself is not for scripts"
            wait_for(lambda: web.server.fanout.clients == 1, what="the stream to be open")
            browser.js("document.getElementById('detail').close()")
            browser.click("#logout")
            browser.wait("document.getElementById('login') !== null", what="the login again")
            submit(browser, "open-sesame")
            browser.wait("document.querySelector('#facts div') !== null")
            change_page_password(tmp_path, "another-word")
            # It may have noticed by itself.
            browser.js("(document.getElementById('people') ?? {}).open = true")
            browser.wait("document.getElementById('login') !== null", what="the login, of another password")
    finally:
        house.close()


def test_before_its_script_is_there_the_form_sends_no_password(tmp_path: Path, browser: Browser) -> None:
    """Who is quick, or has a password manager that is: it would stand in the address."""
    house = WebHouse(tmp_path, HubSettings(http_host="0.0.0.0"))
    change_page_password(tmp_path, "open-sesame")
    browser.call("Network.enable")
    browser.call("Network.setExtraHTTPHeaders", headers={"X-Forwarded-For": "192.168.1.7"})
    browser.call("Network.setBlockedURLs", urls=["*login.js*"])
    try:
        with house.served() as web:
            browser.open(web.base)
            browser.wait("document.getElementById('login') !== null")
            browser.js("password.value = 'open-sesame', document.querySelector('#login button').click()")
            assert browser.js("location.search") == ""
            assert browser.js("document.querySelector('#login button').disabled")
            assert browser.js("document.getElementById('login').method") == "post"
    finally:
        house.close()
