"""A phone with Home Assistant's app, as far as notifications go, and automations to try with it."""

from __future__ import annotations

import json
import queue
import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from support.wait import wait_for

from .websocket import Socket

BLUEPRINTS = Path(__file__).resolve().parents[2] / "homeassistant/blueprints/automation/meerkat"


class Home(Protocol):
    """A Home Assistant that runs."""

    url: str
    token: str
    log: Path

    def get(self, path: str) -> bytes: ...

    def state(self, entity: str) -> dict[str, Any]: ...


def ask(home: Home, method: str, path: str, body: Any = None) -> Any:
    """A call of Home Assistant's REST API; the answer's JSON."""
    headers = {"Authorization": f"Bearer {home.token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(home.url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


class Phone:
    """Registers itself as a phone, and hears what is pushed to it."""

    def __init__(self, home: Home, name: str = "Test phone") -> None:
        self.home = home
        self.service = f"notify.mobile_app_{name.lower().replace(' ', '_')}"
        self._pushes: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._pushes))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        where = f"http://127.0.0.1:{self._server.server_port}/"
        about = {
            "app_id": "test",
            "app_name": "Test",
            "app_version": "1",
            "device_id": name,
            "device_name": name,
        }
        made_by = {"manufacturer": "Test", "model": "Phone", "os_name": "Android", "os_version": "16"}
        push = {"app_data": {"push_token": "token", "push_url": where}, "supports_encryption": False}
        answer = ask(home, "POST", "/api/mobile_app/registrations", {**about, **made_by, **push})
        self._webhook = answer["webhook_id"]
        wait_for(lambda: self.service in _actions(home), seconds=30, what=self.service)
        with Socket(home.url, home.token) as socket:
            devices = socket.ask("config/device_registry/list")
        (self.device,) = [one["id"] for one in devices if one["name"] == name]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def next(self, seconds: float = 20) -> dict[str, Any]:
        """The next notification: title, message, data."""
        try:
            return self._pushes.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no notification within {seconds:g} s") from None

    def tap(self, action: str) -> None:
        """A button of a notification."""
        happened = {"event_type": "mobile_app_notification_action", "event_data": {"action": action}}
        ask(self.home, "POST", f"/api/webhook/{self._webhook}", {"type": "fire_event", "data": happened})

    def picture(self, push: dict[str, Any]) -> bytes:
        """What the app fetches of a notification's picture."""
        return self.home.get(push["data"]["image"])


def _handler(pushes: queue.SimpleQueue[dict[str, Any]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            pushes.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    return Handler


def _actions(home: Home) -> set[str]:
    return {
        f"{one['domain']}.{name}" for one in ask(home, "GET", "/api/services") for name in one["services"]
    }


def complaints(home: Home) -> list[str]:
    """What it logs, or asks to repair, of automations, blueprints, templates and our payloads."""
    about = re.compile(r" (WARNING|ERROR|CRITICAL) .*(automation|blueprint|script|template|mqtt|mobile_app)")
    said = [line for line in home.log.read_text(errors="replace").splitlines() if about.search(line)]
    with Socket(home.url, home.token) as socket:
        repairs = socket.ask("repairs/list_issues")["issues"]
    ours = ("automation", "mqtt", "script", "template")
    return said + [str(one) for one in repairs if one["domain"] in ours or one["issue_domain"] in ours]


def save_blueprint(home: Home, name: str) -> None:
    """As an import does. Raises AssertionError with Home Assistant's words when it does not take it."""
    text = (BLUEPRINTS / f"{name}.yaml").read_text()
    with Socket(home.url, home.token) as socket:
        saved = {"domain": "automation", "path": f"meerkat/{name}.yaml", "yaml": text}
        socket.ask("blueprint/save", **saved, allow_override=True)
        listed = socket.ask("blueprint/list", domain="automation")[f"meerkat/{name}.yaml"]
    assert "error" not in listed, listed


def import_blueprint(home: Home, url: str) -> dict[str, Any]:
    """As the import badge does, once its user has said yes; what Home Assistant says of it."""
    with Socket(home.url, home.token) as socket:
        found: dict[str, Any] = socket.ask("blueprint/import", url=url)
        assert not found["validation_errors"], found
        saved = {"domain": "automation", "path": f"{found['suggested_filename']}.yaml", "source_url": url}
        socket.ask("blueprint/save", **saved, yaml=found["raw_data"])
    return found


@contextmanager
def automation(home: Home, name: str, config: dict[str, Any]) -> Iterator[str]:
    """An automation for a while; its entity id. It is on, so Home Assistant takes it for valid."""
    path, entity = f"/api/config/automation/config/{name}", f"automation.{name}"
    ask(home, "POST", path, {"alias": name, **config})
    try:
        wait_for(lambda: home.state(entity).get("state") == "on", seconds=20, what=f"{entity} on")
        yield entity
    finally:
        ask(home, "DELETE", path)
        wait_for(lambda: not home.state(entity), seconds=20, what=f"no {entity}")


def of_blueprint(name: str, **inputs: Any) -> dict[str, Any]:
    return {"use_blueprint": {"path": f"meerkat/{name}.yaml", "input": inputs}}
