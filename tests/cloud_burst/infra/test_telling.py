"""What status, plan and cost print, from what AWS and the hub say."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from meerkat_cloud_burst.burst import telling
from meerkat_cloud_burst.burst.command import burst
from meerkat_cloud_burst.burst.costs import Costs
from meerkat_cloud_burst.burst.hub import Hub, HubSilent
from meerkat_cloud_burst.burst.looking import Seen
from meerkat_cloud_burst.ports import FleetState, Instance, QueueState
from meerkat_cloud_burst.settings import BurstSettings

SETTINGS = BurstSettings(enabled=True)
VIEW: dict[str, Any] = {
    "state": {
        "on": True,
        "state": "burst",
        "reason": "9 of 21 clips would be late",
        "in_cloud": 12,
        "spent_today": 0.021,
        "spent_month": 0.34,
        "reserved": 0.018,
        "ceiling_day": 0.5,
        "ceiling_month": 5.0,
        "forecast_day": 0.06,
        "trouble": "",
    },
    "aloft": [],
    "boot": 84.0,
    "clip_seconds": 18.0,
    "upload_rate": 800000.0,
    "plan": {
        "code": "burst",
        "reason": "2 clips gain 40 s",
        "machines": 1,
        "dollars": 0.0105,
        "send": [
            {"clip": "c1", "device": "porch", "camera": "front", "age": 3.0, "done_in": 140.0},
            {"clip": "c2", "device": "porch", "camera": "front", "age": 1.0, "done_in": None},
        ],
    },
}
LEDGER: dict[str, Any] = {
    "entries": [
        {"kind": "spent", "at": "2026-11-20T23:30:00Z", "dollars": 0.02, "seconds": 1800},
        {"kind": "released", "at": "2026-11-20T23:00:00Z", "dollars": 0.5, "seconds": 0},
        {"kind": "spent", "at": "2026-11-20T01:00:00+02:00", "dollars": 0.01, "seconds": 900},
        {"kind": "reserved", "at": "2026-11-19T22:59:00Z", "dollars": 0.7, "seconds": 0},
        {"kind": "spent", "at": "2026-10-31T12:00:00Z", "dollars": 0.04, "seconds": 60},
    ]
}


class Answers(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self._answer({"/api/burst": VIEW, "/api/burst/ledger": LEDGER}.get(self.path))

    def do_POST(self) -> None:
        assert json.loads(self.rfile.read(int(self.headers["Content-Length"]))) == {}
        assert self.headers["Content-Type"] == "application/json"
        self.asked.append(self.path)
        self._answer(VIEW)

    def _answer(self, content: Any) -> None:
        body = json.dumps(content or {"what": "no cloud burst is set up", "remedy": "Set one up"}).encode()
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def hub() -> Iterator[str]:
    Answers.asked = []
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_plan_names_clips_seconds_and_cents(hub: str) -> None:
    told = CliRunner().invoke(burst, ["plan", "--hub", hub])
    assert told.exit_code == 0, told.output
    lines = told.output.splitlines()
    assert lines[0] == "2 clips would go out, to 1 machine; 1.05 cents would be set apart."
    assert "  c1  porch/front  here 3 s, done at home in 140 s" in lines
    assert "  c2  porch/front  here 1 s, no worker at home" in lines
    assert "Measured: 84 s until a machine works, 18 s a clip of 5 s (0.018 cents), 0.8 MB/s up." in lines
    assert "Left of today's $0.50: $0.4610." in lines
    assert json.loads(CliRunner().invoke(burst, ["plan", "--hub", hub, "--json"]).output) == VIEW
    assert not Answers.asked, "a plan changes nothing"


def test_plan_when_nothing_is_late_and_it_is_off() -> None:
    state = {**VIEW["state"], "on": False, "trouble": "no credentials", "doubt": "nobody has porch/frnot"}
    lines = list(
        telling.plan({**VIEW, "state": state, "plan": {"code": "idle", "reason": "quiet"}}, SETTINGS)
    )
    assert lines[:2] == ["Nothing would be sent out now.", "idle: quiet"]
    assert lines[-3:] == [
        "The burst is switched off: nothing goes out until it is on again.",
        "It could not go now: no credentials",
        "Look again: nobody has porch/frnot",
    ]


def test_cost_by_day_and_month_of_utc(hub: str) -> None:
    told = CliRunner().invoke(burst, ["cost", "--hub", hub])
    assert told.exit_code == 0, told.output
    lines = told.output.splitlines()
    assert lines[0].startswith("2026-11-20  $  0.0200      30 min")
    assert lines[1].startswith("2026-11-19  $  0.0100      15 min"), "an hour past midnight in Athens"
    assert "2026-11     $  0.0300  of $5.00" in lines
    assert "2026-10     $  0.0400  of $5.00" in lines
    assert "by midnight (UTC) about $0.0600 of $0.50" in told.output
    assert "$0.035 for an hour of a machine" in told.output
    told = CliRunner().invoke(burst, ["cost", "--hub", hub, "--json"])
    assert json.loads(told.output)["days"][0] == {"day": "2026-11-20", "dollars": 0.02, "seconds": 1800}


def test_cost_before_anything_was_spent() -> None:
    assert next(iter(telling.cost(Costs(), SETTINGS))) == "nothing was spent yet"


def test_a_silent_hub_is_told_with_its_address() -> None:
    told = CliRunner().invoke(burst, ["cost", "--hub", "http://127.0.0.1:9"])
    assert isinstance(told.exception, HubSilent)
    assert "127.0.0.1:9" in str(told.exception)
    assert "--hub names another address" in str(told.exception)


def test_what_the_hub_says_against_it_is_passed_on(hub: str) -> None:
    with pytest.raises(HubSilent, match=r"no cloud burst is set up\. Set one up"):
        Hub(hub)._ask("/api/nothing")


def test_the_switch_is_posted_as_json(hub: str) -> None:
    Hub(hub).say("stop")
    assert Answers.asked == ["/api/burst/stop"]


def test_status_on_one_screen() -> None:
    since = datetime.now(UTC) - timedelta(minutes=3)
    fleet = FleetState(2, 2, (Instance("i-1", "running", since, "spot"), Instance("i-2", "pending", since)))
    lines = list(telling.status(Seen(fleet, QueueState(3, 2, 0), VIEW), SETTINGS))
    assert lines == [
        "hub       on; burst: 9 of 21 clips would be late; 12 clips out",
        "machines  2 asked for, 2 at most: i-1 running 3 min spot; i-2 pending 3 min",
        "orders    3 wait, 2 are being done, 0 dead letters",
        "money     today $0.0210 of $0.50, this month $0.34 of $5.00; $0.0180 set apart for what runs",
        "          All is well.",
    ]


def test_status_of_what_cannot_be_asked() -> None:
    seen = Seen(None, None, None, "the hub is down", ("no AWS credentials were found. Give it some",))
    lines = list(telling.status(seen, SETTINGS))
    assert lines[0] == "hub       the hub is down"
    assert lines.count("machines  AWS could not be asked") == 1
    assert "trouble   no AWS credentials were found. Give it some" in lines
    assert not any("All is well" in line for line in lines)
    assert json.loads(json.dumps(telling.status_object(seen)))["fleet"] is None


def test_options_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "meerkat.yaml"
    file.write_text("burst: {region: eu-central-1}\n")
    told = CliRunner().invoke(burst, ["status", "--config", str(file), "--region", "EU west"])
    assert "--region" in str(told.exception)
