"""The emulator, its instances and what they ask about themselves."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.credentials import InstanceMetadataFetcher, InstanceMetadataProvider
from botocore.exceptions import EndpointConnectionError

from meerkat_cloud_burst.emulated import server
from meerkat_cloud_burst.emulated.emulator import Emulator
from meerkat_cloud_burst.emulated.instances import LocalInstances
from meerkat_cloud_burst.emulated.metadata import MetadataService
from meerkat_cloud_burst.emulated.stack import ANSWER_SECONDS, MAKE_SECONDS, client, make_stack
from meerkat_contract.errors import MeerkatError, UsageError
from support.broker import free_port
from support.wait import wait_for

# What a worker does, in few words: it says who it is and waits for its end.
STAND_IN = """
import os, signal, sys, urllib.request
base = os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] + "/latest/"
ask = lambda path, **more: urllib.request.urlopen(urllib.request.Request(base + path, **more)).read().decode()
token = ask("api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
print("INFO I am", ask("meta-data/instance-id", headers={"X-aws-ec2-metadata-token": token}), flush=True)
signal.sigwait({signal.SIGTERM})
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("emulator")
    with Emulator(folder, "--parameter", "IdleGrace=7", port=free_port()) as running:
        yield running


def test_the_stack_may_take_longer_to_make_than_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of moto is loaded for it, which takes its time on a small or a busy machine."""
    waits: list[tuple[str, float]] = []

    def nobody(service: str, *, config: Config, **_: object) -> None:
        waits.append((service, config.read_timeout))
        raise ConnectionError

    monkeypatch.setattr("boto3.client", nobody)
    with pytest.raises(ConnectionError):
        make_stack("http://127.0.0.1:9")
    with pytest.raises(ConnectionError):
        client("http://127.0.0.1:9", "ec2")
    assert waits == [("cloudformation", MAKE_SECONDS), ("ec2", ANSWER_SECONDS)]


class Fleet:
    """The group as a test changes it, and the processes that follow."""

    def __init__(self, emulator: Emulator) -> None:
        self.scaling = client(emulator.endpoint, "autoscaling")
        self.group = emulator.stack.group
        self.said: list[tuple[str, str]] = []
        self.local = LocalInstances(
            emulator.endpoint,
            self.group,
            environment={},
            command=(sys.executable, "-c", STAND_IN),
            notice=0.5,
            look_every=0.05,
            say=lambda instance, line: self.said.append((instance, line)),
        )
        self.local.start()

    def want(self, count: int) -> tuple[str, ...]:
        """The instances, when as many run."""
        self.scaling.set_desired_capacity(AutoScalingGroupName=self.group, DesiredCapacity=count)
        wait_for(lambda: len(self.introduced()) == count, what=f"{count} instances: {self.said}")
        return self.local.ids()

    def introduced(self) -> set[str]:
        """Who of those that are there has said its own id."""
        return {instance for instance in self.local.ids() if (instance, f"INFO I am {instance}") in self.said}

    def capacity(self) -> int:
        found = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.group])
        return int(found["AutoScalingGroups"][0]["DesiredCapacity"])


@pytest.fixture
def fleet(emulator: Emulator) -> Iterator[Fleet]:
    made = Fleet(emulator)
    yield made
    made.scaling.set_desired_capacity(AutoScalingGroupName=made.group, DesiredCapacity=0)
    made.local.stop()


def alive(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}").exists()


def test_each_instance_of_the_group_is_a_process_and_ends_with_it(fleet: Fleet) -> None:
    ids = fleet.want(2)
    pids = [fleet.local.pid(instance) for instance in ids]
    assert all(alive(pid) for pid in pids)
    fleet.scaling.terminate_instance_in_auto_scaling_group(
        InstanceId=ids[0], ShouldDecrementDesiredCapacity=True
    )
    wait_for(lambda: fleet.local.ids() == ids[1:], what="one instance to be left")
    assert [alive(pid) for pid in pids] == [False, True]
    assert fleet.capacity() == 1


def test_the_group_replaces_a_machine_that_was_lost(fleet: Fleet) -> None:
    (first,) = fleet.want(1)
    fleet.local.kill(first)
    wait_for(lambda: fleet.introduced() - {first}, what="another instance")
    assert first not in fleet.local.ids()
    assert fleet.capacity() == 1


def test_a_spot_interruption_is_told_and_then_carried_out(fleet: Fleet) -> None:
    (first,) = fleet.want(1)
    fleet.local.interrupt(first)
    wait_for(lambda: fleet.introduced() - {first}, what="another instance in its place")
    assert (first, "INFO Taken away by the spot market") in fleet.said


def test_taken_off_the_network_the_emulator_forgets_nothing_and_instances_work_on(
    emulator: Emulator, fleet: Fleet
) -> None:
    (first,) = fleet.want(1)
    pid = fleet.local.pid(first)
    emulator.hang_up()
    with pytest.raises(EndpointConnectionError):
        fleet.scaling.describe_auto_scaling_groups()
    assert alive(pid)
    emulator.listen()
    assert fleet.capacity() == 1
    assert fleet.local.pid(first) == pid


def test_a_worker_is_told_what_the_user_data_says(emulator: Emulator) -> None:
    told, outputs = emulator.stack.environment, emulator.stack.outputs
    assert told["MEERKAT_BURST_BUCKET"] == outputs["Bucket"]
    assert told["MEERKAT_BURST_JOBS"] == outputs["Jobs"]
    assert told["MEERKAT_BURST_GROUP"] == outputs["Group"]
    assert told["MEERKAT_BURST_IDLE_GRACE"] == "7", "a parameter of the template reaches it"
    assert client(emulator.endpoint, "s3").list_objects_v2(Bucket=outputs["Bucket"])["KeyCount"] == 0


def test_an_instance_learns_about_itself_with_a_token_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    with MetadataService("i-0123", "eu-north-1") as service:
        fetcher = InstanceMetadataFetcher(base_url=service.endpoint, timeout=5)
        found = InstanceMetadataProvider(iam_role_fetcher=fetcher).load()
        assert found is not None
        assert found.access_key == "EMULATEDWORKER"
        token = service.new_token()
        assert service.knows(token)
        assert not service.knows(None)
        assert service.answer("meta-data/spot/instance-action") is None
        at = datetime.now(UTC) + timedelta(minutes=2)
        service.interrupt(at)
        notice = json.loads(service.answer("meta-data/spot/instance-action") or "{}")
        assert notice == {"action": "terminate", "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}


def test_without_moto_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moto.server", None)
    with pytest.raises(UsageError, match=r"pip install 'meerkat-home\[burst-demo\]'"):
        server.Server()


def test_an_emulator_that_cannot_start_says_why(tmp_path: Path, emulator: Emulator) -> None:
    taken = Emulator(tmp_path, port=int(emulator.endpoint.rpartition(":")[2]))
    with pytest.raises(MeerkatError, match="is taken by"):
        taken.start()


def test_the_process_itself_runs_a_real_worker_that_ends_when_nothing_is_to_do(tmp_path: Path) -> None:
    arguments = ("--instances", "--parameter", "IdleGrace=0", "--parameter", "Model=hog-people")
    with Emulator(tmp_path, *arguments) as emulator:
        scaling, group = client(emulator.endpoint, "autoscaling"), emulator.stack.group

        def capacity() -> int:
            found = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])
            return int(found["AutoScalingGroups"][0]["DesiredCapacity"])

        scaling.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=1)
        wait_for(lambda: "Ready: hog-people" in emulator.log.read_text(), seconds=60, what="the worker")
        wait_for(lambda: capacity() == 0, seconds=30, what="the worker to take itself out of the group")
        life = client(emulator.endpoint, "sqs").receive_message(QueueUrl=emulator.stack.outputs["Results"])
        assert '"what":"ready"' in life["Messages"][0]["Body"]
