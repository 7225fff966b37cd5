"""The stack of `meerkat burst deploy` in the emulator: the same template, less what moto cannot do.

moto knows none of Debian's images, and leaves out policies, alarms and the daily zero without a word:
here machines, queues and the bucket count.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meerkat_contract.errors import MeerkatError

REGION = "eu-central-1"
NAME = "meerkat-burst"
ANSWER_SECONDS = 10.0
MAKE_SECONDS = 60.0
"""For the whole stack, which is one request: moto loads what it knows of each service with it, 2.4 s of work
on a PC and several times that on a Raspberry Pi, or beside a hub that starts."""
IMAGE = "ami-03cf127a"
"""One of those that moto knows."""
_ENVIRONMENT = re.compile(r"cat > /etc/meerkat/burst\.env <<'END'\n(.*?)\n\s*END", re.DOTALL)


@dataclass(frozen=True, slots=True)
class EmulatedStack:
    """outputs: as CloudFormation tells them. environment: what the user data hands to a worker."""

    outputs: Mapping[str, str]
    environment: Mapping[str, str]

    @property
    def group(self) -> str:
        return self.outputs["Group"]


def credentials() -> dict[str, str]:
    """Environment of whoever speaks with the emulator: words that AWS itself refuses."""
    return {
        "AWS_ACCESS_KEY_ID": "EMULATED",
        "AWS_SECRET_ACCESS_KEY": "emulated",
        "AWS_DEFAULT_REGION": REGION,
    }


def client(endpoint: str, service: str, *, seconds: float = ANSWER_SECONDS) -> Any:
    """For whoever is the emulated cloud, not its customer. `seconds`: how long an answer may take."""
    import boto3
    from botocore.config import Config

    keys = credentials()
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        config=Config(connect_timeout=2, read_timeout=seconds, retries={"total_max_attempts": 1}),
    )


def make_stack(
    endpoint: str, name: str = NAME, *, parameters: Mapping[str, str] | None = None
) -> EmulatedStack:
    """Create it. `parameters`: some of the template's own, such as IdleGrace."""
    cloud = client(endpoint, "cloudformation", seconds=MAKE_SECONDS)
    cloud.create_stack(
        StackName=name,
        TemplateBody=_understood(template_text()),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in (parameters or {}).items()
        ],
    )
    found = cloud.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    outputs = {str(output["OutputKey"]): str(output["OutputValue"]) for output in found}
    return EmulatedStack(outputs, _environment(endpoint, name))


def template_text() -> str:
    """The template as `meerkat burst deploy` sends it: in the wheel, or beside the package in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "template.yaml"
    found = installed if installed.is_file() else package.parent / "template.yaml"
    return found.read_text(encoding="utf-8")


def _understood(template: str) -> str:
    """Images that are looked up in SSM are more than moto can do."""
    return template.replace("AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>", "String").replace(
        "/aws/service/debian/release/12/latest/amd64", IMAGE
    )


def _environment(endpoint: str, name: str) -> dict[str, str]:
    """What the launch template's user data writes into the file that the worker's service reads."""
    ec2 = client(endpoint, "ec2")
    for template in ec2.describe_launch_templates()["LaunchTemplates"]:
        versions = ec2.describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"], Versions=["$Latest"]
        )["LaunchTemplateVersions"]
        data = str(versions[0]["LaunchTemplateData"].get("UserData", ""))
        if match := _ENVIRONMENT.search(base64.b64decode(data).decode()):
            pairs = (line.strip().partition("=") for line in match[1].splitlines() if "=" in line)
            return {key: value for key, _, value in pairs}
    raise MeerkatError(
        "the launch template's user data sets no environment for the worker",
        where=name,
        remedy="The emulator reads /etc/meerkat/burst.env from template.yaml; keep them in step",
    )
