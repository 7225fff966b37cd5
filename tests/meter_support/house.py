"""A hub with its page, broker and database; a device with a meter, and a worker that reads as it is told."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from hub_support.peers import FakeDevice
from meerkat_contract.messages import Job, MeterReading, MeterSeen
from meerkat_contract.session import Incoming, Session
from meerkat_hub.application import Hub, build_hub
from meerkat_hub.settings import HubSettings
from meerkat_hub.web.server import HubServer, listen
from support.broker import Mosquitto
from support.wait import wait_for

from .pipeline import LAYOUT, seen
from .reader import ScriptedReader

START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
AT = "/api/meters/porch/water"


def a_jpeg() -> bytes:
    done, data = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))
    assert done
    return data.tobytes()


class House:
    """A hub with its page, a device with a meter, and a worker."""

    def __init__(self, folder: Path, broker: Mosquitto, **options: Any) -> None:
        self._folder, self._broker, self._options = folder, broker, options
        self.value = 206.4
        self.jpeg, self.layout = a_jpeg(), LAYOUT
        self.heard: dict[str, Incoming] = {}
        self.hub = self._hub()
        self.device = FakeDevice(broker.connection)
        self.reader = ScriptedReader(broker.connection, self.read)
        self._ear = Session(broker.connection, client_id="ear")
        self._ear.subscribe("meerkat/meter/#", lambda message: self.heard.update({message.topic: message}))
        self._ear.start()
        self._ear.wait_subscribed(10)
        self._serve()
        wait_for(lambda: self.get("/api/meters") and self.status()["readers"] == 1, what="the worker")

    def _hub(self) -> Hub:
        hub = build_hub(self._folder, self._broker.connection, HubSettings(), **self._options)
        hub.start()
        hub.bus.session.wait_subscribed(10)
        return hub

    def _serve(self) -> None:
        self._listener = listen("127.0.0.1", 0)
        self._server = HubServer(self.hub, HubSettings())
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._thread.start()
        wait_for(lambda: self._server.started, what="the server")
        base = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.http = httpx.Client(base_url=base, timeout=60)

    def read(self, job: Job, payload: bytes) -> MeterSeen | str:
        assert payload == self.jpeg
        order = job.meter
        assert order is not None
        said = seen(self.value)
        if order.layout is None:
            return said.model_copy(update={"layout": self.layout, "doubts": ("look at the dial",)})
        if order.landmarks:
            size = {"width": order.layout.width or 64, "height": order.layout.height or 48}
            made = order.layout.model_copy(update={"landmarks": b"landmarks", **size})
            return said.model_copy(update={"layout": made})
        return said

    def picture(self, *, hours: float = 0) -> str:
        at = START + timedelta(hours=hours)
        sent = self.device.send(self.jpeg, thing="water", kind="picture", trigger="schedule", captured_at=at)
        assert self.device.receipt(sent).outcome == "stored"
        return sent

    def reads(self, value: float, *, hours: float) -> str:
        """A picture that is read as this; its id."""
        self.value = value
        sent = self.picture(hours=hours)
        wait_for(lambda: any(r["id"] == sent for r in self.readings()), what="its reading")
        return sent

    def get(self, path: str, status: int = 200) -> Any:
        return self._said(self.http.get(path), status)

    def put(self, path: str, body: Any, status: int = 200) -> Any:
        return self._said(self.http.put(path, json=body), status)

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        return self._said(self.http.post(path, json=body or {}), status)

    @staticmethod
    def _said(response: httpx.Response, status: int) -> Any:
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    def status(self) -> Any:
        return next(one for one in self.get("/api/meters") if one["meter"] == "water")

    def readings(self) -> list[Any]:
        return list(self.get(f"{AT}/readings")["readings"])

    def reading(self) -> MeterReading:
        return MeterReading.model_validate_json(self.heard["meerkat/meter/porch/water/reading"].payload)

    def lay_out(self) -> None:
        self.put(f"{AT}/layout", {"layout": self.layout.model_dump(mode="json")})

    def restart(self) -> None:
        self._end_server()
        self.hub.stop()
        self.hub = self._hub()
        self._serve()

    def _end_server(self) -> None:
        self.http.close()
        self._server.should_exit = True
        self._thread.join(20)
        self._listener.close()

    def close(self) -> None:
        self._end_server()
        self._ear.stop()
        self.reader.leave()
        self.device.stop()
        self.hub.stop()
