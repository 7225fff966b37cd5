"""The templates as CloudFormation reads them, and the user data as the machine gets it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cfnlint.decode import cfn_yaml

from cloud_support.emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "cloud_burst" / "template.yaml"
IMAGE_BUILDER = ROOT / "cloud_burst" / "image-builder.yaml"


def load(path: Path = TEMPLATE) -> dict[str, Any]:
    """With `!Ref x` as {"Ref": x} and `!Sub x` as {"Fn::Sub": x}."""
    loaded: dict[str, Any] = cfn_yaml.load(str(path))
    return loaded


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def statements(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement that allows or denies something, with the resource that holds it."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        documents = [properties.get("PolicyDocument"), properties.get("AssumeRolePolicyDocument")]
        documents += [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        for document in documents:
            for statement in (document or {}).get("Statement", []):
                yield name, statement


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def user_data(template: dict[str, Any], **values: str) -> str:
    """As cloud-init gets it; `values` stand for the parameters and resources, the rest is their name."""
    launch = of_type(template, "AWS::EC2::LaunchTemplate")["Template"]["LaunchTemplateData"]
    text: str = launch["UserData"]["Fn::Base64"]["Fn::Sub"]
    known = {"AWS::Region": "eu-central-1", "AWS::StackName": "meerkat-burst", "Darknet": "no", **values}
    return re.sub(r"\$\{([A-Za-z:]+)\}", lambda found: known.get(found[1], found[1]), text)


def launched_with(emulator: Emulator) -> str:
    """The user data of the group's launch template, as a new machine would get it."""
    (group,) = emulator.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    used = group["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]
    (version,) = emulator.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=used["LaunchTemplateId"], Versions=[used["Version"]]
    )["LaunchTemplateVersions"]
    return base64.b64decode(version["LaunchTemplateData"]["UserData"]).decode()
