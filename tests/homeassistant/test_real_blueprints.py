"""The blueprints in a real Home Assistant, with a phone that hears what they send.

It runs with MEERKAT_TEST_HOMEASSISTANT, see test_real_home_assistant.
"""

# ruff: noqa: F811 - the fixtures come from another file

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from meerkat_contract.ids import new_id
from meerkat_contract.messages import CameraInfo, DeviceInfo, Event, EventState, HubState
from support.wait import wait_for

from .phone import Phone, ask, automation, of_blueprint, save_blueprint
from .test_real_home_assistant import COMMAND, JPEG, HomeAssistant, Publish, home, publish  # noqa: F401
from .websocket import Socket

pytestmark = [
    pytest.mark.skipif(not COMMAND, reason="MEERKAT_TEST_HOMEASSISTANT names no Home Assistant to test with"),
    pytest.mark.timeout(300),
]

PORCH = DeviceInfo(
    device="porch",
    cameras=(CameraInfo(name="front", label="Front door"), CameraInfo(name="yard"), CameraInfo(name="shed")),
)
FRONT, YARD, SHED = (f"event.porch_{camera.name}_event" for camera in PORCH.cameras)


class House:
    """Two cameras, and what they see."""

    def __init__(self, home: HomeAssistant, publish: Publish) -> None:
        self.home = home
        self._publish = publish
        self._pictures = 0
        publish("meerkat/hub/availability", b"online")
        publish("meerkat/hub/state", HubState(workers=1).to_json())
        publish("meerkat/device/porch/availability", b"online")
        for camera in PORCH.cameras:
            publish(f"meerkat/device/porch/{camera.name}/picture", JPEG)
        publish("meerkat/device/porch/info", PORCH.to_json())
        for entity in (FRONT, YARD, SHED):
            home.until(entity, "unknown")
        allowed = json.loads(home.get("/api/config"))["allowlist_external_dirs"]
        (self.media,) = [folder for folder in allowed if folder.endswith("media")]

    def sees(self, camera: str = "front", *, picture: bool = True, **event: Any) -> bytes:
        """An event, with its picture before it; the picture."""
        self._pictures += 1
        jpeg = JPEG + f"picture {self._pictures}".encode()
        if picture:
            self._publish(f"meerkat/camera/porch/{camera}/event/picture", jpeg)
        now = "2026-11-20T08:15:00.250Z"
        times = {"start_time": now, "end_time": now, "picture_time": now, "revision": 1}
        seen = {"label": "person", "category": "person", "score": 0.8734, "box": (0.1, 0.1, 0.2, 0.5)}
        where = {"id": new_id(), "device": "porch", "camera": camera}
        state = EventState.model_validate({**where, **times, **seen, **event})
        told = Event(type="new", after=state)
        self._publish(f"meerkat/camera/porch/{camera}/event", told.to_json(), False)
        return jpeg

    def proceed(self, phone: Phone, marker: str) -> None:
        """Nothing was told before this: the next notification is that of an event made for the purpose."""
        self.sees("yard", reason=marker)
        assert marker in phone.next()["message"]


@pytest.fixture
def house(home: HomeAssistant, publish: Publish) -> House:
    return House(home, publish)


@pytest.fixture
def phone(home: HomeAssistant) -> Iterator[Phone]:
    with Phone(home) as made:
        yield made


def test_notify(house: House, phone: Phone) -> None:
    save_blueprint(house.home, "notify")
    nothing_given(house)
    the_least(house, phone)
    the_picture(house, phone)
    filters(house, phone)
    times_and_presence(house, phone)
    cooldown(house, phone)
    silence(house, phone)
    words_and_more(house, phone)
    assert house.home.complaints() == []
    where_pictures_cannot_be_kept(house, phone)


def notify(
    house: House, phone: Phone | None, name: str, **inputs: Any
) -> contextlib.AbstractContextManager[str]:
    phones = {"phones": [phone.device]} if phone else {}
    given = {"cameras": [FRONT, YARD], "folder": f"{house.media}/meerkat", "cooldown": 0, **phones}
    return automation(house.home, name, of_blueprint("notify", **{**given, **inputs}))


def nothing_given(house: House) -> None:
    """No phone: Home Assistant tells it itself."""
    with automation(house.home, "nothing", of_blueprint("notify", cameras=[FRONT])):
        house.sees(picture=False)
        wait_for(lambda: "Front door" in _shown(house.home), seconds=20, what="a notification of its own")


def _shown(home: HomeAssistant) -> str:
    with Socket(home.url, home.token) as socket:
        return json.dumps(socket.ask("persistent_notification/get"))


def the_least(house: House, phone: Phone) -> None:
    with notify(house, phone, "least"):
        house.sees()
        push = phone.next()
        assert (push["title"], push["message"]) == ("Front door", "Somebody, 87 % sure")
        assert push["data"]["clickAction"] == "/?more-info-entity-id=camera.porch_front"
        titles = [one["title"] for one in push["data"]["actions"]]
        assert titles == ["Live view", "Silence 30 min"]
        house.sees("yard", category="vehicle", label="car")  # not among the kinds that are told
        house.sees("yard", stranger=True)
        push = phone.next()
        assert (push["title"], push["message"]) == ("Yard", "Somebody unknown, 87 % sure")


def the_picture(house: House, phone: Phone) -> None:
    with notify(house, phone, "picture"):
        first, second = house.sees(), house.sees()
        pushes = [phone.next(), phone.next()]
        kept = [phone.picture(push) for push in pushes if "image" in push["data"]]
        assert kept in ([first, second], [second])  # never another event's
        assert pushes[-1]["data"]["image"].startswith("/media/local/meerkat/porch_front_event_")
        house.sees("yard", picture=False)
        assert "image" not in phone.next()["data"]
    with notify(house, phone, "proxy", folder=""):
        picture = house.sees()
        push = phone.next()
        assert push["data"]["image"] == "/api/image_proxy/image.porch_front_last_event"
        assert phone.picture(push) == picture


def filters(house: House, phone: Phone) -> None:
    with notify(house, phone, "everything", types=[]):
        house.sees(category="vehicle", label="car")
        assert phone.next()["message"] == "Car, 87 % sure"
    with notify(house, phone, "labels", types=[], labels=["Dog"]):
        house.sees(label="cat", category="animal")
        house.sees("yard", label="dog", category="animal", reason="a dog")
        assert "a dog" in phone.next()["message"]
    with notify(house, phone, "zones", zones=["path"]):
        house.sees(zones=["street"])
        house.sees()
        house.sees("yard", zones=["street", "path"])
        assert phone.next()["message"] == "Somebody, street, path, 87 % sure"
    with notify(house, phone, "score", score=90):
        house.sees()
        house.sees("yard", score=0.9)
        assert phone.next()["message"] == "Somebody, 90 % sure"
    with notify(house, phone, "unknown", people="unknown"):
        house.sees(identity="Ada")
        house.proceed(phone, "unknown")
    with notify(house, phone, "known", people="known", except_people=["ada"]):
        house.sees(identity="Ada")
        house.sees()
        house.sees("yard", identity="Grace")
        assert phone.next()["message"] == "Grace, 87 % sure"
    with notify(house, phone, "alerts", alerts_only=True, critical=["alert"]):
        house.sees()
        house.sees("yard", alert=True)
        data = phone.next()["data"]
        assert data["push"]["sound"]["critical"] == 1
        assert data["channel"] == "alarm_stream"


def times_and_presence(house: House, phone: Phone) -> None:
    zone = ZoneInfo(json.loads(house.home.get("/api/config"))["time_zone"])
    local = datetime.now(zone)
    later, much_later = (f"{local + timedelta(hours=hours):%H:%M:%S}" for hours in (2, 4))
    with (
        notify(house, phone, "not_now", cameras=[FRONT], after=later, before=much_later),
        notify(house, phone, "overnight", cameras=[YARD], after=much_later, before=later),
    ):
        house.sees()
        house.proceed(phone, "overnight")
    ask(house.home, "POST", "/api/states/person.ada", {"state": "home"})
    inputs: dict[str, Any] = {"residents": ["person.ada"]}
    away = {"cameras": [FRONT], "presence": "nobody", "critical": ["nobody_home"], **inputs}
    with (
        notify(house, phone, "away", **away),
        notify(house, phone, "here", cameras=[YARD], presence="somebody", **inputs),
    ):
        house.sees()
        house.proceed(phone, "here")
        ask(house.home, "POST", "/api/states/person.ada", {"state": "not_home"})
        house.sees("yard")
        house.sees()
        push = phone.next()
        assert (push["title"], push["data"]["channel"]) == ("Front door", "alarm_stream")
    with notify(house, phone, "nobody_named", presence="nobody"):
        house.proceed(phone, "nobody is named")
    closed = [{"condition": "state", "entity_id": "person.ada", "state": "home"}]
    with (
        notify(house, phone, "closed", cameras=[FRONT], conditions=closed),
        notify(house, phone, "open", cameras=[YARD]),
    ):
        house.sees()
        house.proceed(phone, "open")


def cooldown(house: House, phone: Phone) -> None:
    with notify(house, phone, "silent", cameras=[FRONT, SHED], cooldown=60, keep="camera"):
        house.sees()
        loud = phone.next()["data"]
        house.sees()
        quiet = phone.next()["data"]
        assert (loud["channel"], quiet["channel"]) == ("Meerkat", "Meerkat, silent")
        assert loud["tag"] == quiet["tag"] == f"meerkat-{FRONT}"
        assert quiet["push"]["sound"] == "none"
        house.sees("shed")  # another camera
        assert phone.next()["data"]["channel"] == "Meerkat"
    with notify(house, phone, "drop", cooldown=60, meanwhile="drop", critical=["alert"]):
        house.sees(reason="the first")
        assert "the first" in phone.next()["message"]
        house.sees(reason="too soon")
        house.sees(alert=True, reason="breaks through")
        assert "breaks through" in phone.next()["message"]


def silence(house: House, phone: Phone) -> None:
    with notify(house, phone, "hush", cameras=[FRONT]), notify(house, phone, "other", cameras=[YARD]):
        house.sees()
        button = phone.next()["data"]["actions"][1]["action"]
        phone.tap(button)
        told = phone.next()
        assert told["message"].startswith("Silent until ")
        house.home.until("scene.meerkat_silent_hush", "unknown")
        house.sees()
        house.proceed(phone, "another automation sounds")
        (again,) = told["data"]["actions"]
        phone.tap(again["action"])
        assert phone.next()["message"] == "clear_notification"
        assert house.home.state("scene.meerkat_silent_hush") == {}
        house.sees()
        assert phone.next()["title"] == "Front door"
        phone.tap("meerkat_silence_somebody_else")
        house.proceed(phone, "not mine")


def words_and_more(house: House, phone: Phone) -> None:
    further = [
        {"action": "logbook.log", "data": {"name": "meerkat", "message": "{{ who }} at {{ camera_name }}"}}
    ]
    stop = "button.meerkat_hub_burst_stop"
    words = {
        "title": "{{ event_type }} at {{ camera }}",
        "message": "{{ label }} {{ event_id }}",
        "tap": "/x/{{ label }}",
    }
    with notify(house, phone, "words", live=False, silence=0, burst_stop=[stop], actions=further, **words):
        house.sees("yard")
        push = phone.next()
        assert push["title"] == "person at camera.porch_yard"
        assert push["message"].startswith("person 0")
        assert push["data"]["url"] == "/x/person"
        assert push["data"]["actions"] == [
            {"action": "meerkat_burst_words", "title": "Stop the cloud", "destructive": True}
        ]
    with notify(house, phone, "run") as entity:
        ask(house.home, "POST", "/api/services/automation/trigger", {"entity_id": entity})
        push = phone.next()
        assert push["title"] == "Front door"
        assert phone.picture(push).startswith(JPEG)
    with notify(house, None, "group", group=f"{phone.service}, {phone.service.removeprefix('notify.')}"):
        house.sees()
        assert phone.next()["message"] == phone.next()["message"]


def where_pictures_cannot_be_kept(house: House, phone: Phone) -> None:
    with notify(house, phone, "elsewhere", folder="/etc/meerkat"):
        picture = house.sees()
        push = phone.next()
        assert push["data"]["image"].startswith("/api/image_proxy/")
        assert phone.picture(push) == picture
