"""Section `burst` of meerkat.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from meerkat_contract.findings import Finding, not_among_devices
from meerkat_contract.ids import NAME_PATTERN

CloudRule = Literal["never", "overflow", "always"]
"""Whether a camera's clips may leave the house: not at all, when they would be late, or in any case."""

CameraName = Annotated[str, StringConstraints(pattern=rf"^{NAME_PATTERN}/{NAME_PATTERN}$")]
"""device/camera. What can be no camera's name would forbid nothing, and nobody would notice."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DrainSettings(_Section):
    """Send the tail of the backlog when, and as far as, that makes it done sooner."""

    kind: Literal["drain"] = "drain"
    deadline: float = Field(
        120, gt=0, le=86_400, description="seconds within which a clip is to be looked at; below the promise"
    )
    gain: float = Field(30, ge=0, le=86_400, description="seconds that a burst must win at least")


class ThresholdSettings(_Section):
    """The rule of the camera that Meerkat succeeds: all above a threshold goes out."""

    kind: Literal["threshold"] = "threshold"
    threshold: int = Field(7, ge=0, description="clips that stay at home")
    max: int = Field(18, ge=1, description="clips in the cloud at most")


class MoneySettings(_Section):
    """What it may cost, in US dollars. The ceilings are never passed."""

    instance_hour: float = Field(0.035, gt=0, le=100, description="price of one instance for an hour")
    per_day: float = Field(0.50, ge=0, le=10_000, description="ceiling of a day (UTC)")
    per_month: float = Field(5.00, ge=0, le=100_000, description="ceiling of a calendar month (UTC)")


class BurstSettings(_Section):
    """Cloud burst: off until it is switched on here."""

    enabled: bool = Field(
        False, description="send clips out of the house when they would be late; costs money"
    )
    fleet: Literal["asg", "external"] = Field(
        "asg", description="asg: instances of EC2 in an Auto Scaling group; external: another PC of yours"
    )
    region: str = Field("", pattern=r"^[a-z0-9-]*$", description="AWS region; that of your AWS profile")
    stack: str = Field(
        "meerkat-burst",
        pattern=r"^[A-Za-z][A-Za-z0-9-]{0,100}$",
        description="name of the CloudFormation stack",
    )
    endpoint: str = Field("", description="of an emulator of AWS; empty is AWS itself")
    policy: Annotated[DrainSettings | ThresholdSettings, Field(discriminator="kind")] = DrainSettings()
    money: MoneySettings = MoneySettings()
    max_instances: int = Field(2, ge=1, le=100, description="instances at most, whatever the group allows")
    tick: float = Field(20, ge=0.1, le=600, description="seconds between two decisions")
    boot: float = Field(90, ge=0, le=3600, description="seconds until an instance works; measured later")
    clip_seconds: float = Field(
        20, gt=0, le=3600, description="seconds an instance needs for a clip of 5 s; measured later"
    )
    idle_grace: float = Field(
        60, ge=0, le=3600, description="seconds that an instance waits for more work; longer than tick"
    )
    timeout: float = Field(
        900, ge=10, le=86_400, description="seconds after which a clip without an answer is done at home"
    )
    model: str = Field("", description="model of the cloud workers; empty: what the stack was deployed with")
    annotated: bool = Field(
        False, description="have a video drawn with the boxes, kept in the cloud for a week"
    )
    default: CloudRule = Field("overflow", description="for cameras that say nothing of it")
    cameras: dict[CameraName, CloudRule] = Field(
        default_factory=dict, description="device/camera: what may happen to its clips; the stricter holds"
    )

    def look(self, sections: Mapping[str, BaseModel]) -> Iterator[Finding]:
        """Cameras that none of the file's devices has. A device may as well be described elsewhere."""
        yield from not_among_devices(self.cameras, "cameras", sections, below=("cameras",))

    @model_validator(mode="after")
    def _outlasts_a_tick(self) -> Self:
        """A worker that ends between two decisions boots anew for the next clip."""
        if self.policy.kind == "drain" and self.fleet == "asg" and self.idle_grace <= self.tick:
            raise ValueError(
                f"idle_grace ({self.idle_grace:g} s) must be longer than tick ({self.tick:g} s): an instance "
                "would end before the next decision and boot anew for it"
            )
        return self

    @model_validator(mode="after")
    def _waits_for_an_answer(self) -> Self:
        """A machine would be rented for clips that come home before it can have looked at them."""
        first = self.boot + self.clip_seconds
        if self.fleet == "asg" and self.timeout <= first:
            raise ValueError(
                f"timeout ({self.timeout:g} s) must be longer than boot and clip_seconds together "
                f"({first:g} s): no clip would be answered in time"
            )
        return self
