"""The page: its files, and what a real browser makes of them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub_support.browser import Browser
from hub_support.core_driver import track
from hub_support.web_house import Served, WebHouse
from meerkat_contract.ids import new_id
from meerkat_contract.messages import (
    CameraInfo,
    DeviceInfo,
    ErrorReport,
    MeterInfo,
    ModelInfo,
    TaskInfo,
    WorkerState,
)
from meerkat_hub.adapters.live import Change, LivePicture
from meerkat_hub.web.fanout import Client
from meerkat_hub.web.routes_page import FOLDER, TYPES
from support.media import make_clip
from support.wait import wait_for

FILES = sorted(FOLDER.iterdir())


def test_the_page_is_small_and_every_file_is_served(web: Served) -> None:
    sizes = {path.name: path.stat().st_size for path in FILES}
    assert sum(sizes.values()) < 159_000  # what asks before a device is forgotten came last
    needed = ("calibrate.js", "burst.js", "cameras.js", "cameras.css", "forget.js", "login.html", "login.js")
    when_needed = sum(sizes[name] for name in needed)
    assert sum(sizes.values()) - when_needed < 111_000, "what is loaded for a first look"
    for path in FILES:
        url = "/" if path.name == "index.html" else f"/static/{path.name}"
        answer = web.get(url)
        assert answer.content == path.read_bytes()
        assert answer.headers["content-type"] == TYPES[path.suffix]
        assert web.get(url, status=304, If_None_Match=answer.headers["etag"])


def test_nothing_is_inline_or_from_elsewhere_and_addresses_are_relative() -> None:
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", page), "no inline script"
    assert "<style" not in page
    assert " style=" not in page
    assert not re.search(r"\son[a-z]+=", page)
    for address in re.findall(r'(?:href|src)="([^"]+)"', page):
        assert not address.startswith(("/", "http:", "https:")), address
    for path in FILES:
        if path.suffix in {".js", ".css"}:
            text = path.read_text()
            assert not re.search(r"""["'`(]/(api|static)/""", text), (
                f"{path.name}: works under a prefix only if relative"
            )
            assert "innerHTML" not in text
            assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), "a name, and no address"


def test_everything_that_can_be_used_has_a_name() -> None:
    page = (FOLDER / "index.html").read_text()
    for image in re.findall(r"<img[^>]*>", page):
        assert "alt=" in image
    for button in re.findall(r"<button[^>]*>\s*([^<]*)</button>", page):
        assert button.strip()
    assert '<html lang="en">' in page


# --- in a browser -----------------------------------------------------------------------------------


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path)
    yield made
    made.close()


LOADED = (
    "document.getElementById('status').textContent !== 'Loading…' && !!document.querySelector('#facts div')"
)


def test_an_empty_house_is_explained_in_words(web: Served, browser: Browser) -> None:
    browser.open(web.base)
    browser.wait(LOADED)
    browser.wait(
        "!document.getElementById('events-empty').hidden && !document.getElementById('cameras-empty').hidden"
    )
    browser.reads(
        "2 things to look at",
        "The hub is not connected to the MQTT broker",
        "No worker is online",
        "No camera has introduced itself yet",
        "No events yet: when something moves",
    )
    assert browser.js("document.getElementById('more').hidden")
    assert browser.js("document.getElementById('cloud').hidden"), "no cloud burst is set up"
    fetched = "performance.getEntriesByType('resource').map(({ name }) => name).join(' ')"
    assert "burst" not in browser.js(fetched), "and nothing of it is fetched"
    assert browser.complaints == []


def test_what_has_left_the_page_is_forgotten(web: Served, browser: Browser) -> None:
    browser.open(web.base)
    browser.wait(LOADED)
    counted = browser.js("""
        (async () => {
            const { Keyed, h } = await import("./static/tools.js");
            const cards = new Keyed(), make = (text) => h("li", {}, text);
            document.body.append(cards.get("stays", "stays", make));
            const stays = cards.get("stays", "stays", make);
            for (let i = 0; i < 5000; i++) cards.get(`card ${i}`, `${i}`, make);
            return [cards.size <= 501, cards.get("stays", "stays", make) === stays];
        })()
    """)
    assert counted == [True, True]


def furnish(house: WebHouse) -> str:
    """A camera with motion, a sleeping meter, a fallback worker; returns the id of the newest event."""
    live, now = house.hub.live, datetime.now(UTC)
    live.connected = True
    live.devices["porch"] = DeviceInfo(device="porch", cameras=(CameraInfo(name="front", label="A <b>door"),))
    wake = now.replace(minute=0) + timedelta(hours=1)
    meters = (MeterInfo(name="water"),)
    live.devices["basement"] = DeviceInfo(device="basement", meters=meters, wake_every=3600, next_wake=wake)
    live.availability.update(porch="online", basement="asleep")
    live.motion["porch", "front"] = True
    live.pictures["porch", "front"] = LivePicture(jpeg(), now)
    live.errors.add("porch", ErrorReport(what="the lens is dirty", remedy="Wipe it", at=now))
    model = ModelInfo(name="hog-people", engine="hog", fallback=True)
    task = TaskInfo(task="detect_objects", model=model, frames_per_second=9.5)
    live.workers["pi"] = WorkerState(
        worker="pi", host="attic", incarnation=new_id(), online=True, tasks=(task,)
    )
    house.meter_picture(at=now, payload=jpeg())
    for n in range(30):
        at = now - timedelta(minutes=5 + n)
        house.event(at=at, label="traffic_light", category="object", picture=jpeg())
    return house.event(at=now - timedelta(seconds=90), picture=jpeg(), zones=("drive",))


def jpeg() -> bytes:
    import cv2
    import numpy as np

    return cv2.imencode(".jpg", np.full((90, 160, 3), 90, np.uint8))[1].tobytes()


def test_a_living_house(house: WebHouse, web: Served, browser: Browser) -> None:
    event = furnish(house)
    browser.open(web.base)
    browser.wait(LOADED)
    browser.wait("document.querySelectorAll('#events a').length === 12")
    browser.wait("document.querySelector('[data-camera] img')?.naturalWidth === 160", what="the live picture")
    browser.wait("document.querySelector('#events img').alt === 'Person at A <b>door'")
    text = browser.reads(
        "1 thing to look at",
        "the lens is dirty. Wipe it",
        "attic: built-in person detector, 9.5 frames/s",
        "meerkat models pull",
        "A <b>door",  # names are text, never markup
        "asleep, wakes",
        "Traffic light",
        "90 %",
        "A <b>door · Drive",  # the zones that somebody came through
    )
    assert re.search(r"asleep, wakes \d\d:00", text)
    assert browser.text("#headline") == "Person at A <b>door 2 minutes ago"
    assert browser.js("document.querySelector('#headline a').hash") == f"#event={event}"
    assert text.index("90 %") < text.index("9.5 frames/s"), "what happened comes before how it is done"
    assert not browser.js("document.querySelector('[data-camera] .motion').hidden")
    assert browser.js("document.querySelector('#events a').hash") == f"#event={event}"
    labels = "[...document.querySelector('select[name=label]').options].map((one) => one.text)"
    browser.wait(f"{labels}.join() === 'All,Person,Traffic light'")
    browser.click("#more")
    browser.wait("document.querySelectorAll('#events a').length === 31")
    assert browser.js("document.getElementById('more').hidden")
    assert browser.complaints == []


HIDE = """
Object.defineProperty(document, "hidden", {value: HIDDEN, configurable: true});
document.dispatchEvent(new Event("visibilitychange"))
"""


def test_the_page_follows_what_happens(house: WebHouse, web: Served, browser: Browser) -> None:
    furnish(house)
    browser.open(web.base)
    browser.wait("document.getElementById('status').textContent === '1 thing to look at'")
    live = house.hub.live
    live.errors.clear()
    live.tell(Change("device", "porch"))
    browser.wait("document.getElementById('status').textContent === 'All is well'")
    live.tell(Change("motion", "porch", "front", b"OFF"))
    browser.wait("document.querySelector('[data-camera] .motion').hidden")
    newest = house.event(at=datetime.now(UTC), label="cat", category="animal", picture=jpeg())
    live.tell(Change("event", "porch", "front", f'{{"type": "new", "after": {{"id": "{newest}"}}}}'.encode()))
    browser.wait(f"document.querySelector('#events a').hash === '#event={newest}'")
    fanout = web.server.fanout
    assert fanout._loop is not None
    fanout._loop.call_soon_threadsafe(fanout._drop, next(iter(fanout._clients)), "slow")
    browser.wait("document.getElementById('status').textContent === 'Reconnecting…'")
    browser.wait("document.getElementById('status').textContent === 'All is well'", what="the new connection")
    browser.js(HIDE.replace("HIDDEN", "true"))
    wait_for(lambda: fanout.clients == 0, what="the hidden page to let go of its stream")
    browser.js(HIDE.replace("HIDDEN", "false"))
    wait_for(lambda: fanout.clients == 1, what="the page to listen again")


def test_a_hub_that_is_halted_is_told_and_its_return_too(
    house: WebHouse, web: Served, browser: Browser
) -> None:
    furnish(house)
    live = house.hub.live
    live.errors.clear()
    browser.open(web.base)
    browser.wait("document.getElementById('status').textContent === 'All is well'")
    wait_for(lambda: web.server.fanout.clients == 1, what="the page to listen")
    loop, resumed = web.server.fanout._loop, threading.Event()
    assert loop is not None
    loop.call_soon_threadsafe(resumed.wait)  # its connections stay open, and nothing answers
    try:
        began = browser.js("performance.now()")
        browser.wait("document.getElementById('status').textContent === 'Reconnecting…'")
        assert "The connection to the hub is lost" in browser.text("#notices")
        assert browser.js("performance.now()") - began > 3000, "not at the first quiet moment"
    finally:
        resumed.set()
    browser.wait("document.getElementById('status').textContent === 'All is well'", what="its return")
    live.tell(Change("motion", "porch", "front", b"ON"))
    browser.wait("!document.querySelector('[data-camera] .motion').hidden", what="what happens from then on")
    wait_for(lambda: web.server.fanout.clients == 1, what="one stream and no other")


def test_a_hub_that_is_halted_before_it_answers_is_told_too(
    web: Served, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page has asked for the stream, and nothing has come of it yet."""
    attach, resumed = web.server.fanout.attach, threading.Event()

    def halting() -> Client | None:
        made = attach()
        resumed.wait(60)  # on the server's loop
        return made

    monkeypatch.setattr(web.server.fanout, "attach", halting)
    try:
        browser.open(web.base)
        browser.wait("document.getElementById('status').textContent === 'Reconnecting…'")
    finally:
        resumed.set()
    browser.wait("document.getElementById('status').textContent === '2 things to look at'", what="its return")
    wait_for(lambda: web.server.fanout.clients == 1, what="one stream and no other")


def test_a_camera_that_fell_silent_is_not_well(house: WebHouse, web: Served, browser: Browser) -> None:
    furnish(house)
    live = house.hub.live
    live.errors.clear()
    live.pictures["porch", "front"] = LivePicture(jpeg(), datetime.now(UTC) - timedelta(days=3))
    live.settings["porch", "front", "picture_seconds"] = "30"
    browser.open(web.base)
    browser.wait("document.getElementById('status').textContent === '1 thing to look at'")
    browser.reads("Camera A <b>door of porch has sent no picture since ", selector="#notices")
    browser.reads("no picture since", selector="[data-camera]")
    live.pictures["porch", "front"] = LivePicture(jpeg(), datetime.now(UTC))
    live.tell(Change("picture", "porch", "front"))
    browser.wait("document.getElementById('status').textContent === 'All is well'")
    browser.wait(
        "!document.querySelector('[data-camera]').innerText.includes('no picture since')", what="the card"
    )


def test_a_camera_whose_video_is_over_is_well_and_says_so(
    house: WebHouse, web: Served, browser: Browser
) -> None:
    furnish(house)
    live = house.hub.live
    live.errors.clear()
    live.pictures["porch", "front"] = LivePicture(jpeg(), datetime.now(UTC) - timedelta(hours=1))
    live.settings["porch", "front", "picture_seconds"] = "30"
    browser.open(web.base)
    browser.wait("document.getElementById('status').textContent === '1 thing to look at'", what="it is late")
    cameras = (CameraInfo(name="front", ended=True),)
    live.devices["porch"] = live.devices["porch"].model_copy(update={"cameras": cameras})
    live.tell(Change("device", "porch"))
    browser.wait("document.getElementById('status').textContent === 'All is well'")
    browser.reads("replayed to its end", selector="[data-camera]")


def test_each_broken_camera_is_told_until_it_gives_a_picture(
    house: WebHouse, web: Served, browser: Browser
) -> None:
    live, now = house.hub.live, datetime.now(UTC)
    live.connected = True
    cameras = (CameraInfo(name="front"), CameraInfo(name="yard"))
    live.devices["porch"] = DeviceInfo(device="porch", cameras=cameras)
    for name, what in (("front", "refuses the password"), ("yard", "is not there")):
        where = f"camera {name}, rtsp://{name}/1"
        live.errors.add("porch", ErrorReport(what=what, where=where, remedy="Mend it", at=now))
    browser.open(web.base)
    browser.wait(LOADED)
    browser.wait("document.getElementById('notices').innerText.includes('rtsp://yard/1: is not there')")
    assert "camera front, rtsp://front/1: refuses the password. Mend it" in browser.text("#notices")
    said = browser.reads("No picture:", selector="[data-camera='porch/front']")
    assert "No picture: refuses the password." in said, "not: it comes"
    live.pictures["porch", "front"] = LivePicture(jpeg(), now + timedelta(seconds=1))
    live.tell(Change("picture", "porch", "front"))
    browser.wait("!document.getElementById('notices').innerText.includes('refuses the password')")
    assert "rtsp://yard/1: is not there" in browser.text("#notices")


def test_an_event_whose_picture_is_gone_says_so(house: WebHouse, web: Served, browser: Browser) -> None:
    """As after a backup without clips and pictures."""
    event = house.event(picture=jpeg())
    (folder,) = {path.parent for path in house.hub.media.root.rglob(f"{event}*")}
    for file in folder.iterdir():
        file.unlink()
    browser.open(web.base)
    browser.wait("document.getElementById('events').innerText.includes('Its picture is there no more')")


def test_an_event_is_watched_and_kept(house: WebHouse, web: Served, browser: Browser, tmp_path: Path) -> None:
    video = make_clip(tmp_path / "clip.mp4", seconds=2, fps=10).read_bytes()
    now = datetime.now(UTC)
    first = house.clip(at=now, payload=video, tracks=(track(end=2.0),))
    second = house.clip(at=now + timedelta(seconds=2), payload=video, state="failed", reason="no such codec")
    event = house.event(first, second, at=now, picture=jpeg())
    house.hub.live.connected = True
    browser.open(f"{web.base}/#event={event}")
    browser.wait("document.getElementById('detail').open")
    browser.wait("document.querySelectorAll('#parts button').length === 2")
    if browser.js("document.createElement('video').canPlayType('video/mp4; codecs=\"avc1.42E01E\"')"):
        # It is there for two seconds, while the first clip plays: looked for first, and what stays later.
        browser.wait("document.querySelector('#boxes span')?.textContent === 'Person 80 %'", what="the box")
        browser.wait("document.getElementById('video').videoWidth === 320", what="the video")
        browser.wait("document.getElementById('playing').textContent.startsWith('Clip 2 of 2')")
    browser.reads("Person · Front", "ssd on litert", "failed: no such codec", selector="#detail")
    browser.click("#keep")
    browser.wait("document.getElementById('keep').getAttribute('aria-pressed') === 'true'")
    assert web.json(f"/api/events/{event}")["kept"] is True
    browser.wait("document.querySelector('#events').innerText.includes('Kept')")
    browser.click("#detail [data-close]")
    browser.wait("location.hash === ''")
    browser.open(f"{web.base}/#event={new_id()}")
    browser.wait("document.getElementById('playing').textContent.includes('there is no such event')")


def test_the_page_works_under_a_prefix(house: WebHouse, browser: Browser) -> None:
    furnish(house)
    with house.served(prefix="/some/ingress/token") as web:
        browser.open(f"{web.base}/some/ingress/token/")
        browser.wait("document.getElementById('status').textContent === '1 thing to look at'")
        browser.wait("document.querySelector('[data-camera] img')?.naturalWidth === 160")
        browser.wait("document.querySelector('#events img')?.naturalWidth === 160")
        browser.click("#events a")
        browser.wait("!!document.querySelector('#about dd')")
        assert browser.js("location.pathname") == "/some/ingress/token/"
        assert browser.complaints == []


ALARMS = """
(async () => {
    const real = window.fetch, meter = (name, kind) => ({ device: "basement", meter: name, label: "", kind,
        counters: [{ counter: "", verdict: { leak: "it has flowed all night" } }] });
    window.fetch = (path, ...more) => path === "api/meters"
        ? Promise.resolve(Response.json([meter("water", "water"), meter("gone", "")])) : real(path, ...more);
    const meters = await import("./static/meters.js");
    await meters.load();
    return meters.alarms();
})()
"""


def test_a_meter_that_is_gone_alarms_nobody(web: Served, browser: Browser) -> None:
    """Its history is there for good; it has no kind, which its device would say."""
    browser.open(web.base)
    assert browser.js(ALARMS) == ["Meter Water: it has flowed all night."]
