"""The user data run for real, in a fresh Debian: it ends with a worker that is started, or with the machine.

A minute or two, and the network: --nightly.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloud_support.debian import FAKE, DebianRoot, fresh_root
from cloud_support.emulator import Emulator
from cloud_support.pretend_cloud import order_of
from cloud_support.templates import launched_with
from meerkat_cloud_burst.burst.command import burst
from meerkat_cloud_burst.burst.wanted import ModelFiles
from meerkat_cloud_burst.emulated.metadata import MetadataService
from meerkat_cloud_burst.messages import Finished, Life, result_key
from meerkat_contract.message import read
from support.media import make_clip
from support.shared import shared

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning"),
]

MOST = 400e6
"""Bytes that the role of a cloud worker may take, installed."""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[DebianRoot]:
    made = fresh_root(tmp_path)
    yield made
    shutil.rmtree(made.path)


class Machine:
    """One machine of the group, and what it is told of itself."""

    def __init__(self, account: Emulator, config: Path, *more: str) -> None:
        arguments = ["deploy", "--config", str(config), "--set", "ImageId=ami-12345678", "--yes", "--json"]
        made = CliRunner().invoke(burst, [*arguments, *more])
        assert made.exit_code == 0, made.output
        self.account = account
        self.outputs: dict[str, str] = json.loads(made.stdout)["outputs"]
        self.fleet = account.client("autoscaling")
        self.fleet.set_desired_capacity(AutoScalingGroupName=self.outputs["Group"], DesiredCapacity=1)
        self.id = str(self.group()["Instances"][0]["InstanceId"])
        self.metadata = MetadataService(self.id, "eu-central-1")
        # No key and no region: a machine has the ones of its role, and the user data.
        self.environment = {
            "AWS_ENDPOINT_URL": account.url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.metadata.endpoint,
        }

    def group(self) -> dict[str, object]:
        (group,) = self.fleet.describe_auto_scaling_groups()["AutoScalingGroups"]
        return dict(group)

    def last_words(self) -> Life:
        (message,) = self.account.client("sqs").receive_message(QueueUrl=self.outputs["Results"])["Messages"]
        return read(Life, message["Body"].encode())


@pytest.fixture
def machine(account: Emulator, config: Path, model: ModelFiles) -> Iterator[Machine]:
    one = Machine(account, config)
    with one.metadata:
        yield one


def test_a_stock_debian_becomes_a_worker(machine: Machine, root: DebianRoot) -> None:
    began = time.monotonic()
    done = root.run(launched_with(machine.account), machine.environment)
    print(f"set up in {time.monotonic() - began:.0f} s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert root.said() == [
        "systemctl stop apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service",
        "systemctl daemon-reload",
        "systemctl enable meerkat-cloud-worker.service",
        "systemctl start --no-block meerkat-cloud-worker.service",
    ]
    help_text = root.command(["/opt/meerkat/bin/meerkat", "cloud-worker", "--help"])
    assert help_text.returncode == 0, help_text.stderr
    service = root.read("/etc/systemd/system/meerkat-cloud-worker.service")
    assert "ExecStart=/opt/meerkat/bin/meerkat cloud-worker" in service
    assert "EnvironmentFile=/etc/meerkat/burst.env" in service
    drop_in = root.read("/etc/systemd/system/meerkat-cloud-worker.service.d/burst.conf")
    assert "OnFailure=meerkat-burst-end.service" in drop_in
    assert f"MEERKAT_BURST_BUCKET={machine.outputs['Bucket']}\n" in root.read("/etc/meerkat/burst.env")
    assert len(machine.group()["Instances"]) == 1  # type: ignore[arg-type]
    size = root.installed()
    print(f"installed: {size / 1e6:.0f} MB")
    assert size <= MOST

    # The same image again, as with an image of one's own: nothing is installed twice.
    again = root.run(launched_with(machine.account), machine.environment)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "installing Meerkat" not in again.stdout

    # And when the service fails for good, systemd starts this.
    ends = root.command(
        ["/usr/local/sbin/meerkat-burst-end", "the worker failed for good"], machine.environment
    )
    assert ends.returncode == 0, ends.stdout + ends.stderr
    assert root.said()[-1] == "shutdown -h now"
    assert (machine.group()["DesiredCapacity"], machine.group()["Instances"]) == (0, [])
    assert machine.last_words() == Life(worker=machine.id, what="ending", reason="the worker failed for good")


def test_what_fails_ends_the_machine_with_its_reason(machine: Machine, root: DebianRoot) -> None:
    bucket = machine.outputs["Bucket"]
    store = machine.account.client("s3")
    (wheel,) = [
        each["Key"]
        for each in store.list_objects_v2(Bucket=bucket)["Contents"]
        if each["Key"].endswith(".whl")
    ]
    store.put_object(Bucket=bucket, Key=wheel, Body=b"somebody else's")
    (root.path / "var/log").mkdir(parents=True, exist_ok=True)
    (root.path / "var/log/cloud-init-output.log").write_text("what cloud-init wrote\n")
    done = root.run(launched_with(machine.account), machine.environment)
    assert done.returncode == 1
    assert "this machine ends itself: it failed while fetching Meerkat from the bucket" in done.stdout
    assert root.said()[-1] == "shutdown -h now"
    assert not (root.path / "opt/meerkat").exists()
    assert (machine.group()["DesiredCapacity"], machine.group()["Instances"]) == (0, [])
    assert machine.last_words().reason == "it failed while fetching Meerkat from the bucket"
    log = store.get_object(Bucket=bucket, Key=f"logs/{machine.id}.txt")["Body"].read()
    assert log == b"what cloud-init wrote\n"


def test_a_mirror_that_fails_ends_the_machine_too(machine: Machine, root: DebianRoot) -> None:
    """Before there is a library that speaks with AWS: by the command that Debian's image for EC2 brings."""
    (root.path / "etc/apt/sources.list").write_text("")
    aws = root.path / "usr/bin/aws"
    aws.write_text(FAKE)
    aws.chmod(0o755)
    done = root.run(launched_with(machine.account), machine.environment)
    assert done.returncode == 1
    assert "it failed while installing Debian's packages" in done.stdout
    assert root.said()[-2:] == [
        "aws --region eu-central-1 autoscaling terminate-instance-in-auto-scaling-group "
        f"--should-decrement-desired-capacity --instance-id {machine.id}",
        "shutdown -h now",
    ]


def test_from_an_empty_debian_to_an_answer(
    account: Emulator, config: Path, root: DebianRoot, tmp_path: Path
) -> None:
    """All that a worker imports is in the lock, the model comes from the bucket, and the end is an end."""
    models = shared("models/yolo-fastest-1.1.weights").parent
    # A worker of this rule ends as soon as the queue is empty.
    config.write_text(config.read_text().replace("region:", "policy: {kind: threshold}, region:"))
    machine = Machine(account, config, "--models-folder", str(models))
    clip = tmp_path / "clip.mp4"
    make_clip(clip, seconds=1, fps=5, size=(320, 240))
    order = order_of(clip.read_bytes())
    account.client("s3").upload_file(str(clip), machine.outputs["Bucket"], order.key)
    account.client("sqs").send_message(QueueUrl=machine.outputs["Jobs"], MessageBody=order.to_json().decode())
    with machine.metadata:
        done = root.run(launched_with(account), machine.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        program = "set -a; . /etc/meerkat/burst.env; exec /opt/meerkat/bin/meerkat cloud-worker"
        environment = {**machine.environment, "MEERKAT_BURST_ENDPOINT": account.url}
        worked = root.command(["/bin/sh", "-c", program], environment, seconds=120)
    assert worked.returncode == 0, worked.stdout + worked.stderr
    body = account.client("s3").get_object(Bucket=machine.outputs["Bucket"], Key=result_key(order.job.job))
    answer = read(Finished, body["Body"].read())
    assert (answer.result.state, answer.worker) == ("done", machine.id), worked.stderr
    assert answer.result.model is not None
    assert answer.result.model.name == "yolo-fastest"
    assert (machine.group()["DesiredCapacity"], machine.group()["Instances"]) == (0, [])
