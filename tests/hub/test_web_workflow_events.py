"""Events of workflows on the page: their picture is the frame as it came, so the page draws the box."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from hub_support.browser import Browser
from hub_support.decided import decided
from hub_support.web_house import Served, WebHouse
from meerkat_contract.message import Box
from meerkat_hub.core.outputs import EventSaved
from meerkat_hub.core.records import EventRecord

WIDE, HIGH = 320, 160

FACE = (0.25, 0.5, 0.1, 0.2)


def stored(house: WebHouse, box: Box, region: Box | None) -> str:
    """An event upon one frame; its id."""
    made = decided(box, region=region)
    name = f"{made.id}-2"
    grey = cv2.imencode(".jpg", np.full((HIGH, WIDE, 3), 90, np.uint8))[1].tobytes()
    house.file("events", name, ".jpg", grey)
    house.commit(EventSaved(EventRecord(made, (), ended=True)), pictures={made.id: name})
    return made.id


@pytest.mark.parametrize(
    ("box", "region"),
    [((0.25, 0.5, 0.1, 0.2), None), ((0.625, 0.75, 0.05, 0.1), (0.5, 0.5, 0.5, 0.5))],
    ids=["whole", "part"],
)
def test_the_box_is_drawn_where_it_is_in_the_picture(
    house: WebHouse, web: Served, tmp_path: Path, box: Box, region: Box | None
) -> None:
    event = stored(house, box, region)
    browser = Browser(tmp_path)
    try:
        browser.open(web.base)
        browser.wait("!!document.querySelector('#events .outline rect')")
        of_rect = "['x', 'y', 'width', 'height'].map((side) => +RECT.getAttribute(side))"
        rect = browser.js(of_rect.replace("RECT", "document.querySelector('#events .outline rect')"))
        assert rect == pytest.approx([0.25 * WIDE, 0.5 * HIGH, 0.1 * WIDE, 0.2 * HIGH])
        svg = "document.querySelector('#events .outline')"
        assert browser.js(f"{svg}.getBoundingClientRect().width") > 100, "it lies over the picture"
        assert browser.js(f"{svg}.getAttribute('viewBox')") == f"0 0 {WIDE} {HIGH}"

        browser.click(f"#events a[href='#event={event}']")
        browser.wait("document.querySelector('#boxes span')?.textContent === 'Face 83 %'")
        style = browser.js(
            "(({ left, top, width, height }) => [left, top, width, height])"
            "(document.querySelector('#boxes div').style).map(parseFloat)"
        )
        assert style == pytest.approx([25, 50, 10, 20])
        place = "document.getElementById('boxes').getBoundingClientRect()"
        shape = browser.js(f"(({{ width, height }}) => width / height)({place})")
        assert shape == pytest.approx(WIDE / HIGH, rel=0.02)
        browser.click("#show-boxes")
        browser.wait("!document.querySelector('#boxes div')")
        browser.click("#detail [data-close]")
        browser.wait("location.hash === ''")
        assert browser.complaints == []
    finally:
        browser.close()


@pytest.mark.parametrize("close_up", [False, True], ids=["clips", "close-up"])
def test_there_is_nothing_to_draw_over_a_picture_with_its_box_or_of_a_face_alone(
    house: WebHouse, web: Served, tmp_path: Path, close_up: bool
) -> None:
    if close_up:
        stored(house, FACE, FACE)
    else:
        grey = cv2.imencode(".jpg", np.full((HIGH, WIDE, 3), 90, np.uint8))[1].tobytes()
        house.event(picture=grey)
    browser = Browser(tmp_path)
    try:
        browser.open(web.base)
        browser.wait("document.querySelector('#events img')?.naturalWidth > 0")
        assert browser.js(
            "new Promise(requestAnimationFrame).then(() => !document.querySelector('.outline'))"
        )
    finally:
        browser.close()
