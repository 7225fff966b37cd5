"""What the template makes, as far as clips, queues and machines go: small enough to be made for each test."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from meerkat_cloud_burst.messages import RECEIVES


def make_stack(
    client: Callable[[str], Any], name: str, *, maximum: int = 2, visibility: int = 30, results: int = 30
) -> Mapping[str, str]:
    """The outputs. `visibility`, `results`: seconds for which what was taken stays hidden."""
    subnets = [subnet["SubnetId"] for subnet in client("ec2").describe_subnets()["Subnets"]]
    cloud = client("cloudformation")
    template = _template(subnets, maximum, visibility, results)
    cloud.create_stack(StackName=name, TemplateBody=json.dumps(template))
    outputs = cloud.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    return {output["OutputKey"]: output["OutputValue"] for output in outputs}


def empty_stack(client: Callable[[str], Any], outputs: Mapping[str, str]) -> None:
    """As it was made: no clip, no message, no machine. Cheaper than a new one."""
    for queue in ("Jobs", "Results", "Dead"):
        client("sqs").purge_queue(QueueUrl=outputs[queue])
    store = client("s3")
    for thing in store.list_objects_v2(Bucket=outputs["Bucket"]).get("Contents", ()):
        store.delete_object(Bucket=outputs["Bucket"], Key=thing["Key"])
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=outputs["Group"], DesiredCapacity=0)
    for reservation in client("ec2").describe_instances()["Reservations"]:
        client("ec2").terminate_instances(
            InstanceIds=[each["InstanceId"] for each in reservation["Instances"]]
        )


def _template(subnets: list[str], maximum: int, visibility: int, results: int) -> dict[str, Any]:
    tag = {"Key": "meerkat:stack", "Value": {"Ref": "AWS::StackName"}}
    named = {"Bucket": "Clips", "Jobs": "Jobs", "Results": "Results", "Dead": "Dead", "Group": "Group"}
    return {
        "Resources": {
            "Clips": {"Type": "AWS::S3::Bucket"},
            "Dead": _queue({"VisibilityTimeout": results}),
            "Results": _queue({"VisibilityTimeout": results}),
            "Jobs": _queue(
                {
                    "VisibilityTimeout": visibility,
                    "RedrivePolicy": {
                        "deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]},
                        "maxReceiveCount": RECEIVES,
                    },
                }
            ),
            "Template": {
                "Type": "AWS::EC2::LaunchTemplate",
                "Properties": {
                    "LaunchTemplateData": {
                        "ImageId": "ami-12c6146b",
                        "InstanceType": "c6i.large",
                        "TagSpecifications": [{"ResourceType": "instance", "Tags": [tag]}],
                    }
                },
            },
            "Group": {
                "Type": "AWS::AutoScaling::AutoScalingGroup",
                "Properties": {
                    "MinSize": "0",
                    "MaxSize": str(maximum),
                    "DesiredCapacity": "0",
                    "VPCZoneIdentifier": subnets,
                    "LaunchTemplate": {
                        "LaunchTemplateId": {"Ref": "Template"},
                        "Version": {"Fn::GetAtt": ["Template", "LatestVersionNumber"]},
                    },
                    "Tags": [{**tag, "PropagateAtLaunch": True}],
                },
            },
        },
        "Outputs": {output: {"Value": {"Ref": resource}} for output, resource in named.items()},
    }


def _queue(properties: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": properties}
