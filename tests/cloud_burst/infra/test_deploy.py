"""The cloud is made, changed and taken away again, with an emulator for AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloud_support.emulator import Emulator
from cloud_support.templates import launched_with
from meerkat_cloud_burst.burst.command import burst
from meerkat_cloud_burst.burst.wanted import ModelFiles
from meerkat_contract.errors import MeerkatError, UsageError

# moto leaves policies and alarms out, and says so; test_template.py looks at those.
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(burst, arguments)


def deploy(config: Path, wheel: Path, *more: str) -> Result:
    arguments = (
        "--config",
        str(config),
        "--wheel",
        str(wheel),
        "--set",
        "ImageId=ami-12345678",
        "--yes",
        *more,
    )
    return run("deploy", *arguments)


def outputs_of(emulator: Emulator, name: str = "meerkat-burst") -> dict[str, str]:
    (stack,) = emulator.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def keys(emulator: Emulator, bucket: str) -> list[str]:
    found = emulator.client("s3").list_objects_v2(Bucket=bucket).get("Contents", ())
    return sorted(each["Key"] for each in found)


def test_from_an_empty_account_to_a_cloud_and_back(
    account: Emulator, config: Path, wheel: Path, model: ModelFiles
) -> None:
    made = deploy(config, wheel)
    assert made.exit_code == 0, made.output
    assert "account 123456789012" in made.stderr
    assert "at most $0.035 an hour" in made.stderr
    outputs = outputs_of(account)
    assert outputs["HubPolicy"] in made.stdout
    assert "  region: eu-central-1\n  money: {per_day: 0.5, per_month: 5.0}\n" in made.stdout
    (group,) = account.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert (group["AutoScalingGroupName"], group["MinSize"], group["MaxSize"]) == (
        "meerkat-burst-workers",
        0,
        2,
    )
    assert group["DesiredCapacity"] == 0
    assert not group["Instances"]
    assert [each["ProcessName"] for each in group["SuspendedProcesses"]] == ["AZRebalance"]
    there = keys(account, outputs["Bucket"])
    assert [key.rpartition("/")[2] for key in there] == ["tiny.weights", wheel.name, "requirements.txt"]
    script = launched_with(account)
    for line in (
        f"MEERKAT_BURST_BUCKET={outputs['Bucket']}",
        f"MEERKAT_BURST_JOBS={outputs['Jobs']}",
        f"MEERKAT_BURST_RESULTS={outputs['Results']}",
        "MEERKAT_BURST_GROUP=meerkat-burst-workers",
        "MEERKAT_BURST_MODEL=tiny",
        "MEERKAT_BURST_IDLE_GRACE=60",
        f"wheel={there[1]}",
    ):
        assert line in script

    # What people do with it: attach the policy, send clips, start machines.
    account.client("iam").create_user(UserName="hub")
    account.client("iam").attach_user_policy(UserName="hub", PolicyArn=outputs["HubPolicy"])
    account.client("s3").put_object(Bucket=outputs["Bucket"], Key="clips/1", Body=b"clip")
    account.client("autoscaling").set_desired_capacity(
        AutoScalingGroupName=group["AutoScalingGroupName"], DesiredCapacity=2
    )
    gone = run("teardown", "--config", str(config), "--yes")
    assert gone.exit_code == 0, gone.output
    assert "2 machines ended" in gone.stderr
    assert "4 objects were in it" in gone.stderr
    assert "HubPolicy taken from user hub" in gone.stderr
    assert not account.client("s3").list_buckets()["Buckets"]
    assert not account.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert not account.client("sqs").list_queues().get("QueueUrls")
    machines = account.client("ec2").describe_instances()["Reservations"]
    assert {each["State"]["Name"] for one in machines for each in one["Instances"]} == {"terminated"}
    again = run("teardown", "--config", str(config), "--yes")
    assert again.exit_code == 0
    assert "there is no stack meerkat-burst" in again.stdout


def test_typed_again_it_changes_what_differs_and_nothing_else(
    account: Emulator, config: Path, wheel: Path, model: ModelFiles
) -> None:
    deploy(config, wheel, "--set", "DailyZero=0 5 * * *")
    outputs = outputs_of(account)
    first = launched_with(account)
    again = deploy(config, wheel)
    assert again.exit_code == 0, again.output
    assert "is there" in again.stderr
    assert "uploading" not in again.stderr
    assert outputs_of(account) == outputs
    (weights,) = model.files.values()
    weights.write_bytes(b"WEIGHTS")
    other = deploy(config, wheel)
    assert "uploading models/tiny.weights" in other.stderr, "as large as before, and another"
    assert "uploading wheels" not in other.stderr
    config.write_text(config.read_text().replace("region:", "max_instances: 3, idle_grace: 90, region:"))
    wheel.write_bytes(b"a newer wheel")
    changed = deploy(config, wheel)
    assert changed.exit_code == 0, changed.output
    assert outputs_of(account)["Bucket"] == outputs["Bucket"]
    (stack,) = account.client("cloudformation").describe_stacks()["Stacks"]
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
    assert (parameters["MaxInstances"], parameters["IdleGrace"]) == ("3", "90")
    assert parameters["DailyZero"] == "0 5 * * *", "what is not said again stays"
    assert parameters["Wheel"] not in first
    wheels = [key for key in keys(account, outputs["Bucket"]) if key.endswith(".whl")]
    assert len(wheels) == 2, "the former one is for machines that start just now"
    assert parameters["Wheel"] in wheels
    wheel.write_bytes(b"the newest wheel")
    deploy(config, wheel)
    assert len([key for key in keys(account, outputs["Bucket"]) if key.endswith(".whl")]) == 2


def test_it_asks_before_it_makes_anything(
    account: Emulator, config: Path, wheel: Path, model: ModelFiles
) -> None:
    asked = run("deploy", "--config", str(config), "--wheel", str(wheel))
    assert isinstance(asked.exception, UsageError)
    assert "Add --yes" in str(asked.exception)
    assert not account.client("cloudformation").list_stacks()["StackSummaries"]


def test_json_for_scripts(account: Emulator, config: Path, wheel: Path, model: ModelFiles) -> None:
    made = deploy(config, wheel, "--json")
    told = json.loads(made.stdout)
    assert told["status"] == "CREATE_COMPLETE"
    assert told["outputs"] == outputs_of(account)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("MaxInstances=9", "follows from meerkat.yaml"),
        ("Colour=red", "one of Purchase"),
        ("Purchase", "sets nothing"),
        ("Purchase=on-demand", "burst.money.instance_hour"),
    ],
)
@pytest.mark.usefixtures("model")
def test_what_cannot_be_set(config: Path, wheel: Path, given: str, says: str) -> None:
    refused = deploy(config, wheel, "--set", given)
    assert isinstance(refused.exception, UsageError)
    assert says in str(refused.exception)


def test_a_price_that_leaves_nothing_for_the_machine(
    account: Emulator, config: Path, wheel: Path, model: ModelFiles
) -> None:
    config.write_text(config.read_text().replace("region:", "money: {instance_hour: 0.006}, region:"))
    refused = deploy(config, wheel)
    assert isinstance(refused.exception, UsageError)
    assert "public address" in str(refused.exception)


def test_the_rule_above_a_threshold_waits_for_nothing(
    account: Emulator, config: Path, wheel: Path, model: ModelFiles
) -> None:
    config.write_text(config.read_text().replace("region:", "policy: {kind: threshold}, region:"))
    assert deploy(config, wheel).exit_code == 0
    assert "MEERKAT_BURST_IDLE_GRACE=0\n" in launched_with(account)


def test_a_stack_of_which_nothing_works_is_made_anew(
    account: Emulator, config: Path, wheel: Path, model: ModelFiles
) -> None:
    from moto.cloudformation.models import cloudformation_backends

    deploy(config, wheel)
    before = outputs_of(account)["Bucket"]
    backend = cloudformation_backends["123456789012"]["eu-central-1"]
    (stack,) = backend.stacks.values()
    stack.status = "ROLLBACK_COMPLETE"
    for key in keys(account, before):
        account.client("s3").delete_object(Bucket=before, Key=key)
    again = deploy(config, wheel)
    assert again.exit_code == 0, again.output
    assert "is deleted and made anew" in again.stderr
    assert outputs_of(account)["Bucket"] != before


def test_without_a_stack_everything_says_so(account: Emulator, config: Path) -> None:
    for command in ("stop", "status"):
        done = run(command, "--config", str(config), "--hub", "http://127.0.0.1:9")
        told = str(done.exception) if isinstance(done.exception, MeerkatError) else done.output
        assert "not there" in told
        assert "meerkat burst deploy" in told


def test_stop_ends_every_machine_without_the_hub(
    account: Emulator, config: Path, wheel: Path, model: ModelFiles
) -> None:
    deploy(config, wheel)
    group = outputs_of(account)["Group"]
    fleet = account.client("autoscaling")
    fleet.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=2)
    done = run("stop", "--config", str(config), "--hub", "http://127.0.0.1:9", "--json")
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    assert len(told["instances"]) == 2
    assert "127.0.0.1:9" in told["hub"]
    (after,) = fleet.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert (after["DesiredCapacity"], after["Instances"]) == (0, [])


def test_status_tells_what_the_ledger_would_not_book(
    account: Emulator, config: Path, wheel: Path, model: ModelFiles
) -> None:
    deploy(config, wheel)
    arguments = ("status", "--config", str(config), "--hub", "http://127.0.0.1:9")
    well = run(*arguments)
    assert (well.exit_code, "All is well" in well.output) == (0, True), well.output
    assert "machines  none, 2 at most" in well.output
    config.write_text(config.read_text().replace("region:", "money: {instance_hour: 0.02}, region:"))
    cheaper = run(*arguments)
    assert cheaper.exit_code == 1
    assert (
        "the stack pays up to $0.0285 an hour for a machine, and the ledger books $0.0135" in cheaper.output
    )
