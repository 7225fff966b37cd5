"""A water meter in a real Home Assistant's Energy dashboard, over ten minutes: its statistics are right.

It runs with MEERKAT_TEST_HOMEASSISTANT, see `real`. Home Assistant makes its statistics every five
minutes, so this waits for two of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from meerkat_contract.ids import new_id
from meerkat_contract.messages import DeviceInfo, HubState, MeterInfo, MeterReading, MeterVerdict
from meerkat_contract.session import Session
from support.broker import Mosquitto
from support.processes import Program
from support.wait import wait_for

from .real import COMMAND, HomeAssistant, home_assistant
from .websocket import Socket

pytestmark = [
    pytest.mark.skipif(not COMMAND, reason="MEERKAT_TEST_HOMEASSISTANT names no Home Assistant to test with"),
    pytest.mark.timeout(900),
]

WATER, FLOW = "sensor.cellar_water", "sensor.cellar_water_flow"
SOURCE = {"type": "water", "stat_energy_from": WATER, "stat_rate": FLOW}


class Meter:
    """Speaks for the hub and the device, as they do on the bus."""

    def __init__(self, bus: Session, home: HomeAssistant) -> None:
        self._bus = bus
        self._home = home

    def publish(self, topic: str, payload: bytes) -> None:
        self._bus.publish(topic, payload, qos=1, retain=True).wait(10)

    def appear(self) -> None:
        self.publish("meerkat/hub/availability", b"online")
        self.publish("meerkat/hub/state", HubState(workers=1).to_json())
        info = DeviceInfo(device="cellar", meters=(MeterInfo(name="water"),))
        self.publish("meerkat/device/cellar/availability", b"online")
        self.publish("meerkat/device/cellar/info", info.to_json())

    def accepted(self, value: float, *, flow: float | None = None, revision: int = 1) -> None:
        about = self._about()
        reading = MeterReading(**about, value=value, total=value, flow=flow, revision=revision)
        self.publish("meerkat/meter/cellar/water/reading", reading.to_json())
        self.judged("accepted", about, value)
        self._home.until(WATER, str(value))

    def held(self, value: float) -> None:
        """A picture that was misread: history leaves no room for it, so no reading is published."""
        self.judged("held", self._about(), value)
        self._home.until("sensor.cellar_water_verdict", "held")

    def judged(self, verdict: str, about: dict[str, Any], value: float) -> None:
        told = MeterVerdict.model_validate({**about, "verdict": verdict, "value": value})
        self.publish("meerkat/meter/cellar/water/verdict", told.to_json())

    def _about(self) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {"id": new_id(), "device": "cellar", "meter": "water", "at": now, "unit": "m³"}


@pytest.fixture
def home(broker: Mosquitto) -> Iterator[HomeAssistant]:
    with home_assistant(f"127.0.0.1:{broker.port}") as running:
        yield running


@pytest.fixture
def meter(home: HomeAssistant, broker: Mosquitto, tmp_path: Path) -> Iterator[Meter]:
    bus = Session(broker.connection, client_id="test-bus")
    bridge = Program("bridge", ["ha", "bridge"], connection=broker.connection, folder=tmp_path)
    bus.start()
    bus.wait_connected(10)
    bridge.start()
    try:
        yield Meter(bus, home)
    finally:
        bridge.stop()
        bus.stop()


def test_ten_minutes_of_water(home: HomeAssistant, meter: Meter) -> None:
    began = datetime.now(UTC) - timedelta(minutes=10)
    meter.appear()
    meter.accepted(100.0)
    meter.held(9100.5)
    meter.accepted(100.5, flow=0.5)
    meter.accepted(150.5, flow=50.0)  # misread, and believed
    with Socket(home.url, home.token) as socket:
        socket.ask("energy/save_prefs", energy_sources=[SOURCE])
        assert statistics(socket, began, until=150.5) == pytest.approx(50.5)
        assert socket.ask("energy/validate")["energy_sources"] == [[]]
        meter.accepted(100.5, flow=0.5, revision=2)  # its owner has corrected it
        meter.accepted(100.75, flow=0.25)
        assert statistics(socket, began, until=100.75) == pytest.approx(0.75)
        assert socket.ask("energy/validate")["energy_sources"] == [[]]
        issues = socket.ask("recorder/validate_statistics")
        assert not [name for name in issues if "cellar" in name]
        past = {"start_time": began.isoformat(), "entity_ids": [WATER], "minimal_response": True}
        shown = [one["s"] for one in socket.ask("history/history_during_period", **past)[WATER]]
    told = [float(one) for one in shown if one not in ("unknown", "unavailable")]
    assert told == [100.0, 100.5, 150.5, 100.5, 100.75]
    assert home.complaints() == []


def statistics(socket: Socket, began: datetime, *, until: float) -> float:
    """What has flowed since the first reading, as booked, once `until` is the state that was booked last."""
    question = {"statistic_ids": [WATER], "period": "5minute", "types": ["state", "sum"]}

    def booked() -> dict[str, Any] | None:
        told = socket.ask("recorder/statistics_during_period", start_time=began.isoformat(), **question)
        rows = told.get(WATER, [])
        return rows[-1] if rows and rows[-1]["state"] == until else None

    row = wait_for(booked, seconds=330, what=f"statistics of {until:g}")
    assert row is not None
    return float(row["sum"])
