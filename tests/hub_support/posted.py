"""A hub in this process with its listener for posted pictures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from meerkat_hub.application import Hub, build_hub
from meerkat_hub.settings import HubSettings
from meerkat_hub.web.websensor import posted_pictures
from support.broker import Mosquitto, free_port
from support.http_camera import picture

PICTURE = picture(size=(1280, 720))


class Running:
    """A hub in this process, with its listener."""

    def __init__(self, hub: Hub, address: str) -> None:
        self.hub = hub
        self.base = address.removesuffix("/websensor")
        host, port = self.base.removeprefix("http://").split(":")
        self.place = host, int(port)

    # `verify`: no TLS here, and reading the list of authorities takes longer than most answers.
    def post(self, body: Any = PICTURE, path: str = "/websensor", **headers: str) -> httpx.Response:
        sent = {"Content-Type": "application/octet-stream", **headers}
        return httpx.post(self.base + path, content=body, headers=sent, timeout=30, verify=False)

    def get(self, path: str = "/websensor", **headers: str) -> httpx.Response:
        return httpx.get(self.base + path, headers=headers, timeout=30, verify=False)

    def stored(self) -> int:
        return self.hub.store.totals().get("pictures", 0)


Start = Callable[..., Running]


def starting(broker: Mosquitto, folder: Path, ends: ExitStack) -> Start:
    def start(*, max_picture_megabytes: float = 20, **own: Any) -> Running:
        settings = HubSettings.model_validate(
            {
                "max_picture_megabytes": max_picture_megabytes,
                "websensor": {"enabled": True, "host": "127.0.0.1", "port": free_port(), **own},
            }
        )
        hub = build_hub(folder / "data", broker.connection, settings)
        ends.callback(hub.stop)
        hub.start()
        return Running(hub, ends.enter_context(posted_pictures(hub, settings)))

    return start
