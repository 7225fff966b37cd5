"""What the stack promises, read from the template: an emulator makes none of it true."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloud_support.templates import (
    IMAGE_BUILDER,
    ROOT,
    TEMPLATE,
    listed,
    load,
    of_type,
    statements,
    user_data,
)
from meerkat_cloud_burst.messages import RECEIVES


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return load()


@pytest.fixture(scope="module")
def resources(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: one.get("Properties", {}) for name, one in template["Resources"].items()}


@pytest.mark.parametrize("path", [TEMPLATE, IMAGE_BUILDER], ids=lambda path: path.stem)
def test_the_linter_finds_nothing(path: Path) -> None:
    from cfnlint import api

    found = api.lint_file(path)
    assert not found, "\n".join(str(match) for match in found)


def test_nothing_in_the_bucket_is_public_or_in_clear(resources: dict[str, dict[str, Any]]) -> None:
    bucket = resources["Bucket"]
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (statement,) = resources["BucketPolicy"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [{"Fn::GetAtt": ["Bucket", "Arn"]}, {"Fn::Sub": "${Bucket.Arn}/*"}]


def test_what_is_forgotten_goes_by_itself(resources: dict[str, dict[str, Any]]) -> None:
    rules = resources["Bucket"]["LifecycleConfiguration"]["Rules"]
    assert all(rule["Status"] == "Enabled" for rule in rules)
    days = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "Prefix" in rule}
    assert days == {"clips/": 1, "results/": 1, "annotated/": 7, "logs/": 7}
    (broken_off,) = [rule for rule in rules if "Prefix" not in rule]
    assert broken_off["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert "ExpirationInDays" not in broken_off


def test_queues(resources: dict[str, dict[str, Any]], template: dict[str, Any]) -> None:
    queues = of_type(template, "AWS::SQS::Queue")
    assert set(queues) == {"Jobs", "Results", "Dead"}
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())
    assert queues["Jobs"]["VisibilityTimeout"] == 60
    redrive = queues["Jobs"]["RedrivePolicy"]
    assert redrive == {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": RECEIVES}
    # A dead letter's age counts from its first queue: it must outlive that one.
    assert queues["Dead"]["MessageRetentionPeriod"] > queues["Jobs"]["MessageRetentionPeriod"]
    (statement,) = resources["QueuePolicy"]["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert resources["QueuePolicy"]["Queues"] == [{"Ref": name} for name in ("Jobs", "Results", "Dead")]


def test_nothing_comes_in(template: dict[str, Any]) -> None:
    (group,) = of_type(template, "AWS::EC2::SecurityGroup").values()
    assert group["SecurityGroupIngress"] == []
    assert not of_type(template, "AWS::EC2::SecurityGroupIngress")
    out = {(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in group["SecurityGroupEgress"]}
    assert out == {("tcp", 443, 443), ("tcp", 80, 80), ("udp", 53, 53), ("tcp", 53, 53)}


def test_machines(resources: dict[str, dict[str, Any]]) -> None:
    data = resources["Template"]["LaunchTemplateData"]
    assert data["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
    }
    (disk,) = data["BlockDeviceMappings"]
    assert disk["Ebs"]["Encrypted"] is True
    assert disk["Ebs"]["VolumeType"] == "gp3"
    assert disk["Ebs"]["DeleteOnTermination"] is True
    assert not {"KeyName", "InstanceMarketOptions", "SecurityGroupIds"} & set(data)
    (interface,) = data["NetworkInterfaces"]
    assert interface["Groups"] == [{"Fn::GetAtt": ["OutOnly", "GroupId"]}]
    assert data["InstanceInitiatedShutdownBehavior"] == "terminate"


def test_group(resources: dict[str, dict[str, Any]], template: dict[str, Any]) -> None:
    group = resources["Group"]
    assert group["MinSize"] == "0"
    # With a figure here an update of the stack would end machines at their work.
    assert "DesiredCapacity" not in group
    assert group["MaxSize"] == {"Ref": "MaxInstances"}
    assert template["Parameters"]["MaxInstances"]["Default"] == 2
    # Both launch one more than the maximum for a while.
    assert group["CapacityRebalance"] is False
    mixed = group["MixedInstancesPolicy"]
    assert mixed["InstancesDistribution"]["SpotMaxPrice"] == {"Ref": "MaxPrice"}
    assert mixed["InstancesDistribution"]["OnDemandBaseCapacity"] == 0
    assert len(mixed["LaunchTemplate"]["Overrides"]) >= 6
    (tag,) = group["Tags"]
    assert (tag["Key"], tag["PropagateAtLaunch"]) == ("meerkat:stack", True)


def test_an_idle_machine_is_ended_whoever_forgot_it(resources: dict[str, dict[str, Any]]) -> None:
    alarm = resources["Idle"]
    spans = {
        metric["MetricStat"]["Period"] * alarm["EvaluationPeriods"]
        for metric in alarm["Metrics"]
        if "MetricStat" in metric
    }
    assert spans == {15 * 60}
    assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"]
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmActions"] == [{"Ref": "ToZero"}]
    assert resources["ToZero"]["AdjustmentType"] == "ExactCapacity"
    assert resources["ToZero"]["ScalingAdjustment"] == 0
    watched = {
        metric["MetricStat"]["Metric"]["MetricName"] for metric in alarm["Metrics"] if "MetricStat" in metric
    }
    # What is taken and not yet done is work too.
    assert watched == {
        "ApproximateNumberOfMessagesVisible",
        "ApproximateNumberOfMessagesNotVisible",
        "GroupTotalInstances",
    }
    (collected,) = resources["Group"]["MetricsCollection"]
    assert "GroupTotalInstances" in collected["Metrics"]
    assert resources["EveryDay"]["DesiredCapacity"] == 0


STARS = {
    "QueuePolicy": "a queue's policy speaks of its own queue only",
    "HubPolicy": "AWS knows no narrower resource for these, and they read only",
}
READ_ONLY = {
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeScalingActivities",
    "ec2:DescribeInstances",
    "ec2:DescribeSpotPriceHistory",
}


def test_least_privilege(template: dict[str, Any]) -> None:
    for name, statement in statements(template):
        actions = listed(statement["Action"])
        if statement["Effect"] == "Deny":
            continue
        assert not [action for action in actions if "*" in action], f"{name} allows {actions}"
        if "*" in listed(statement.get("Resource", "")):
            assert name in STARS, f"{name} may {actions} on everything"
            assert set(actions) == READ_ONLY
        for resource in listed(statement.get("Resource", [])):
            words = json.dumps(resource)
            assert (
                words == '"*"' or "Bucket" in words or "Arn" in words or "arn:" in words or "Stack" in words
            )
            if "autoScalingGroup" in words:
                assert "autoScalingGroupName/${AWS::StackName}-workers" in words


def test_each_may_only_what_its_work_needs(template: dict[str, Any]) -> None:
    allowed: dict[str, set[str]] = {}
    for name, statement in statements(template):
        if statement["Effect"] == "Allow":
            allowed.setdefault(name, set()).update(listed(statement["Action"]))
    worker = allowed["WorkerPolicy"]
    assert not {action for action in worker if action.partition(":")[0] not in ("s3", "sqs")}
    assert not {"s3:DeleteObject", "sqs:PurgeQueue"} & worker
    assert allowed["WorkerRole"] == {"sts:AssumeRole", "autoscaling:TerminateInstanceInAutoScalingGroup"}
    hub = allowed["HubPolicy"]
    # No way to a larger group, another image, or a machine without the group.
    assert not {
        action for action in hub if action.startswith("iam:") or "Run" in action or "Update" in action
    }
    for name, statement in statements(template):
        if "ec2:TerminateInstances" in listed(statement["Action"]):
            assert name == "HubPolicy"
            assert statement["Condition"] == {
                "StringEquals": {"aws:ResourceTag/meerkat:stack": {"Ref": "AWS::StackName"}}
            }


ASKED = re.compile(r"client\.([a-z_]+)\(|get_paginator\(\"([a-z_]+)\"")
ACTIONS = {
    "abort_multipart_upload": "s3:AbortMultipartUpload",
    "change_message_visibility": "sqs:ChangeMessageVisibility",
    "complete_multipart_upload": "s3:PutObject",
    "create_multipart_upload": "s3:PutObject",
    "delete_message_batch": "sqs:DeleteMessage",
    "delete_objects": "s3:DeleteObject",
    "describe_auto_scaling_groups": "autoscaling:DescribeAutoScalingGroups",
    "describe_instances": "ec2:DescribeInstances",
    "describe_scaling_activities": "autoscaling:DescribeScalingActivities",
    "describe_stacks": "cloudformation:DescribeStacks",
    "get_object": "s3:GetObject",
    "get_queue_attributes": "sqs:GetQueueAttributes",
    "put_object": "s3:PutObject",
    "receive_message": "sqs:ReceiveMessage",
    "send_message": "sqs:SendMessage",
    "set_desired_capacity": "autoscaling:SetDesiredCapacity",
    "terminate_instance_in_auto_scaling_group": "autoscaling:TerminateInstanceInAutoScalingGroup",
    "terminate_instances": "ec2:TerminateInstances",
    "upload_part": "s3:PutObject",
}
"""What IAM calls the requests of the product's adapters (service authorization reference)."""


def test_whatever_the_product_asks_of_aws_is_allowed(template: dict[str, Any]) -> None:
    """A request that is new in the adapters needs a line in ACTIONS, and a policy that allows it."""
    adapters = sorted((ROOT / "cloud_burst" / "meerkat_cloud_burst" / "aws").glob("*.py"))
    asked = {
        found[1] or found[2]
        for adapter in adapters
        for found in ASKED.finditer(adapter.read_text(encoding="utf-8"))
    } - {"get_paginator"}
    assert asked == set(ACTIONS)
    allowed = {action for _, statement in statements(template) for action in listed(statement["Action"])}
    assert {ACTIONS[request] for request in asked} <= allowed


def test_the_worker_cannot_write_what_it_runs(template: dict[str, Any]) -> None:
    for name, statement in statements(template):
        if "s3:PutObject" in listed(statement["Action"]):
            words = json.dumps(statement["Resource"])
            assert "wheels" not in words, name
            assert "models" not in words, name


def test_outputs_are_what_the_hub_looks_for(template: dict[str, Any]) -> None:
    wanted = {"Bucket", "Jobs", "Results", "Dead", "Group", "Region", "HubPolicy"}
    assert wanted <= set(template["Outputs"])


def test_everything_that_can_be_tagged_is(template: dict[str, Any]) -> None:
    untagged = {
        name
        for name, resource in template["Resources"].items()
        if resource["Type"]
        in (
            "AWS::S3::Bucket",
            "AWS::SQS::Queue",
            "AWS::EC2::VPC",
            "AWS::IAM::Role",
            "AWS::EC2::SecurityGroup",
        )
        and {"Key": "meerkat:stack", "Value": {"Ref": "AWS::StackName"}} not in resource["Properties"]["Tags"]
    }
    assert not untagged
    launched = {
        one["ResourceType"]
        for one in template["Resources"]["Template"]["Properties"]["LaunchTemplateData"]["TagSpecifications"]
    }
    assert launched == {"instance", "volume"}


def test_user_data_fits_and_is_good_shell(template: dict[str, Any], tmp_path: Path) -> None:
    script = user_data(template, Wheel="wheels/0a/meerkat_home-0.1.0-py3-none-any.whl")
    assert len(script.encode()) < 16_384  # EC2's limit
    setup = script.partition("meerkat-burst-setup <<'END'\n")[2].partition("\nEND\n")[0]
    end = script.partition("meerkat-burst-end <<'END'\n")[2].partition("\nEND\n")[0]
    for name, text in (("user-data", script), ("setup", setup), ("end", end)):
        file = tmp_path / name
        file.write_text(text + "\n")
        assert subprocess.run(["sh", "-n", str(file)], check=False).returncode == 0
        if shutil.which("shellcheck"):
            done = subprocess.run(
                ["shellcheck", "-e", "SC1091", str(file)], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout
    helper = script.partition("sbin/meerkat-burst <<'END'\n")[2].partition("\nEND\n")[0]
    compile(helper, "meerkat-burst", "exec")
