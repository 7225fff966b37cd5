"""A meter on the page: its card, its own view, what its owner says of it, and its boxes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from hub_support.browser import Browser
from meerkat_contract.meter_layout import MeterLayout
from meter_support.house import AT, House
from support.broker import Mosquitto
from support.wait import wait_for

LAYOUT = MeterLayout(
    digits=tuple((100.0 + 60 * i, 100.0, 50.0, 80.0) for i in range(5)),
    integer_digits=5,
    pointers=((200.0, 300.0, 100.0, 100.0),),
    width=640,
    height=480,
)
HELD = """
    window.held = { asked: [] };
    const gate = new Promise((open) => { held.open = open; }), ask = window.fetch;
    window.fetch = async (path, options) => {
      const answer = await ask(path, options), said = await answer.json();
      if (String(path).includes("/water/")) {
        held.asked.push(path);
        await gate;
      }
      return { ok: answer.ok, status: answer.status, json: async () => said };
    };
    0
"""
"""What is asked of the meter itself is not answered until `held.open()`; then in one turn of the page."""
VIEW = "document.querySelector('#meter-body')"


@pytest.fixture
def house(broker: Mosquitto, tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, broker)
    made.jpeg = cv2.imencode(".jpg", np.full((480, 640, 3), 90, np.uint8))[1].tobytes()
    made.layout = LAYOUT
    yield made
    made.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path)
    yield made
    made.close()


def show(browser: Browser, house: House, place: str = "") -> None:
    browser.open(f"{house.http.base_url}/{place}")


def size(browser: Browser, width: int, height: int = 900) -> None:
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
    )


def fill(browser: Browser, selector: str, value: str) -> None:
    """Write into a field as a person does."""
    browser.js(
        f"(() => {{ const field = document.querySelector({json.dumps(selector)}); field.value = {value!r};"
        " field.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def key(browser: Browser, name: str, modifiers: int = 0) -> None:
    browser.call("Input.dispatchKeyEvent", type="keyDown", key=name, code=name, modifiers=modifiers)


def drag(browser: Browser, selector: str, dx: float, dy: float) -> None:
    x, y = browser.js(
        f"(() => {{ const r = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
        " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
    )
    for kind, share in (
        ("mousePressed", 0.0),
        ("mouseMoved", 0.5),
        ("mouseMoved", 1.0),
        ("mouseReleased", 1.0),
    ):
        place = {"x": x + dx * share, "y": y + dy * share}
        down = int(kind != "mouseReleased")
        browser.call(
            "Input.dispatchMouseEvent", type=kind, button="left", buttons=down, clickCount=1, **place
        )


def test_a_meter_is_set_up_from_its_first_picture(house: House, browser: Browser) -> None:
    first = house.picture()
    show(browser, house)
    browser.wait("document.querySelector('.meter')?.innerText.includes('Nobody has said yet')")
    browser.click("a[href='#meter=porch/water/set-up']")
    browser.wait("!!document.querySelector('[data-do=propose]')")
    assert browser.js("document.querySelector('[data-do=save]').disabled"), "there is no box yet"
    browser.click("[data-do=propose]")
    browser.wait("document.querySelectorAll('.editor g').length === 6", what="the proposed boxes")
    said = browser.text(".said")
    assert "Found 5 wheels and 1 dials" in said
    assert "Please look: look at the dial." in said
    browser.click("[data-do=save]")
    browser.wait("location.hash === '#meter=porch/water'")
    browser.wait("!!document.querySelector('#meter-body .counter')", what="the reading")
    assert browser.text("#meter-body .counter .hidden") == "206.4 m³"
    saved = house.get(f"{AT}/layout")["layout"]
    assert (saved["reference"], saved["width"], saved["height"]) == (first, 640, 480)
    assert saved["digits"] == [list(box) for box in LAYOUT.digits]
    assert browser.complaints == []


def boxes(house: House, browser: Browser) -> Any:
    browser.click("[data-do=save]")
    browser.wait("location.hash === '#meter=porch/water'")
    return house.get(f"{AT}/layout")["layout"]


@pytest.fixture
def editor(house: House, browser: Browser) -> Browser:
    house.picture()
    house.lay_out()
    wait_for(house.readings, what="the reading")
    size(browser, 1280, 1200)
    show(browser, house, "#meter=porch/water/set-up")
    browser.wait("document.querySelectorAll('.editor g').length === 6", what="the boxes")
    return browser


def test_boxes_are_dragged_and_resized_with_the_mouse(house: House, editor: Browser) -> None:
    scale = editor.js("document.querySelector('.editor').getBoundingClientRect().width / 640")
    drag(editor, ".editor g:first-of-type rect", -30 * scale, 20 * scale)
    drag(editor, ".editor g:first-of-type .handle", 6 * scale, 10 * scale)
    assert boxes(house, editor)["digits"][0] == pytest.approx([70, 120, 56, 90], abs=1.5)
    assert editor.complaints == []


def test_boxes_are_moved_added_and_removed_with_the_keyboard(house: House, editor: Browser) -> None:
    editor.js("document.querySelector('.editor g.dial').focus()")
    assert "Dial 1 of 1, at 200, 300" in editor.js("document.activeElement.getAttribute('aria-label')")
    key(editor, "ArrowRight")
    key(editor, "ArrowDown", modifiers=1)
    key(editor, "ArrowRight", modifiers=8)
    assert "at 201, 310, 101 wide, 101 high" in editor.js("document.activeElement.getAttribute('aria-label')")
    editor.js("document.querySelector('.editor g.wheel').focus()")
    key(editor, "Delete")
    editor.wait("document.querySelectorAll('.editor g.wheel').length === 4")
    editor.click("[data-do=dial]")
    assert "Dial 2 of 2" in editor.js("document.activeElement.getAttribute('aria-label')")
    layout = boxes(house, editor)
    assert layout["pointers"][0] == [201, 310, 101, 101]
    assert layout["pointer_factors"] == [0.1, 0.01]
    assert (len(layout["digits"]), layout["integer_digits"]) == (4, 4)


def test_what_is_set_beside_the_picture_is_saved(house: House, editor: Browser) -> None:
    fill(editor, "[data-set=rotation]", "-2.5")
    fill(editor, "[data-set=whole]", "3")
    fill(editor, "[data-set=unit]", "ft³")
    fill(editor, "[data-factor='0']", "0.001")
    assert "rotate(-2.5 " in editor.js("document.querySelector('.editor image').getAttribute('transform')")
    layout = boxes(house, editor)
    told = (layout["rotation_deg"], layout["integer_digits"], layout["unit"], layout["pointer_factors"])
    assert told == (-2.5, 3, "ft³", [0.001])


def test_a_picture_that_was_found_on_its_head_is_turned_with_its_boxes(house: House, editor: Browser) -> None:
    editor.click("[data-do=round]")
    layout = boxes(house, editor)
    assert layout["rotation_deg"] == 180
    assert layout["pointers"] == [[640 - 300, 480 - 400, 100, 100]]


def test_it_is_tried_before_it_is_saved(house: House, editor: Browser) -> None:
    before = len(house.readings())
    house.value = 207.9
    editor.click("[data-do=try]")
    editor.wait("document.querySelector('.said').textContent === 'It reads 207.9 m³: read well.'")
    assert len(house.readings()) == before


def test_boxes_on_each_other_are_told_before_they_are_sent(house: House, editor: Browser) -> None:
    scale = editor.js("document.querySelector('.editor').getBoundingClientRect().width / 640")
    drag(editor, ".editor g:first-of-type rect", 58 * scale, 0)
    editor.click("[data-do=save]")
    editor.wait("document.querySelector('.said').textContent.includes('lie on each other')")
    assert house.get(f"{AT}/layout")["layout"]["digits"][0][0] == 100


def test_the_owner_corrects_and_takes_back(house: House, browser: Browser) -> None:
    house.lay_out()
    for hour in range(4):
        house.reads(206.4 + 0.1 * hour, hours=hour)
    show(browser, house, "#meter=porch/water")
    browser.wait("document.querySelectorAll('[data-reading]').length === 4", what="the history")
    latest = "[data-reading]:first-child"
    browser.click(f"{latest} button")
    browser.wait(f"!!document.querySelector('{latest} form')")
    fill(browser, f"{latest} form input", "206.9")
    browser.click(f"{latest} form .main")
    browser.wait("document.querySelector('#meter-body .counter .hidden').textContent === '206.9 m³'")
    browser.wait(f"document.querySelector('{latest}').innerText.includes('corrected by you')")
    assert house.readings()[0]["told"] == 206.9
    browser.js(f"[...document.querySelectorAll('{latest} button')].at(-1).click()")
    browser.wait("document.querySelector('#meter-body .counter .hidden').textContent === '206.7 m³'")
    assert browser.complaints == []


def test_an_exchange_goes_on_counting(house: House, browser: Browser) -> None:
    house.lay_out()
    house.reads(206.4, hours=0)
    show(browser, house, "#meter=porch/water")
    browser.wait("!!document.querySelector('[data-form=exchange]')")
    browser.js("document.querySelector('[data-form=exchange]').closest('details').open = true")
    fill(browser, "[data-form=exchange] label:nth-of-type(1) input", "206.5")
    browser.click("[data-form=exchange] button")
    browser.wait("document.querySelector('#meter-body').innerText.includes('meter exchanged')")
    browser.wait("document.querySelector('#meter-body').innerText.includes('Counted over all meters')")
    assert house.readings()[0]["told_last"] == 206.5


def test_limits_are_set_on_the_page(house: House, browser: Browser) -> None:
    house.lay_out()
    house.reads(206.4, hours=0)
    show(browser, house, "#meter=porch/water")
    browser.wait("!!document.querySelector('[data-limits]')")
    browser.js("document.querySelector('[data-limits]').open = true")
    browser.wait("!!document.querySelector('[data-form=settings]')")
    fill(browser, "[name=leak_hours]", "12")
    fill(browser, "[name=zone]", "Europe/Berlin")
    browser.click("[data-form=settings] button")
    browser.wait("document.querySelector('[data-form=settings] .said').textContent.startsWith('Saved')")
    settings = house.get(f"{AT}/settings")["settings"]
    assert (settings["leak_hours"], settings["zone"], settings["max_flow"]) == (12, "Europe/Berlin", None)
    fill(browser, "[name=zone]", "Berlin")
    browser.click("[data-form=settings] button")
    browser.wait("document.querySelector('[data-form=settings] .said').textContent.includes('no time zone')")


def test_what_comes_anew_takes_nothing_away_from_who_has_begun_to_write(
    house: House, browser: Browser
) -> None:
    house.lay_out()
    house.reads(206.4, hours=0)
    show(browser, house, "#meter=porch/water")
    browser.wait("!!document.querySelector('[data-limits]')")
    browser.js(HELD)
    house.reads(206.5, hours=1)
    browser.wait(
        "held.asked.some((path) => path.includes('/porch/water/layout'))", what="the view's own look"
    )
    browser.js("document.querySelector('[data-limits]').open = true")
    browser.js("held.open(), new Promise((done) => setTimeout(done))")
    browser.wait("!!document.querySelector('[data-limits][open] [data-form=settings]')")
    fill(browser, "[name=leak_hours]", "12")
    assert browser.js("document.querySelector('[name=leak_hours]').value") == "12"


@pytest.mark.parametrize("width", [375, 1280])
def test_it_fits_the_screen(house: House, browser: Browser, width: int) -> None:
    house.lay_out()
    for hour in range(3):
        house.reads(206.4 + 0.1 * hour, hours=hour)
    size(browser, width)
    show(browser, house)
    browser.wait("document.querySelector('.meter .counter .hidden')?.textContent === '206.6 m³'")
    assert "100 L/h" in browser.text(".meter .card")
    browser.click(".meter a.card")
    browser.wait("!!document.querySelector('#meter-body .chart')", what="the chart")
    assert browser.js("document.querySelectorAll('.chart .bar').length") == 30
    for element in ("document.documentElement", "document.querySelector('#meter')"):
        assert browser.js(f"{element}.scrollWidth <= {element}.clientWidth"), "nothing sticks out"
    buttons = "[...document.querySelectorAll('#meter .button')]"
    browser.js(f"{buttons}.find((one) => one.textContent === '48 hours').click()")
    browser.wait("document.querySelectorAll('.chart .bar').length === 48")
    browser.click("#meter [data-close]")
    browser.wait("!document.querySelector('#meter').open && !location.hash")
    assert browser.complaints == []


def test_what_is_used_is_spread_between_readings(house: House, browser: Browser) -> None:
    show(browser, house)
    found = browser.js("""
        (async () => {
            const { used, edges } = await import("./static/chart.js");
            const at = (hour) => new Date(Date.UTC(2026, 10, 20, hour)).toISOString();
            const times = [0, 1, 2, 3, 4, 5].map((hour) => new Date(at(hour)));
            const rows = [{ at: at(3), total: 14 }, { at: at(0), total: 10 }, { at: at(1), total: 12 }];
            return [used(rows, times), edges("hours", 48).length, edges("days", 30).length];
        })()
    """)
    assert found == [[2, 1, 1, None, None], 49, 31]
