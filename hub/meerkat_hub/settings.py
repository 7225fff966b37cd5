"""Section `hub` of meerkat.yaml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RetentionSettings(BaseModel):
    """How long clips, pictures and events are kept: until the first of the limits is met."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: float = Field(14, gt=0, le=3650, description="age after which media go")
    gigabytes: float = Field(10, gt=0, le=100_000, description="size above which the oldest media go")
    reserve_megabytes: float = Field(
        500,
        ge=0,
        le=1_000_000,
        description="space that stays free on the disk: the oldest media go before; 0 keeps no reserve",
    )


class HubSettings(BaseModel):
    """The hub: its page, what it keeps, and what it accepts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    http_host: str = Field("127.0.0.1", description="address of the page; 0.0.0.0 opens it to the LAN")
    http_port: int = Field(8480, ge=1, le=65535)
    retention: RetentionSettings = RetentionSettings()
    expire_after_hours: float = Field(
        24, gt=0, le=24 * 365, description="a clip that no worker could look at for so long is given up"
    )
    max_clip_megabytes: float = Field(60, gt=0, le=10_000, description="larger clips are refused")
    max_picture_megabytes: float = Field(20, gt=0, le=1_000, description="larger meter pictures are refused")
