"""The dashboard and the check, held against a real Home Assistant.

It runs with MEERKAT_TEST_HOMEASSISTANT, see test_real_home_assistant.
"""

# ruff: noqa: F811 - the fixtures come from another file

from __future__ import annotations

import json

import pytest

from meerkat_homeassistant.check.report import check
from meerkat_homeassistant.dashboard import dashboard, entities
from meerkat_homeassistant.retained import discovered
from support.broker import Mosquitto
from support.wait import wait_for

from .house import House
from .real import COMMAND, HomeAssistant
from .test_real_home_assistant import Publish, home, publish  # noqa: F401
from .websocket import Socket

pytestmark = [
    pytest.mark.skipif(not COMMAND, reason="MEERKAT_TEST_HOMEASSISTANT names no Home Assistant to test with"),
    pytest.mark.timeout(300),
]


def test_a_dashboard_names_what_is_there(home: HomeAssistant, publish: Publish, broker: Mosquitto) -> None:
    house = House(home, publish)
    house.reads(12.5)
    house.sees()
    home.until("sensor.porch_water", "12.5")
    config = dashboard(discovered(broker.connection, "homeassistant", states=False).messages)
    wanted = set(entities(config))
    assert {"camera.porch_front", "sensor.porch_water", "binary_sensor.meerkat_hub_no_worker"} <= wanted

    def missing() -> set[str]:
        return wanted - {one["entity_id"] for one in json.loads(home.get("/api/states"))}

    wait_for(lambda: not missing(), seconds=30, what="every entity of the dashboard")
    with Socket(home.url, home.token) as socket:
        socket.ask(
            "lovelace/dashboards/create",
            url_path="meerkat-house",
            title="Meerkat",
            mode="storage",
            show_in_sidebar=True,
            require_admin=False,
        )
        socket.ask("lovelace/config/save", url_path="meerkat-house", config=config)
        assert socket.ask("lovelace/config", url_path="meerkat-house") == config
    wrong = list(check(discovered(broker.connection, "homeassistant")).findings)
    assert [str(one) for one in wrong if one.severity != "note"] == []
    assert home.complaints() == []


def test_what_the_check_calls_wrong_is_not_there(
    home: HomeAssistant, publish: Publish, broker: Mosquitto
) -> None:
    """Each of them is announced beside a good entity, which shows that the message was read."""
    about = {"dev": {"ids": ["test"], "name": "Test"}, "o": {"name": "test"}}
    broken = {
        "unit": {"p": "sensor", "stat_t": "a", "dev_cla": "water", "unit_of_meas": "kg"},
        "picture": {"p": "sensor", "stat_t": "a", "ent_pic": "/local/x.png"},
        "category": {"p": "sensor", "stat_t": "a", "ent_cat": "config"},
        "both": {"p": "image", "img_t": "a", "url_t": "b"},
        "template": {"p": "sensor", "stat_t": "a", "val_tpl": "{{ value"},
        "types": {"p": "event", "stat_t": "a"},
        "range": {"p": "number", "cmd_t": "a", "min": 5, "max": 1},
    }
    parts = {name: {"uniq_id": f"test-{name}", **part} for name, part in broken.items()}
    good = {"p": "sensor", "stat_t": "a", "uniq_id": "test-good", "def_ent_id": "sensor.test_good"}
    publish(
        "homeassistant/device/meerkat_test/config", json.dumps({**about, "cmps": {**parts, "good": good}})
    )
    whole = {**about, "dev": {"ids": ["other"]}, "~": "x", "cmps": {"it": {**good, "uniq_id": "test-whole"}}}
    publish("homeassistant/device/meerkat_whole/config", json.dumps(whole))
    home.until("sensor.test_good", "unknown")
    with Socket(home.url, home.token) as socket:
        known = {one["unique_id"] for one in socket.ask("config/entity_registry/list")}
    report = check(discovered(broker.connection, "homeassistant"))
    errors = {(one.topic.split("/")[2], one.component) for one in report.findings if one.severity == "error"}
    assert {one for one in known if one.startswith("test-")} == {"test-good"}
    assert errors == {*(("meerkat_test", name) for name in broken), ("meerkat_whole", "")}
