"""Section `homeassistant` of meerkat.yaml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

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

    @property
    def birth_topic(self) -> str:
        return self.status_topic or f"{self.prefix}/status"
