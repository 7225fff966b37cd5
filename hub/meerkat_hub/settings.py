"""Section `hub` of meerkat.yaml."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from .core.pool.settings import PoolSettings
from .core.rules import EctStar, Hedger, LeastInFlight, Pull, RoundRobin, Rule, WeightedRoundRobin
from .websensor_settings import WebsensorSettings

RuleName = Literal["ect", "pull", "round_robin", "static_weights", "least_in_flight"]

_RULES: dict[str, Callable[[], Rule]] = {
    "ect": EctStar,
    "pull": partial(Pull, 1),
    "round_robin": RoundRobin,
    "static_weights": WeightedRoundRobin,
    "least_in_flight": LeastInFlight,
}
assert set(_RULES) == set(get_args(RuleName))


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


class DispatchSettings(BaseModel):
    """Who gets which job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: RuleName = Field(
        "ect",
        description="ect: the earliest predicted completion, the one to use; the others are there to "
        "compare: pull (the MELINDA paper's), round_robin, static_weights, least_in_flight",
    )
    hedge: bool = Field(True, description="send a copy of a straggler to a worker that idles")


def pool_settings(settings: DispatchSettings) -> PoolSettings:
    """The same for the core."""
    return PoolSettings(rule=_RULES[settings.rule], hedger=Hedger() if settings.hedge else None)


class HubSettings(BaseModel):
    """The hub: its page, what it keeps, and what it accepts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    http_host: str = Field("127.0.0.1", description="address of the page; 0.0.0.0 opens it to the LAN")
    http_port: int = Field(8480, ge=1, le=65535)
    page: str | None = Field(
        None,
        pattern=r"^(https?|homeassistant)://[^\s/]+\S*$",
        description="address under which people find the page, where that is another than this machine's: "
        "behind a proxy. Home Assistant's devices link to it",
    )
    ingress_from: IPv4Address | None = Field(
        None,
        description="the only address that may open the page: 172.30.32.2, Home Assistant's ingress, "
        "which lets people in. Its X-Ingress-Path is believed",
    )
    password: SecretStr | None = Field(
        None,
        description="what the page asks other machines for, in place of the one that "
        "`meerkat password` shows; `false`: nothing, where a proxy asks who it is. "
        "Better in MEERKAT__HUB__PASSWORD than in a file",
    )
    announce: bool = Field(
        True, description="tell the network where broker and page are (mDNS), as far as they are open to it"
    )
    retention: RetentionSettings = RetentionSettings()
    dispatch: DispatchSettings = DispatchSettings()
    expire_after_hours: float = Field(
        24, gt=0, le=24 * 365, description="a clip that no worker could look at for so long is given up"
    )
    max_clip_megabytes: float = Field(60, gt=0, le=10_000, description="larger clips are refused")
    max_picture_megabytes: float = Field(20, gt=0, le=1_000, description="larger meter pictures are refused")
    websensor: WebsensorSettings = WebsensorSettings()

    @field_validator("password", mode="before")
    @classmethod
    def _none_at_all(cls, given: object) -> object:
        return "" if given is False or given == "false" else given  # a variable is a text

    @property
    def own_password(self) -> str | None:
        """None: the one that is kept; empty: nobody is asked."""
        return None if self.password is None else self.password.get_secret_value()
