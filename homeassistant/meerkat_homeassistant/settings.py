"""Section `homeassistant` of meerkat.yaml."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

EventType = Literal["person", "known_person", "unknown_person", "vehicle", "animal", "package", "object"]

_TOPIC = r"^[^/+#\s\x00][^+#\s\x00]*$"


class HomeAssistantSettings(BaseModel):
    """How Meerkat shows itself in Home Assistant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="false: `meerkat up` does not start the bridge")
    prefix: str = Field(
        "homeassistant",
        pattern=_TOPIC,
        max_length=200,
        description="the discovery prefix in the options of Home Assistant's MQTT integration",
    )
    status_topic: str | None = Field(
        None,
        pattern=_TOPIC,
        max_length=200,
        description="where Home Assistant says that it has started; without it <prefix>/status",
    )
    birth_jitter: float = Field(
        3.0, ge=0, le=60, description="seconds: publish again within this time of Home Assistant's start"
    )

    events: tuple[EventType, ...] = Field(
        get_args(EventType),
        min_length=1,
        description="what cameras' event entities tell. Without known_person or unknown_person those are "
        "person, without package an object; what else is left out is not told",
    )

    @property
    def birth_topic(self) -> str:
        return self.status_topic or f"{self.prefix}/status"
