"""The demonstration's meter, read by real workers with the real networks, through a real hub and broker.

Broker, hub and workers are processes of their own, and are killed where it hurts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub_support.peers import FakeDevice
from meerkat_contract.messages import MeterReading, MeterVerdict
from meerkat_contract.session import Incoming, Session
from meerkat_devices.scenes.meter import BasementMeter
from meerkat_inference.picture import encode_jpeg
from support.broker import Mosquitto, free_port
from support.processes import Program
from support.wait import wait_for

MONDAY = datetime(2026, 11, 16, 5, tzinfo=UTC)
AT = "/api/meters/basement/water"
FAR_OFF = 0.0011
"""m³: what an accepted reading may be wrong by at most."""


def clear_hours(meter: BasementMeter, count: int) -> list[datetime]:
    """The first times at which the last wheel stands well within its digit: nothing is in doubt."""
    hours = (MONDAY + timedelta(hours=hour) for hour in range(240))
    return [at for at in hours if 0.2 < meter.reading(at) * 100 % 1 < 0.7][:count]


class Basement:
    """A house with a meter; its pictures are rendered, and everything else is as at home."""

    def __init__(self, folder: Path) -> None:
        settings = ("allow_anonymous true", "persistence true", f"persistence_location {folder}/broker/")
        self.broker = Mosquitto(folder / "broker", settings=settings)
        self.broker.start()
        self.port = free_port()
        self.folder = folder
        self.meter = BasementMeter()
        self.times = clear_hours(self.meter, 5)
        self.hub = self.program("hub", "hub", "--http-port", str(self.port))
        self.workers = [self.program(name, "worker", "--id", name) for name in ("one", "two")]
        self.hub.start()
        self.device = FakeDevice(self.broker.connection, "basement")
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        self.readings: list[MeterReading] = []
        self.verdicts: list[MeterVerdict] = []
        self._ear = Session(self.broker.connection, client_id="ear")
        self._ear.subscribe("meerkat/meter/basement/water/+", self._hear)
        self._ear.start()
        self._ear.wait_subscribed(10)
        self.wait_for_hub()

    def program(self, name: str, *arguments: str) -> Program:
        return Program(
            name,
            [*arguments, "--data", str(self.folder / name)],
            connection=self.broker.connection,
            folder=self.folder,
        )

    def _hear(self, message: Incoming) -> None:
        if message.topic.endswith("/reading"):
            self.readings.append(MeterReading.model_validate_json(message.payload))
        else:
            self.verdicts.append(MeterVerdict.model_validate_json(message.payload))

    def wait_for_hub(self) -> None:
        def well() -> bool:
            try:
                return self.http.get("/healthz").status_code == 200
            except httpx.TransportError:
                return False

        wait_for(well, seconds=60, what=f"the hub\n{self.hub.text()}")

    def picture(self, number: int) -> str:
        """The picture of that time; its id, once the hub has it."""
        at = self.times[number]
        jpeg = encode_jpeg(self.meter.render(at))
        sent = self.device.send(jpeg, thing="water", kind="picture", trigger="schedule", captured_at=at)
        assert self.device.receipt(sent, seconds=60).outcome in ("stored", "duplicate")
        return sent

    def lay_out(self) -> None:
        body = {"layout": self.meter.layout().model_dump(mode="json")}
        response = self.http.put(f"{AT}/layout", json=body)
        assert response.status_code == 200, response.text

    def rows(self) -> list[dict[str, Any]]:
        """The history, oldest first."""
        response = self.http.get(f"{AT}/readings?limit=100")
        assert response.status_code == 200, response.text
        return list(response.json()["readings"])[::-1]

    def wait_read(self, *pictures: str) -> None:
        def read() -> bool:
            return set(pictures) <= {row["id"] for row in self.rows()}

        logs = "\n".join(program.text() for program in (self.hub, *self.workers))
        wait_for(read, seconds=120, what=f"the readings of {len(pictures)} pictures\n{logs[-3000:]}")

    def check(self, *pictures: str) -> None:
        """Every picture has one line in the history, and what is believed is right."""
        rows = self.rows()
        assert [row["id"] for row in rows] == list(pictures)
        accepted = [row for row in rows if row["verdict"] == "accepted"]
        assert accepted, [(row["verdict"], row["reason"]) for row in rows]
        for row in accepted:
            truth = self.meter.reading(datetime.fromisoformat(row["at"]))
            assert row["value"] == pytest.approx(truth, abs=FAR_OFF)
        assert self.http.get(f"{AT}/pictures").json()["pictures"][0]["state"] == "done"

    def end(self) -> None:
        self.http.close()
        self._ear.stop()
        self.device.stop()
        for program in (self.hub, *self.workers):
            program.kill()
        self.broker.kill()


@pytest.fixture
def basement(tmp_path: Path) -> Iterator[Basement]:
    made = Basement(tmp_path)
    yield made
    made.end()


def test_the_demonstrations_meter_is_read_with_the_real_networks(basement: Basement) -> None:
    basement.workers[0].start()
    first = basement.picture(0)
    basement.lay_out()
    pictures = [first, *(basement.picture(number) for number in range(1, 5))]
    basement.wait_read(*pictures)
    basement.check(*pictures)
    wait_for(lambda: len(basement.verdicts) >= 5, what="the verdicts on the bus")
    assert basement.readings, "an accepted reading is on the bus"
    assert {reading.unit for reading in basement.readings} == {"m³"}


def test_killed_between_picture_and_reading_nothing_is_lost_and_nothing_doubled(basement: Basement) -> None:
    first = basement.picture(0)
    basement.lay_out()
    waiting = [basement.picture(number) for number in (1, 3)]
    basement.hub.kill()  # -9: they are stored, and nobody has read them
    basement.hub.start()
    basement.wait_for_hub()
    late = basement.picture(2)
    for worker in basement.workers:
        worker.start()
    basement.wait_read(first, *waiting, late)
    basement.workers[0].kill()
    basement.hub.kill()
    basement.hub.start()
    basement.wait_for_hub()
    last = basement.picture(4)
    basement.wait_read(last)
    basement.check(first, waiting[0], late, waiting[1], last)


def test_a_worker_that_dies_with_a_picture_in_its_hands_is_made_good(basement: Basement) -> None:
    basement.lay_out()
    for worker in basement.workers:
        worker.start()
    online = "one", "two"

    def there() -> bool:
        said = basement.http.get("/api/workers").json()
        return {one["worker"] for one in said if one["online"]} >= set(online)

    wait_for(there, seconds=90, what="the workers")
    pictures = [basement.picture(number) for number in range(3)]
    basement.workers[0].kill()
    pictures += [basement.picture(number) for number in range(3, 5)]
    basement.wait_read(*pictures)
    basement.check(*pictures)
