from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from cloud_support.emulator import Emulator
from cloud_support.refusing_server import Refusal, RefusingServer, query
from meerkat_cloud_burst.aws import group
from meerkat_cloud_burst.aws.external import SILENT, ExternalFleet
from meerkat_cloud_burst.aws.group import AutoScalingFleet, leave
from meerkat_cloud_burst.aws.opening import open_cloud
from meerkat_cloud_burst.aws.stack import TAG, Stack, StackNames
from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.ports import FleetState

STACK = "meerkat-burst"


@pytest.fixture
def fleet(aws: Emulator, stack: Mapping[str, str]) -> AutoScalingFleet:
    return AutoScalingFleet(aws.clients, stack["Group"], STACK, max_instances=2)


def launch_alone(aws: Emulator, tag: str) -> str:
    """An instance that no group counts."""
    subnet = aws.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    started = aws.client("ec2").run_instances(
        ImageId="ami-12c6146b",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        InstanceMarketOptions={"MarketType": "spot"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": TAG, "Value": tag}]}],
    )
    return str(started["Instances"][0]["InstanceId"])


def test_the_fleet_is_empty_until_it_is_asked_for(fleet: AutoScalingFleet) -> None:
    assert fleet.look() == FleetState(desired=0, maximum=2)


def test_instances_are_launched_with_their_times(fleet: AutoScalingFleet) -> None:
    fleet.set_desired(1)
    state = fleet.look()
    [instance] = state.instances
    assert (state.desired, instance.state, instance.life) == (1, "running", "on-demand")
    assert 0 <= (datetime.now(UTC) - instance.since).total_seconds() < 60
    assert state.trouble is None


@pytest.mark.parametrize(("mine", "asked", "held"), [(2, 5, 2), (1, 2, 1), (2, -1, 0), (5, 5, 2)])
def test_never_above_either_ceiling(
    aws: Emulator, stack: Mapping[str, str], mine: int, asked: int, held: int
) -> None:
    """The emulator itself would allow more than the group's MaxSize."""
    fleet = AutoScalingFleet(aws.clients, stack["Group"], STACK, max_instances=mine)
    fleet.set_desired(asked)
    assert (fleet.look().desired, len(fleet.look().instances)) == (held, held)
    assert fleet.look().maximum == min(mine, 2)


def test_an_ended_instance_is_not_replaced(fleet: AutoScalingFleet) -> None:
    fleet.set_desired(2)
    first, second = (instance.id for instance in fleet.look().instances)
    fleet.end([first])
    state = fleet.look()
    assert (state.desired, [instance.id for instance in state.instances]) == (1, [second])
    fleet.end([second, first])
    assert fleet.look() == FleetState(desired=0, maximum=2)


def test_a_worker_ends_itself_and_is_not_replaced(fleet: AutoScalingFleet, aws: Emulator) -> None:
    fleet.set_desired(1)
    leave(aws.clients, fleet.look().instances[0].id)
    assert fleet.look() == FleetState(desired=0, maximum=2)


def test_an_instance_ends_though_nothing_is_wanted_of_its_group_already(
    server: RefusingServer,
) -> None:
    """As after «stop»: the fleet is set to none and every instance is ended. The emulator allows it."""
    server.refusals = [
        query(
            400,
            "ValidationError",
            "Currently, desiredSize equals minSize (0). Terminating instance without replacement will "
            "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false "
            "or lower group's min size.",
        )
    ]
    ended = "TerminateInstanceInAutoScalingGroup"
    server.refusal = Refusal(200, f"<{ended}Response><{ended}Result/></{ended}Response>")
    leave(server.clients, "i-1")
    assert [b"ShouldDecrementDesiredCapacity=true" in body for body in server.asked] == [True, False]


def test_an_instance_that_ec2_has_taken_away_is_ending(fleet: AutoScalingFleet, aws: Emulator) -> None:
    """The group counts it until it looks itself."""
    fleet.set_desired(1)
    [instance] = fleet.look().instances
    from moto.ec2.models import ec2_backends

    ec2_backends["123456789012"]["eu-central-1"].get_instance(instance.id)._state.name = "terminated"
    [after] = fleet.look().instances
    assert (after.id, after.state) == (instance.id, "ending")


def test_an_instance_without_a_group_is_an_orphan_after_its_grace(
    fleet: AutoScalingFleet, aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = launch_alone(aws, STACK)
    assert not fleet.look().orphans
    monkeypatch.setattr(group, "ORPHAN", -60.0)
    [orphan] = fleet.look().orphans
    assert (orphan.id, orphan.life) == (lost, "spot")
    fleet.end([lost])
    assert not fleet.look().orphans


def test_a_stranger_s_instance_is_neither_seen_nor_ended(
    fleet: AutoScalingFleet, aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "ORPHAN", -60.0)
    stranger = launch_alone(aws, "another-stack")
    assert not fleet.look().orphans
    with pytest.raises(CloudError, match=stranger):
        fleet.end([stranger])
    [machine] = aws.client("ec2").describe_instances(InstanceIds=[stranger])["Reservations"][0]["Instances"]
    assert machine["State"]["Name"] == "running"


def test_an_instance_that_is_not_there_is_ended_already(fleet: AutoScalingFleet) -> None:
    fleet.end(["i-0123456789abcdef0"])


# --- launches that fail: told by the group's activities alone --------------------------------------


class Failing:
    """Clients of an account that wants an instance and gets none."""

    region = "eu-central-1"

    def __init__(self, aws: Emulator, activities: list[dict[str, Any]]) -> None:
        self._clients = aws.clients
        self._activities = activities

    def asking(self, service: str, doing: str, where: str) -> Any:
        if "why" not in doing:
            return self._clients.asking(service, doing, where)
        return self

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None: ...

    def describe_scaling_activities(self, **_: object) -> dict[str, Any]:
        return {"Activities": self._activities}


def activity(message: str, *, code: str = "Failed", ago: float = 0) -> dict[str, Any]:
    begun = datetime.fromtimestamp(datetime.now(UTC).timestamp() - ago, UTC)
    return {
        "Description": f"Launching a new EC2 instance.  Status Reason: {message}",
        "StatusCode": code,
        "StatusMessage": message,
        "StartTime": begun,
    }


def trouble(
    aws: Emulator, stack: Mapping[str, str], activities: list[dict[str, Any]], *, running: int = 0
) -> CloudError | None:
    fleet = AutoScalingFleet(Failing(aws, activities), stack["Group"], STACK, 2)  # type: ignore[arg-type]
    scaling = aws.client("autoscaling")
    scaling.set_desired_capacity(AutoScalingGroupName=stack["Group"], DesiredCapacity=2)
    instances = [instance.id for instance in fleet.look().instances]
    scaling.suspend_processes(AutoScalingGroupName=stack["Group"], ScalingProcesses=["Launch"])
    try:
        scaling.detach_instances(
            AutoScalingGroupName=stack["Group"],
            InstanceIds=instances[running:],
            ShouldDecrementDesiredCapacity=True,
        )
        # The emulator launches at once; the wish alone is set where it keeps it.
        from moto.autoscaling.models import autoscaling_backends

        backend = autoscaling_backends["123456789012"]["eu-central-1"]
        backend.autoscaling_groups[stack["Group"]].desired_capacity = 2
        return fleet.look().trouble
    finally:
        scaling.resume_processes(AutoScalingGroupName=stack["Group"], ScalingProcesses=["Launch"])


SPOT = "Could not launch Spot Instances. {} Launching EC2 instance failed."


@pytest.mark.parametrize(
    ("message", "cause", "words"),
    [
        (SPOT.format("MaxSpotInstanceCountExceeded - Max spot instance count exceeded."), "quota", "Quotas"),
        ("Max spot instance count exceeded. Launching EC2 instance failed.", "quota", "max_instances"),
        (
            "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance "
            "bucket that the specified instance type belongs to. Launching EC2 instance failed.",
            "quota",
            "Service Quotas",
        ),
        (
            SPOT.format(
                "InsufficientInstanceCapacity - There is no Spot capacity available that matches it."
            ),
            "capacity",
            "no machine",
        ),
        (
            "We currently do not have sufficient c6i.large capacity in the Availability Zone you requested "
            "(eu-central-1a). Launching EC2 instance failed.",
            "capacity",
            "no machine",
        ),
        (SPOT.format("UnfulfillableCapacity - Unable to fulfill capacity."), "capacity", "no machine"),
        (SPOT.format("SpotMaxPriceTooLow - Your Spot request price of 0.001 is lower."), "capacity", "price"),
        (
            "AuthFailure.ServiceLinkedRoleCreationNotPermitted - The provided credentials do not have "
            "permission to create the service-linked role for EC2 Spot Instances.",
            "permission",
            "create-service-linked-role",
        ),
        ("The image id '[ami-1]' does not exist. Launching EC2 instance failed.", "missing", "ImageId"),
        ("Something else of Amazon's. Launching EC2 instance failed.", "other", "Something else"),
    ],
)
def test_a_failed_launch_says_why(
    aws: Emulator, stack: Mapping[str, str], message: str, cause: str, words: str
) -> None:
    told = trouble(aws, stack, [activity(message)])
    assert told is not None
    assert told.cause == cause
    assert words in str(told)


@pytest.mark.parametrize(
    "activities",
    [
        [],
        [activity("Max spot instance count exceeded.", ago=group.FAILED_LATELY + 5)],
        [activity("", code="Successful"), activity("Max spot instance count exceeded.", ago=20)],
    ],
    ids=["none", "long ago", "mended"],
)
def test_a_failure_of_another_time_is_no_trouble(
    aws: Emulator, stack: Mapping[str, str], activities: list[dict[str, Any]]
) -> None:
    assert trouble(aws, stack, activities) is None


def test_one_of_two_is_enough_to_go_on(aws: Emulator, stack: Mapping[str, str]) -> None:
    failed = activity("Max spot instance count exceeded.")
    assert trouble(aws, stack, [failed], running=1) is None
    assert trouble(aws, stack, [failed], running=0) is not None


# --- the stack's names, and a fleet that nobody launches -------------------------------------------


def test_the_stack_s_names_are_asked_for_once(aws: Emulator, stack: Mapping[str, str]) -> None:
    asked = Stack(aws.clients, STACK)
    names = asked.names()
    assert names == StackNames(
        stack["Bucket"], stack["Jobs"], stack["Results"], stack["Dead"], stack["Group"]
    )
    aws.stop()
    try:
        assert asked.names() is names
    finally:
        aws.start()


def test_a_stack_of_another_shape_is_named(aws: Emulator) -> None:
    aws.client("cloudformation").create_stack(
        StackName="other", TemplateBody='{"Resources": {"A": {"Type": "AWS::SQS::Queue"}}}'
    )
    with pytest.raises(CloudError, match="does not name Bucket, Jobs, Results, Dead, Group") as caught:
        Stack(aws.clients, "other").names()
    assert caught.value.cause == "missing"


def test_external_workers_count_while_they_speak() -> None:
    now = 100.0
    fleet = ExternalFleet(3, clock=lambda: now)
    assert fleet.look() == FleetState(maximum=3)
    fleet.heard("pc", "ready")
    fleet.heard("nas", "ready")
    fleet.heard("nas", "ending")
    fleet.heard("nobody", "interrupted")
    [instance] = fleet.look().instances
    assert (instance.id, instance.state) == ("pc", "running")
    now += SILENT
    assert len(fleet.look().instances) == 1
    now += 0.1
    assert fleet.look() == FleetState(maximum=3)
    fleet.set_desired(3)
    fleet.end(["pc"])


def test_everything_is_opened_from_the_settings(aws: Emulator, stack: Mapping[str, str]) -> None:
    cloud = open_cloud(aws.settings(max_instances=1))
    assert cloud.fleet.look().maximum == 1
    assert cloud.orders.look().waiting == 0
    assert isinstance(open_cloud(aws.settings(fleet="external"), names=cloud.names).fleet, ExternalFleet)
