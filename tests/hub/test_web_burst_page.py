"""The cloud burst on the page of a hub that runs: what it does and why, what it costs, and its switch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub_support.browser import Browser
from hub_support.cloud_memory import CloudInMemory
from hub_support.peers import FakeDevice
from hub_support.web_house import Served, serving
from meerkat_cloud_burst.news import Reached, Trouble
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.ids import new_id
from meerkat_hub.application import Hub, build_hub
from meerkat_hub.core.cloud import strangers
from meerkat_hub.settings import HubSettings
from support.broker import Mosquitto
from support.media import make_clip
from support.wait import wait_for

CARD = "document.getElementById('cloud')"
DETAILS = "document.getElementById('cloud-body')"
SETTINGS = BurstSettings(enabled=True, boot=1, clip_seconds=1, cameras={"porch/cot": "never"})


class Site:
    """A hub without a worker, its page in a browser, a device and a cloud in memory."""

    def __init__(self, hub: Hub, web: Served, device: FakeDevice, browser: Browser, clip: bytes) -> None:
        assert isinstance(hub.agent, CloudInMemory)
        self.cloud = hub.agent
        self.web, self.device, self.browser, self.clip = web, device, browser, clip

    def clips(self, number: int) -> list[str]:
        sent = [self.device.send(self.clip, recording=new_id(), last=True) for _ in range(number)]
        assert all(self.device.receipt(one).outcome == "stored" for one in sent)
        return sent

    def burst(self, *, ticks: int = 2) -> None:
        """Ticks until what nobody at home can do is out, and a machine is there."""
        for _ in range(ticks):
            self.cloud.tick()
        self.reads(CARD, "Sends clips", "would be done later than 120 s")
        self.cloud.sky.launch("i-0", at=datetime.now(UTC))
        self.cloud.take_up()
        self.cloud.tick()

    def open(self, place: str = "") -> None:
        self.browser.open(f"{self.web.base}/{place}")
        self.browser.wait(f"!{CARD}.hidden && !!{CARD}.querySelector('.gauge')")

    def reads(self, where: str, *texts: str) -> None:
        """Wait until a person reads all of them there."""
        for text in texts:
            self.browser.wait(f"{where}.innerText.includes({text!r})", what=f"{where} to say {text!r}")

    def answer_with(self, yes: bool) -> None:
        """What a person answers who is asked; `asked` in the page is the question."""
        self.browser.js(
            f"window.confirm = (text) => {{ window.asked = text; return {str(yes).lower()}; }}; 0"
        )


@pytest.fixture
def site(broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(strangers, "GRACE", 0.0)
    path = tmp_path / "clip.mp4"
    make_clip(path, seconds=1, fps=5, size=(160, 120))
    settings = HubSettings()
    hub = build_hub(tmp_path / "data", broker.connection, settings, burst=SETTINGS, make_agent=CloudInMemory)
    hub.start()
    hub.bus.session.wait_subscribed(10)
    device = FakeDevice(broker.connection)
    browser = Browser(tmp_path)
    try:
        with serving(hub, settings) as web:
            yield Site(hub, web, device, browser, path.read_bytes())
    finally:
        browser.close()
        device.stop()
        hub.stop()


def test_a_burst_is_followed_from_the_first_late_clip_to_where_each_was_looked_at(site: Site) -> None:
    site.open()
    site.reads(CARD, "Not needed", "The hub has just begun", "none, 2 at most", "$0.00 of $0.50")
    site.clips(3)
    site.cloud.tick()
    site.reads(CARD, "About to help", "a burst begins if it is so at the next tick too.", "3 clips")
    site.burst(ticks=1)
    site.reads(CARD, "Cloud at work", "3 clips in the cloud", "1, 2 at most", "of $0.50, and $0.0")
    assert site.browser.js(f"parseFloat({CARD}.querySelector('.gauge span + span').style.width) > 1")

    site.browser.click("#cloud a[href='#cloud']")
    site.reads(DETAILS, "The last hours", "What was decided", "3 clips out, 1 machine asked for")
    site.reads(DETAILS, "3 clips out now", "every two minutes", "Today", "This month")
    site.browser.wait(f"{DETAILS}.querySelectorAll('.chart path').length === 4")
    site.browser.js(f"{DETAILS}.querySelectorAll('details').forEach((one) => {{ one.open = true; }})")
    site.reads(DETAILS, "porch / front", "What it records never leaves the house")
    site.reads(DETAILS, "What they record go out when it would be late")
    site.cloud.answer()
    site.browser.wait(f"!{DETAILS}.innerText.includes('out now')", what="the clips to be back")
    assert site.browser.js(f"{DETAILS}.querySelectorAll('details[open]').length") == 2, (
        "what is open stays so"
    )

    site.browser.click("#cloud-detail [data-close]")
    site.browser.wait("location.hash === ''")
    site.browser.click("#events a")
    site.reads("document.getElementById('about')", "the cloud (i-0)")
    assert site.browser.complaints == []


def test_it_is_switched_and_stopped_with_a_question(site: Site) -> None:
    site.open("#cloud")
    site.browser.wait("document.getElementById('cloud-detail').open")
    site.browser.click("#cloud-detail [data-close]")
    site.clips(2)
    site.burst()
    site.reads(CARD, "2 clips", "1, 2 at most")
    site.answer_with(False)
    site.browser.click("[data-stop]")
    question = site.browser.js("window.asked")
    assert "Every machine ends at once. 2 clips that are out will be looked at at home." in question
    assert site.cloud.sky.desired == 1, "the answer was no"
    site.answer_with(True)
    site.browser.click("[data-stop]")
    site.reads(CARD, "Stopped", "Stopped by the page: every machine ends now", "0 clips")
    wait_for(lambda: (site.cloud.sky.desired, site.cloud.sky.ended) == (0, ["i-0"]), what="the machine's end")
    assert not site.browser.js(f"{CARD}.querySelector('[role=switch]').checked")
    site.cloud.tick()
    site.reads(CARD, "Switched off: nothing goes out.")
    site.browser.click("#cloud a[href='#cloud']")
    site.reads(DETAILS, "Were it on, 2 clips would go out")
    site.browser.click("#cloud [role=switch]")
    site.reads(CARD, "Switched on by the page.")
    assert site.web.json("/api/burst")["state"]["on"]


def test_a_trouble_is_in_plain_sight_with_its_remedy(site: Site) -> None:
    site.open()
    site.cloud.tell(Trouble("credentials", "the credentials have expired. aws sso login makes new ones"))
    notices = "document.getElementById('notices')"
    site.reads(notices, "What may go to the cloud: burst.cameras names porch/cot", "known are porch/front.")
    site.reads(CARD, "Cannot be used", "The credentials have expired. aws sso login makes new ones.")
    site.reads(notices, "The cloud cannot help, the hub goes on at home")
    site.cloud.tell(Reached())
    site.cloud.tick()
    site.reads(CARD, "Not needed", "No clip waits.")
    site.browser.wait(f"!{notices}.innerText.includes('cannot help')", what="the trouble to be over")


def test_nothing_is_cut_off_on_a_narrow_screen_beside_a_scrollbar(site: Site) -> None:
    browser = site.browser
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=False
    )
    site.open("#cloud")
    site.reads(DETAILS, "What was decided")
    root = "document.documentElement"
    browser.js("document.body.style.minHeight = '3000px', 0")
    assert browser.js(f"{root}.clientWidth < innerWidth"), "a scrollbar that takes room"
    edges = f"[...{DETAILS}.querySelectorAll('*')].filter((one) => !one.closest('.scroll > *, svg *'))"
    right = f"Math.max(...{edges}.map((one) => one.getBoundingClientRect().right))"
    dialog = "document.getElementById('cloud-detail')"
    assert browser.js(f"{dialog}.getBoundingClientRect().right <= {root}.clientWidth"), "the dialog"
    assert browser.js(f"{right} <= {root}.clientWidth"), "what is in it"
    assert browser.js(f"{dialog}.scrollWidth <= {dialog}.clientWidth")
    browser.js(f"{dialog}.close(), 0")
    assert browser.js(f"{root}.scrollWidth <= {root}.clientWidth"), "the page below it"
