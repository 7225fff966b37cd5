"""A whole hub with a cloud: a real broker and database, the real policy, and a cloud in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub_support.cloud_memory import CloudInMemory
from hub_support.peers import FakeDevice
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.ids import new_id
from meerkat_contract.messages import BurstState, HubState, Outcome
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import HubSettingTopic, HubTopic, SettingTopic
from meerkat_hub.application import Hub, build_hub
from meerkat_hub.settings import HubSettings
from support.broker import Mosquitto
from support.wait import wait_for

SETTINGS = BurstSettings(enabled=True, boot=1, clip_seconds=1)


class Listener:
    """What is said of the hub and its cameras."""

    def __init__(self, broker: Mosquitto) -> None:
        self.outcomes: list[Outcome] = []
        self.state = HubState()
        self.session = Session(broker.connection, client_id="listener")
        self.session.subscribe("meerkat/camera/+/+/outcome", self._outcome)
        self.session.subscribe(HubTopic("state"), self._state)
        self.session.start()
        self.session.wait_subscribed(10)

    @property
    def burst(self) -> BurstState:
        return self.state.burst or BurstState(reason="nothing was said")

    def _outcome(self, message: Incoming) -> None:
        self.outcomes.append(Outcome.model_validate_json(message.payload))

    def _state(self, message: Incoming) -> None:
        self.state = HubState.model_validate_json(message.payload)

    def say(self, payload: bytes, *, retain: bool = False) -> None:
        self.session.publish(HubSettingTopic("burst", "set"), payload, qos=1, retain=retain).wait(5)


@pytest.fixture
def start(broker: Mosquitto, tmp_path: Path) -> Iterator[Callable[..., tuple[Hub, CloudInMemory]]]:
    running: list[Hub] = []

    def start_one(**settings: Any) -> tuple[Hub, CloudInMemory]:
        burst = SETTINGS.model_copy(update=settings)
        hub = build_hub(
            tmp_path / "data", broker.connection, HubSettings(), burst=burst, make_agent=CloudInMemory
        )
        running.append(hub)
        hub.start()
        hub.bus.session.wait_subscribed(10)
        assert isinstance(hub.agent, CloudInMemory)
        return hub, hub.agent

    yield start_one
    for hub in running:
        hub.stop()


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    made = Listener(broker)
    yield made
    made.session.stop()


def test_clips_go_out_and_come_back_as_events_but_for_those_that_must_not(
    start: Callable[..., tuple[Hub, CloudInMemory]],
    device: FakeDevice,
    listener: Listener,
    clip_bytes: bytes,
) -> None:
    """No worker is at home. Nothing of a camera that says never leaves the house, however often it is
    looked; of another all comes back once, though the cloud answers twice."""
    hub, cloud = start(cameras={"porch/garage": "never"})
    mine = [device.send(clip_bytes, recording=new_id(), last=True, cloud="never") for _ in range(2)]
    mine.append(device.send(clip_bytes, thing="garage", recording=new_id(), last=True, cloud="always"))
    others = [device.send(clip_bytes, recording=new_id(), last=True) for _ in range(3)]
    for clip in (*mine, *others):
        assert device.receipt(clip).outcome == "stored"
    for _ in range(4):
        cloud.tick()
    wait_for(lambda: len(cloud.sky.sent) == 3, what="three clips to go out")
    assert {job for job, _ in cloud.sky.sent} == set(others)
    assert cloud.sky.desired >= 1
    wait_for(lambda: listener.burst.in_cloud == 3, what="the state")
    cloud.take_up()
    assert cloud.files == dict.fromkeys(others, clip_bytes)
    cloud.answer(times=2)
    wait_for(lambda: len(listener.outcomes) == 3, what="the outcomes")
    assert {outcome.id for outcome in listener.outcomes} == set(others)
    assert all(outcome.state == "done" and outcome.events for outcome in listener.outcomes)
    wait_for(lambda: listener.burst.in_cloud == 0, what="nothing to be out")
    for _ in range(3):
        cloud.tick()
    wait_for(lambda: hub.desk.burst() is not None and listener.state.done == 3, what="the last tick")
    assert {job for job, _ in cloud.sky.sent} == set(others)
    assert listener.state.backlog == 3


def test_a_setting_of_the_camera_counts_for_what_waits_already(
    start: Callable[..., tuple[Hub, CloudInMemory]], device: FakeDevice, clip_bytes: bytes
) -> None:
    hub, cloud = start()
    clip = device.send(clip_bytes, recording=new_id(), last=True)
    assert device.receipt(clip).outcome == "stored"
    device.session.keep(SettingTopic("porch", "front", "cloud", "state"), b"never")
    wait_for(lambda: hub.live.cloud("porch", "front") == "never", what="the setting")
    for _ in range(3):
        cloud.tick()
    view = hub.desk.burst()
    assert view is not None
    assert view.state.state == "forbidden"
    assert cloud.sky.sent == []


def test_it_is_switched_by_a_message_and_stays_so(
    start: Callable[..., tuple[Hub, CloudInMemory]],
    device: FakeDevice,
    listener: Listener,
    clip_bytes: bytes,
) -> None:
    hub, _ = start()
    wait_for(lambda: listener.state.burst is not None, what="the state")
    assert listener.burst.on
    listener.say(b"ON", retain=True)  # at a start it is ignored: it would undo what was set since
    for word, on in ((b"OFF", False), (b"ON", True), (b"STOP", False)):
        listener.say(word)
        wait_for(lambda on=on: listener.burst.on == on, what=f"{word!r} to be in force")  # type: ignore[misc]
    listener.say(b"perhaps")
    hub.stop()
    _, cloud = start()
    device.receipt(device.send(clip_bytes, recording=new_id(), last=True))
    for _ in range(3):
        cloud.tick()
    wait_for(lambda: listener.burst.state == "off", what="the state after a restart")
    assert cloud.sky.sent == []


def test_a_broker_that_is_away_keeps_nothing_from_the_cloud(
    start: Callable[..., tuple[Hub, CloudInMemory]],
    device: FakeDevice,
    broker: Mosquitto,
    clip_bytes: bytes,
) -> None:
    hub, cloud = start()
    clip = device.send(clip_bytes, recording=new_id(), last=True)
    assert device.receipt(clip).outcome == "stored"
    broker.stop()
    wait_for(lambda: not hub.live.connected, what="the broker to be gone")
    for _ in range(3):
        cloud.tick()
    wait_for(lambda: cloud.sky.sent, what="the clip to go out")
    cloud.take_up()
    cloud.answer()
    wait_for(lambda: hub.store.totals().get("done") == 1, what="the result to count")


def test_the_agent_lives_as_long_as_the_hub(start: Callable[..., tuple[Hub, CloudInMemory]]) -> None:
    hub, cloud = start()
    assert cloud.life == ["started"]
    hub.stop()
    assert cloud.life == ["started", "stopped"]


def test_without_the_burst_a_hub_knows_no_cloud_and_loads_nothing_of_it(tmp_path: Path) -> None:
    """In a process of its own: what a test before this one has imported is not to count."""
    program = f"""
import sys
from pathlib import Path
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.connection import Connection
from meerkat_hub.application import build_hub
from meerkat_hub.settings import HubSettings
import meerkat_hub.web.app
for burst in (None, BurstSettings()):
    hub = build_hub(Path({str(tmp_path)!r}), Connection("127.0.0.1", 1), HubSettings(), burst=burst)
    assert hub.agent is None
    hub.service.turn.make_core(1)
    hub.engine.dispose()
loaded = [name for name in sys.modules if name.split(".")[0] in ("boto3", "botocore", "cv2", "s3transfer")]
print(sorted(loaded))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
