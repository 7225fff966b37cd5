"""What can be wrong with an account: the hub's state names cause and remedy, and the clip is done at home.

AWS's own words go through the translation; the rest of the hub is real: broker, database, policy, agent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.retries.standard import ExponentialBackoff

from cloud_support.aws_actions import Action, find, put, put_elsewhere, scale, told
from cloud_support.emulator import ENVIRONMENT
from cloud_support.pretend_ports import PretendPorts
from cloud_support.refusing_server import Refusal, RefusingServer, query, s3
from cloud_support.site import Listener, SlowWorker, Times
from hub_support.peers import FakeDevice
from meerkat_cloud_burst.agent import Agent
from meerkat_cloud_burst.news import CloudNews
from meerkat_cloud_burst.ports import FleetState
from meerkat_cloud_burst.settings import BurstSettings, DrainSettings
from meerkat_hub.application import build_hub
from meerkat_hub.settings import HubSettings
from support.broker import Mosquitto
from support.media import make_clip
from support.wait import wait_for

SETTINGS = BurstSettings(
    enabled=True, policy=DrainSettings(deadline=1, gain=0), tick=0.1, boot=0, clip_seconds=1
)

TROUBLES: dict[str, tuple[str, Action, Refusal, list[str]]] = {
    "wrong region": (
        "put_clip",
        put_elsewhere,
        s3(
            400,
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed; the region 'eu-central-1' is wrong; "
            "expecting 'us-west-2'",
            "<Region>us-west-2</Region>",
        ),
        ["in the region us-west-2", "Set burst.region to us-west-2"],
    ),
    "expired key": (
        "look",
        find,
        query(403, "ExpiredToken", "The security token included in the request is expired"),
        ["the AWS credentials have expired", "aws configure"],
    ),
    "missing bucket": (
        "put_clip",
        put,
        s3(404, "NoSuchBucket", "The specified bucket does not exist", "<BucketName>clips</BucketName>"),
        ["this bucket is not there", "meerkat burst deploy"],
    ),
    "no permission": (
        "put_clip",
        put,
        s3(403, "AccessDenied", "Access Denied"),
        ["may not s3:PutObject", "allow s3:PutObject"],
    ),
    "quota exceeded": (
        "launch",
        scale,
        query(400, "VcpuLimitExceeded", "You have requested more vCPU capacity than your limit of 0 allows"),
        ["the account may not run more instances", "Service Quotas"],
    ),
    "clock skew": (
        "look",
        put,
        s3(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            ahead=1500,
        ),
        ["25 minutes ahead of Amazon's", "timedatectl"],
    ),
}


@pytest.fixture(scope="module")
def refusing() -> Iterator[RefusingServer]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)  # boto3 rests between its tries
        server = RefusingServer()
        yield server
        server.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    return make_clip(path, seconds=1, fps=5, size=(160, 120)).read_bytes()


@pytest.mark.parametrize("name", TROUBLES)
def test_a_trouble_is_named_with_its_remedy_and_the_house_goes_on(
    name: str, refusing: RefusingServer, broker: Mosquitto, tmp_path: Path, clip: bytes
) -> None:
    where, action, refusal, words = TROUBLES[name]
    error = told(refusing, action, refusal, tmp_path)
    cloud = PretendPorts()
    cloud.fleet.state = FleetState(maximum=2)

    def agent(
        settings: BurstSettings, media: Callable[[str], Path], tell: Callable[[CloudNews], None]
    ) -> Agent:
        return Agent(
            settings,
            media=media,
            tell=tell,
            open_ports=lambda _: cloud,  # type: ignore[arg-type, return-value]
            patience=0.2,
            first_rest=0.05,
        )

    hub = build_hub(tmp_path / "data", broker.connection, HubSettings(), burst=SETTINGS, make_agent=agent)
    listener = Listener(broker)
    listener.start()
    hub.start()
    device = worker = None
    try:
        hub.bus.session.wait_subscribed(10)
        if where == "launch":
            cloud.fleet.state = replace(cloud.fleet.state, desired=1, trouble=error)
        else:
            cloud.failing[where] = error
        device = FakeDevice(broker.connection)
        sent = device.send(clip, duration=1.0, cloud="always")
        wait_for(lambda: listener.burst.trouble, what=f"trouble: {listener.burst}")
        for word in words:
            assert word in listener.burst.trouble
        worker = SlowWorker(broker, Times(clip=0.01, media=1))
        worker.start()
        wait_for(lambda: sent in listener.outcomes, what="the clip to be done at home")
        assert listener.outcomes[sent][0].state == "done"
        assert worker.done == [sent]
        if where == "look":  # an upload or a launch is believed to work only after a while
            cloud.failing.clear()
            wait_for(lambda: not listener.burst.trouble, what="the end of the trouble")
    finally:
        for peer in (device, worker, listener):
            if peer is not None:
                peer.stop()
        hub.stop()
