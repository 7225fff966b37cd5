"""Section `hub.websensor`: cameras that can do no more than post a picture to an address."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from meerkat_contract.ids import Name


class WebsensorMeter(BaseModel):
    """One meter whose pictures are posted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field("", max_length=80, description="what people call it, such as Water in the basement")
    kind: Literal["water", "gas", "electricity", "heat"] = Field("water", description="what the meter counts")


class WebsensorSettings(BaseModel):
    """A listener of its own, without login, for scripts that post meter pictures to /websensor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(False, description="listen; whoever reaches the port may then post and look")
    host: str = Field("0.0.0.0", description="address to listen on; all of this machine's by default")
    port: int = Field(8080, ge=1, le=65535, description="port to listen on")
    token: str = Field(
        "",
        max_length=200,
        repr=False,
        description="a word that has to come along: in the address (?token=…) or as header X-Token",
    )
    device: Name = Field(
        "websensor", description="whose these meters are on the bus; no other device may have this name"
    )
    label: str = Field("", max_length=80, description="what people call that device")
    meters: dict[Name, WebsensorMeter] = Field(
        default_factory=lambda: {"meter": WebsensorMeter()},
        min_length=1,
        max_length=100,
        description="the first is /websensor, each is /websensor/<its name>",
    )
