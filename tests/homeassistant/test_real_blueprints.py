"""The blueprints in a real Home Assistant, with a phone that hears what they send.

It runs with MEERKAT_TEST_HOMEASSISTANT, see `real`.
"""

# ruff: noqa: F811 - the fixtures come from another file

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY
from zoneinfo import ZoneInfo

import pytest

from hub_support.web_house import WebHouse
from meerkat_contract.ids import new_id
from meerkat_contract.session import Session
from meerkat_hub.web.routes_blueprints import BLUEPRINTS
from support.broker import Mosquitto
from support.wait import wait_for

from .house import FRONT, SHED, YARD, House
from .phone import Phone, ask, automation, complaints, import_blueprint, of_blueprint, save_blueprint
from .real import COMMAND, HomeAssistant
from .test_real_home_assistant import JPEG, Publish, home, publish  # noqa: F401
from .websocket import Socket

pytestmark = [
    pytest.mark.skipif(not COMMAND, reason="MEERKAT_TEST_HOMEASSISTANT names no Home Assistant to test with"),
    pytest.mark.timeout(300),
]


@pytest.fixture
def house(home: HomeAssistant, publish: Publish) -> House:
    return House(home, publish)


@pytest.fixture
def session(broker: Mosquitto) -> Iterator[Session]:
    made = Session(broker.connection, client_id="test-hurry")
    made.start()
    made.wait_connected(10)
    yield made
    made.stop()


@pytest.fixture
def phone(home: HomeAssistant) -> Iterator[Phone]:
    with Phone(home) as made:
        yield made


def test_the_import_from_a_hub(home: HomeAssistant, tmp_path: Path) -> None:
    with WebHouse(tmp_path / "hub").served() as web:
        for one in BLUEPRINTS:
            found = import_blueprint(home, f"{web.base}/blueprints/{one.name}.yaml")
            assert found["suggested_filename"] == f"127.0.0.1/{one.name}"
            about = found["blueprint"]["metadata"]
            assert about["source_url"] == f"{web.base}/blueprints/{one.name}.yaml"
    assert complaints(home) == []


def test_notify(house: House, phone: Phone, session: Session) -> None:
    save_blueprint(house.home, "notify")
    nothing_given(house)
    the_least(house, phone)
    the_picture(house, phone)
    two_at_once(house, phone, session)
    filters(house, phone)
    times_and_presence(house, phone)
    cooldown(house, phone)
    silence(house, phone)
    words_and_more(house, phone)
    assert complaints(house.home) == []
    where_pictures_cannot_be_kept(house, phone)
    without_a_camera(house, phone)


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
        # Files are named by the end of the ids: these have the same.
        first, second = (house.sees(id=f"{new_id()[:-2]}ff") for _ in range(2))
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


def two_at_once(house: House, phone: Phone, session: Session) -> None:
    """Of a moment's events Home Assistant may have the last one's picture alone: no other shows it."""
    page = "http://10.0.0.5:8480"
    with notify(house, phone, "two_at_once", page=f"{page}/", message="{{ event_id }}"):
        for _ in range(5):
            seen = house.sees_at_once(session, 2)
            for push in (phone.next(), phone.next()):
                event, image = push["message"], push["data"]["image"]
                if image != f"{page}/api/events/{event}/picture":
                    assert phone.picture(push) == seen[event]
    with notify(house, phone, "no_page", message="{{ event_id }}"):
        for _ in range(5):
            seen = house.sees_at_once(session, 2)
            for push in (phone.next(), phone.next()):
                assert "image" not in push["data"] or phone.picture(push) == seen[push["message"]]


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


def hours_from_now(house: House, *hours: int) -> list[str]:
    """Times of the day, as its Home Assistant's clock will show them."""
    zone = ZoneInfo(json.loads(house.home.get("/api/config"))["time_zone"])
    return [f"{datetime.now(zone) + timedelta(hours=ahead):%H:%M:%S}" for ahead in hours]


def times_and_presence(house: House, phone: Phone) -> None:
    later, much_later = hours_from_now(house, 2, 4)
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
    with notify(house, phone, "short", cameras=[FRONT], silence=0.05):
        phone.tap("meerkat_silence_short")
        assert phone.next()["message"].startswith("Silent until ")
        house.home.until("scene.meerkat_silent_short", "unknown")
        wait_for(lambda: not house.home.state("scene.meerkat_silent_short"), seconds=20, what="its end")
        house.sees()
        assert phone.next()["title"] == "Front door"


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
        phone.tap("meerkat_burst_words")
        house.home.until(stop, "20.*")
    with notify(house, phone, "run") as entity:
        ask(house.home, "POST", "/api/services/automation/trigger", {"entity_id": entity})
        push = phone.next()
        assert push["title"] == "Front door"
        assert phone.picture(push).startswith(JPEG)
    with (
        Phone(house.home, "Second phone") as second,
        notify(house, None, "two", phones=["a phone that is gone", phone.device, second.device]),
    ):
        house.sees()
        assert phone.next() == {**second.next(), "push_token": ANY, "registration_info": ANY}
    with notify(house, None, "group", group=f"{phone.service}, {phone.service.removeprefix('notify.')}"):
        house.sees()
        assert phone.next()["message"] == phone.next()["message"]


def where_pictures_cannot_be_kept(house: House, phone: Phone) -> None:
    with notify(house, phone, "elsewhere", folder="/etc/meerkat"):
        picture = house.sees()
        push = phone.next()
        assert push["data"]["image"].startswith("/api/image_proxy/")
        assert phone.picture(push) == picture


def without_a_camera(house: House, phone: Phone) -> None:
    """The form does not allow it. In YAML Home Assistant says what is missing, and no event comes."""
    with notify(house, phone, "no_camera", cameras=[]) as entity:
        ask(house.home, "POST", "/api/services/automation/trigger", {"entity_id": entity})
        push = phone.next()
        assert "image" not in push["data"]
        assert [one["title"] for one in push["data"]["actions"]] == ["Silence 30 min"]
    assert any("when setting up triggers for no_camera" in line for line in complaints(house.home))


METER = "sensor.porch_water"


def test_meter(house: House, phone: Phone) -> None:
    save_blueprint(house.home, "meter")
    house.reads(734.9)
    house.home.until("sensor.porch_water", "734.9")
    house.home.until("sensor.porch_water_flow", "0.0")
    with automation(house.home, "nothing", of_blueprint("meter", meter=METER)) as entity:
        ask(house.home, "POST", "/api/services/automation/trigger", {"entity_id": entity})
        wait_for(lambda: "734.9 m" in _shown(house.home), seconds=20, what="a notification of its own")
    a_leak(house, phone)
    flow_for_too_long(house, phone)
    no_reading(house, phone)
    assert complaints(house.home) == []


def meter(house: House, phone: Phone, name: str, **inputs: Any) -> contextlib.AbstractContextManager[str]:
    off = {"verdict": False, "minutes": 0, "night_minutes": 0, "hours": 0}
    given = {"meter": METER, "phones": [phone.device], **off, **inputs}
    return automation(house.home, name, of_blueprint("meter", **given))


def a_leak(house: House, phone: Phone) -> None:
    valve = "switch.porch_front_test_valve"
    ask(house.home, "POST", f"/api/states/{valve}", {"state": "on", "attributes": {"friendly_name": "Main"}})
    with meter(house, phone, "verdict", verdict=True, valves=[valve]):
        house.reads(735, leak="it has flowed for 30 h: a leak?")
        push = phone.next()
        assert (push["title"], push["message"]) == ("Water meter", "it has flowed for 30 h: a leak?")
        assert push["data"]["push"]["sound"]["critical"] == 1
        assert phone.picture(push) == JPEG + b"meter"
        (button,) = push["data"]["actions"]
        ask(
            house.home,
            "POST",
            f"/api/states/{valve}",
            {"state": "off", "attributes": {"friendly_name": "Main"}},
        )
        phone.tap(button["action"])
        assert phone.next()["message"] == "Main: off"
        house.reads(735.1)
        house.home.until("binary_sensor.porch_water_leak", "off")
    with meter(house, phone, "at_once", verdict=True, valves=[valve], at_once=True, critical=False):
        house.reads(735.2, leak="a leak?")
        push = phone.next()
        assert push["message"] == "a leak?. Main: off"
        assert (push["data"]["channel"], push["data"]["actions"]) == ("Meerkat", [])
        house.reads(735.3)
        house.home.until("binary_sensor.porch_water_leak", "off")


def flow_for_too_long(house: House, phone: Phone) -> None:
    message = {"message": "{{ cause }} {{ flow }} {{ flow_unit }}"}
    with meter(house, phone, "long", minutes=0.01, above=0.1, **message):
        house.reads(735.4, flow=0.05)
        house.reads(735.5, flow=0.2)
        assert phone.next()["message"] == "flow 0.2 m³/h"
        house.reads(735.6)
        house.home.until("sensor.porch_water_flow", "0.0")
    always = {"night_from": "00:00:00", "night_until": "00:00:00"}
    later, much_later = hours_from_now(house, 2, 4)
    with (
        meter(house, phone, "day", night_minutes=0.01, night_from=later, night_until=much_later),
        meter(house, phone, "night", night_minutes=0.01, **always, **message),
    ):
        house.reads(735.7, flow=0.3)
        assert phone.next()["message"] == "night 0.3 m³/h"


def no_reading(house: House, phone: Phone) -> None:
    with meter(house, phone, "late", hours=2):
        house.reads(735.8, ago=3 * 3600)
        assert phone.next()["message"] == "No reading for more than 2 h; the last one was 735.8 m³"
        house.reads(735.9)
        house.home.until("sensor.porch_water", "735.9")
    with meter(house, phone, "hub_gone", hours=0.0002):
        house.hub(online=False)
        assert phone.next()["message"] == "No reading for more than 0 h"
        house.hub()


def test_pool(house: House, phone: Phone) -> None:
    save_blueprint(house.home, "pool")
    worker = "binary_sensor.meerkat_worker_jetson_connectivity"
    for entity, state in ((worker, "on"), ("sensor.meerkat_hub_spent_today", "0.0")):
        house.home.until(entity, state)
    with automation(house.home, "nothing", of_blueprint("pool")) as entity:
        ask(house.home, "POST", "/api/services/automation/trigger", {"entity_id": entity})
        wait_for(lambda: "0 clips wait" in _shown(house.home), seconds=20, what="a notification of its own")
    given = {"phones": [phone.device], "workers": [worker], "lost_minutes": 0, "late_minutes": 0}
    with automation(house.home, "pool", of_blueprint("pool", **given)):
        house.worker(online=False)
        assert phone.next()["message"] == "Worker jetson is gone for 0 min"
        house.hub(workers=0, backlog=4)
        assert phone.next()["message"] == "No worker is left: 4 clips wait for one"
        house.hub(backlog=9, oldest_wait=720)
        assert phone.next()["message"] == "Clips wait for 12 min; 9 are waiting"
        house.hub(spent=4.25)
        push = phone.next()
        assert push["message"] == "The cloud has cost 4.25 of 5.0 USD today: so it is"
        (button,) = push["data"]["actions"]
        house.hub(spent=5, state="ceiling")
        assert phone.next()["message"].startswith("The cloud has cost 5.0 of 5.0")
        phone.tap(button["action"])
        house.home.until("button.meerkat_hub_burst_stop", "20.*")
        house.hub(online=False)
        assert phone.next()["message"].startswith("The hub is gone")
    assert complaints(house.home) == []
