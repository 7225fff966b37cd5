"""Adding a camera on the page, as a person does it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub_support.browser import Browser
from hub_support.web_house import Served, WebHouse
from meerkat_contract.added_cameras import AddedCameras, read_cameras, write_cameras
from meerkat_contract.messages import CameraInfo, DeviceInfo
from meerkat_hub.adapters.live import Change, LivePicture
from meerkat_hub.adapters.page_cameras import PageCameras
from support.http_camera import HttpCamera, picture
from support.wait import wait_for

SOURCE = "rtsp://joe:s3cret@10.0.0.5/live"
DIALOG = "document.getElementById('camera')"
SAID = "document.getElementById('camera-said').textContent"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path)
    yield made
    made.close()


@pytest.fixture
def file(house: WebHouse, tmp_path: Path) -> Path:
    """A hub of `meerkat up` on which nothing but the demo is to be seen."""
    path = tmp_path / "cameras.yaml"
    house.hub.live.connected = True
    house.hub.cameras = PageCameras(path, demo=("porch",))
    runs(house, "porch", "front")
    return path


def runs(house: WebHouse, device: str, camera: str, label: str = "") -> None:
    """A device shows a camera, as `meerkat up` would have it."""
    live = house.hub.live
    live.devices[device] = DeviceInfo(device=device, cameras=(CameraInfo(name=camera, label=label),))
    live.availability[device] = "online"
    live.pictures[device, camera] = LivePicture(picture(), datetime.now(UTC))
    live.tell(Change("device", device))


def write(browser: Browser, field: str, text: str) -> None:
    browser.js(f"""(() => {{
        const field = document.getElementById('camera-{field}');
        field.value = {json.dumps(text)};
        field.dispatchEvent(new Event(field.matches('select') ? 'change' : 'input', {{ bubbles: true }}));
    }})()""")


def begin(browser: Browser) -> None:
    browser.click("#add")
    browser.wait(f"{DIALOG}?.open")


def test_somebody_adds_the_first_camera_on_a_phone(
    house: WebHouse, file: Path, web: Served, browser: Browser
) -> None:
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True
    )
    browser.open(web.base)
    browser.wait("document.getElementById('notices').innerText.includes('Porch are drawn')")
    assert browser.js("document.getElementById('add').matches('.go')"), "what a newcomer wants"
    fetched = "performance.getEntriesByType('resource').map(({ name }) => name).join(' ')"
    assert "cameras." not in browser.js(fetched), "nothing of it is fetched before"
    begin(browser)
    assert browser.js("document.activeElement.id") == "camera-source"
    assert browser.js("document.documentElement.scrollWidth") <= 390
    assert browser.js(f"{DIALOG}.getAttribute('aria-labelledby')") == "camera-title"
    browser.click("#camera-try")
    browser.wait(f'{SAID} === "Write the camera\'s address first."')
    with HttpCamera(login="basic").serving() as port:
        write(browser, "source", f"http://joe:wrong@127.0.0.1:{port}/shot")
        browser.click("#camera-try")
        browser.wait(f"{SAID}.includes('the camera refuses the user or password')")
        assert browser.js("document.getElementById('camera-picture').hidden")
        source = f"http://joe:s%3Acret@127.0.0.1:{port}/shot"
        write(browser, "source", source)
        write(browser, "label", "Hinterhöf <b>2")
        browser.click("#camera-try")
        browser.wait("!document.getElementById('camera-picture').hidden", what="the picture")
        assert browser.js("document.getElementById('camera-picture').width") == 320
        browser.wait(f"{SAID}.includes('It gives 320×180')")
        browser.click("#camera-save")
        browser.wait(f"{SAID}.startsWith('Added')")
    assert read_cameras(file).cameras == {"hinterhof-b-2": {"source": source, "label": "Hinterhöf <b>2"}}
    runs(house, "home", "hinterhof-b-2", "Hinterhöf <b>2")
    browser.wait(f"!{DIALOG}.open", what="the dialog closes when the camera is there")
    browser.wait("document.getElementById('cameras').innerText.includes('Hinterhöf <b>2')")
    browser.wait("!document.getElementById('add').matches('.go')")
    assert not browser.js("document.getElementById('camera-source').value"), "no password stays in the page"
    complaints = [one for one in browser.complaints if "502" not in one]
    assert complaints == []


def test_a_brand_writes_the_path_and_leaves_the_rest(file: Path, web: Served, browser: Browser) -> None:
    browser.open(web.base)
    begin(browser)
    value = "document.getElementById('camera-source').value"
    options = "[...document.getElementById('camera-brand').options]"
    choose = f"{options}.find(({{ text }}) => text.startsWith(NAME)).value"
    for name, wanted in (
        ("Hikvision", "rtsp://user:password@192.168.1.20/Streaming/Channels/101"),
        ("ESP32", "http://user:password@192.168.1.20:81/stream"),
    ):
        write(browser, "brand", browser.js(choose.replace("NAME", f"'{name}'")))
        assert browser.js(value) == wanted
    write(browser, "source", "rtsp://joe:s3cret@10.0.0.5:554/x")
    write(browser, "brand", browser.js(choose.replace("NAME", "'TP-Link'")))
    assert browser.js(value) == "rtsp://joe:s3cret@10.0.0.5/stream1"
    write(browser, "brand", browser.js(choose.replace("NAME", "'USB'")))
    assert browser.js(value) == "0"


def test_two_of_one_name_are_two_cameras(file: Path, web: Served, browser: Browser) -> None:
    write_cameras(file, AddedCameras("home", {"yard": {"source": SOURCE, "label": "Yard"}}))
    browser.open(web.base)
    begin(browser)
    write(browser, "source", "rtsp://10.0.0.6/live")
    write(browser, "label", "Yard")
    browser.click("#camera-save")
    browser.wait(f"{SAID}.startsWith('Added')")
    assert read_cameras(file).cameras["yard"]["source"] == SOURCE
    assert read_cameras(file).cameras["yard-2"]["source"] == "rtsp://10.0.0.6/live"


def test_a_camera_that_another_browser_adds_meanwhile_stays(
    file: Path, web: Served, browser: Browser
) -> None:
    browser.open(web.base)
    begin(browser)
    write_cameras(file, AddedCameras("home", {"yard": {"source": SOURCE, "label": "Yard"}}))
    write(browser, "source", "rtsp://10.0.0.6/live")
    write(browser, "label", "Yard")
    browser.click("#camera-save")
    browser.wait(f"{SAID}.startsWith('Added')")
    assert read_cameras(file).cameras["yard"]["source"] == SOURCE
    assert read_cameras(file).cameras["yard-2"]["source"] == "rtsp://10.0.0.6/live"


def test_a_hub_that_goes_silent_gets_the_camera_once(file: Path, web: Served, browser: Browser) -> None:
    browser.open(web.base)
    begin(browser)
    write(browser, "source", SOURCE)
    write(browser, "label", "Yard")
    browser.js("window.real = window.fetch")
    for silent in ("PUT", "devices"):  # its answer is lost; then it is there, and what it shows is not
        browser.js(f"""window.fetch = async (path, ...more) => {{
            const answer = await window.real(path, ...more);
            if (path.endsWith('{silent}') || more[0]?.method === '{silent}') throw new Error();
            return answer;
        }}""")
        browser.js("document.getElementById('camera-said').textContent = ''")
        browser.click("#camera-save")
        browser.wait(f"{SAID} === 'The hub does not answer.'")
        browser.wait("!document.getElementById('camera-save').disabled")
    write(browser, "label", "Back yard")
    browser.click("#camera-save")
    once = {"yard": {"source": SOURCE, "label": "Back yard"}}
    wait_for(lambda: read_cameras(file).cameras == once, what="the last word to be taken")
    browser.wait("!document.getElementById('camera-save').disabled")
    assert read_cameras(file).cameras == once


def test_an_added_camera_is_changed_and_removed(
    house: WebHouse, file: Path, web: Served, browser: Browser
) -> None:
    write_cameras(file, AddedCameras("home", {"yard": {"source": SOURCE, "label": "Yard"}}))
    runs(house, "home", "yard", "Yard")
    browser.open(web.base)
    browser.click("[data-camera='porch/front']")
    browser.wait("document.getElementById('live').open && !!document.getElementById('own-camera')")
    assert browser.count("#own-camera button") == 0, "the configuration's cameras are changed there"
    browser.js("document.getElementById('live').close()")
    browser.click("[data-camera='home/yard']")
    browser.click("[data-change]")
    browser.wait(f"{DIALOG}.open")
    assert browser.text("#camera-title") == "Change Yard"
    assert browser.js("document.getElementById('camera-source').placeholder") == "rtsp://10.0.0.5/live"
    assert "s3cret" not in browser.js("document.documentElement.outerHTML")
    write(browser, "label", "Back yard")
    browser.click("#camera-save")
    browser.wait(f"{SAID}.startsWith('Saved')")
    assert read_cameras(file).cameras == {"yard": {"source": SOURCE, "label": "Back yard"}}
    browser.wait(f"!{DIALOG}.open")
    browser.js("window.confirm = (text) => { window.asked = text; return true; }")
    browser.click("[data-camera='home/yard']")
    browser.click("[data-remove]")
    browser.wait("!document.getElementById('live').open")
    assert "What it recorded stays" in browser.js("window.asked")
    assert read_cameras(file).cameras == {}
    assert browser.complaints == []


def test_what_is_refused_is_said_and_can_be_mended(file: Path, web: Served, browser: Browser) -> None:
    browser.open(web.base)
    begin(browser)
    write(browser, "source", "/etc/passwd")
    for button in ("try", "save"):
        browser.click(f"#camera-{button}")
        browser.wait(f"{SAID}.startsWith('this is not the address of a camera')")
        browser.wait("!document.getElementById('camera-save').disabled")
        assert browser.js(f"{DIALOG}.open")
        write(browser, "source", "file:///etc/passwd")
    assert not file.exists()


def test_where_nobody_would_run_it_the_page_shows_what_to_write(web: Served, browser: Browser) -> None:
    browser.open(web.base)
    begin(browser)
    assert "runs no cameras" in browser.text("#camera-said")
    assert browser.js("document.getElementById('camera-save').hidden")
    write(browser, "source", SOURCE)
    write(browser, "label", "Front door")
    assert browser.text("#camera-yaml").splitlines() == [
        "devices:",
        "  porch:",
        "    cameras:",
        f'      front-door: {{source: "{SOURCE}", label: "Front door"}}',
    ]
